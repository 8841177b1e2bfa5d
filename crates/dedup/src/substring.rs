//! Spans of text that an earlier document has too: `substring_dedup`.
//!
//! A span is at least `min_tokens` equal tokens in a row (UAX #29 pieces that are not white space, compared byte for byte;
//! the white space between them does not matter). No suffix array of the corpus is built. Instead each document is
//! reduced to anchors, hashes of some of its k-grams (k half of `min_tokens`), chosen by winnowing: in every window of
//! `min_tokens` tokens the k-gram of least hash, the last one of equals. Which one that is depends on the window alone, so
//! that two documents which share a span share an anchor at the same place in it, always. About four anchors come to
//! `min_tokens` tokens.
//!
//! From there the way is that of near-duplicates: [`keys`](Finder::keys) go into key files, buckets emit
//! [candidates](crate::bucket::candidates), pairs are joined with the earlier document's text as
//! [verification](crate::verify) joins them with sets, and [`shared`](Finder::shared) extends each common anchor in both
//! directions and returns the later document's exact spans. The earlier document keeps its copy, unless a still earlier one
//! has it.
//!
//! Repetition inside one document is not looked at. Work is bounded: an anchor that the earlier document has more than 64
//! times is tried at the first 64, and at most 64 tokens are compared for each token of both documents; only
//! text that repeats itself hundreds of times comes near.
//!
//! Sources: Lee et al., "Deduplicating Training Data Makes Language Models Better" (arXiv 2107.06499) for the task and 50
//! tokens; Schleimer, Wilkerson, Aiken, "Winnowing" (SIGMOD 2003) for the anchors.

