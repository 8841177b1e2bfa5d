//! `minhash_dedup`

use crate::step::{Context, Kind};
use crate::{Barrier, BuildError, Built, Signer, Step};
use gristmill_dedup::minhash::{self, PRESETS};
use gristmill_dedup::shingle;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct MinhashDedup;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Bands and rows as published: `dclm` 93×15, `refinedweb` 450×20, `fineweb` 14×8, `olmo` 26×11.
    preset: Option<Preset>,
    /// Bands: each gives a key, and one shared key joins two documents. Overrides the preset.
    bands: Option<usize>,
    /// Rows of a band: the more, the more alike two documents must be. Overrides the preset.
    rows: Option<usize>,
    /// Units per shingle.
    ngram: usize,
    /// What a unit is: `words` (runs of letters, digits and `_`, lower-cased), `uax29` (words by Unicode's rules)
    /// or `chars`.
    unit: Unit,
    /// Components with more documents are left alone and counted: so large a one is a template, or a chain of
    /// loose matches, more often than one text.
    max_component: Option<usize>,
}

impl Default for Params {
    fn default() -> Self {
        Self { preset: None, bands: None, rows: None, ngram: 5, unit: Unit::Words, max_component: None }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Dclm,
    Refinedweb,
    Fineweb,
    Olmo,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Words,
    Uax29,
    Chars,
}

impl Preset {
    fn bands_and_rows(self) -> (usize, usize) {
        let name = match self {
            Self::Dclm => "dclm",
            Self::Refinedweb => "refinedweb",
            Self::Fineweb => "fineweb",
            Self::Olmo => "olmo",
        };
        PRESETS.iter().find(|preset| preset.0 == name).map_or((0, 0), |preset| (preset.1, preset.2))
    }
}

impl Params {
    fn minhash(&self, seed: u64) -> minhash::Params {
        let (bands, rows) = self.preset.map_or((0, 0), Preset::bands_and_rows);
        minhash::Params {
            ngram: self.ngram,
            unit: match self.unit {
                Unit::Words => shingle::Unit::Words,
                Unit::Uax29 => shingle::Unit::Uax29,
                Unit::Chars => shingle::Unit::Chars,
            },
            bands: self.bands.unwrap_or(bands),
            rows: self.rows.unwrap_or(rows),
            seed,
        }
    }
}

impl Step for MinhashDedup {
    const NAME: &'static str = "minhash_dedup";
    const DOC: &'static str = "Keeps one of all documents of the corpus whose texts are nearly the same.\n\n\
        Two documents of Jaccard similarity J over their shingles are joined with probability \
        1 - (1 - J^rows)^bands; what is joined is joined through others, too. Of a component the document with the \
        smallest record id stays. Texts without a shingle are kept.";
    const ORIGIN: &'static str = "Broder 1997; DCLM, arXiv 2406.11794 (93×15); RefinedWeb, arXiv 2306.01116 (450×20); \
        FineWeb, huggingface/datatrove, pipeline/dedup/minhash.py (14×8)";
    const EXAMPLE: &'static str = "{preset: fineweb, ngram: 5}";
    const KIND: Kind = Kind::Barrier;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.preset.is_none() && (params.bands.is_none() || params.rows.is_none()) {
            return Err(BuildError::new(
                "give a preset (dclm, refinedweb, fineweb, olmo), or bands and rows",
            ));
        }
        minhash::Signer::new(&params.minhash(0)).map(|_| ()).map_err(|e| BuildError::new(e.to_string()))
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let minhash = params.minhash(cx.seed);
        let mut signer = minhash::Signer::new(&minhash).map_err(|e| BuildError::new(e.to_string()))?;
        Ok(Built::Barrier(Barrier {
            signer: Signer::Fuzzy(Box::new(move |doc, keys| {
                if let Some(text) = &doc.text {
                    signer.band_keys(text.as_str(), keys);
                }
            })),
            reason: "near duplicate",
            keys_per_document: minhash.bands as u32,
            max_component: params.max_component,
        }))
    }
}
