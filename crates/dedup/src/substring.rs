//! Spans of text that occur more than once: `substring_dedup`.
//!
//! A window is `length` units in a row: tokens (UAX #29 pieces that are not white space, compared byte for byte; the white
//! space between them does not matter) or characters. Occurrences of a window are in the order of their record ids, and in a
//! document of their places. An occurrence goes unless it is the first one or overlaps with it, and what is cut out of a
//! document is what such occurrences cover: every repeated span of at least `length` units, to its very ends, but for its first
//! occurrence.
//!
//! No suffix array of the corpus is built, and no document is held against another. It would do to have a key for every
//! window, and to deduplicate those exactly, over the whole corpus; but that is a row a token. So that is only done where
//! something repeats, which is found first by anchors: of every window the k-gram of least hash (k half of `length`), the last
//! one of equals. Which one that is depends on the window alone, so that two equal windows have equal anchors at the same
//! place in them: a window whose anchor occurs nowhere else cannot repeat, and nothing that repeats is missed. There are about four
//! anchors to `length` units.
//!
//! From there the way is that of exact deduplication ([`crate::exact`]), twice: [`anchors`](Finder::anchors) → buckets → the
//! anchors that repeat → [`windows`](Finder::windows) → buckets → the occurrences that go → [`spans`](Finder::spans). Units are numbered
//! through all documents of a shard. Windows are compared by 128 bits, as contents are there. Memory does not depend on how
//! often one occurs.
//!
//! Sources: Lee et al., "Deduplicating Training Data Makes Language Models Better" (arXiv 2107.06499) for the task and 50
//! tokens; Schleimer, Wilkerson, Aiken, "Winnowing" (SIGMOD 2003) for the anchors.

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::Error;
use crate::keyfile::shard_and_ordinal;
use crate::shingle::Window;
use crate::tokens::each_token;

/// What lengths are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    #[default]
    Tokens,
    Chars,
}

/// Finds anchors, windows and spans, with buffers that are used again.
pub struct Finder {
    length: usize,
    unit: Unit,
    seed: u64,
    grams: Window,
    low: Window,
    high: Window,
    /// Where each unit of the text begins, and its hash.
    units: Vec<(usize, u128)>,
    hashes: Vec<u64>,
    least: VecDeque<usize>,
}

impl Finder {
    /// A finder of spans of at least `length` units (2 to 1000).
    pub fn new(length: usize, unit: Unit, seed: u64) -> Result<Self, Error> {
        if !(2..=1000).contains(&length) {
            return Err(Error::Invalid(format!("spans of {length} units: take 2 to 1000")));
        }
        Ok(Self {
            length,
            unit,
            seed,
            grams: Window::new(length / 2),
            low: Window::new(length),
            high: Window::new(length),
            units: Vec::new(),
            hashes: Vec::new(),
            least: VecDeque::new(),
        })
    }

    /// Calls `take` with every anchor in order, its place and its key. Gives the number of the text's units.
    pub fn anchors(&mut self, text: &str, mut take: impl FnMut(usize, u64)) -> usize {
        self.read(text);
        let mut last = None;
        self.each_window(|_, anchor, hash| {
            if last.replace(anchor) != Some(anchor) {
                take(anchor, hash);
            }
        });
        self.units.len()
    }

    /// Calls `take` with the place and the key of every window whose anchor repeats, by what `repeats` says of its place.
    pub fn windows(
        &mut self,
        text: &str,
        repeats: impl Fn(usize) -> bool,
        mut take: impl FnMut(usize, u128),
    ) {
        self.read(text);
        let mut wanted = VecDeque::new();
        self.each_window(|window, anchor, _| {
            if repeats(anchor) {
                wanted.push_back(window);
            }
        });
        self.low.reset();
        self.high.reset();
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for (at, (_, hash)) in self.units.iter().enumerate() {
            low.clear();
            high.clear();
            self.low.push(*hash as u64, &mut low);
            self.high.push((*hash >> 64) as u64, &mut high);
            if let (Some(low), Some(high), Some(window)) =
                (low.first(), high.first(), (at + 1).checked_sub(self.length))
                && wanted.front() == Some(&window)
            {
                wanted.pop_front();
                take(window, u128::from(*high) << 64 | u128::from(*low));
            }
        }
    }

