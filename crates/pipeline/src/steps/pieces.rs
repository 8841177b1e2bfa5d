//! What `line_dedup` and `paragraph_dedup` have in common: a text's pieces as units of an exact dedup.

use super::shared::EXACT_KEY_BYTES;
use crate::step::{Context, ExactUnits, Report};
use crate::{Barrier, Built, Document, IndexUse, Signer, Verdict};
use gristmill_dedup::exact::Normalizer;
use gristmill_dedup::pieces::{self, Piece, Pieces};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What is done to a piece before it is compared; the document keeps its own.
    normalize: Normalize,
    /// Shorter pieces, in characters without white space at both ends, are not compared and stay.
    min_chars: usize,
    /// Documents of earlier jobs whose pieces these are compared with, too: a piece that one of them has goes. An address, or
    /// `{at: ADDRESS, extend: true}`: then this job's documents become the index's next generation.
    pub(super) index: Option<IndexUse>,
}

impl Default for Params {
    fn default() -> Self {
        Self { normalize: Normalize::WhitespaceAndLowercase, min_chars: 1, index: None }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Normalize {
    /// Nothing.
    None,
    /// White space cut off both ends, lower case.
    #[serde(rename = "normalize_whitespace_and_lowercase")]
    WhitespaceAndLowercase,
    /// CCNet's rule: also digits to 0, punctuation gone, accents gone.
    CcnetDedupNormalizer,
}

/// What decides which pieces are equal.
pub(super) fn joins_by(params: &Params, seed: u64) -> Value {
    json!({"normalize": params.normalize, "min_chars": params.min_chars, "seed": seed})
}

pub(super) const NOTHING_LEFT: &str = "nothing left";

/// `pieces_per_document`: as an ordinary page has them, for estimates.
pub(super) fn build(params: &Params, piece: Piece, pieces_per_document: u32, cx: &Context) -> Built {
    let normalizer = match params.normalize {
        Normalize::None => Normalizer::None,
        Normalize::WhitespaceAndLowercase => Normalizer::WhitespaceAndLowercase,
        Normalize::CcnetDedupNormalizer => Normalizer::Ccnet,
    };
    let pieces = Pieces { piece, normalizer, min_chars: params.min_chars, seed: cx.seed };
    Built::Barrier(Barrier {
        signer: Signer::Exact(Box::new(TextPieces { pieces, rank: Vec::new() })),
        reason: "duplicate",
        bytes_per_document: u64::from(pieces_per_document) * EXACT_KEY_BYTES,
        max_component: None,
        report: Report::default(),
    })
}

struct TextPieces {
    pieces: Pieces,
    rank: Vec<u8>,
}

impl ExactUnits for TextPieces {
    fn sign(&mut self, doc: &Document, unit: &mut dyn FnMut(Option<u128>, &[u8])) {
        let Some(text) = &doc.text else { return };
        let mut place = 0;
        self.pieces.each(text.as_str(), |_, key| {
            pieces::rank(doc.id.as_bytes(), place, &mut self.rank);
            unit(key, &self.rank);
            place += 1;
        });
    }

    fn remove(&mut self, doc: &mut Document, gone: &dyn Fn(u32) -> bool) -> Verdict {
        let Some(text) = &mut doc.text else { return Verdict::Keep };
        let left = self.pieces.without(text.as_str(), gone);
        let verdict = Verdict::keep_if(!left.trim().is_empty(), NOTHING_LEFT);
        text.set(left);
        verdict
    }
}
