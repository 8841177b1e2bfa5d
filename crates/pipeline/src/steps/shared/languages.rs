//! Models that tell languages.

use super::load_model;
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Verdict};
use gristmill_classify::langdetect::{Detector, Profiles};
use gristmill_classify::{Model, Scratch};
use std::sync::Arc;

const LANGDETECT: &str = "langdetect";
const LANGDETECT_AT_PYPI: &str = "https://files.pythonhosted.org/packages/0e/72/\
    a3add0e4eec4eb9e2569554f7c70f4a3c27712f40e3284d483e88094cc0e/langdetect-1.0.9.tar.gz\
    #sha256=cbc1fef89f8d062739774bd51eda3da3274006b3661d199c2655f6b3f6d605a0";

/// The file that `model` means: DCLM's `fasttext` is lid.176, the small one where the large one is not there; `langdetect` is the
/// archive of the Python package, which holds its data.
pub(in crate::steps) fn wanted(model: &str) -> Wanted {
    let candidates = match model {
        "fasttext" => vec!["lid.176.bin", "lid.176.ftz"],
        LANGDETECT => vec!["langdetect-1.0.9.tar.gz", LANGDETECT_AT_PYPI],
        file => vec![file],
    };
    Wanted { name: model.to_owned(), candidates: candidates.into_iter().map(str::to_owned).collect() }
}

/// Refuses what is no model, and a seed that nothing draws by.
pub(in crate::steps) fn check(model: &str, seed: Option<i64>) -> Result<(), BuildError> {
    if model.is_empty() {
        return Err(BuildError::new("model is fasttext, langdetect, or the file of a fastText model"));
    }
    if seed.is_some() && model != LANGDETECT {
        return Err(BuildError::new("seed is for langdetect; fastText draws nothing"));
    }
    Ok(())
}

/// A model that tells the languages of a text, for one lane.
pub(in crate::steps) enum Identifier {
    Fasttext { model: Arc<Model>, scratch: Box<Scratch> },
    Langdetect { profiles: Arc<Profiles>, detector: Box<Detector> },
}

impl Identifier {
    /// Loads a model once for all lanes. Without a seed, langdetect draws by the recipe's.
    pub(in crate::steps) fn load(cx: &Context, model: &str, seed: Option<i64>) -> Result<Self, BuildError> {
        if model != LANGDETECT {
            return Ok(Self::Fasttext { model: load_model(cx.resources, model)?, scratch: Box::default() });
        }
        let profiles = cx.resources.model(LANGDETECT, |resource| {
            Profiles::load((*resource.bytes).as_ref())
                .map_err(|error| BuildError::new(format!("{}: {error}", resource.found)))
        })?;
        let detector = Detector::new(Arc::clone(&profiles), seed.unwrap_or(cx.seed.cast_signed()));
        Ok(Self::Langdetect { profiles, detector: Box::new(detector) })
    }

    /// Calls `told` with each language and its probability, the likeliest first. False if the text has nothing that a language could be
    /// told by.
    pub(in crate::steps) fn identify(
        &mut self,
        text: &str,
        mut told: impl FnMut(&str, f64),
    ) -> Result<bool, Verdict> {
        match self {
            Self::Fasttext { model, scratch } => {
                let Some(best) = model.predict(scratch, text, 1).first() else {
                    return Err(Verdict::broken("no prediction"));
                };
                let language = model.labels().get(best.label as usize).map_or("", |label| label);
                told(language, f64::from(best.probability));
                Ok(true)
            }
            Self::Langdetect { profiles, detector } => {
                let Some(guesses) = detector.detect(text) else { return Ok(false) };
                for guess in guesses {
                    let language = profiles.languages().get(guess.language).map_or("", |language| language);
                    told(language, guess.probability);
                }
                Ok(true)
            }
        }
    }
}
