//! `detect_lang_whole_page_enricher`

use super::shared::{add_field, language_model, load_model};
use crate::resources::Wanted;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_classify::{Scratch, preprocess};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

pub struct DetectLangWholePageEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `fasttext`: lid.176.bin, or lid.176.ftz where that is not there. Any other name is a fastText model's file.
    model: String,
    /// The field is this, an underscore and the model.
    #[serde(default = "key_prefix")]
    key_prefix: String,
    /// Replace a field that is there; otherwise such a page is broken.
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    semantics: Semantics,
}

fn key_prefix() -> String {
    "language_id_whole_page".to_owned()
}

impl Step for DetectLangWholePageEnricher {
    const NAME: &'static str = "detect_lang_whole_page_enricher";
    const DOC: &'static str = "Tells the language of the page and how sure that is.\n\n\
        Writes `{language: probability}` of the likeliest language; `{}` for a page of nothing but blanks and ASCII punctuation. A page in \
        another language carries only that language's key.\n\n\
        `semantics: dclm`: newlines are deleted before the model reads the text, so that the last word of a line and the first of the \
        next are one. `fixed`: they are blanks.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/enrichers/language_id_enrichers.py";
    const EXAMPLE: &'static str = "{model: fasttext, key_prefix: language_id_whole_page}";
    const HAS_SEMANTICS: bool = true;
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
        let key = format!("{}_{}", params.key_prefix, params.model);
        let (overwrite, semantics) = (params.overwrite, params.semantics);
        Ok(Built::text(move |text, fields| {
            let mut found = Map::new();
            let input = match semantics {
                Semantics::Dclm => preprocess::lid_whole_page(text.as_str()),
                // The model takes a newline for a separator like a blank.
                Semantics::Fixed => preprocess::lid_whole_page(text.as_str()).map(|_| Cow::Borrowed(text.as_str())),
            };
            if let Some(input) = input {
                let Some(best) = model.predict(&mut scratch, &input, 1).first() else {
                    return Verdict::broken("no prediction");
                };
                let language = model.labels().get(best.label as usize).cloned().unwrap_or_default();
                found.insert(language, Value::from(f64::from(best.probability)));
            }
            add_field(fields, &key, overwrite, found)
        }))
    }
}
