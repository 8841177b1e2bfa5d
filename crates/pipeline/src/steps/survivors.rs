//! Which of near duplicates stays: what `survivor` and `prefer` of a recipe say, as the rank of a document; and of which source
//! a document is, for `max_drop_share_per_source`.

use super::shared::source::{self, find};
use super::shared::{as_text, check_key, check_share};
use crate::step::SourceGuard;
use crate::{BuildError, Document};
use gristmill_dedup::exact;
use gristmill_dedup::survivor::Policy;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The one that stays of documents that are joined. Ties go to the smallest record id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Survivor {
    /// The smallest record id.
    #[default]
    First,
    /// The longest text, in characters.
    Longest,
    /// The latest time in this field: `2013-05-18T05:40:08Z`, `2013-05-18`, or a number. A dot leads into an object:
    /// `metadata.WARC-Date`. Documents without come last.
    Newest(String),
    /// The greatest number in this field. Documents without come last.
    Highest(String),
    /// The least number in this field. Documents without come last.
    Lowest(String),
}

/// Sources that are preferred, before `survivor` decides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Prefer {
    /// The field that names a document's source. A dot leads into an object.
    pub key: String,
    /// The sources, the most preferred first. All others come after them.
    pub order: Vec<String>,
}

/// A source of which a greater share would go keeps all its documents.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaxDropShare {
    /// What tells a document's source: `domain` (the host of its `url`), `path` (that host and the first folder of its path), `language`, `crawl`
    /// (`isPartOf` of its `warcinfo`, as Common Crawl writes it), `file` (the input file that it was read from, named as in record ids:
    /// by its path below the fixed part of the input's pattern), or a field. A dot leads into an object. Documents without are
    /// of one source, the empty one, which is not guarded.
    pub source: String,
    /// The greatest share of a source's documents that may go.
    pub share: f64,
    /// Sources of fewer documents are not guarded: that a site's only page is a copy says nothing of the site.
    #[serde(default = "hundred")]
    pub min_documents: u64,
}

fn hundred() -> u64 {
    100
}

impl MaxDropShare {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        check_key(&self.source)?;
        check_share("share", self.share)
    }

    pub(super) fn guard(&self) -> SourceGuard {
        SourceGuard { share: self.share, min_documents: self.min_documents }
    }

    /// Writes the name of a document's source.
    pub(super) fn write(&self, doc: &Document, out: &mut Vec<u8>) {
        out.clear();
        let told = match self.source.as_str() {
            "path" => host_and_folder(&doc.fields.str("url").unwrap_or_default()),
            "file" => cut(doc.file.as_deref().unwrap_or_default()).to_owned(),
            "crawl" => crawl(&doc.fields.str("warcinfo").unwrap_or_default()).to_ascii_lowercase(),
            _ => String::new(),
        };
        let name = if told.is_empty() { source::name(doc, &self.source) } else { told };
        out.extend_from_slice(name.as_bytes());
    }
}

/// What counts of a source's name.
const SOURCE_BYTES: usize = 1024;

/// The host, and the first part of the path if there is more behind it.
fn host_and_folder(url: &str) -> String {
    let host = source::host(url);
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path.split_once('/').map_or("", |(folder, _)| folder);
    if host.is_empty() {
        return String::new();
    }
    let mut source = format!("{host}/{folder}");
    source.truncate(source.floor_char_boundary(SOURCE_BYTES));
    source.make_ascii_lowercase();
    source
}

/// The crawl that the record of an archive's file says it is part of.
fn crawl(warcinfo: &str) -> &str {
    let named = warcinfo.lines().find_map(|line| line.trim().strip_prefix("isPartOf:"));
    cut(named.unwrap_or_default().trim())
}

fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(SOURCE_BYTES)).unwrap_or_default()
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    pub(super) survivor: Survivor,
    pub(super) prefer: Option<Prefer>,
}

impl Ranking {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        match &self.survivor {
            Survivor::First | Survivor::Longest => {}
            Survivor::Newest(key) | Survivor::Highest(key) | Survivor::Lowest(key) => check_key(key)?,
        }
        match &self.prefer {
            Some(prefer) if prefer.order.is_empty() => {
                Err(BuildError::new("prefer names no source in its order"))
            }
            Some(prefer) => check_key(&prefer.key),
            None => Ok(()),
        }
    }

    /// Writes a document's rank: the lowest of a component stays.
    pub(super) fn rank(&self, doc: &Document, out: &mut Vec<u8>) {
        let preference = self.prefer.as_ref().map_or(0, |prefer| {
            let source = find(doc, &prefer.key).map(as_text);
            let place = prefer.order.iter().position(|name| source.as_deref() == Some(name));
            u32::try_from(place.unwrap_or(prefer.order.len())).unwrap_or(u32::MAX)
        });
        let number = |key: &str| find(doc, key).and_then(Value::as_f64);
        let (policy, value) = match &self.survivor {
            Survivor::First => (Policy::FirstId, None),
            Survivor::Longest => {
                let chars = doc.text.as_ref().map_or(0, |text| text.as_str().chars().count());
                (Policy::Highest, Some(chars as f64))
            }
            Survivor::Newest(key) => (Policy::Highest, find(doc, key).and_then(time)),
            Survivor::Highest(key) => (Policy::Highest, number(key)),
            Survivor::Lowest(key) => (Policy::Lowest, number(key)),
        };
        policy.rank(preference, value, doc.id.as_bytes(), out);
    }

    /// The record id in a rank.
    pub(super) fn id<'r>(&self, rank: &'r [u8]) -> &'r [u8] {
        let policy = match self.survivor {
            Survivor::First => Policy::FirstId,
            Survivor::Lowest(_) => Policy::Lowest,
            Survivor::Longest | Survivor::Newest(_) | Survivor::Highest(_) => Policy::Highest,
        };
        policy.id(rank)
    }
}

