//! What a step needs that keeps documents by where their scores stand among all of the corpus.
//!
//! The pass before it signs every document ([`Selection::sign`]): a rank for each of its scores, within its group. Over the whole corpus
//! the bounds of some shares are found in each group, counted from the best score. The pass after it tells the step within how many of
//! them each score of a document is, its level ([`Selection::decide`]).

use crate::steps::shared::{number, source};
use crate::{Document, Verdict};
use gristmill_classify::quantile::{Rank, Share, Ties};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// A step at work that keeps documents by rank.
pub struct Selection {
    pub scores: Scores,
    /// Counted from the best score.
    pub shares: Vec<Share>,
    pub ties: Ties,
    pub missing: Missing,
    pub decide: Box<Decide>,
}

/// Says what becomes of a document by the levels of its scores.
pub type Decide = dyn FnMut(&mut Document, &[u32]) -> Verdict + Send;

/// What documents are ranked by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// The fields that hold scores.
    pub keys: Vec<String>,
    /// The lowest score is the best.
    pub lower_better: bool,
    /// What tells the group of a document: `domain`, `language` or a field. None: all are of one.
    pub by: Option<String>,
    pub of: Of,
}

/// What a share is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Documents count one each.
    #[default]
    Documents,
    /// The bytes of texts.
    Bytes,
    /// A field with a whole number, such as the tokens of a document; a document without it is as one without a score. A dot leads into an
    /// object.
    Field(String),
}

/// What becomes of documents that lack a score, or whose score is no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    #[default]
    Broken,
    Drop,
    Keep,
}

/// A score of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Which of the scores.
    pub key: u8,
    /// Of the score and the document's group: 54 bits of a hash of both.
    pub group: u64,
    pub name: &'a str,
    pub rank: Rank,
    pub weight: u64,
}

/// Bits of a group.
pub const GROUP_BITS: u32 = 54;

const NO_SCORE: &str = "no score";

impl Selection {
    /// Calls `signed` for each score that the document has; none counts of a document that has no weight.
    pub fn sign(&self, doc: &Document, mut signed: impl FnMut(Signed)) {
        let name = self.scores.by.as_deref().map(|by| source::name(doc, by)).unwrap_or_default();
        let Some(weight) = self.scores.of.weigh(doc) else { return };
        for (key, field) in (0..).zip(&self.scores.keys) {
            let Some(score) = source::find(doc, field).and_then(number) else { continue };
            let score = if self.scores.lower_better { -score } else { score };
            if let Some(rank) = Rank::new(score, &doc.id) {
                signed(Signed { key, group: group(key, &name), name: &name, rank, weight });
            }
        }
    }

    /// What becomes of a document whose scores have these levels: the number of shares that each is within; none for a score that it
    /// lacks.
    pub fn decide(&mut self, doc: &mut Document, levels: &[Option<u32>]) -> Verdict {
        let present: Option<Vec<u32>> = levels.iter().copied().collect();
        match (present, self.missing) {
            (Some(levels), _) => (self.decide)(doc, &levels),
            (None, Missing::Keep) => Verdict::Keep,
            (None, Missing::Drop) => Verdict::dropped(NO_SCORE),
            (None, Missing::Broken) => {
                let without = |(_, level): &(_, &Option<u32>)| level.is_none();
                let key = match &self.scores.of {
                    Of::Field(weight) if self.scores.of.weigh(doc).is_none() => weight,
                    _ => self.scores.keys.iter().zip(levels).find(without).map_or("", |(key, _)| key),
                };
                Verdict::broken(format!("no number in field {key}"))
            }
        }
    }

    /// The score that a rank stands for, as documents have it.
    #[must_use]
    pub fn score(&self, ranked: f64) -> f64 {
        if self.scores.lower_better { 0.0 - ranked } else { ranked }
    }

    /// What is stored for an ordinary document while bounds are found.
    #[must_use]
    pub fn bytes_per_document(&self) -> u64 {
        /// Key, tie and weight, written by the pass and once more in order.
        const ROW_BYTES: u64 = 2 * 36;
        self.scores.keys.len() as u64 * ROW_BYTES
    }
}

impl Of {
    fn weigh(&self, doc: &Document) -> Option<u64> {
        match self {
            Self::Documents => Some(1),
            Self::Bytes => Some(doc.text.as_ref().map_or(0, |text| text.as_str().len() as u64)),
            Self::Field(field) => source::find(doc, field).and_then(number).map(|n| n as u64),
        }
    }
}

