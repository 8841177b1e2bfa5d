//! `bff_dedup`

use crate::step::{Bloom, Context, Kind, Way};
use crate::{BuildError, Built, Document, Step, Verdict};
use gristmill_dedup::bff::{self, Fate, Found, Mode};
use gristmill_dedup::bloom::{self, Head};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct BffDedup;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What goes: `old-both` (paragraphs, and documents of which too much was known), `paragraph`, or `document`.
    remove_type: RemoveType,
    /// A paragraph of fewer tokens stays, and is not remembered.
    min_ngram_size: usize,
    /// Tokens of an n-gram. A paragraph of fewer, but at least `min_ngram_size`, is one n-gram.
    max_ngram_size: usize,
    /// What has more than this share of known n-grams goes.
    filtering_threshold: f64,
    /// The share of unknown n-grams that the filter may take for known ones once it is full.
    fp_rate: f64,
    /// The corpus is deduplicated in so many parts that never meet, each with a filter of its own. Memory goes down and speed up; what is
    /// in two parts stays in both.
    shards: u32,
    /// N-grams that each filter has room for, if its part of the corpus has fewer.
    expected_ngram_count: u64,
    /// Takes nothing out, and writes into each document what would go: `bff_duplicate_spans` and `bff_contained_ngram_count`.
    annotate: bool,
    /// A folder with the filters of an earlier job, to begin with: what its documents had is known. `shards`, n-gram sizes and the
    /// recipe's `seed` must be the same. The job is planned with the filters as they are, and fails if they are others later.
    load: Option<String>,
    /// Asks the loaded filters and inserts nothing, as for decontamination.
    query_only: bool,
    /// A folder for the filters as they are in the end. It is the job's that saved to it first. Give `expected_ngram_count` if more documents shall be inserted later.
    save: Option<String>,
}

