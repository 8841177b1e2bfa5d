//! `exact_dedup`

use super::report::{Duplicates, report};
use super::shared::{EXACT_KEY_BYTES, as_text};
use crate::step::{Context, ExactUnits, Kind, Needs};
use crate::{Barrier, BuildError, Built, Document, Field, IndexUse, Signer, Step, Verdict};
use gristmill_dedup::exact::{self, Normalizer};
use gristmill_dedup::order::ordered;
use md5::{Digest, Md5};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;

pub struct ExactDedup;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The field whose content must be equal: `text`, `url` or any other. Of a list (`split_lines_modifier` makes one) the members are compared, not the whole.
    content_key: String,
    /// What is done to the content before it is compared; the document keeps its own.
    normalize: Option<Normalize>,
    /// The field that decides which of equals stays: the one with the least value, numbers before texts. Without, the smallest record id decides.
    selection_key: Option<String>,
    /// What is done to that value first.
    selection_normalize: Option<Normalize>,
    /// The one with the greatest value stays.
    selection_reverse: bool,
    /// Writes which documents were equal: a row for each of them, in `clusters/` of the dataset, with `id`, the record id of
    /// its `survivor`, how many are equal (`size`), and whether it was `kept`.
    clusters: bool,
    /// Drops nothing: documents that would go get the field `duplicate_of`, the record id of the one that would stay;
    /// in that one it is null.
    annotate: bool,
    /// What a document that stays says of those that it stays for: `count` (the field `duplicates`, how many there were) or
    /// `list` (also `duplicate_ids`, the record ids of up to 100 of them). Documents without equals have no such field.
    duplicates: Option<Duplicates>,
    /// Documents of earlier jobs that these are compared with, too: those of the index stay. An address, or `{at: ADDRESS, extend: true}`:
    /// then this job's documents become the index's next generation.
    index: Option<IndexUse>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            content_key: "text".to_owned(),
            normalize: None,
            selection_key: None,
            selection_normalize: None,
            selection_reverse: false,
            clusters: false,
            annotate: false,
            duplicates: None,
            index: None,
        }
    }
}

/// DCLM's normalisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Normalize {
    /// The MD5 of the content: as good as the content itself for comparing, and a fair lottery for selecting.
    HashText,
    /// White space cut off both ends, lower case.
    #[serde(rename = "normalize_whitespace_and_lowercase")]
    WhitespaceAndLowercase,
    /// CCNet's rule: also digits to 0, punctuation gone, accents gone.
    CcnetDedupNormalizer,
    /// Scheme, `www.`, tracking parameters and trailing slashes gone.
    #[serde(rename = "normalize_url")]
    Url,
    /// Seconds since 1970 of `2013-05-18T05:40:08Z`, in UTC; -1 of anything else.
    #[serde(rename = "normalize_timestamps")]
    Timestamps,
}

impl Step for ExactDedup {
    const NAME: &'static str = "exact_dedup";
    const DOC: &'static str = "Keeps one of all documents of the corpus whose content is equal.\n\n\
        Contents are compared by 128 bits of xxh3, after `normalize` if given. Of equals the one with the least `selection_key` stays (or the \
        greatest, by `selection_reverse`), and among those the one with the smallest record id. Where the content is a list, its members are \
        what is compared, within a document and over the whole corpus: copies are taken out of their lists, and a document is dropped if \
        nothing is left of its own. Documents that lack the field are kept, as are those with a list where `clusters`, \
        `annotate` or `duplicates` tell of whole documents. With `index` the documents of earlier jobs take part, and stay.\n\n\
        DCLM leaves it to chance which of equals comes first, makes a text of a list of one where a whole shard has only such, and reads \
        timestamps in the zone of the machine; here the list stays a list (`join_lines_modifier` takes both).";
    const ORIGIN: &'static str =
        "mlfoundations/dclm, ray_processing/dedup_jsonl.py and baselines/mappers/core_utils.py";
    const EXAMPLE: &'static str = "{content_key: text, normalize: normalize_whitespace_and_lowercase, selection_key: url, selection_normalize: hash_text}";
    const KIND: Kind = Kind::Barrier;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.selection_key.is_none()
            && (params.selection_normalize.is_some() || params.selection_reverse)
        {
            return Err(BuildError::new("selection_normalize and selection_reverse need a selection_key"));
        }
        Ok(())
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let report = report(params.clusters, params.annotate, params.duplicates);
        Ok(Built::Barrier(Barrier {
            signer: Signer::Exact(Box::new(Contents {
                params: params.clone(),
                seed: cx.seed,
                whole: report.is_any(),
            })),
            reason: DUPLICATE,
            bytes_per_document: EXACT_KEY_BYTES,
            max_component: None,
            report,
        }))
    }

    fn clusters(params: &Params) -> bool {
        params.clusters
    }

    fn index(params: &Params) -> Option<&IndexUse> {
        params.index.as_ref()
    }

    fn joins_by(params: &Params, seed: u64) -> Value {
        json!({"content_key": params.content_key, "normalize": params.normalize, "seed": seed})
    }
}

