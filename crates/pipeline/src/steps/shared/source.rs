//! What a document is of: the host that it is from, its language, or what a field says.

use super::as_text;
use crate::Document;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What counts of a name.
const NAME_BYTES: usize = 1024;
/// Where a document's language stands that `detect_lang_whole_page_enricher` told.
const LANGUAGES: &str = "language_id_whole_page_fasttext";

/// What a document is of, in lower case; empty if nothing tells. `domain` is the host of its `url`, without `www.`; `language` what its field
/// `language_id_whole_page_fasttext` or `language` says; anything else is a field. Of a field with weights, `{en: 0.9}`, the heaviest
/// name counts, and the first of those that weigh as much.
#[must_use]
pub fn name(doc: &Document, by: &str) -> String {
    let name = match by {
        "domain" => {
            let url = doc.fields.str("url").unwrap_or_default();
            Cow::Owned(host(&url).to_owned())
        }
        "language" => find(doc, LANGUAGES).or_else(|| find(doc, "language")).map(told).unwrap_or_default(),
        field => find(doc, field).map(told).unwrap_or_default(),
    };
    name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default().to_ascii_lowercase()
}

/// The value of a field. A dot leads into an object.
#[must_use]
pub fn find<'a>(doc: &'a Document, key: &str) -> Option<&'a Value> {
    doc.fields.value(key).or_else(|| {
        let (outer, inner) = key.split_once('.')?;
        inner.split('.').try_fold(doc.fields.value(outer)?, |value, name| value.get(name))
    })
}

fn told(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Object(weights) => Cow::Borrowed(heaviest(weights).unwrap_or_default()),
        other => as_text(other),
    }
}

fn heaviest(weights: &Map<String, Value>) -> Option<&str> {
    let mut best: Option<(&str, f64)> = None;
    for (name, weight) in weights {
        let weight = weight.as_f64()?;
        if best.is_none_or(|(_, most)| weight > most) {
            best = Some((name, weight));
        }
    }
    best.map(|(name, _)| name)
}

/// The host of a URL, without `www.`; empty if there is none.
pub(in crate::steps) fn host(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return "" };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
    match host.get(..4) {
        Some(www) if www.eq_ignore_ascii_case("www.") => host.get(4..).unwrap_or_default(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sources_are_hosts_languages_and_fields() {
        for (by, record, expected) in [
            ("domain", json!({"url": "https://www.Example.com:8080/a?b"}), "example.com"),
            ("domain", json!({"url": "http://me:pw@a.b.org#x"}), "a.b.org"),
            ("domain", json!({"url": "http://[::1]:80/"}), "[::1]:80"),
            ("domain", json!({"url": "www.example.com"}), ""),
            ("domain", json!({}), ""),
            ("language", json!({"language_id_whole_page_fasttext": {"en": 0.4, "de": 0.6, "fr": 0.6}}), "de"),
            ("language", json!({"language": "FR"}), "fr"),
            ("language", json!({"language_id_whole_page_fasttext": {"en": "x"}}), ""),
            ("m.crawl", json!({"m": {"crawl": "CC-1"}}), "cc-1"),
            ("n", json!({"n": 7}), "7"),
            ("n", json!({"n": null}), ""),
        ] {
            let doc = Document::from_json(&record.to_string(), String::new).expect("a record");
            assert_eq!(name(&doc, by), expected, "{by} of {record}");
        }
    }
}