impl Default for Params {
    fn default() -> Self {
        let bff::Params { min_ngram_size, max_ngram_size, filtering_threshold, .. } = bff::Params::default();
        Self {
            remove_type: RemoveType::OldBoth,
            min_ngram_size,
            max_ngram_size,
            filtering_threshold,
            fp_rate: 0.01,
            shards: 1,
            expected_ngram_count: 0,
            annotate: false,
            load: None,
            query_only: false,
            save: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RemoveType {
    OldBoth,
    Paragraph,
    Document,
}

impl Params {
    fn bff(&self) -> bff::Params {
        bff::Params {
            mode: match self.remove_type {
                RemoveType::OldBoth => Mode::OldBoth,
                RemoveType::Paragraph => Mode::Paragraph,
                RemoveType::Document => Mode::Document,
            },
            min_ngram_size: self.min_ngram_size,
            max_ngram_size: self.max_ngram_size,
            filtering_threshold: self.filtering_threshold,
        }
    }
}

/// Each costs every pass a request to every task.
const SHARDS_MAX: u32 = 1024;

impl Step for BffDedup {
    const NAME: &'static str = "bff_dedup";
    const DOC: &'static str = "Takes out paragraphs and documents most of whose n-grams an earlier document had: DCLM's dedup.\n\n\
        A paragraph's n-grams are looked for in a Bloom filter; if more than `filtering_threshold` of them are there it goes, otherwise they are \
        inserted. With `old-both` a document goes as a whole if more than that share of all its n-grams were known. Tokens are the pieces \
        between Unicode word bounds that are not white space. As in DCLM, documents that stay have \
        `bff_contained_ngram_count_before_dedupe` with `old-both`, and what is left of a document is dropped if it is blank.\n\n\
        Two things differ on purpose. Documents come in the order of the input and hashes have the recipe's seed, so that the result is the \
        same every time (there, files are shuffled and threads race). And the filter's size follows from the n-grams, which are counted \
        first: `fp_rate` holds, and nothing is guessed. Where its memory is more than `tasks.memory` the job fails and says how many \
        `shards` would do; documents are assigned to those by their record ids (there, by the place of their file in the list).\n\n\
        `annotate` keeps all fields, and marks a document that would go as a whole with one span over all of it.";
    const ORIGIN: &'static str = "mlfoundations/dclm, dedup/bff; arXiv 2406.11794, appendix L";
    const EXAMPLE: &'static str =
        "{remove_type: old-both, min_ngram_size: 13, max_ngram_size: 13, filtering_threshold: 0.8, fp_rate: 0.01, shards: 10}";
    const KIND: Kind = Kind::Barrier;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        let wrong = |error: gristmill_dedup::Error| BuildError::new(error.to_string());
        params.bff().check().map_err(wrong)?;
        bloom::Size::for_items(1, params.fp_rate).map_err(wrong)?;
        if params.shards == 0 || params.shards > SHARDS_MAX {
            return Err(BuildError::new(format!("shards is {}: take 1 to {SHARDS_MAX}", params.shards)));
        }
        let folder = |uri: &Option<String>| uri.as_deref().map(|uri| uri.trim_end_matches('/').to_owned());
        if params.query_only && (params.load.is_none() || params.save.is_some()) {
            return Err(BuildError::new("query_only asks the filters of `load` and leaves them as they are: give `load`, and no `save`"));
        }
        if params.load.is_some() && folder(&params.load) == folder(&params.save) {
            return Err(BuildError::new("save is where load is: an attempt that is made again would find its own insertions; save elsewhere"));
        }
        Ok(())
    }

    fn way(params: &Params) -> Way {
        Way::Filter { groups: params.shards }
    }

    fn filters(params: &Params) -> Vec<&str> {
        [&params.load, &params.save].into_iter().flatten().map(String::as_str).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        Ok(Built::Bloom(Bloom {
            params: params.bff(),
            seed: cx.seed,
            groups: params.shards,
            fp_rate: params.fp_rate,
            expected_ngrams: params.expected_ngram_count,
            annotate: params.annotate,
            load: params.load.clone(),
            update: !params.query_only,
            save: params.save.clone(),
        }))
    }
}

const DUPLICATE: &str = "duplicate";
const NOTHING_LEFT: &str = "nothing left";

impl Bloom {
    /// So many bytes of a stored filter say what it is.
    pub const HEAD_BYTES: u64 = Head::BYTES;

    /// What a group's filter is called in the folder that it is kept in.
    #[must_use]
    pub fn file_name(&self, group: u32) -> String {
        format!("{group:05}-of-{:05}.bloom", self.groups)
    }

    /// The head of a stored filter of so many bytes. One that was made otherwise is refused.
    pub fn head(&self, uri: &str, head: &[u8], bytes: u64) -> Result<Head, BuildError> {
        let head = Head::parse(uri, head).map_err(|error| BuildError::new(error.to_string()))?;
        let kind = self.params.kind();
        if head.seed != self.seed {
            return Err(BuildError::new(format!(
                "{uri} was made with seed {}, and the recipe has seed {}: give both the same",
                head.seed, self.seed
            )));
        }
        if head.kind != kind {
            return Err(BuildError::new(format!(
                "{uri} holds \"{}\", and the recipe wants \"{kind}\": give the step the parameters that it was made with",
                head.kind
            )));
        }
        let whole = head.size.bytes().saturating_add(Head::BYTES);
        if bytes != whole {
            return Err(BuildError::new(format!(
                "{uri} has {bytes} bytes, and its head says {whole}: it is cut short, or not a filter; save it anew"
            )));
        }
        Ok(head)
    }

    /// The group of a document.
    #[must_use]
    pub fn group(&self, doc: &Document) -> u32 {
        bff::group_of(&doc.id, self.groups, self.seed)
    }

    /// Bytes of memory that a filter of so many n-grams takes.
    #[must_use]
    pub fn memory_needed(&self, ngrams: u64) -> u64 {
        // A rate that cannot be was refused before.
        bloom::memory_needed(ngrams.max(self.expected_ngrams), self.fp_rate).unwrap_or(u64::MAX)
    }

    /// Does to a document what its filter found. Gives also the number of pieces that were taken out of one that stays.
    pub fn apply(&self, doc: &mut Document, found: &Found) -> (Verdict, u64) {
        let Some(text) = &mut doc.text else { return (Verdict::Keep, 0) };
        if self.annotate {
            let spans = found.spans(text.as_str(), self.params.mode);
            let spans: Vec<_> = spans.into_iter().map(|(start, end)| serde_json::json!([start, end])).collect();
            doc.fields.set("bff_duplicate_spans", spans);
            doc.fields.set("bff_contained_ngram_count", found.contained);
            return (Verdict::Keep, 0);
        }
        match found.fate {
            Fate::Duplicate => return (Verdict::dropped(DUPLICATE), 0),
            Fate::Blank => return (Verdict::dropped(NOTHING_LEFT), 0),
            Fate::Stays => {}
        }
        if !found.gone.is_empty()
            && let Some(left) = found.left(text.as_str(), self.params.mode)
        {
            text.set(left);
        }
        if self.params.mode == Mode::OldBoth {
            doc.fields.set("bff_contained_ngram_count_before_dedupe", found.contained);
        }
        (Verdict::Keep, found.gone.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::Resources;
    use crate::step::{Bloom, Built, Context};
    use crate::steps::find;
    use crate::{Document, Verdict};
    use gristmill_dedup::bff::{Fate, Found};
    use serde_json::{Value, json};

    fn bloom(params: &Value) -> Result<Bloom, String> {
        let parsed = find("bff_dedup").expect("a step").parse(params).map_err(|error| error.message)?;
        match parsed.build(&Context { resources: &Resources::default(), seed: 5 }) {
            Ok(Built::Bloom(bloom)) => Ok(bloom),
            _ => Err("no filter".to_owned()),
        }
    }

    #[test]
    fn what_was_found_is_done() {
        let text = "one two\nthree\nfour";
        let found = |fate, gone: &[u32]| Found { fate, gone: gone.to_vec(), contained: 7, ..Found::default() };
        let counted = |left: &str| format!(r#"{{"text":"{left}","x":1,"bff_contained_ngram_count_before_dedupe":7}}"#);
        let plain = |left: &str| format!(r#"{{"text":"{left}","x":1}}"#);
        let told = |spans: &str| {
            format!(r#"{{"text":"one two\nthree\nfour","x":1,"bff_duplicate_spans":{spans},"bff_contained_ngram_count":7}}"#)
        };
        let same = r"one two\nthree\nfour";
        for (params, found, verdict, taken, record) in [
            (json!({}), found(Fate::Stays, &[]), Verdict::Keep, 0, counted(same)),
            (json!({}), found(Fate::Stays, &[1]), Verdict::Keep, 1, counted(r"one two\nfour")),
            (json!({"remove_type": "paragraph"}), found(Fate::Stays, &[0, 2]), Verdict::Keep, 2, plain(r"\nthree")),
            (json!({"remove_type": "document"}), found(Fate::Stays, &[]), Verdict::Keep, 0, plain(same)),
            (json!({}), found(Fate::Duplicate, &[1]), Verdict::dropped("duplicate"), 0, plain(same)),
            (json!({}), found(Fate::Blank, &[0, 1, 2]), Verdict::dropped("nothing left"), 0, plain(same)),
            (json!({"annotate": true}), found(Fate::Stays, &[1]), Verdict::Keep, 0, told("[[7,13]]")),
            (json!({"annotate": true}), found(Fate::Duplicate, &[1]), Verdict::Keep, 0, told("[[0,18]]")),
        ] {
            let record_in = json!({"text": text, "x": 1}).to_string();
            let mut doc = Document::from_json(&record_in, String::new).expect("a record");
            assert_eq!(bloom(&params).expect("fits").apply(&mut doc, &found), (verdict, taken), "{params} {found:?}");
            assert_eq!(serde_json::to_string(&doc).expect("JSON"), record, "{params} {found:?}");
        }
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for (params, part) in [
            (json!({"min_ngram_size": 14}), "14 to 13 tokens"),
            (json!({"filtering_threshold": 1.5}), "filtering_threshold"),
            (json!({"fp_rate": 0.0}), "false-positive rate"),
            (json!({"shards": 0}), "take 1 to 1024"),
            (json!({"remove_type": "both"}), "unknown variant"),
            (json!({"query_only": true}), "give `load`"),
            (json!({"query_only": true, "load": "a", "save": "b"}), "no `save`"),
            (json!({"load": "a/", "save": "a"}), "save elsewhere"),
        ] {
            let error = bloom(&params).expect_err("refused");
            assert!(error.contains(part), "{params}: {error}");
        }
    }
}
