//! `detect_lang_paragraph_enricher`

use super::shared::add_field;
use super::shared::languages::{self, Identifier};
use super::shared::sentences::{NltkVersion, SentenceTokenizer, Sentences};
use crate::resources::Wanted;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_classify::preprocess;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub struct DetectLangParagraphEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `fasttext`: lid.176.bin, or lid.176.ftz where that is not there. `langdetect`: langdetect-1.0.9.tar.gz. Any other name is a
    /// fastText model's file.
    model: String,
    /// How sentences are told: see `page_length_filter` [rule; with `semantics: dclm` blingfire].
    #[serde(default)]
    tokenizer: Option<SentenceTokenizer>,
    /// For `nltk`: which releases of it to do as [from_3_10].
    #[serde(default)]
    nltk_version: Option<NltkVersion>,
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
    "language_id_paragraph".to_owned()
}

impl Params {
    fn sentences(&self) -> Sentences {
        Sentences::new(self.tokenizer, None, self.nltk_version, self.semantics)
    }
}

impl Step for DetectLangParagraphEnricher {
    const NAME: &'static str = "detect_lang_paragraph_enricher";
    const DOC: &'static str = "Tells the language of each sentence, and sums up.\n\n\
        Writes, for every language found, the mean probability and the number of its sentences; langdetect may find several in one. `nltk` is an \
        untrained Punkt here, as in DCLM. Sentences of blanks and ASCII punctuation do not count.\n\n\
        `semantics: dclm`: a page is broken, as DCLM loses it, if fastText is to read a sentence with a line end in it, or langdetect one \
        without letters of its languages. `fixed`: a line end is a blank; such a sentence does not count.\n\n\
        langdetect draws at random, by the recipe's seed. DCLM's answers are others on each run.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/enrichers/language_id_enrichers.py";
    const EXAMPLE: &'static str = "{model: fasttext, tokenizer: blingfire}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        languages::check(&params.model, None)
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        let sentences = params.sentences().wanted();
        std::iter::once(languages::wanted(&params.model)).chain(sentences).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let mut identifier = Identifier::load(cx, &params.model, None)?;
        let sentences = params.sentences().load(cx.resources)?;
        let key = format!("{}_{}", params.key_prefix, params.model);
        let (overwrite, semantics) = (params.overwrite, params.semantics);
        Ok(Built::text(move |text, fields| {
            // Languages in the order of their first sentences.
            let mut found: IndexMap<String, (f64, u32)> = IndexMap::new();
            for sentence in sentences.split(text.as_str()) {
                if preprocess::lid_whole_page(sentence).is_none() {
                    continue;
                }
                let fasttext = matches!(identifier, Identifier::Fasttext { .. });
                if semantics == Semantics::Dclm && fasttext && sentence.contains('\n') {
                    return Verdict::broken("a sentence with a line end");
                }
                let told = identifier.identify(sentence, |language, probability| {
                    if !found.contains_key(language) {
                        found.insert(language.to_owned(), (0.0, 0));
                    }
                    if let Some((sum, count)) = found.get_mut(language) {
                        *sum += probability;
                        *count += 1;
                    }
                });
                match told {
                    Ok(false) if semantics == Semantics::Dclm => {
                        return Verdict::broken("no language can be told");
                    }
                    Ok(_) => {}
                    Err(broken) => return broken,
                }
            }
            let all: Map<String, Value> = found
                .into_iter()
                .map(|(language, (sum, count))| {
                    let average = sum / f64::from(count);
                    (language, json!({"average_probability": average, "number_of_sentences": count}))
                })
                .collect();
            add_field(fields, &key, overwrite, all)
        }))
    }
}