use std::collections::{BTreeMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Error;
use crate::shingle::Window;
use crate::tokens::each_token;

/// Places of one anchor that are tried, and tokens compared for each token there is.
const EFFORT: usize = 64;

/// Finds anchors and shared spans, with buffers that are used again.
pub struct Finder {
    min_tokens: usize,
    gram: usize,
    seed: u64,
    window: Window,
    earlier: Tokens,
    later: Tokens,
}

/// A text's tokens and anchors.
#[derive(Default)]
struct Tokens {
    /// Byte range and hash of each.
    pieces: Vec<(usize, usize, u64)>,
    /// Hash and first token of each anchor, by place.
    anchors: Vec<(u64, usize)>,
    hashes: Vec<u64>,
    grams: Vec<u64>,
    least: VecDeque<usize>,
}

impl Finder {
    /// A finder of spans of at least `min_tokens` tokens (2 to 1000).
    pub fn new(min_tokens: usize, seed: u64) -> Result<Self, Error> {
        if !(2..=1000).contains(&min_tokens) {
            return Err(Error::Invalid(format!("spans of {min_tokens} tokens: take 2 to 1000")));
        }
        let gram = min_tokens / 2;
        Ok(Self {
            min_tokens,
            gram,
            seed,
            window: Window::new(gram),
            earlier: Tokens::default(),
            later: Tokens::default(),
        })
    }

    /// Writes the document's keys into `out`: its anchors' hashes, sorted, each once; none for texts that are too short.
    pub fn keys(&mut self, text: &str, out: &mut Vec<u64>) {
        self.read(text, false);
        out.clear();
        out.extend(self.later.anchors.iter().map(|anchor| anchor.0));
        out.sort_unstable();
        out.dedup();
    }

    /// Adds to `spans` the byte ranges of `text` that `earlier` has too, in order of place, perhaps overlapping
    /// ([`join_spans`]). A range reaches to the next token after it.
    pub fn shared(&mut self, earlier: &str, text: &str, spans: &mut Vec<(usize, usize)>) {
        self.read(earlier, true);
        self.read(text, false);
        let (a, b) = (&mut self.earlier, &self.later);
        a.anchors.sort_unstable();
        // Where the comparison along each diagonal (difference of places) ended.
        let mut ends: BTreeMap<isize, usize> = BTreeMap::new();
        let mut effort = EFFORT * (a.pieces.len() + b.pieces.len());
        let equal = |at_a: usize, at_b: usize| match (a.pieces.get(at_a), b.pieces.get(at_b)) {
            (Some(x), Some(y)) => x.2 == y.2 && earlier.get(x.0..x.1) == text.get(y.0..y.1),
            _ => false,
        };
        for &(hash, at_b) in &b.anchors {
            let first = a.anchors.partition_point(|anchor| anchor.0 < hash);
            let same = a.anchors.iter().skip(first).take_while(|anchor| anchor.0 == hash).take(EFFORT);
            for &(_, at_a) in same {
                let diagonal = at_b as isize - at_a as isize;
                if ends.get(&diagonal).is_some_and(|&end| end > at_b) {
                    continue;
                }
                let mut before = 0;
                while before < at_a.min(at_b) && equal(at_a - before - 1, at_b - before - 1) {
                    before += 1;
                }
                let mut after = 0;
                while equal(at_a + after, at_b + after) {
                    after += 1;
                }
                ends.insert(diagonal, at_b + after);
                if before + after >= self.min_tokens {
                    let place = |token: usize, end: usize| b.pieces.get(token).map_or(end, |token| token.0);
                    spans.push((place(at_b - before, text.len()), place(at_b + after, text.len())));
                }
                effort = effort.saturating_sub(before + after + 1);
                if effort == 0 {
                    return;
                }
            }
        }
    }

    /// Tokens and anchors of `text`.
    fn read(&mut self, text: &str, earlier: bool) {
        let seed = self.seed;
        let Tokens { pieces, anchors, hashes, grams, least } =
            if earlier { &mut self.earlier } else { &mut self.later };
        pieces.clear();
        anchors.clear();
        hashes.clear();
        // Tokens are slices of the text.
        let base = text.as_ptr() as usize;
        each_token(text, |token| {
            let start = token.as_ptr() as usize - base;
            let hash = xxh3_64_with_seed(token.as_bytes(), seed);
            pieces.push((start, start + token.len(), hash));
            hashes.push(hash);
        });
        grams.clear();
        self.window.reset();
        for &hash in &*hashes {
            self.window.push(hash, grams);
        }
        // The least of each window of k-grams, by a queue of candidates with rising hashes.
        let width = self.min_tokens - self.gram + 1;
        least.clear();
        for (at, &hash) in grams.iter().enumerate() {
            while least.back().and_then(|&last| grams.get(last)).is_some_and(|&last| last >= hash) {
                least.pop_back();
            }
            least.push_back(at);
            if least.front().is_some_and(|&front| front + width <= at) {
                least.pop_front();
            }
            if let Some(&front) = least.front()
                && at + 1 >= width
                && anchors.last().is_none_or(|last| last.1 != front)
            {
                anchors.push((grams.get(front).copied().unwrap_or(hash), front));
            }
        }
    }
}

/// Sorts byte ranges and joins those that touch.
pub fn join_spans(spans: &mut Vec<(usize, usize)>) {
    spans.sort_unstable();
    spans.dedup_by(|next, kept| {
        let touch = next.0 <= kept.1;
        if touch {
            kept.1 = kept.1.max(next.1);
        }
        touch
    });
}

/// `text` without the ranges of `spans`, which are joined.
pub fn cut(text: &str, spans: &[(usize, usize)]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut from = 0;
    for &(start, end) in spans {
        left.push_str(text.get(from..start).unwrap_or(""));
        from = end;
    }
    left.push_str(text.get(from..).unwrap_or(""));
    left
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn left(min_tokens: usize, earlier: &str, text: &str) -> String {
        let mut spans = Vec::new();
        Finder::new(min_tokens, 1).expect("possible").shared(earlier, text, &mut spans);
        join_spans(&mut spans);
        cut(text, &spans)
    }

    #[test]
    fn shared_spans_go() {
        for (min_tokens, earlier, text, expected) in [
            (4, "a b c d e", "x a b c d y", "x y"),
            (4, "a b c d e", "x a b c y", "x a b c y"),
            (4, "a  b\nc d", "a b c d", ""),
            (4, "a b c d", "a b c d! tail", "! tail"),
            (4, "one two three four, five", "Say: one two three four, five. Done", "Say: . Done"),
            (2, "p q r s", "r s p q", ""),
            (4, "", "a b c d", "a b c d"),
            (4, "é è ê ë", "ü é è ê ë ö", "ü ö"),
        ] {
            assert_eq!(left(min_tokens, earlier, text), expected, "{earlier:?} {text:?}");
        }
        assert!(Finder::new(1, 1).is_err());
    }

    #[test]
    fn a_text_that_repeats_itself_costs_no_more_than_its_length() {
        let periodic = "a b ".repeat(100_000);
        assert_eq!(left(50, &periodic, &periodic), "");
    }

    #[test]
    fn anchors_are_few() {
        let text: Vec<String> = (0..10_000).map(|i| format!("w{}", i * i % 1_000_003)).collect();
        let mut keys = Vec::new();
        Finder::new(50, 1).expect("possible").keys(&text.join(" "), &mut keys);
        assert!((600..1000).contains(&keys.len()), "{} anchors", keys.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn every_shared_window_is_found_and_nothing_else(
            earlier in "([abc] ){0,60}",
            text in "([abc] ){0,60}",
            min_tokens in 2_usize..9,
        ) {
            let (a, b): (Vec<&str>, Vec<&str>) = (earlier.split_whitespace().collect(), text.split_whitespace().collect());
            let known: BTreeSet<&[&str]> = a.windows(min_tokens).collect();
            let mut keep = vec![true; b.len()];
            for (at, window) in b.windows(min_tokens).enumerate() {
                if known.contains(window) {
                    keep[at..at + min_tokens].fill(false);
                }
            }
            let expected: String =
                b.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(token, _)| format!("{token} ")).collect::<Vec<_>>().concat();
            prop_assert_eq!(left(min_tokens, &earlier, &text), expected);

            // Documents that share a window share a key.
            let mut finder = Finder::new(min_tokens, 1).expect("possible");
            let (mut x, mut y) = (Vec::new(), Vec::new());
            finder.keys(&earlier, &mut x);
            finder.keys(&text, &mut y);
            prop_assert!(keep.iter().all(|&keep| keep) || x.iter().any(|key| y.contains(key)));
        }
    }
}
