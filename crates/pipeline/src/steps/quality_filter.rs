//! `quality_filter`

use super::shared::{number, source};
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct QualityFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The field with the score. A dot leads into an object.
    key: String,
    /// The score must reach it.
    threshold: f64,
    /// Lower scores are better: keep up to the threshold.
    lower_better: bool,
    /// A page without the field is broken. False: it is dropped.
    key_must_exist: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { key: "fasttext_hq_prob".to_owned(), threshold: 0.0, lower_better: false, key_must_exist: true }
    }
}

impl Step for QualityFilter {
    const NAME: &'static str = "quality_filter";
    const DOC: &'static str = "Keeps pages whose score reaches a threshold.\n\n\
        DCLM-Baseline keeps from 0.018112 on with its own classifier, which is the best tenth of its own data: the number means \
        nothing for another model or crawl.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/filters/metadata_filters.py";
    const EXAMPLE: &'static str = "{key: fasttext_oh_eli5_vs_rw_v2_prob, threshold: 0.018112}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        Ok(Built::map(move |doc| {
            let score = match source::find(doc, &params.key) {
                Some(value) => number(value),
                None if params.key_must_exist => None,
                None => Some(if params.lower_better { f64::INFINITY } else { f64::NEG_INFINITY }),
            };
            let Some(score) = score else {
                return Verdict::broken(format!("no number in field {}", params.key));
            };
            let kept =
                if params.lower_better { score <= params.threshold } else { score >= params.threshold };
            Verdict::keep_if(kept, "low quality")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_threshold_is_kept() {
        for (params, page, expected) in [
            ("threshold: 0.5", r#"{"q":0.5}"#, ""),
            ("threshold: 0.5", r#"{"q":0.4}"#, "drop: low quality"),
            ("threshold: 0.5", r#"{"q":true}"#, ""),
            ("threshold: 0.5", r#"{"q":"1"}"#, "broken: no number in field q"),
            ("threshold: 0.5, lower_better: true", r#"{"q":0.4}"#, ""),
            ("threshold: 0.5", "{}", "broken: no number in field q"),
            ("threshold: 0.5, key_must_exist: false", "{}", "drop: low quality"),
        ] {
            let expected = if expected.is_empty() { keep(page) } else { expected.to_owned() };
            check(&format!("quality_filter: {{key: q, {params}}}"), page, expected);
        }
        let (good, bad) = (r#"{"m":{"q":0.5}}"#, r#"{"m":{"q":0.4}}"#);
        check("quality_filter: {key: m.q, threshold: 0.5}", good, keep(good));
        check("quality_filter: {key: m.q, threshold: 0.5}", bad, "drop: low quality");
        check("quality_filter: {key: m.p}", good, "broken: no number in field m.p");
    }
}
