//! `quality_buckets`

use super::shared::{add_field, check_key, check_keys};
use crate::selection::{Missing, Of, Scores};
use crate::step::{Context, Kind, Needs};
use crate::{BuildError, Built, Selection, Step, Verdict};
use gristmill_classify::quantile::{Share, Ties};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

pub struct QualityBuckets;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The fields with the scores, one of each classifier. A dot leads into an object.
    keys: Vec<String>,
    /// Buckets of equal size that each score is cut into, by rank over all documents: the worst are in bucket 0.
    #[serde(default = "twenty")]
    buckets: u32,
    /// What a document's bucket is of those that its scores fall into: `max`, `min`, or `mean`, rounded down.
    #[serde(default)]
    combine: Combine,
    /// Groups of buckets: the name of each, and its lowest bucket.
    #[serde(default = "nemotron")]
    groups: BTreeMap<String, u32>,
    /// The groups whose documents stay; without it, all.
    #[serde(default)]
    keep: Option<Vec<String>>,
    /// The field that the bucket is written to.
    #[serde(default = "bucket_key")]
    bucket_key: String,
    /// The field that the name of the group is written to.
    #[serde(default = "group_key")]
    group_key: String,
    /// What buckets are of equal size by: `documents`, `bytes` of text, or `{field: NAME}`.
    #[serde(default)]
    of: Of,
    /// Rank each group of documents by itself: each `domain`, `language`, or what a field says.
    #[serde(default)]
    by: Option<String>,
    /// The lowest scores are the best.
    #[serde(default)]
    lower_better: bool,
    /// Of documents with the score at which a bucket ends: `split` divides them by a hash of their ids, `keep` puts all into the better bucket,
    /// `drop` into the worse one.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["split", "keep", "drop"]))]
    ties: Ties,
    /// What becomes of documents without a number in one of the fields, that of `of` too: `broken`, `drop` or `keep`, without a bucket.
    #[serde(default)]
    missing: Missing,
    /// Replace fields that are there; otherwise such a document is broken.
    #[serde(default)]
    overwrite: bool,
}

fn twenty() -> u32 {
    20
}

fn nemotron() -> BTreeMap<String, u32> {
    let groups = [("high", 19), ("medium-high", 18), ("medium", 12), ("medium-low", 7), ("low", 0)];
    groups.map(|(name, lowest)| (name.to_owned(), lowest)).into()
}

fn bucket_key() -> String {
    "quality_bucket".to_owned()
}