/// Seconds since 1970 of a time, or a number as it is.
fn time(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text,
        other => return other.as_f64(),
    };
    let parsed = |text: &str| Some(exact::timestamp(text)).filter(|seconds| *seconds != -1);
    parsed(text).or_else(|| parsed(&format!("{text}T00:00:00Z"))).map(|seconds| seconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The best of some documents, by place.
    fn best(ranking: Value, docs: &[Value]) -> usize {
        let ranking = Ranking {
            survivor: serde_json::from_value(ranking["survivor"].clone()).unwrap_or_default(),
            prefer: serde_json::from_value(ranking["prefer"].clone()).expect("prefer"),
        };
        ranking.check().expect("sound");
        let rank = |doc: &Value| {
            let mut out = Vec::new();
            ranking.rank(&Document::from_json(&doc.to_string(), String::new).expect("a record"), &mut out);
            assert_eq!(ranking.id(&out), doc["id"].as_str().expect("an id").as_bytes());
            out
        };
        (0..docs.len()).min_by_key(|place| rank(&docs[*place])).expect("a document")
    }

    #[test]
    fn the_best_stays() {
        let docs = [
            json!({"id": "b", "text": "ééé", "n": 1, "date": "2024-01-01T00:00:00Z", "m": {"at": "2020-05-05"}}),
            json!({"id": "a", "text": "abcd", "n": "5", "date": "2013-01-01", "m": {"at": "2024-05-05"}}),
            json!({"id": "c", "text": "éé", "n": 3, "date": "never", "src": "wiki"}),
            json!({"id": "d", "text": "", "n": -1.5, "src": "news"}),
        ];
        let prefer = |order: Value| json!({"survivor": "longest", "prefer": {"key": "src", "order": order}});
        for (ranking, expected) in [
            (json!({"survivor": "first"}), 1),
            (json!({"survivor": "longest"}), 1),
            (json!({"survivor": {"newest": "date"}}), 0),
            (json!({"survivor": {"newest": "m.at"}}), 1),
            (json!({"survivor": {"highest": "n"}}), 2),
            (json!({"survivor": {"lowest": "n"}}), 3),
            (json!({"survivor": {"lowest": "nothing"}}), 1),
            (prefer(json!(["news", "wiki"])), 3),
            (prefer(json!(["wiki"])), 2),
            (prefer(json!(["none"])), 1),
        ] {
            assert_eq!(best(ranking.clone(), &docs), expected, "{ranking}");
        }
    }

    #[test]
    fn sources_are_hosts_or_fields() {
        // They are of a file that is not what their fields say.
        for (source, record, expected) in [
            ("file", json!({"file": "x", "url": "http://a.org/"}), "in/A.jsonl"),
            ("domain", json!({"url": "https://www.Example.com:8080/a?b"}), "example.com"),
            ("domain", json!({"url": "http://me:pw@a.b.org#x"}), "a.b.org"),
            ("domain", json!({"url": "http://[::1]:80/"}), "[::1]:80"),
            ("domain", json!({"url": "www.example.com"}), ""),
            ("domain", json!({}), ""),
            ("path", json!({"url": "https://www.Example.com:8080/Blog/a/b?c=/d"}), "example.com/blog"),
            ("path", json!({"url": "http://a.org/page.html?x=/y/z"}), "a.org/"),
            ("path", json!({"url": "http://a.org"}), "a.org/"),
            ("path", json!({"path": "wiki/en"}), "wiki/en"),
            (
                "crawl",
                json!({"warcinfo": "robots: classic\r\nisPartOf: CC-MAIN-2024-22\r\n"}),
                "cc-main-2024-22",
            ),
            ("crawl", json!({"warcinfo": "robots: classic", "crawl": "mine"}), "mine"),
            ("m.crawl", json!({"m": {"crawl": "CC-1"}}), "cc-1"),
            ("n", json!({"n": 7}), "7"),
        ] {
            let guard: MaxDropShare =
                serde_json::from_value(json!({"source": source, "share": 0.5})).expect("fits");
            assert_eq!(guard.guard(), SourceGuard { share: 0.5, min_documents: 100 });
            let mut out = Vec::new();
            let mut doc = Document::from_json(&record.to_string(), String::new).expect("a record");
            doc.file = Some("in/A.jsonl".into());
            guard.write(&doc, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{record}");
        }
    }

    #[test]
    fn what_ranks_nothing_is_refused() {
        for (survivor, prefer) in [
            (Survivor::Newest(String::new()), None),
            (Survivor::Highest("text".to_owned()), None),
            (Survivor::First, Some(Prefer { key: "src".to_owned(), order: Vec::new() })),
            (Survivor::First, Some(Prefer { key: String::new(), order: vec!["a".to_owned()] })),
        ] {
            assert!(Ranking { survivor, prefer }.check().is_err());
        }
    }
}
