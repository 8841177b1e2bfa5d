//! fastText: our predictions held against the C++ library's, on its language identifier and on models of every kind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gristmill_classify::{Model, Scratch, preprocess};
use gristmill_tests::{jsonl, python, shared};
use serde_json::Value;

const TOLERANCE: f64 = 1e-5;

fn load(path: &Path) -> Model {
    let bytes = std::fs::read(path).expect("a readable model");
    Model::load(Arc::new(bytes)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn languages_are_those_of_the_c_library() {
    let (Some(model), Some(expected)) = (shared("data/lid/lid.176.ftz"), shared("data/lid/expected.jsonl"))
    else {
        return;
    };
    let model = load(&model);
    let mut scratch = Scratch::default();
    let expected = jsonl(&expected);
    assert_eq!(expected.len(), 555);
    for row in &expected {
        let text = row["text"].as_str().expect("a text");
        let labels: Vec<&str> = strings(&row["labels"]);
        let probabilities = floats(&row["probs"]);
        let got = model.predict(&mut scratch, text, labels.len());
        let got_labels: Vec<&str> = got.iter().map(|best| &*model.labels()[best.label as usize]).collect();
        assert_eq!(got_labels, labels, "{}", row["id"]);
        for (got, expected) in got.iter().zip(probabilities) {
            // The file was rounded to six places.
            assert!((f64::from(got.probability) - expected).abs() <= TOLERANCE, "{}: {got:?}", row["id"]);
        }
    }
}

#[test]
fn whole_pages_have_the_language_that_dclm_gives_them() {
    const OPERATOR: &str = "06.detect_lang_whole_page_enricher";
    let (Some(model), Some(documents), Some(verdicts)) = (
        shared("data/lid/lid.176.ftz"),
        shared("golden/docs.jsonl.zst"),
        shared("golden/verdicts.jsonl.zst"),
    ) else {
        return;
    };
    let model = load(&model);
    let mut scratch = Scratch::default();
    let (documents, verdicts) = (jsonl(&documents), jsonl(&verdicts));
    assert_eq!(documents.len(), verdicts.len());
    let mut compared = 0;
    for (document, verdict) in documents.iter().zip(&verdicts) {
        assert_eq!(document["id"], verdict["id"]);
        let expected = verdict["ops"][OPERATOR]["language_id_whole_page_fasttext"].as_object();
        let expected = expected.expect("a language attribute");
        let text = preprocess::lid_whole_page(document["text"].as_str().expect("a text"));
        let got: Vec<(&str, f64)> = text
            .iter()
            .flat_map(|text| model.predict(&mut scratch, text, 1).to_vec())
            .map(|best| (&*model.labels()[best.label as usize], f64::from(best.probability)))
            .collect();
        assert_eq!(got.len(), expected.len(), "{}", document["id"]);
        for ((label, probability), (expected_label, expected)) in got.iter().zip(expected) {
            assert_eq!(label, expected_label, "{}", document["id"]);
            let expected = expected.as_f64().expect("a probability");
            assert!(
                (probability - expected).abs() <= TOLERANCE,
                "{}: {probability} {expected}",
                document["id"]
            );
            compared += 1;
        }
    }
    assert!(compared > 2_000, "only {compared} pages have a language");
}

/// Trains some forty models with the C++ library and compares what it predicts. Needs a Python with `fasttext-wheel`: the one that
/// `GRISTMILL_PYTHON` names, or that of the `.venv` at the root of the repository.
#[test]
fn every_kind_of_model_predicts_as_in_the_c_library() {
    let Some(python) = python("fasttext") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/fasttext_models.py");
    let status = Command::new(&python).arg(&script).arg(folder.path()).status().expect("python starts");
    assert!(status.success(), "{} failed", script.display());

    let mut models: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "bin" || kind == "ftz"))
        .collect();
    models.sort();
    assert!(models.len() >= 49, "only {} models were trained", models.len());
    let (mut predictions, mut same_bits, mut worst) = (0, 0, 0.0_f64);
    for path in &models {
        let model = load(path);
        let mut scratch = Scratch::default();
        for row in jsonl(&path.with_extension("jsonl")) {
            let name = path.file_stem().expect("a name").display();
            let text = row["text"].as_str().expect("a text");
            let k = row["k"].as_u64().expect("a number") as usize;
            let got = model.predict(&mut scratch, text, k);
            let labels: Vec<String> = got
                .iter()
                .filter_map(|best| model.label_bytes(best.label))
                .map(|label| String::from_utf8_lossy(label).into_owned())
                .collect();
            assert_eq!(labels, strings(&row["labels"]), "{name}, k {k}: {text:?}");
            for (got, expected) in got.iter().zip(floats(&row["probs"])) {
                let difference = (f64::from(got.probability) - expected).abs();
                assert!(difference <= TOLERANCE, "{name}, k {k}: {got:?} and not {expected}: {text:?}");
                predictions += 1;
                same_bits += usize::from(got.probability.to_bits() == (expected as f32).to_bits());
                worst = worst.max(difference);
            }
        }
    }
    eprintln!(
        "{} models, {predictions} probabilities: {same_bits} equal in all bits, {worst:e} apart at most",
        models.len()
    );
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|item| item.as_str().expect("a string")).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|item| item.as_f64().expect("a number")).collect()
}
