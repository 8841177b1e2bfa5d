//! DCLM's operators: ours held against what its own code says of 2,244 documents, one by one and in a chain.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_pipeline::recipe::{StepSpec, parse_steps_as, tree};
use gristmill_pipeline::resources::{Resource, Resources};
use gristmill_pipeline::step::Semantics;
use gristmill_pipeline::{Chain, Document, Tally, Verdict};
use gristmill_tests::{jsonl, shared};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

const TOLERANCE: f64 = 1e-5;

/// The chain of DCLM-Baseline has labels of two digits, 00 to 24; other operators have three.
fn is_of_chain(label: &str) -> bool {
    label.find('.') == Some(2)
}

struct Golden {
    /// Label → operator.
    operators: BTreeMap<String, Arc<StepSpec>>,
    resources: Arc<Resources>,
    documents: Vec<Value>,
}

fn golden() -> Option<Golden> {
    let operators = shared("golden/ops.json")?;
    let documents = jsonl(&shared("golden/docs.jsonl.zst")?);
    let model = shared("data/lid/lid.176.ftz")?;
    let operators: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(operators).expect("operators")).expect("operators");
    let mut found = BTreeMap::from([("fasttext".to_owned(), resource(&model))]);
    let operators = operators
        .into_iter()
        .enumerate()
        .map(|(index, (label, operator))| {
            let spec = Arc::new(StepSpec { index, ..one(operator) });
            for wanted in spec.parsed.resources() {
                if let Some(name) = Path::new(&wanted.name).file_name().filter(|_| wanted.name.contains('/'))
                {
                    let list = format!("data/urls/banned-words/dclm-{}", name.display());
                    found.insert(wanted.name, resource(&shared(&list).expect("a list")));
                }
            }
            (label, spec)
        })
        .collect();
    Some(Golden { operators, resources: Arc::new(Resources::new(found)), documents })
}

/// DCLM's `{func: name, …parameters}` as our `name: {parameters}`, as DCLM does it.
fn one(operator: Value) -> StepSpec {
    let Value::Object(mut params) = operator else { panic!("{operator} is no operator") };
    let name = params.remove("func").expect("a name");
    let step = json!([{ name.as_str().expect("a name"): params }]).to_string();
    let mut complaints = Vec::new();
    let specs = parse_steps_as(&tree::parse(&step).expect("JSON is YAML"), Semantics::Dclm, &mut complaints);
    assert_eq!(complaints, [], "{step}");
    Arc::into_inner(specs.into_iter().next().expect("a step")).expect("one owner")
}

fn resource(path: &PathBuf) -> Resource {
    let bytes = std::fs::read(path).expect("test data is readable");
    Resource { bytes: Arc::new(bytes), found: path.display().to_string(), sha256: String::new() }
}

fn document(row: &Value) -> Document {
    let record = json!({"text": row["text"], "url": row["url"], "metadata": {"WARC-Target-URI": row["url"]}});
    Document::from_json(&record.to_string(), || row["id"].to_string()).expect("a record")
}

/// What is told of a document after an operator: as in `verdicts.jsonl.zst`.
fn outcome(verdict: &Verdict, before: &str, doc: &mut Document) -> Value {
    if matches!(verdict, Verdict::Broken(_)) {
        return json!({"error": ""});
    }
    let mut all = Map::new();
    all.insert("v".to_owned(), json!(if verdict.is_keep() { "keep" } else { "drop" }));
    if verdict.is_keep() {
        let text = doc.text.as_ref().map_or("", |text| text.as_str());
        if text != before {
            all.insert("text_sha1".to_owned(), json!(hex::encode(Sha1::digest(text))));
            all.insert("chars".to_owned(), json!(text.chars().count()));
        }
    }
    let names: Vec<String> = doc.fields.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names.into_iter().filter(|name| !["text", "url", "metadata"].contains(&name.as_str())) {
        if let Some(value) = doc.fields.value(&name) {
            all.insert(name, value.clone());
        }
    }
    Value::Object(all)
}

/// Equal, numbers but for rounding, errors whatever they say.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) if a.contains_key("error") && b.contains_key("error") => true,
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= TOLERANCE
        }
        _ => ours == theirs,
    }
}

