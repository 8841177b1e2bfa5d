//! `ensemble_score`

use super::shared::{add_field, check_key, check_keys, number, source};
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct EnsembleScore;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The fields with the scores, two or more. A dot leads into an object.
    keys: Vec<String>,
    /// How they become one.
    method: Method,
    /// The field that holds the result.
    key: String,
    /// Replace a field that is there; otherwise such a page is broken.
    #[serde(default)]
    overwrite: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// What all classifiers agree on at least.
    Min,
    /// What any classifier finds.
    Max,
    Mean,
}

impl Method {
    /// `scores` are finite and not none.
    fn of(self, scores: &[f64]) -> f64 {
        match self {
            Self::Min => scores.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => scores.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            // Each is divided first, so that no sum is too large.
            Self::Mean => scores.iter().map(|score| score / scores.len() as f64).sum(),
        }
    }
}

impl Step for EnsembleScore {
    const NAME: &'static str = "ensemble_score";
    const DOC: &'static str = "Makes one score of several classifiers' scores: their minimum, maximum or mean.\n\n\
        Scores must be comparable: two probabilities of one kind are, a probability and a perplexity are not. `max` keeps what any of several \
        classifiers finds, as Nemotron-CC does with classifiers of different tastes (after it has turned scores into ranks); `min` keeps what all of them accept. A page \
        that lacks one of the scores is broken.";
    const ORIGIN: &'static str =
        "Su et al. 2024 (Nemotron-CC), arXiv 2412.02595, section 2.3 (model ensembling)";
    const EXAMPLE: &'static str = "{keys: [quality_a, quality_b], method: max, key: quality}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.keys.len() < 2 {
            return Err(BuildError::new("an ensemble has two scores or more; list their fields in `keys`"));
        }
        check_keys(&params.keys)?;
        check_key(&params.key)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let mut scores = Vec::with_capacity(params.keys.len());
        Ok(Built::map(move |doc| {
            scores.clear();
            for key in &params.keys {
                match source::find(doc, key).and_then(number) {
                    Some(score) => scores.push(score),
                    None => return Verdict::broken(format!("no number in field {key}")),
                }
            }
            add_field(&mut doc.fields, &params.key, params.overwrite, params.method.of(&scores))
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn scores_become_one() {
        for (method, expected) in [("min", "0.25"), ("max", "1.0"), ("mean", "0.5833333333333333")] {
            check(
                &format!("ensemble_score: {{keys: [a, b, c], method: {method}, key: q}}"),
                r#"{"a":0.5,"b":0.25,"c":1}"#,
                keep(&format!(r#"{{"a":0.5,"b":0.25,"c":1,"q":{expected}}}"#)),
            );
        }
        let step = "ensemble_score: {keys: [a, b], method: mean, key: a";
        check(&format!("{step}}}"), r#"{"a":1,"b":2}"#, "broken: field a is there already");
        check(&format!("{step}, overwrite: true}}"), r#"{"a":1,"b":2}"#, keep(r#"{"a":1.5,"b":2}"#));
        check(
            "ensemble_score: {keys: [m.a, b], method: max, key: q}",
            r#"{"m":{"a":3},"b":2}"#,
            keep(r#"{"m":{"a":3},"b":2,"q":3.0}"#),
        );
        let huge = r#"{"a":1.7e308,"b":1.7e308}"#;
        check(&format!("{step}, overwrite: true}}"), huge, keep(r#"{"a":1.7e+308,"b":1.7e308}"#));
    }

    #[test]
    fn a_score_that_is_missing_is_not_guessed() {
        let step = "ensemble_score: {keys: [a, b], method: max, key: q}";
        for page in [r#"{"a":1}"#, r#"{"a":1,"b":null}"#, r#"{"a":1,"b":"2"}"#, r#"{"a":1,"b":[2]}"#] {
            check(step, page, "broken: no number in field b");
        }
        check(
            "ensemble_score: {keys: [a], method: max, key: q}",
            "{}",
            "refused: an ensemble has two scores or more; list their fields in `keys`",
        );
        check(
            "ensemble_score: {keys: [a, b, a], method: mean, key: q}",
            "{}",
            "refused: the field \"a\" stands there twice",
        );
    }
}
