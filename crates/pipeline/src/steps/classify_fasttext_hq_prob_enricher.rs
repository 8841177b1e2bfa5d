//! `classify_fasttext_hq_prob_enricher`

use super::shared::{add_field, check_key, load_model};
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_classify::{Scratch, hq_probability, preprocess};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct ClassifyFasttextHqProbEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The file of a fastText model with the labels `hq` and `cc`.
    model_filename: String,
    /// The field that holds the score.
    key: String,
    /// Replace a field that is there; otherwise such a page is broken.
    overwrite: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { model_filename: "model.bin".to_owned(), key: "fasttext_hq_prob".to_owned(), overwrite: false }
    }
}

impl Step for ClassifyFasttextHqProbEnricher {
    const NAME: &'static str = "classify_fasttext_hq_prob_enricher";
    const DOC: &'static str = "Scores the page with a quality classifier: the probability that it is good.\n\n\
        Lines are joined by blanks first. The score is that of the likeliest label; for the label `cc`, a page like any of the crawl, \
        what is left to 1.";
    const ORIGIN: &'static str =
        "mlfoundations/dclm, baselines/mappers/enrichers/quality_prediction_enrichers_calc_fasttext.py";
    const EXAMPLE: &'static str = "{model_filename: openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin, key: fasttext_oh_eli5_vs_rw_v2_prob}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_key(&params.key)
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        vec![Wanted::named(&params.model_filename)]
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let model = load_model(cx.resources, &params.model_filename)?;
        let mut scratch = Scratch::default();
        let Params { key, overwrite, .. } = params.clone();
        Ok(Built::text(move |text, fields| {
            let Some(best) = model.predict(&mut scratch, &preprocess::quality(text.as_str()), 1).first() else {
                return Verdict::broken("no prediction");
            };
            let label = model.labels().get(best.label as usize).map_or("", String::as_str);
            add_field(fields, &key, overwrite, hq_probability(label, best.probability))
        }))
    }
}
