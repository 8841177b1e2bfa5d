//! The likeliest cut of a text by a unigram model: `EncodeOptimized` in src/unigram_model.cc.

use super::proto::Kind;
use super::{Cut, Pieces, char_bytes};

/// What an unknown character costs more than the least likely piece.
const UNKNOWN_PENALTY: f32 = 10.0;
/// What a piece that a user defined costs, less its length times the greatest score: nearly nothing, so that it is always taken.
const USER_DEFINED_COST: f64 = 0.1;

/// The best way to each place of the text.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    best: Vec<Best>,
}

#[derive(Clone, Copy, Debug)]
struct Best {
    score: f32,
    /// Where the last piece on this way starts; [`UNREACHED`] if no way leads here.
    start: usize,
    is_known: bool,
}

const UNREACHED: usize = usize::MAX;

pub(super) fn encode(pieces: &Pieces, text: &[u8], scratch: &mut Scratch, cuts: &mut Vec<Cut>) {
    let best = &mut scratch.best;
    best.clear();
    best.resize(text.len() + 1, Best { score: 0.0, start: UNREACHED, is_known: true });
    let unknown_score = pieces.least_score - UNKNOWN_PENALTY;
    let mut start = 0;
    while let Some(rest @ [lead, ..]) = text.get(start..) {
        let score_here = best.get(start).map_or(0.0, |best| best.score);
        let char_length = char_bytes(*lead).min(rest.len());
        let mut is_char_known = false;
        let mut consider = |length: usize, score: f64, is_known: bool| {
            if let Some(best) = best.get_mut(start + length)
                && (best.start == UNREACHED || score > f64::from(best.score))
            {
                *best = Best { score: score as f32, start, is_known };
            }
        };
        pieces.trie.prefixes(rest, |length, piece| {
            // The sum is done in double precision, compared with what was rounded to single, and then rounded itself.
            let score = match pieces.kind(piece) {
                Kind::Unused => return,
                Kind::UserDefined => f64::from(length as f32 * pieces.greatest_score) - USER_DEFINED_COST,
                _ => f64::from(pieces.score(piece)),
            };
            consider(length, score + f64::from(score_here), true);
            is_char_known |= length == char_length;
        });
        if !is_char_known {
            // This one in single precision.
            consider(char_length, f64::from(unknown_score + score_here), false);
        }
        start += char_length;
    }
    let mut end = text.len();
    while end > 0 {
        let Some(Best { start, is_known, .. }) = best.get(end).filter(|best| best.start < end) else { break };
        cuts.push(Cut { range: *start..end, is_known: *is_known });
        end = *start;
    }
    cuts.reverse();
}