const DUPLICATE: &str = "duplicate";
const NOTHING_LEFT: &str = "nothing left";
/// What counts of a text that decides which of equals stays.
const RANK_BYTES: usize = 4096;

struct Contents {
    params: Params,
    seed: u64,
    /// Only whole documents are compared.
    whole: bool,
}

impl ExactUnits for Contents {
    fn sign(&mut self, doc: &Document, unit: &mut dyn FnMut(Option<u128>, &[u8])) {
        let mut rank = Vec::new();
        if let Some(key) = &self.params.selection_key {
            push_rank(&mut rank, doc, key, self.params.selection_normalize);
            if self.params.selection_reverse {
                for byte in &mut rank {
                    *byte = !*byte;
                }
            }
        }
        rank.extend_from_slice(doc.id.as_bytes());
        let normalizer = self.params.normalize;
        match doc.fields.value(&self.params.content_key) {
            Some(Value::Array(_)) if self.whole => unit(None, &rank),
            Some(Value::Array(members)) => {
                // No record id continues another one by a zero byte, so that places are only compared within a document.
                rank.push(0);
                let length = rank.len();
                for (place, member) in (0_u32..).zip(members) {
                    rank.truncate(length);
                    rank.extend_from_slice(&place.to_be_bytes());
                    unit(Some(key_of(&as_text(member), normalizer, self.seed)), &rank);
                }
            }
            _ => {
                let key = content(doc, &self.params.content_key);
                unit(key.map(|content| key_of(&content, normalizer, self.seed)), &rank);
            }
        }
    }

    fn id<'r>(&self, rank: &'r [u8]) -> &'r [u8] {
        if self.params.selection_key.is_some() { behind_value(rank) } else { rank }
    }

    fn remove(&mut self, doc: &mut Document, gone: &dyn Fn(u32) -> bool) -> Verdict {
        let Some(Value::Array(members)) = doc.fields.value(&self.params.content_key) else {
            return Verdict::dropped(DUPLICATE);
        };
        let left: Vec<Value> =
            (0..).zip(members).filter(|(place, _)| !gone(*place)).map(|(_, member)| member.clone()).collect();
        let verdict = Verdict::keep_if(!left.is_empty(), NOTHING_LEFT);
        doc.fields.set(&self.params.content_key, left);
        verdict
    }
}

/// A field's content: a text as it is, anything else as JSON.
fn content<'a>(doc: &'a Document, key: &str) -> Option<Cow<'a, str>> {
    match doc.fields.get(key)? {
        Field::Text => doc.text.as_ref().map(|text| Cow::Borrowed(text.as_str())),
        Field::Raw(raw) => Some(doc.fields.str(key).unwrap_or_else(|| Cow::Owned(raw.get().to_owned()))),
        Field::Value(value) => Some(as_text(value)),
    }
}

fn key_of(content: &str, normalize: Option<Normalize>, seed: u64) -> u128 {
    let normalizer = match normalize {
        None | Some(Normalize::HashText) => Normalizer::None,
        Some(Normalize::WhitespaceAndLowercase) => Normalizer::WhitespaceAndLowercase,
        Some(Normalize::CcnetDedupNormalizer) => Normalizer::Ccnet,
        Some(Normalize::Url) => Normalizer::Url,
        Some(Normalize::Timestamps) => {
            return exact::key(&exact::timestamp(content).to_string(), Normalizer::None, seed);
        }
    };
    exact::key(content, normalizer, seed)
}

