//! `paragraph_dedup`

use super::pieces::{self, Params};
use crate::step::{Context, Kind};
use crate::{BuildError, Built, IndexUse, Step};
use gristmill_dedup::pieces::Piece;
use serde_json::Value;

pub struct ParagraphDedup;

/// Paragraphs of an ordinary page of extracted text.
const PARAGRAPHS: u32 = 12;

impl Step for ParagraphDedup {
    const NAME: &'static str = "paragraph_dedup";
    const DOC: &'static str = "Keeps one of all equal paragraphs of the corpus.\n\n\
        Paragraphs are what stands between blank lines. They are compared by 128 bits of xxh3, after `normalize`, within a document and over the \
        whole corpus. Of equal paragraphs the first of the document with the smallest record id stays; the others are taken out. A document is \
        dropped if nothing is left of it. With `index` the paragraphs of documents of earlier jobs take part, and stay. What CCNet calls a paragraph is a line: see `line_dedup`.";
    const ORIGIN: &'static str = "CCNet, arXiv 1911.00359, facebookresearch/cc_net, cc_net/dedup.py";
    const EXAMPLE: &'static str = "{min_chars: 20}";
    const KIND: Kind = Kind::Barrier;
    type Params = Params;

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        Ok(pieces::build(params, Piece::Paragraph, PARAGRAPHS, cx))
    }

    fn index(params: &Params) -> Option<&IndexUse> {
        params.index.as_ref()
    }

    fn joins_by(params: &Params, seed: u64) -> Value {
        pieces::joins_by(params, seed)
    }
}
