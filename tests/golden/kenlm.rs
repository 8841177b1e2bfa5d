//! SentencePiece and KenLM: pieces, scores and perplexities held against the C++ libraries', with models of every kind.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gristmill_classify::ccnet;
use gristmill_classify::kenlm::{self, Model, State};
use gristmill_classify::sentencepiece::{self, SentencePiece};
use gristmill_tests::{jsonl, python, shared};
use serde_json::Value;

/// Trains and builds some fifty models with the libraries. Needs a Python with `sentencepiece` and `kenlm`: the one that `GRISTMILL_PYTHON`
/// names, or that of the `.venv` at the root of the repository.
#[test]
fn every_kind_of_model_cuts_and_scores_as_in_the_c_libraries() {
    let Some(python) = python("kenlm, sentencepiece") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    if let Some(documents) = shared("golden/docs.jsonl.zst") {
        let mut texts = std::fs::File::create(folder.join("texts.jsonl")).expect("a file");
        for document in jsonl(&documents) {
            writeln!(texts, "{}", serde_json::json!({"text": document["text"]})).expect("it is written");
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/kenlm_models.py");
    let status = Command::new(&python).arg(&script).arg(folder).status().expect("python starts");
    assert!(status.success(), "{} failed", script.display());

    let tokenizers = files(folder, "model");
    assert!(tokenizers.len() >= 12, "only {} SentencePiece models", tokenizers.len());
    let texts: usize = tokenizers.iter().map(|path| pieces_are_the_same(path)).sum();
    let models = files(folder, "lm");
    assert!(models.len() >= 40, "only {} n-gram models", models.len());
    let sentences: usize = models.iter().map(|path| scores_are_the_same(path)).sum();
    let perplexities = perplexities_are_the_same(folder);
    eprintln!(
        "{} SentencePiece models: {texts} texts in the same pieces; {} n-gram models: {} scores equal in all bits; {perplexities} perplexities",
        tokenizers.len(),
        models.len(),
        2 * sentences
    );
}

fn pieces_are_the_same(path: &Path) -> usize {
    let model = load_pieces(path);
    let mut scratch = sentencepiece::Scratch::default();
    let rows = jsonl(&path.with_extension("pieces.jsonl"));
    for row in &rows {
        let text = string(&row["text"]);
        let mut got = Vec::new();
        model.encode(&mut scratch, text, |piece| got.push(String::from_utf8_lossy(piece).into_owned()));
        let expected: Vec<&str> = row["pieces"].as_array().expect("a list").iter().map(string).collect();
        assert!(got == expected, "{}: {text:?}\n got {got:?}\nwant {expected:?}", path.display());
    }
    rows.len()
}

fn scores_are_the_same(path: &Path) -> usize {
    let model = load_model(path);
    let rows = jsonl(&path.with_extension("scores.jsonl"));
    for row in &rows {
        let sentence = string(&row["sentence"]);
        let name = path.display();
        assert_eq!(model.score(sentence).to_bits(), float(&row["score"]).to_bits(), "{name}: {sentence:?}");
        let mut state = State::default();
        let words = sentence.split([' ', '\t', '\n', '\r', '\x0b', '\x0c']).filter(|word| !word.is_empty());
        let open = words.fold(0.0, |sum, word| sum + model.next_word(&mut state, word.as_bytes()));
        assert_eq!(open.to_bits(), float(&row["open"]).to_bits(), "{name}, open: {sentence:?}");
    }
    rows.len()
}

fn perplexities_are_the_same(folder: &Path) -> usize {
    let mut compared = 0;
    let rows = jsonl(&folder.join("perplexity.jsonl"));
    let pairs = rows.first().and_then(Value::as_object).expect("a row").keys().filter(|key| *key != "text");
    for pair in pairs {
        let (pieces, model) = pair.split_once(' ').expect("two names");
        let pieces = load_pieces(&folder.join(pieces).with_extension("model"));
        let model = load_model(&folder.join(model).with_extension("lm"));
        let mut scratch = ccnet::Scratch::default();
        for row in &rows {
            let text = string(&row["text"]);
            let got = ccnet::perplexity(&pieces, &model, &mut scratch, text);
            assert_eq!(Some(got), row[pair].as_f64(), "{pair}: {text:?}");
            compared += 1;
        }
    }
    compared
}

fn load_pieces(path: &Path) -> SentencePiece {
    let bytes = std::fs::read(path).expect("a readable model");
    SentencePiece::load(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load_model(path: &Path) -> kenlm::Model {
    let bytes = std::fs::read(path).expect("a readable model");
    Model::load(Arc::new(bytes)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn string(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn float(value: &Value) -> f32 {
    value.as_f64().expect("a number") as f32
}