#[test]
fn every_operator_does_as_in_dclm() {
    let (Some(golden), Some(verdicts)) = (golden(), shared("golden/verdicts.jsonl.zst")) else { return };
    let verdicts = jsonl(&verdicts);
    assert_eq!(golden.documents.len(), verdicts.len());
    let (mut table, mut differences) = (Vec::new(), Vec::new());
    for (label, spec) in &golden.operators {
        let mut chain = Chain::new(&[Arc::clone(spec)], Arc::clone(&golden.resources), 0).expect(label);
        let (mut equal, mut total) = (0, 0);
        for (row, theirs) in golden.documents.iter().zip(&verdicts) {
            // Operators that need what another one writes are judged in the chain.
            let Some(theirs) = theirs["ops"].get(label) else { continue };
            let mut ended = chain.apply(document(row), &mut Tally::default()).expect("runs");
            let mut end = ended.pop().expect("an end");
            let ours = outcome(&end.verdict, row["text"].as_str().expect("a text"), &mut end.doc);
            total += 1;
            if same(&ours, theirs) {
                equal += 1;
            } else {
                differences.push(format!("{label} {}: {ours}, DCLM: {theirs}", row["id"]));
            }
        }
        table.push(format!("{label:45} {equal}/{total}"));
    }
    eprintln!("{}", table.join("\n"));
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(40)].join("\n")
    );
}

#[test]
fn the_chain_keeps_what_dclm_keeps() {
    let (Some(golden), Some(expected)) = (golden(), shared("golden/chain.jsonl.zst")) else { return };
    let labels: Vec<&String> = golden.operators.keys().filter(|label| is_of_chain(label)).collect();
    let specs: Vec<Arc<StepSpec>> =
        labels.iter().map(|label| Arc::clone(&golden.operators[*label])).collect();
    let mut chain = Chain::new(&specs, Arc::clone(&golden.resources), 0).expect("the chain");
    let mut tally = Tally::default();
    let mut differences = Vec::new();
    let expected = jsonl(&expected);
    assert_eq!(golden.documents.len(), expected.len());
    for (row, theirs) in golden.documents.iter().zip(&expected) {
        let seen: Vec<u64> = tally.steps.values().map(|passage| passage.out).collect();
        let end = chain.apply(document(row), &mut tally).expect("runs").pop().expect("an end");
        let (verdict, doc) = (end.verdict, end.doc);
        let passed = tally
            .steps
            .values()
            .zip(seen.iter().chain(std::iter::repeat(&0)))
            .filter(|(now, before)| now.out > **before)
            .count();
        let ours = match verdict {
            Verdict::Keep => {
                let text = doc.text.as_ref().map_or("", |text| text.as_str());
                json!({
                    "id": row["id"],
                    "dropped_by": null,
                    "text_sha1": hex::encode(Sha1::digest(text)),
                    "chars": text.chars().count(),
                    "previous_word_count": doc.fields.value("previous_word_count").cloned(),
                    "lang": doc.fields.value("language_id_whole_page_fasttext").cloned(),
                })
            }
            _ => json!({"id": row["id"], "dropped_by": labels.get(passed)}),
        };
        if !same(&ours, theirs) {
            differences.push(format!("{ours}, DCLM: {theirs}"));
        }
    }
    eprintln!(
        "chain of {} steps: {} of {} documents as in DCLM",
        specs.len(),
        expected.len() - differences.len(),
        expected.len()
    );
    assert_eq!(tally.balance(), Ok(()));
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(40)].join("\n")
    );
}

/// The chain of one step, and what it makes of a text.
fn language(semantics: &str, text: &str) -> Option<Value> {
    let model = shared("data/lid/lid.176.ftz")?;
    let step =
        json!({"func": "detect_lang_whole_page_enricher", "model": "fasttext", "semantics": semantics});
    let resources = Resources::new(BTreeMap::from([("fasttext".to_owned(), resource(&model))]));
    let mut chain = Chain::new(&[Arc::new(one(step))], Arc::new(resources), 0).expect("a chain");
    let doc = Document::from_json(&json!({"text": text}).to_string(), String::new).expect("a record");
    let end = chain.apply(doc, &mut Tally::default()).expect("runs").pop()?;
    end.doc.fields.value("language_id_whole_page_fasttext").cloned()
}

#[test]
fn trap_t7_newlines_vanish_before_the_language_is_told() {
    let Some(joined) = language("dclm", "the houseof my brotheris not here") else { return };
    let lines = "the house\nof my brother\nis not here";
    assert_eq!(language("dclm", lines), Some(joined.clone()));
    assert_ne!(language("fixed", lines), Some(joined));
    // Only the likeliest language is told, and none of a page without letters.
    let german = language("fixed", "das Haus meines Bruders ist nicht hier").expect("a language");
    assert!(german.as_object().is_some_and(|found| found.len() == 1 && found.contains_key("de")), "{german}");
    assert_eq!(language("dclm", " .-[] "), Some(json!({})));
}
