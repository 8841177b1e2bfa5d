//! How steps tell sentences.

use crate::resources::Wanted;
use crate::step::Semantics;
use crate::{BuildError, Resources};
use gristmill_filters::sentences::{BlingFire, ModelError, Nltk, Punkt, SentenceSplitter};
use schemars::JsonSchema;
use serde::Deserialize;

/// DCLM's sentence tokenizers, and a rule of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentenceTokenizer {
    /// A rule of our own, without a model.
    Rule,
    /// NLTK's Punkt. Untrained it needs no model.
    Nltk,
    /// BlingFire, with its model sbd.bin.
    Blingfire,
}

/// Which releases of NLTK to do as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum NltkVersion {
    /// Curly and angle quotes close a sentence.
    #[default]
    #[serde(rename = "from_3_10")]
    From3_10,
    /// Straight quotes only, as when C4 and DCLM were made.
    #[serde(rename = "before_3_10")]
    Before3_10,
}

/// What parameters ask for.
pub(in crate::steps) struct Sentences {
    tokenizer: SentenceTokenizer,
    /// Punkt's model for English, and not none.
    english: bool,
    nltk: Nltk,
}

impl Sentences {
    /// Where no tokenizer is named, it is BlingFire in DCLM, and otherwise what needs no model.
    pub(in crate::steps) fn new(
        tokenizer: Option<SentenceTokenizer>,
        language: Option<&str>,
        version: Option<NltkVersion>,
        semantics: Semantics,
    ) -> Self {
        let default = match semantics {
            Semantics::Dclm => SentenceTokenizer::Blingfire,
            Semantics::Fixed => SentenceTokenizer::Rule,
        };
        Self {
            tokenizer: tokenizer.unwrap_or(default),
            // Any other language has an untrained tokenizer in DCLM.
            english: matches!(language, Some("en" | "english")),
            nltk: match version.unwrap_or_default() {
                NltkVersion::From3_10 => Nltk::From3_10,
                NltkVersion::Before3_10 => Nltk::Before3_10,
            },
        }
    }

    /// The file of the model, if there is one.
    pub(in crate::steps) fn wanted(&self) -> Option<Wanted> {
        match self.tokenizer {
            SentenceTokenizer::Nltk if self.english => Some(Wanted::named("punkt_tab.zip")),
            SentenceTokenizer::Blingfire => Some(Wanted::named("sbd.bin")),
            SentenceTokenizer::Rule | SentenceTokenizer::Nltk => None,
        }
    }

    /// The splitter, its model loaded once for all lanes.
    pub(in crate::steps) fn load(&self, resources: &Resources) -> Result<SentenceSplitter, BuildError> {
        let refuse = |found: &str, error: ModelError| BuildError::new(format!("{found}: {error}"));
        let Some(wanted) = self.wanted() else {
            return Ok(match self.tokenizer {
                SentenceTokenizer::Nltk => SentenceSplitter::Punkt(Punkt::untrained(self.nltk).into()),
                _ => SentenceSplitter::Rule,
            });
        };
        let resource = resources.get(&wanted.name)?;
        let bytes = (*resource.bytes).as_ref();
        match self.tokenizer {
            SentenceTokenizer::Blingfire => resources
                .shared("blingfire", || {
                    BlingFire::load(bytes).map_err(|error| refuse(&resource.found, error))
                })
                .map(SentenceSplitter::BlingFire),
            _ => resources
                .shared(&format!("punkt {:?}", self.nltk), || {
                    Punkt::load(bytes, "english", self.nltk).map_err(|error| refuse(&resource.found, error))
                })
                .map(SentenceSplitter::Punkt),
        }
    }
}
