//! `exact_dedup`

use crate::step::{Context, Kind, Needs};
use crate::{Barrier, BuildError, Built, Document, Field, Signer, Step};
use gristmill_dedup::exact::{self, Normalizer};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct ExactDedup;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The field whose content must be equal: `text`, `url` or any other.
    content_key: String,
    /// What is done to the content before it is compared; the document keeps its own.
    normalize: Option<Normalize>,
}

impl Default for Params {
    fn default() -> Self {
        Self { content_key: "text".to_owned(), normalize: None }
    }
}

/// DCLM's normalisers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Normalize {
    /// The content as it is.
    HashText,
    /// White space cut off both ends, lower case.
    #[serde(rename = "normalize_whitespace_and_lowercase")]
    WhitespaceAndLowercase,
    /// CCNet's rule: also digits to 0, punctuation gone, accents gone.
    CcnetDedupNormalizer,
    /// Scheme, `www.`, tracking parameters and trailing slashes gone.
    #[serde(rename = "normalize_url")]
    Url,
}

impl Step for ExactDedup {
    const NAME: &'static str = "exact_dedup";
    const DOC: &'static str = "Keeps one of all documents of the corpus whose content is equal.\n\n\
        Contents are compared by 128 bits of xxh3, after `normalize` if given. Of equal documents the one with the \
        smallest record id stays. Documents that lack the field are kept.";
    const ORIGIN: &'static str = "mlfoundations/dclm, ray_processing/dedup_jsonl.py and baselines/mappers/core_utils.py";
    const EXAMPLE: &'static str = "{content_key: url, normalize: normalize_url}";
    const KIND: Kind = Kind::Barrier;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let (key, seed) = (params.content_key.clone(), cx.seed);
        let normalizer = match params.normalize {
            None | Some(Normalize::HashText) => Normalizer::None,
            Some(Normalize::WhitespaceAndLowercase) => Normalizer::WhitespaceAndLowercase,
            Some(Normalize::CcnetDedupNormalizer) => Normalizer::Ccnet,
            Some(Normalize::Url) => Normalizer::Url,
        };
        let sign = move |doc: &Document| -> Option<u128> {
            let content = match doc.fields.get(&key)? {
                Field::Text => return Some(exact::key(doc.text.as_ref()?.as_str(), normalizer, seed)),
                Field::Raw(raw) => match doc.fields.str(&key) {
                    Some(text) => text.into_owned(),
                    None => raw.get().to_owned(),
                },
                Field::Value(serde_json::Value::String(text)) => text.clone(),
                Field::Value(value) => value.to_string(),
            };
            Some(exact::key(&content, normalizer, seed))
        };
        Ok(Built::Barrier(Barrier {
            signer: Signer::One(Box::new(sign)),
            reason: "duplicate",
            keys_per_document: 1,
            max_component: None,
        }))
    }
}