/// Writes a field's value so that the order of the bytes is the order of the values: numbers first, then texts.
fn push_rank(rank: &mut Vec<u8>, doc: &Document, key: &str, normalize: Option<Normalize>) {
    if let (Some(number), None) = (doc.fields.value(key).and_then(Value::as_f64), normalize) {
        return push_number(rank, number);
    }
    let text = content(doc, key).unwrap_or_default();
    let normalizer = match normalize {
        Some(Normalize::Timestamps) => return push_number(rank, exact::timestamp(&text) as f64),
        Some(Normalize::HashText) => return push_text(rank, &hex::encode(Md5::digest(text.as_bytes()))),
        Some(Normalize::Url) => Normalizer::Url,
        Some(Normalize::CcnetDedupNormalizer) => Normalizer::Ccnet,
        Some(Normalize::WhitespaceAndLowercase) => Normalizer::WhitespaceAndLowercase,
        None => Normalizer::None,
    };
    push_text(rank, &normalizer.apply(&text));
}

/// What stands behind the value that [`push_rank`] wrote, its bytes turned round or not.
fn behind_value(rank: &[u8]) -> &[u8] {
    let (is_number, turn) = match rank.first() {
        Some(1) => (true, 0),
        Some(2) => (false, 0),
        Some(254) => (true, u8::MAX),
        _ => (false, u8::MAX),
    };
    if is_number {
        return rank.get(9..).unwrap_or_default();
    }
    let mut at = 1;
    while let Some([byte, next]) = rank.get(at..).and_then(|rest| rest.first_chunk::<2>()) {
        match (byte ^ turn, next ^ turn) {
            (0, 0) => return rank.get(at + 2..).unwrap_or_default(),
            (0, _) => at += 2,
            _ => at += 1,
        }
    }
    &[]
}

fn push_number(rank: &mut Vec<u8>, number: f64) {
    rank.push(1);
    rank.extend_from_slice(&ordered(number).to_be_bytes());
}