    /// The byte ranges that the windows at these places, which are in order, cover. A range reaches to the next unit after it.
    pub fn spans(&mut self, text: &str, windows: &[u32]) -> Vec<(usize, usize)> {
        self.read(text);
        let place = |unit: usize| self.units.get(unit).map_or(text.len(), |unit| unit.0);
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for &window in windows {
            let (start, end) = (place(window as usize), place(window as usize + self.length));
            match spans.last_mut() {
                Some(last) if start <= last.1 => last.1 = end,
                _ => spans.push((start, end)),
            }
        }
        spans
    }

    /// The units of `text`, and the hashes of its k-grams.
    fn read(&mut self, text: &str) {
        let seed = self.seed;
        let units = &mut self.units;
        units.clear();
        // Units are slices of the text.
        let base = text.as_ptr() as usize;
        let mut push = |unit: &str| {
            units.push((unit.as_ptr() as usize - base, xxh3_128_with_seed(unit.as_bytes(), seed)))
        };
        match self.unit {
            Unit::Tokens => each_token(text, push),
            Unit::Chars => text
                .char_indices()
                .for_each(|(at, c)| push(text.get(at..at + c.len_utf8()).unwrap_or_default())),
        }
        self.hashes.clear();
        self.grams.reset();
        for (_, hash) in &self.units {
            self.grams.push(*hash as u64, &mut self.hashes);
        }
    }

    /// Calls `take` with every window, the place of its anchor, and that one's hash.
    fn each_window(&mut self, mut take: impl FnMut(usize, usize, u64)) {
        // The least of the k-grams of each window, by a queue of candidates with rising hashes.
        let width = self.length - self.length / 2 + 1;
        let (hashes, least) = (&self.hashes, &mut self.least);
        least.clear();
        for (at, &hash) in hashes.iter().enumerate() {
            while least.back().and_then(|&last| hashes.get(last)).is_some_and(|&last| last >= hash) {
                least.pop_back();
            }
            least.push_back(at);
            if least.front().is_some_and(|&front| front + width <= at) {
                least.pop_front();
            }
            if let (Some(&anchor), Some(window)) = (least.front(), (at + 1).checked_sub(width)) {
                take(window, anchor, hashes.get(anchor).copied().unwrap_or(hash));
            }
        }
    }
}

/// Whether two windows of `length` units, by their nodes, lie in one document and overlap. Windows of two documents of a shard
/// are always further apart, since none reaches beyond its document.
#[must_use]
pub fn overlap(a: u64, b: u64, length: usize) -> bool {
    shard_and_ordinal(a).0 == shard_and_ordinal(b).0 && a.abs_diff(b) < length as u64
}

