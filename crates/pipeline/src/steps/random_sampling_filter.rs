//! `random_sampling_filter`

use super::shared::check_share;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::sampling::is_sampled;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct RandomSamplingFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share to keep.
    keep_probability: f64,
    /// Added to the recipe's seed: two samplings with the same number choose the same pages.
    salt: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { keep_probability: 0.1, salt: 0 }
    }
}

impl Step for RandomSamplingFilter {
    const NAME: &'static str = "random_sampling_filter";
    const DOC: &'static str = "Keeps a random share of pages.\n\n\
        The coin is the record's id, hashed with the recipe's seed: the same pages stay in every run, whatever their order. (DCLM tosses \
        anew each time.)";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/filters/metadata_filters.py";
    const EXAMPLE: &'static str = "{keep_probability: 0.1}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("keep_probability", params.keep_probability)
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let (probability, seed) = (params.keep_probability, cx.seed.wrapping_add(params.salt));
        Ok(Built::map(move |doc| Verdict::keep_if(is_sampled(&doc.id, seed, probability), "not sampled")))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_coin_is_the_id() {
        let page = r#"{"id":"a"}"#;
        check("random_sampling_filter: {keep_probability: 1}", page, keep(page));
        check("random_sampling_filter: {keep_probability: 0}", page, "drop: not sampled");
        check("random_sampling_filter: {keep_probability: 1.5}", page, "refused: keep_probability is a share, from 0 to 1, not 1.5");
    }
}
