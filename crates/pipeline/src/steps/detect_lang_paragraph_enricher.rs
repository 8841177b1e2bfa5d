//! `detect_lang_paragraph_enricher`

use super::shared::{SentenceTokenizer, add_field, language_model, load_model};
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_classify::{Scratch, preprocess};
use gristmill_filters::sentences::sentences;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};

pub struct DetectLangParagraphEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `fasttext`: lid.176.bin, or lid.176.ftz where that is not there. Any other name is a fastText model's file.
    model: String,
    /// DCLM's `blingfire` or `nltk`; one rule stands for both.
    #[serde(default, rename = "tokenizer")]
    _tokenizer: Option<SentenceTokenizer>,
    /// The field is this, an underscore and the model.
    #[serde(default = "key_prefix")]
    key_prefix: String,
    /// Replace a field that is there; otherwise such a page is broken.
    #[serde(default)]
    overwrite: bool,
}

fn key_prefix() -> String {
    "language_id_paragraph".to_owned()
}

impl Step for DetectLangParagraphEnricher {
    const NAME: &'static str = "detect_lang_paragraph_enricher";
    const DOC: &'static str = "Tells the language of each sentence, and sums up.\n\n\
        Writes, for every language found, the mean probability and the number of its sentences. Sentences end by a rule of our own: see \
        `page_length_filter`. Sentences of blanks and ASCII punctuation do not count.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/enrichers/language_id_enrichers.py";
    const EXAMPLE: &'static str = "{model: fasttext, tokenizer: blingfire}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        match &*params.model {
            "langdetect" => Err(BuildError::new("langdetect is not built in; use model: fasttext")),
            "" => Err(BuildError::new("model is fasttext, or the file of a fastText model")),
            _ => Ok(()),
        }
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        vec![language_model(&params.model)]
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let model = load_model(cx.resources, &params.model)?;
        let mut scratch = Scratch::default();
        let (key, overwrite) = (format!("{}_{}", params.key_prefix, params.model), params.overwrite);
        Ok(Built::text(move |text, fields| {
            // Languages in the order of their first sentences.
            let mut found: Vec<(u32, f64, u32)> = Vec::new();
            for sentence in sentences(text.as_str()) {
                if preprocess::lid_whole_page(sentence).is_none() {
                    continue;
                }
                let Some(best) = model.predict(&mut scratch, sentence, 1).first() else {
                    return Verdict::broken("no prediction");
                };
                let probability = f64::from(best.probability);
                match found.iter_mut().find(|(label, ..)| *label == best.label) {
                    Some((_, sum, count)) => {
                        *sum += probability;
                        *count += 1;
                    }
                    None => found.push((best.label, probability, 1)),
                }
            }
            let mut all = Map::new();
            for (label, sum, count) in found {
                let language = model.labels().get(label as usize).cloned().unwrap_or_default();
                let average = sum / f64::from(count);
                all.insert(language, json!({"average_probability": average, "number_of_sentences": count}));
            }
            add_field(fields, &key, overwrite, all)
        }))
    }
}
