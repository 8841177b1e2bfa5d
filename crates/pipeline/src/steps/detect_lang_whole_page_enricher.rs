//! `detect_lang_whole_page_enricher`

use super::shared::add_field;
use super::shared::languages::{self, Identifier};
use crate::resources::Wanted;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_classify::preprocess;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

pub struct DetectLangWholePageEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `fasttext`: lid.176.bin, or lid.176.ftz where that is not there. `langdetect`: langdetect-1.0.9.tar.gz. Any other name is a
    /// fastText model's file.
    model: String,
    /// The field is this, an underscore and the model.
    #[serde(default = "key_prefix")]
    key_prefix: String,
    /// Replace a field that is there; otherwise such a page is broken.
    #[serde(default)]
    overwrite: bool,
    /// For langdetect, which draws at random [the recipe's seed].
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    semantics: Semantics,
}

fn key_prefix() -> String {
    "language_id_whole_page".to_owned()
}

impl Step for DetectLangWholePageEnricher {
    const NAME: &'static str = "detect_lang_whole_page_enricher";
    const DOC: &'static str = "Tells the language of the page and how sure that is.\n\n\
        fastText: writes `{language: probability}` of the likeliest language, so that a page in another language carries only that \
        language's key. langdetect: writes every language with more than 0.1. Both: `{}` for a page of nothing but blanks and ASCII \
        punctuation.\n\n\
        `semantics: dclm`: for fastText newlines are deleted before the model reads the text, so that the last word of a line and the first \
        of the next are one; a page that langdetect finds no letters of its languages in is broken, as DCLM loses it. `fixed`: newlines are \
        blanks; such a page has no language, `{}`.\n\n\
        langdetect draws at random. Without `seed` DCLM's answers are others on each run; here the recipe's seed stands in.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/enrichers/language_id_enrichers.py";
    const EXAMPLE: &'static str = "{model: fasttext, key_prefix: language_id_whole_page}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        languages::check(&params.model, params.seed)
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        vec![languages::wanted(&params.model)]
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let mut identifier = Identifier::load(cx, &params.model, params.seed)?;
        let key = format!("{}_{}", params.key_prefix, params.model);
        let (overwrite, semantics) = (params.overwrite, params.semantics);
        Ok(Built::text(move |text, fields| {
            let mut found = Map::new();
            if let Some(joined) = preprocess::lid_whole_page(text.as_str()) {
                let joins = semantics == Semantics::Dclm && matches!(identifier, Identifier::Fasttext { .. });
                // fastText takes a newline for a separator like a blank.
                let input = if joins { &joined } else { text.as_str() };
                let told = identifier.identify(input, |language, probability| {
                    found.insert(language.to_owned(), Value::from(probability));
                });
                match told {
                    Ok(false) if semantics == Semantics::Dclm => {
                        return Verdict::broken("no language can be told");
                    }
                    Ok(_) => {}
                    Err(broken) => return broken,
                }
            }
            add_field(fields, &key, overwrite, found)
        }))
    }
}
