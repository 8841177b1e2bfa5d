//! Sentences: ours held against NLTK's and BlingFire's.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gristmill_filters::sentences::{BlingFire, Nltk, Punkt, SentenceSplitter};
use gristmill_tests::{jsonl, python, shared};

#[test]
fn sentences_are_those_of_nltk_and_blingfire() {
    let Some(python) = python("nltk, punkt, blingfire, zstandard") else { return };
    let Some(documents) = shared("golden/docs.jsonl.zst") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/sentences.py");
    let status = Command::new(&python).arg(&script).arg(folder.path()).arg(&documents).status();
    assert!(status.expect("python starts").success(), "{} failed", script.display());

    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("a model");
    let english = Punkt::load(&read("punkt_tab.zip"), "english", Nltk::From3_10).expect("Punkt's model");
    let blingfire = BlingFire::load(&read("sbd.bin")).expect("BlingFire's model");
    let splitters = [
        ("english", SentenceSplitter::Punkt(Arc::new(english))),
        ("untrained", SentenceSplitter::Punkt(Arc::new(Punkt::untrained(Nltk::From3_10)))),
        ("blingfire", SentenceSplitter::BlingFire(Arc::new(blingfire))),
    ];
    let rows = jsonl(&folder.path().join("expected.jsonl"));
    assert!(rows.len() > 5_000, "only {} texts", rows.len());
    for (name, splitter) in splitters {
        let mut sentences = 0;
        for row in &rows {
            let text = row["text"].as_str().expect("a text");
            let theirs: Vec<&str> = row[name]
                .as_array()
                .expect("a list")
                .iter()
                .map(|one| one.as_str().expect("a string"))
                .collect();
            assert_eq!(splitter.split(text), theirs, "{name}: {text:?}");
            sentences += theirs.len();
        }
        eprintln!("{name}: {sentences} sentences of {} texts are the same", rows.len());
    }
}