/// `text` without the ranges of `spans`, which are in order and apart.
#[must_use]
pub fn cut(text: &str, spans: &[(usize, usize)]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut from = 0;
    for &(start, end) in spans {
        left.push_str(text.get(from..start).unwrap_or_default());
        from = end;
    }
    left.push_str(text.get(from..).unwrap_or_default());
    left
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::keyfile::node;

    /// What is left of documents in the order of their ids, by anchors and keys; one shard each.
    fn left(length: usize, unit: Unit, texts: &[&str]) -> Vec<String> {
        let mut finder = Finder::new(length, unit, 1).expect("possible");
        let mut anchors: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
        for (number, text) in texts.iter().enumerate() {
            finder.anchors(text, |place, key| anchors.entry(key).or_default().push((number, place)));
        }
        let repeated: BTreeSet<(usize, usize)> =
            anchors.into_values().filter(|of| of.len() > 1).flatten().collect();
        let mut first: BTreeMap<u128, u64> = BTreeMap::new();
        let mut gone = vec![Vec::new(); texts.len()];
        for (number, text) in texts.iter().enumerate() {
            let repeats = |place| repeated.contains(&(number, place));
            finder.windows(text, repeats, |place, key| {
                let node = node(number as u32, place as u32);
                let first = *first.entry(key).or_insert(node);
                if first != node && !overlap(first, node, length) {
                    gone[number].push(place as u32);
                }
            });
        }
        texts.iter().zip(gone).map(|(text, gone)| cut(text, &finder.spans(text, &gone))).collect()
    }

    /// The same by the rule, over all windows.
    fn left_by_the_rule(length: usize, texts: &[&str]) -> Vec<String> {
        let mut first: BTreeMap<Vec<&str>, (usize, usize)> = BTreeMap::new();
        let mut all = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let tokens: Vec<&str> = text.split_whitespace().collect();
            let mut keep = vec![true; tokens.len()];
            for (place, window) in tokens.windows(length).enumerate() {
                let first = *first.entry(window.to_vec()).or_insert((number, place));
                if first != (number, place) && !(first.0 == number && place - first.1 < length) {
                    keep[place..place + length].fill(false);
                }
            }
            let kept = tokens.iter().zip(keep).filter(|(_, keep)| *keep);
            all.push(kept.map(|(token, _)| format!("{token} ")).collect());
        }
        all
    }

    #[test]
    fn repeated_spans_go() {
        for (length, unit, texts, expected) in [
            (4, Unit::Tokens, &["a b c d e", "x a b c d y"][..], &["a b c d e", "x y"][..]),
            (4, Unit::Tokens, &["a b c d e", "x a b c y"], &["a b c d e", "x a b c y"]),
            (4, Unit::Tokens, &["a  b\nc d", "a b c d"], &["a  b\nc d", ""]),
            (4, Unit::Tokens, &["a b c d", "a b c d! tail"], &["a b c d", "! tail"]),
            (4, Unit::Tokens, &["x a b c d e y", "a b c d e", "b c d e z"], &["x a b c d e y", "", "z"]),
            (2, Unit::Tokens, &["p q r s", "r s p q"], &["p q r s", ""]),
            (4, Unit::Tokens, &["é è ê ë", "ü é è ê ë ö"], &["é è ê ë", "ü ö"]),
            // Within a document; a text that repeats itself keeps its beginning.
            (2, Unit::Tokens, &["a b x a b"], &["a b x "]),
            (3, Unit::Tokens, &["a a a a a a a a", "a a a"], &["a a a ", ""]),
            (4, Unit::Chars, &["abcdé", "xbcdéy"], &["abcdé", "xy"]),
            (4, Unit::Chars, &["a bc", "a  bc"], &["a bc", "a  bc"]),
        ] {
            assert_eq!(left(length, unit, texts), expected, "{length} {unit:?} {texts:?}");
        }
        assert!(Finder::new(1, Unit::Tokens, 1).is_err() && Finder::new(1001, Unit::Chars, 1).is_err());
    }

    #[test]
    fn anchors_are_few() {
        let text: Vec<String> = (0..10_000).map(|i| format!("w{}", i * i % 1_000_003)).collect();
        let mut finder = Finder::new(50, Unit::Tokens, 1).expect("possible");
        let mut anchors = 0;
        assert_eq!(finder.anchors(&text.join(" "), |_, _| anchors += 1), 10_000);
        assert!((600..1000).contains(&anchors), "{anchors} anchors");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn every_repeated_window_goes_and_nothing_else(
            texts in proptest::collection::vec("([abc] ){0,60}|(x [ab] ){0,30}", 1..6),
            length in 2_usize..9,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(left(length, Unit::Tokens, &texts), left_by_the_rule(length, &texts));
        }
    }
}
