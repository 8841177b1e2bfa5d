//! Merging pairs of pieces, the best first, until nothing fits together any more: src/bpe_model.cc.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Cut, Pieces, char_bytes};

#[derive(Debug, Default)]
pub(super) struct Scratch {
    symbols: Vec<Symbol>,
    pairs: BinaryHeap<Pair>,
}

/// A part of the text, in a list from left to right.
#[derive(Debug)]
struct Symbol {
    start: usize,
    /// 0 once it was merged into another.
    length: usize,
    left: Option<usize>,
    right: Option<usize>,
    /// Defined by a user and never merged.
    is_frozen: bool,
}

/// Neighbours that are a piece together.
#[derive(Debug)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Of both together. If they have changed since, the pair is no more.
    length: usize,
}

pub(super) fn encode(pieces: &Pieces, text: &[u8], scratch: &mut Scratch, cuts: &mut Vec<Cut>) {
    let Scratch { symbols, pairs } = scratch;
    symbols.clear();
    pairs.clear();
    let mut start = 0;
    while let Some(rest @ [lead, ..]) = text.get(start..) {
        let user_defined = pieces.user_defined.as_ref().and_then(|trie| trie.longest(rest));
        let length = user_defined.unwrap_or_else(|| char_bytes(*lead).min(rest.len()));
        let at = symbols.len();
        symbols.push(Symbol {
            start,
            length,
            left: at.checked_sub(1),
            right: (length < rest.len()).then_some(at + 1),
            is_frozen: user_defined.is_some(),
        });
        start += length;
    }
    for right in 1..symbols.len() {
        pairs.extend(pair(pieces, text, symbols, Some(right - 1), Some(right)));
    }
    while let Some(Pair { left, right, length, .. }) = pairs.pop() {
        let (Some(a), Some(b)) = (symbols.get(left), symbols.get(right)) else { continue };
        if a.length == 0 || b.length == 0 || a.length + b.length != length {
            continue;
        }
        let (before, after) = (a.left, b.right);
        if let Some(a) = symbols.get_mut(left) {
            (a.length, a.right) = (length, after);
        }
        if let Some(b) = symbols.get_mut(right) {
            b.length = 0;
        }
        if let Some(after) = after.and_then(|after| symbols.get_mut(after)) {
            after.left = Some(left);
        }
        pairs.extend(pair(pieces, text, symbols, before, Some(left)));
        pairs.extend(pair(pieces, text, symbols, Some(left), after));
    }
    cuts.extend(symbols.iter().filter(|symbol| symbol.length > 0).map(|symbol| {
        let range = symbol.start..symbol.start + symbol.length;
        let is_known = text.get(range.clone()).is_some_and(|piece| pieces.trie.get(piece).is_some());
        Cut { range, is_known }
    }));
}

fn pair(
    pieces: &Pieces,
    text: &[u8],
    symbols: &[Symbol],
    left: Option<usize>,
    right: Option<usize>,
) -> Option<Pair> {
    let (left, right) = (left?, right?);
    let (a, b) = (symbols.get(left)?, symbols.get(right)?);
    if a.is_frozen || b.is_frozen {
        return None;
    }
    let length = a.length + b.length;
    let piece = pieces.trie.get(text.get(a.start..a.start + length)?)?;
    Some(Pair { score: pieces.score(piece), left, right, length })
}

/// The highest score is the greatest, and of equal ones that furthest to the left.
impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        // Minus zero is zero.
        let score = |pair: &Self| pair.score + 0.0;
        score(self).total_cmp(&score(other)).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}