fn group_key() -> String {
    "quality_group".to_owned()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Combine {
    #[default]
    Max,
    Min,
    Mean,
}

impl Combine {
    fn of(self, levels: &[u32]) -> u32 {
        let best = match self {
            Self::Max => levels.iter().max().copied(),
            Self::Min => levels.iter().min().copied(),
            Self::Mean => {
                let sum: u64 = levels.iter().map(|level| u64::from(*level)).sum();
                sum.checked_div(levels.len() as u64).and_then(|mean| u32::try_from(mean).ok())
            }
        };
        best.unwrap_or_default()
    }
}

/// More would be percentiles of percentiles; and each is a bound to be found.
const BUCKETS_MAX: u32 = 1000;

impl Step for QualityBuckets {
    const NAME: &'static str = "quality_buckets";
    const DOC: &'static str = "Sorts documents into buckets of quality by the ranks of several scores.\n\n\
        Each score becomes the bucket that its rank among all documents falls into (with 20 buckets each holds 5%), so that scores of different \
        classifiers can be compared; a document's bucket is the best of them. Groups of buckets have names, which are written beside it; \
        `keep` drops documents of other groups. Bucket and groups are those of Nemotron-CC unless others are given: high 19, medium-high 18, medium \
        12 to 17, medium-low 7 to 11, low 0 to 6.";
    const ORIGIN: &'static str = "Nemotron-CC, arXiv 2412.02595 (model-based quality labelling)";
    const EXAMPLE: &'static str = "{keys: [edu_score, fasttext_hq_prob], keep: [high, medium-high]}";
    const KIND: Kind = Kind::Selection;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_keys(&params.keys)?;
        for key in [&params.bucket_key, &params.group_key] {
            check_key(key)?;
            if params.keys.contains(key) {
                return Err(BuildError::new(format!(
                    "the field {key} is a score; write bucket and group elsewhere"
                )));
            }
        }
        if params.bucket_key == params.group_key {
            let both = &params.bucket_key;
            return Err(BuildError::new(format!(
                "bucket and group are both written to the field {both}; give each its own"
            )));
        }
        if !(2..=BUCKETS_MAX).contains(&params.buckets) {
            return Err(BuildError::new(format!("buckets is a number from 2 to {BUCKETS_MAX}")));
        }
        let mut lowest: Vec<u32> = params.groups.values().copied().collect();
        lowest.sort_unstable();
        if let Some(beyond) = lowest.last().filter(|lowest| **lowest >= params.buckets) {
            let last = params.buckets - 1;
            return Err(BuildError::new(format!(
                "a group begins with bucket {beyond}, and the last is {last}: give groups"
            )));
        }
        if lowest.first() != Some(&0) {
            return Err(BuildError::new("no group has bucket 0"));
        }
        if lowest.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(BuildError::new("two groups begin with the same bucket"));
        }
        let unknown = |name: &&String| !params.groups.contains_key(*name);
        if let Some(name) = params.keep.iter().flatten().find(unknown) {
            return Err(BuildError::new(format!("keep names a group {name:?} that there is not")));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { combine, groups, keep, bucket_key, group_key, overwrite, .. } = params.clone();
        Ok(Built::Selection(Selection {
            scores: Scores {
                keys: params.keys.clone(),
                lower_better: params.lower_better,
                by: params.by.clone(),
                of: params.of.clone(),
            },
            shares: (1..params.buckets).map(|part| Share::parts(part, params.buckets)).collect(),
            ties: params.ties,
            missing: params.missing,
            decide: Box::new(move |doc, levels| {
                let bucket = combine.of(levels);
                let reached = groups.iter().filter(|(_, lowest)| **lowest <= bucket);
                let group = reached.max_by_key(|(_, lowest)| **lowest).map_or("", |(name, _)| name);
                if keep.as_ref().is_some_and(|keep| !keep.iter().any(|kept| kept == group)) {
                    return Verdict::dropped(group.to_owned());
                }
                match add_field(&mut doc.fields, &bucket_key, overwrite, bucket) {
                    Verdict::Keep => add_field(&mut doc.fields, &group_key, overwrite, group),
                    broken => broken,
                }
            }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::resources::Resources;
    use crate::step::Context;
    use crate::steps::find;
    use crate::{Built, Document, Selection, Verdict};
    use serde_json::{Value, json};

    fn built(params: &Value) -> Result<Selection, String> {
        let step = find("quality_buckets").expect("a step");
        let parsed = step.parse(params).map_err(|error| error.message)?;
        let cx = Context { resources: &Resources::default(), seed: 0 };
        match parsed.build(&cx).expect("builds") {
            Built::Selection(selection) => Ok(selection),
            _ => panic!("it selects"),
        }
    }

    #[test]
    fn the_best_bucket_names_the_group() {
        let of = |params: Value, levels: &[u32]| {
            let mut doc = Document::from_json(r#"{"a":1}"#, String::new).expect("a record");
            let levels: Vec<_> = levels.iter().copied().map(Some).collect();
            match built(&params).expect("fits").decide(&mut doc, &levels) {
                Verdict::Keep => format!(
                    "{} {}",
                    doc.fields.value("quality_bucket").expect("one"),
                    doc.fields.str("quality_group").expect("one")
                ),
                other => format!("{other:?}"),
            }
        };
        let keys = |more: Value| {
            let mut params = json!({"keys": ["a", "b", "c"]});
            params.as_object_mut().expect("params").extend(more.as_object().expect("params").clone());
            params
        };
        assert_eq!(built(&keys(json!({}))).expect("fits").shares.len(), 19);
        for (more, levels, expected) in [
            (json!({}), [3, 19, 0], "19 high"),
            (json!({}), [18, 2, 7], "18 medium-high"),
            (json!({}), [12, 2, 7], "12 medium"),
            (json!({}), [11, 2, 7], "11 medium-low"),
            (json!({}), [6, 0, 0], "6 low"),
            (json!({"combine": "min"}), [19, 8, 9], "8 medium-low"),
            (json!({"combine": "mean"}), [19, 19, 16], "18 medium-high"),
            (json!({"combine": "mean"}), [19, 19, 18], "18 medium-high"),
            (json!({"keep": ["high"]}), [19, 0, 0], "19 high"),
            (json!({"keep": ["high"]}), [18, 0, 0], r#"Drop("medium-high")"#),
            (json!({"buckets": 3, "groups": {"all": 0, "top": 2}}), [1, 2, 0], "2 top"),
        ] {
            assert_eq!(of(keys(more.clone()), &levels), expected, "{more} {levels:?}");
        }
    }

    #[test]
    fn a_field_that_is_there_is_replaced_only_if_asked_to() {
        for (record, overwrite, expected) in [
            (json!({"quality_bucket": 1}), false, Verdict::broken("field quality_bucket is there already")),
            (json!({"quality_group": "x"}), false, Verdict::broken("field quality_group is there already")),
            (json!({"quality_bucket": 1, "quality_group": "x"}), true, Verdict::Keep),
        ] {
            let mut doc = Document::from_json(&record.to_string(), String::new).expect("a record");
            let mut selection = built(&json!({"keys": ["a"], "overwrite": overwrite})).expect("fits");
            assert_eq!(selection.decide(&mut doc, &[Some(19)]), expected, "{record}");
            let group = doc.fields.str("quality_group");
            assert!(!overwrite || group.as_deref() == Some("high"), "{record}");
        }
    }

    #[test]
    fn groups_cover_the_buckets() {
        for (params, complaint) in [
            (json!({"keys": []}), "needs a field"),
            (json!({"keys": ["a"], "buckets": 1}), "from 2 to 1000"),
            (json!({"keys": ["a"], "buckets": 10}), "begins with bucket 19, and the last is 9"),
            (json!({"keys": ["a"], "groups": {"x": 1}}), "no group has bucket 0"),
            (json!({"keys": ["a"], "groups": {"x": 0, "y": 3, "z": 3}}), "the same bucket"),
            (json!({"keys": ["a"], "keep": ["best"]}), "\"best\" that there is not"),
            (json!({"keys": ["a"], "group_key": "text"}), "choose another key"),
            (json!({"keys": ["a"], "group_key": "b", "bucket_key": "b"}), "both written to the field b"),
            (json!({"keys": ["a", "b"], "group_key": "b"}), "the field b is a score"),
            (json!({"keys": ["a", "b"], "bucket_key": "a", "overwrite": true}), "the field a is a score"),
        ] {
            let refused = built(&params).err().expect("a refusal");
            assert!(refused.contains(complaint), "{params}: {refused}");
        }
    }
}
