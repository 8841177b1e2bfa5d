//! How the tests of steps are written: a step as in a recipe, a record, and what becomes of it.

use crate::recipe::{parse_steps, tree};
use crate::resources::{Resource, Resources};
use crate::{Body, Chain, Document, Tally, Text, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs one step (`name: {parameters}`, YAML) on a record (JSON) through the real constructors and compares the
/// outcome: `drop: reason`, `broken: reason`, or [`keep`] with the record that comes out.
#[track_caller]
pub(crate) fn check(step: &str, record: &str, expected: impl AsRef<str>) {
    check_with::<&str>(&[], step, record, expected);
}

/// Like [`check`], with resources by name.
#[track_caller]
pub(crate) fn check_with<B: AsRef<[u8]>>(
    resources: &[(&str, B)],
    step: &str,
    record: &str,
    expected: impl AsRef<str>,
) {
    let resources: Vec<_> = resources.iter().map(|(name, content)| (*name, content.as_ref())).collect();
    let outcome = outcome(&resources, step, record);
    assert_eq!(outcome, expected.as_ref(), "{step} on {record}");
}

/// The outcome of a record that is kept.
pub(crate) fn keep(record: &str) -> String {
    format!("keep: {record}")
}

/// Runs one step on a page as it was fetched; `keep: ` is followed by the text.
#[track_caller]
pub(crate) fn check_page(step: &str, content_type: Option<&str>, bytes: &[u8], expected: &str) {
    let mut chain = match chain(&[], step) {
        Ok(chain) => chain,
        Err(refusal) => panic!("{step}: {refusal}"),
    };
    let body = Body { bytes: bytes.to_vec(), content_type: content_type.map(str::to_owned) };
    let doc = Document { body: Some(body), ..Document::default() };
    let told = |doc: &Document| doc.text.as_ref().map_or("(none)", Text::as_str).to_owned();
    let outcome = all(&mut chain, doc, told);
    assert_eq!(outcome, expected, "{step} on {content_type:?}");
}

pub(crate) fn outcome(resources: &[(&str, &[u8])], step: &str, record: &str) -> String {
    let mut chain = match chain(resources, step) {
        Ok(chain) => chain,
        Err(refusal) => return refusal,
    };
    let doc = Document::from_json(record, || "id".to_owned()).expect(record);
    all(&mut chain, doc, |doc| {
        let mut out = Vec::new();
        doc.write_json(&mut out);
        String::from_utf8(out).expect("UTF-8")
    })
}

/// What becomes of a document: one line, or one for each that was made of it.
fn all(chain: &mut Chain, doc: Document, told: impl Fn(&Document) -> String) -> String {
    let mut tally = Tally::default();
    let ended = chain.apply(doc, &mut tally).expect("no programs are run");
    assert_eq!(tally.balance(), Ok(()));
    let lines: Vec<String> = ended
        .iter()
        .map(|ended| match &ended.verdict {
            Verdict::Keep => format!("keep: {}", told(&ended.doc)),
            Verdict::Drop(reason) => format!("drop: {reason}"),
            Verdict::Broken(reason) => format!("broken: {reason}"),
        })
        .collect();
    lines.join("\n")
}

/// A chain of one step, or why it was refused.
fn chain(resources: &[(&str, &[u8])], step: &str) -> Result<Chain, String> {
    let list = tree::parse(&format!("- {step}")).expect(step);
    let mut complaints = Vec::new();
    let specs = parse_steps(&list, &mut complaints);
    if let Some(complaint) = complaints.first() {
        return Err(format!("refused: {}", complaint.message));
    }
    let found: BTreeMap<String, Resource> = resources
        .iter()
        .map(|(name, content)| {
            let (bytes, found) = (content.to_vec(), (*name).to_owned());
            // The content tells models apart as well as a digest of it.
            let sha256 = hex::encode(&bytes);
            ((*name).to_owned(), Resource { bytes: Arc::new(bytes), found, sha256 })
        })
        .collect();
    Chain::new(&specs, Arc::new(Resources::new(found)), 0).map_err(|error| format!("refused: {error}"))
}
