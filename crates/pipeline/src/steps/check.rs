//! How the tests of steps are written: a step as in a recipe, a record, and what becomes of it.

use crate::recipe::{parse_steps, tree};
use crate::resources::{Resource, Resources};
use crate::{Chain, Document, Tally, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs one step (`name: {parameters}`, YAML) on a record (JSON) through the real constructors and compares the
/// outcome: `drop: reason`, `broken: reason`, or [`keep`] with the record that comes out.
#[track_caller]
pub(crate) fn check(step: &str, record: &str, expected: impl AsRef<str>) {
    check_with(&[], step, record, expected);
}

/// Like [`check`], with resources by name.
#[track_caller]
pub(crate) fn check_with(resources: &[(&str, &str)], step: &str, record: &str, expected: impl AsRef<str>) {
    let outcome = outcome(resources, step, record);
    assert_eq!(outcome, expected.as_ref(), "{step} on {record}");
}

/// The outcome of a record that is kept.
pub(crate) fn keep(record: &str) -> String {
    format!("keep: {record}")
}

pub(crate) fn outcome(resources: &[(&str, &str)], step: &str, record: &str) -> String {
    let list = tree::parse(&format!("- {step}")).expect(step);
    let mut complaints = Vec::new();
    let specs = parse_steps(&list, &mut complaints);
    if let Some(complaint) = complaints.first() {
        return format!("refused: {}", complaint.message);
    }
    let found: BTreeMap<String, Resource> = resources
        .iter()
        .map(|(name, text)| {
            let bytes = Arc::new(text.as_bytes().to_vec());
            ((*name).to_owned(), Resource { bytes, found: (*name).to_owned(), sha256: String::new() })
        })
        .collect();
    let mut chain = match Chain::new(&specs, Arc::new(Resources::new(found)), 0) {
        Ok(chain) => chain,
        Err(error) => return format!("refused: {error}"),
    };
    let mut doc = Document::from_json(record, || "id".to_owned()).expect(record);
    let mut tally = Tally::default();
    let outcome = chain.apply(&mut doc, &mut tally);
    assert_eq!(tally.balance(), Ok(()));
    match outcome.verdict {
        Verdict::Keep => {
            let mut out = Vec::new();
            doc.write_json(&mut out);
            format!("keep: {}", String::from_utf8(out).expect("UTF-8"))
        }
        Verdict::Drop(reason) => format!("drop: {reason}"),
        Verdict::Broken(reason) => format!("broken: {reason}"),
    }
}
