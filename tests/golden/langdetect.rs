//! langdetect: our languages and probabilities held against the Python package's, to the last bit.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gristmill_classify::langdetect::{Detector, Profiles};
use gristmill_pipeline::recipe::{parse_steps, tree};
use gristmill_pipeline::resources::{Resource, Resources};
use gristmill_pipeline::{Chain, Document, Tally, Verdict};
use gristmill_tests::{jsonl, python, shared};
use serde_json::{Value, json};

/// What the step makes of a text: the field it writes, or that the page is broken.
fn step((model, file): (&str, &[u8]), params: &str, key: &str, text: &str) -> Value {
    let list = tree::parse(&format!("- {params}")).expect("YAML");
    let mut complaints = Vec::new();
    let specs = parse_steps(&list, &mut complaints);
    assert_eq!(complaints, []);
    let resource =
        Resource { bytes: Arc::new(file.to_vec()), found: model.to_owned(), sha256: String::new() };
    let resources = Resources::new(BTreeMap::from([(model.to_owned(), resource)]));
    let mut chain = Chain::new(&specs, Arc::new(resources), 7).expect(params);
    let doc = Document::from_json(&json!({"text": text}).to_string(), || "id".to_owned()).expect("a record");
    let ended = chain.apply(doc, &mut Tally::default()).expect("no programs are run").pop().expect("an end");
    match ended.verdict {
        Verdict::Keep => ended.doc.fields.value(key).expect("a field").clone(),
        other => json!(format!("{other:?}")),
    }
}

#[test]
fn languages_are_those_of_langdetect() {
    let Some(python) = python("langdetect, zstandard") else { return };
    let Some(documents) = shared("golden/docs.jsonl.zst") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/langdetect.py");
    let status = Command::new(&python).arg(&script).arg(folder.path()).arg(&documents).status();
    assert!(status.expect("python starts").success(), "{} failed", script.display());
    let archive = std::fs::read(folder.path().join("langdetect-1.0.9.tar.gz")).expect("an archive");
    let profiles = Arc::new(Profiles::load(&archive).expect("langdetect's archive"));
    assert_eq!(profiles.languages().len(), 55);

    let (mut told, mut silent) = (0, 0);
    for row in jsonl(&folder.path().join("expected.jsonl")) {
        let text = row["text"].as_str().expect("a text");
        let mut detector = Detector::new(Arc::clone(&profiles), row["seed"].as_i64().expect("a seed"));
        let ours = detector.detect(text).map(|guesses| {
            let pairs =
                guesses.iter().map(|guess| json!([profiles.languages()[guess.language], guess.probability]));
            pairs.collect::<Vec<Value>>()
        });
        assert_eq!(json!(ours), row["langs"], "seed {}: {text:?}", row["seed"]);
        told += usize::from(ours.is_some());
        silent += usize::from(ours.is_none());
    }
    assert!(told > 3_000 && silent > 10, "{told} texts have languages, {silent} have none");
    eprintln!("{told} texts have langdetect's languages and probabilities, bit for bit; {silent} have none");

    let langdetect = ("langdetect", &archive[..]);
    let page = "detect_lang_whole_page_enricher: {model: langdetect, seed: 3, semantics: ";
    let key = "language_id_whole_page_langdetect";
    let french =
        step(langdetect, &format!("{page}dclm}}"), key, "Où est la gare, s'il vous plaît ?\nMerci bien.");
    assert!(french["fr"].as_f64().is_some_and(|sure| sure > 0.99), "{french}");
    assert_eq!(step(langdetect, &format!("{page}dclm}}"), key, " .,"), json!({}));
    assert_eq!(
        step(langdetect, &format!("{page}dclm}}"), key, "123 45"),
        json!("Broken(\"no language can be told\")")
    );
    assert_eq!(step(langdetect, &format!("{page}fixed}}"), key, "123 45"), json!({}));

    let text =
        "Where is the station, please? Où est la gare, s'il vous plaît ? This is another English sentence.";
    let sentences = "detect_lang_paragraph_enricher: {model: langdetect, tokenizer: rule, semantics: ";
    let key = "language_id_paragraph_langdetect";
    let found = step(langdetect, &format!("{sentences}dclm}}"), key, text);
    assert_eq!(found["en"]["number_of_sentences"], 2, "{found}");
    assert_eq!(found["fr"]["number_of_sentences"], 1, "{found}");
    let digits = format!("{text} 1234. Done.");
    let broken = step(langdetect, &format!("{sentences}dclm}}"), key, &digits);
    assert_eq!(broken, json!("Broken(\"no language can be told\")"));
    let found = step(langdetect, &format!("{sentences}fixed}}"), key, &digits);
    assert_eq!(found["fr"]["number_of_sentences"], 1, "{found}");
}

/// fastText predicts one line at a time, and DCLM's enricher of sentences hands it sentences as they are.
#[test]
fn a_line_end_in_a_sentence_breaks_a_page_as_in_dclm() {
    let Some(model) = shared("data/lid/lid.176.ftz") else { return };
    let model = std::fs::read(model).expect("a model");
    let languages = |semantics: &str, text: &str| {
        let params = "detect_lang_paragraph_enricher: {model: fasttext, tokenizer: nltk, semantics: ";
        step(("fasttext", &model), &format!("{params}{semantics}}}"), "language_id_paragraph_fasttext", text)
    };
    let (one_line, two_lines) = ("This is a line. Here is another.", "This is a line. Here is\nanother.");
    assert_eq!(languages("dclm", one_line)["en"]["number_of_sentences"], 2);
    assert_eq!(languages("dclm", two_lines), json!("Broken(\"a sentence with a line end\")"));
    assert_eq!(languages("fixed", two_lines)["en"]["number_of_sentences"], 2);
}