fn push_text(rank: &mut Vec<u8>, text: &str) {
    rank.push(2);
    let text = text.get(..text.floor_char_boundary(RANK_BYTES)).unwrap_or_default();
    // A zero byte within a text is written so that the end of a text comes before everything that goes on.
    for byte in text.bytes() {
        rank.push(byte);
        if byte == 0 {
            rank.push(u8::MAX);
        }
    }
    rank.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Resources;
    use crate::steps::find;

    fn units(params: &Value) -> Box<dyn ExactUnits> {
        let parsed = find("exact_dedup").expect("a step").parse(params).expect("fits");
        let cx = Context { resources: &Resources::default(), seed: 0 };
        match parsed.build(&cx).expect("builds") {
            Built::Barrier(Barrier { signer: Signer::Exact(units), .. }) => units,
            _ => panic!("exact_dedup signs exactly"),
        }
    }

    fn signed(params: &Value, record: &Value) -> Vec<(Option<u128>, Vec<u8>)> {
        let doc = Document::from_json(&record.to_string(), || "id".to_owned()).expect("a record");
        let mut all = Vec::new();
        units(params).sign(&doc, &mut |key, rank| all.push((key, rank.to_vec())));
        all
    }

    #[test]
    fn the_least_value_comes_first() {
        let by = |reverse: bool| json!({"selection_key": "n", "selection_reverse": reverse});
        let rank = |reverse: bool, id: &str, n: Value| {
            signed(&by(reverse), &json!({"id": id, "text": "x", "n": n})).remove(0).1
        };
        let ordered = [
            ("b", json!(-2.5)),
            ("a", json!(-2)),
            ("a", json!(0)),
            ("b", json!(0)),
            ("a", json!(3)),
            ("a", json!(10)),
            ("a", json!("")),
            ("a", json!("a\u{0}")),
            ("a", json!("a\u{0}b")),
            ("a", json!("aa")),
            ("a", json!("b")),
            ("c", json!("b")),
        ];
        let up: Vec<_> = ordered.iter().map(|(id, n)| rank(false, id, n.clone())).collect();
        assert!(up.is_sorted_by(|a, b| a < b));
        // Ids are never turned round.
        assert!(rank(true, "a", json!(3)) < rank(true, "a", json!(-1)));
        assert!(rank(true, "a", json!("b")) < rank(true, "a", json!("ab")));
        assert!(rank(true, "a", json!(3)) < rank(true, "b", json!(3)));
        // A document that lacks the field has an empty text there.
        let without = signed(&by(false), &json!({"id": "a", "text": "x"})).remove(0).1;
        assert_eq!(without, rank(false, "a", json!("")));
        assert!(rank(false, "a", json!("10")) < rank(false, "a", json!("9")), "texts are no numbers");
    }

    #[test]
    fn ranks_give_their_ids_back() {
        let texts = [
            json!(-2.5),
            json!(10),
            json!(""),
            json!("a"),
            json!("\u{0}"),
            json!("a\u{0}\u{0}b"),
            json!("ÿ"),
        ];
        for reverse in [false, true] {
            let params = json!({"selection_key": "n", "selection_reverse": reverse});
            for n in &texts {
                let rank = signed(&params, &json!({"id": "an id", "text": "x", "n": n})).remove(0).1;
                assert_eq!(units(&params).id(&rank), b"an id", "{n} {reverse}");
            }
        }
        let rank = signed(&json!({}), &json!({"id": "an id", "text": "x"})).remove(0).1;
        assert_eq!(units(&json!({})).id(&rank), b"an id");
    }

    #[test]
    fn dates_and_hashes_decide() {
        let rank = |normalize: &str, value: &str| {
            let params = json!({"selection_key": "k", "selection_normalize": normalize});
            signed(&params, &json!({"text": "x", "k": value})).remove(0).1
        };
        let date = |value: &str| rank("normalize_timestamps", value);
        assert!(
            date("never") < date("2013-05-18T05:40:08Z")
                && date("2013-05-18T05:40:08Z") < date("2020-01-01T00:00:00Z")
        );
        // MD5 of "a" begins with 0c, of "b" with 92, of "c" with 4a.
        assert!(
            rank("hash_text", "a") < rank("hash_text", "c")
                && rank("hash_text", "c") < rank("hash_text", "b")
        );
        assert!(find("exact_dedup").expect("a step").parse(&json!({"selection_reverse": true})).is_err());
    }

    #[test]
    fn members_of_a_list_are_units() {
        let params = json!({"content_key": "text", "normalize": "normalize_whitespace_and_lowercase"});
        let lines = json!({"id": "d", "text": ["Ab", "c", " aB "]});
        let signed = signed(&params, &lines);
        assert_eq!(signed.len(), 3);
        assert_eq!(signed[0].0, signed[2].0);
        assert_ne!(signed[0].0, signed[1].0);
        assert!(signed.is_sorted_by(|a, b| a.1 < b.1));
        let mut units = units(&params);
        for (gone, verdict, left) in [
            (vec![2], Verdict::Keep, r#"{"id":"d","text":["Ab","c"]}"#),
            (vec![0, 1, 2], Verdict::dropped("nothing left"), r#"{"id":"d","text":[]}"#),
        ] {
            let mut doc = Document::from_json(&lines.to_string(), String::new).expect("a record");
            assert_eq!(units.remove(&mut doc, &|place| gone.contains(&place)), verdict);
            assert_eq!(serde_json::to_string(&doc).expect("JSON"), left);
        }
        let mut whole = Document::from_json(r#"{"text":"x"}"#, String::new).expect("a record");
        assert_eq!(units.remove(&mut whole, &|_| true), Verdict::dropped("duplicate"));
    }

    #[test]
    fn what_lacks_the_field_has_no_key() {
        let keys =
            |record: Value| signed(&json!({"content_key": "url"}), &record).into_iter().map(|(key, _)| key);
        assert!(keys(json!({"text": "x"})).eq([None]));
        assert_eq!(keys(json!({"url": []})).count(), 0);
        assert!(keys(json!({"url": 7})).eq(keys(json!({"url": "7"}))));
    }
}
