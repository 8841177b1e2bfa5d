//! ftfy: what it makes of mojibake in many languages, of random strings and of real documents, held against ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gristmill_pipeline::recipe::{parse_steps, tree};
use gristmill_pipeline::resources::Resources;
use gristmill_pipeline::{Chain, Document, Tally};
use gristmill_tests::{jsonl, python, shared};
use serde_json::{Value, json};

/// Needs a Python with `ftfy` and, for the documents, `zstandard`.
#[test]
fn texts_are_repaired_as_ftfy_does() {
    let Some(python) = python("ftfy, zstandard") else { return };
    let Some(documents) = shared("golden/docs.jsonl.zst") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("texts.jsonl");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/ftfy_texts.py");
    let status = Command::new(python).arg(&script).arg(&out).arg(documents).status().expect("python starts");
    assert!(status.success(), "{} failed", script.display());

    let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
    let (mut changed, mut differences) = (0, Vec::new());
    let rows = jsonl(&out);
    for row in &rows {
        let chain = chains.entry(row["config"].to_string()).or_insert_with(|| chain(&row["config"]));
        let doc = Document::from_json(&json!({"text": row["text"]}).to_string(), String::new);
        let ended = chain.apply(doc.expect("a record"), &mut Tally::default()).expect("no programs are run");
        let ours = ended.first().and_then(|end| end.doc.text.as_ref()).map(gristmill_pipeline::Text::as_str);
        changed += usize::from(row["text"] != row["fixed"]);
        if ours != row["fixed"].as_str() {
            differences.push(format!("{} {}: {ours:?}, ftfy: {}", row["config"], row["text"], row["fixed"]));
        }
    }
    eprintln!("{} texts, of which ftfy changes {changed}: {} differ", rows.len(), differences.len());
    assert!(changed > 30_000, "only {changed} texts are broken");
    assert!(differences.is_empty(), "{}", differences[..differences.len().min(20)].join("\n"));
}

fn chain(config: &Value) -> Chain {
    let step = json!([{ "ftfy_modifier": config }]).to_string();
    let mut complaints = Vec::new();
    let specs = parse_steps(&tree::parse(&step).expect("JSON is YAML"), &mut complaints);
    assert_eq!(complaints, [], "{step}");
    Chain::new(&specs, Arc::new(Resources::new(BTreeMap::new())), 0).expect("a chain")
}