fn group(key: u8, name: &str) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&[key]);
    hash.update(name.as_bytes());
    hash.digest() >> (u64::BITS - GROUP_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selection(scores: Scores, missing: Missing) -> Selection {
        let decide =
            |_: &mut Document, levels: &[u32]| Verdict::keep_if(levels.iter().any(|level| *level > 0), "low");
        Selection { scores, shares: Vec::new(), ties: Ties::Split, missing, decide: Box::new(decide) }
    }

    fn doc(record: &serde_json::Value) -> Document {
        Document::from_json(&record.to_string(), || "id".to_owned()).expect("a record")
    }

    #[test]
    fn documents_are_signed_by_group() {
        let scores = Scores {
            keys: vec!["a".to_owned(), "m.b".to_owned()],
            by: Some("language".to_owned()),
            of: Of::Bytes,
            lower_better: true,
        };
        let selection = selection(scores, Missing::Keep);
        let signed = |record| {
            let mut all = Vec::new();
            selection.sign(&doc(&record), |s| {
                all.push((s.key, s.name.to_owned(), s.rank.score(), s.weight, s.group))
            });
            all
        };
        let language = json!({"de": 0.2, "EN": 0.8});
        let en = signed(
            json!({"text": "éa", "a": 2, "m": {"b": -1.5}, "language_id_whole_page_fasttext": language}),
        );
        assert_eq!(
            en.iter().map(|s| (s.0, s.1.as_str(), s.2, s.3)).collect::<Vec<_>>(),
            [(0, "en", -2.0, 3), (1, "en", 1.5, 3)]
        );
        assert_ne!(en[0].4, en[1].4, "each score has groups of its own");
        assert!(en.iter().all(|s| s.4 >> GROUP_BITS == 0));
        let none = signed(json!({"a": true, "m": {"b": "1"}}));
        assert_eq!(
            none.iter().map(|s| (s.0, s.1.as_str(), s.2, s.3)).collect::<Vec<_>>(),
            [(0, "", -1.0, 0)]
        );
        assert_eq!(signed(json!({"m": 3, "a": null})), []);
    }

    #[test]
    fn weights_are_whole_numbers() {
        let of = Of::Field("n".to_owned());
        for (n, expected) in [
            (json!(7), Some(7)),
            (json!(7.9), Some(7)),
            (json!(-3), Some(0)),
            (json!(1e300), Some(u64::MAX)),
            (json!("7"), None),
            (json!(null), None),
        ] {
            assert_eq!(of.weigh(&doc(&json!({"n": n}))), expected, "{n}");
        }
    }

    #[test]
    fn a_document_without_a_weight_is_as_one_without_a_score() {
        for (missing, expected) in [
            (Missing::Keep, Verdict::Keep),
            (Missing::Drop, Verdict::dropped("no score")),
            (Missing::Broken, Verdict::broken("no number in field tokenz")),
        ] {
            let of = Of::Field("tokenz".to_owned());
            let scores = Scores { keys: vec!["a".to_owned()], of, ..Scores::default() };
            let mut selection = selection(scores, missing);
            let mut doc = doc(&json!({"a": 1, "tokens": 5}));
            selection.sign(&doc, |signed| panic!("{signed:?}"));
            assert_eq!(selection.decide(&mut doc, &[None]), expected);
        }
    }

    #[test]
    fn a_document_without_a_score_is_as_the_recipe_says() {
        for (missing, expected) in [
            (Missing::Keep, Verdict::Keep),
            (Missing::Drop, Verdict::dropped("no score")),
            (Missing::Broken, Verdict::broken("no number in field b")),
        ] {
            let scores = Scores { keys: vec!["a".to_owned(), "b".to_owned()], ..Scores::default() };
            let mut selection = selection(scores, missing);
            let mut doc = doc(&json!({}));
            assert_eq!(selection.decide(&mut doc, &[Some(1), None]), expected);
            assert_eq!(selection.decide(&mut doc, &[Some(1), Some(0)]), Verdict::Keep);
            assert_eq!(selection.decide(&mut doc, &[Some(0), Some(0)]), Verdict::dropped("low"));
        }
    }
}
