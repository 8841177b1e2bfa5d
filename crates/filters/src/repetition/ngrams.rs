//! N-grams of rising size, and what they cover.

use super::Repetitions;
use super::interner::{Interner, Pairs};

/// The buffers of a lane.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(super) strings: Interner,
    pub(super) tallies: Vec<(usize, usize)>,
    pairs: Pairs,
    /// Where an n-gram starts that comes more than once, and its number.
    repeated: Vec<(u32, u32)>,
    found: Vec<(u32, u32)>,
}

/// The n-grams of a text that come more than once.
pub struct Ngrams<'a> {
    words: &'a Repetitions,
    scratch: &'a mut Scratch,
    size: usize,
}

impl<'a> Ngrams<'a> {
    /// N-grams of size 1: single words.
    pub fn new(words: &'a Repetitions, scratch: &'a mut Scratch) -> Self {
        let Scratch { pairs, repeated, .. } = &mut *scratch;
        pairs.counts.clear();
        pairs.counts.resize(words.lens.len(), 0);
        for id in &words.ids {
            pairs.counts[*id as usize] += 1;
        }
        repeated.clear();
        repeated.extend(
            words
                .ids
                .iter()
                .enumerate()
                .filter(|(_, id)| pairs.counts[**id as usize] > 1)
                .map(|(at, id)| (at as u32, *id)),
        );
        Self { words, scratch, size: 1 }
    }

    /// Goes on to a larger size.
    pub fn grow_to(&mut self, size: usize) {
        while self.size < size {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let Scratch { pairs, repeated, found, .. } = &mut *self.scratch;
        let ids = &self.words.ids;
        pairs.clear(repeated.len());
        found.clear();
        // An n-gram of one word more comes twice only if both the n-gram it starts with and the one it ends with do.
        for (&(at, id), &(next, _)) in repeated.iter().zip(repeated.iter().skip(1)) {
            if next == at + 1
                && let Some(word) = ids.get(at as usize + self.size)
            {
                found.push((at, pairs.count(id, *word)));
            }
        }
        found.retain(|(_, id)| pairs.counts[*id as usize] > 1);
        std::mem::swap(repeated, found);
        self.size += 1;
    }

    /// The share of all words' characters that the most common n-gram takes up; of those equally common the longest. 0 if none repeats.
    #[must_use]
    pub fn top_share(&self) -> f64 {
        let counts = &self.scratch.pairs.counts;
        let count_of = |id: u32| counts.get(id as usize).copied().unwrap_or(0);
        let Some(most) = self.scratch.repeated.iter().map(|(_, id)| count_of(*id)).max() else { return 0.0 };
        let longest = self
            .scratch
            .repeated
            .iter()
            .filter(|(_, id)| count_of(*id) == most)
            .map(|(at, _)| self.chars(*at as usize, *at as usize + self.size))
            .max();
        (longest.unwrap_or(0) * most as usize) as f64 / self.words.chars as f64
    }

    /// The share of all words' characters that lie in repeated n-grams, each word counted once. 0 if none repeats.
    #[must_use]
    pub fn repeated_share(&self) -> f64 {
        if self.scratch.repeated.is_empty() {
            return 0.0;
        }
        let (mut covered, mut chars) = (0, 0);
        for (at, _) in &self.scratch.repeated {
            let end = *at as usize + self.size;
            chars += self.chars(covered.max(*at as usize), end);
            covered = end;
        }
        chars as f64 / self.words.chars as f64
    }

    fn chars(&self, from: usize, to: usize) -> usize {
        let ids = self.words.ids.get(from..to).unwrap_or_default();
        ids.iter().map(|id| self.words.lens[*id as usize] as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// By the book: all n-grams in a map.
    fn slow(words: &[&str], size: usize) -> (f64, f64) {
        let total: usize = words.iter().map(|word| word.chars().count()).sum();
        let grams: Vec<&[&str]> = words.windows(size).collect();
        let mut counts: HashMap<&[&str], usize> = HashMap::new();
        for gram in &grams {
            *counts.entry(gram).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        if most < 2 {
            return (0.0, 0.0);
        }
        let chars = |gram: &[&str]| gram.iter().map(|word| word.chars().count()).sum::<usize>();
        let longest =
            counts.iter().filter(|(_, n)| **n == most).map(|(gram, _)| chars(gram)).max().unwrap_or(0);
        let mut covered = vec![false; words.len()];
        for (at, gram) in grams.iter().enumerate() {
            if counts[gram] > 1 {
                covered[at..at + size].fill(true);
            }
        }
        let repeated: usize =
            words.iter().zip(covered).filter(|(_, c)| *c).map(|(w, _)| w.chars().count()).sum();
        ((longest * most) as f64 / total as f64, repeated as f64 / total as f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]
        #[test]
        fn shares_are_those_of_all_ngrams(text in "((a|bb|c|dé|e) ){0,60}") {
            let words: Vec<&str> = text.split_whitespace().collect();
            let mut scratch = Scratch::default();
            let all = Repetitions::of(&text, &mut scratch);
            prop_assert_eq!(all.words(), words.len());
            let mut ngrams = Ngrams::new(&all, &mut scratch);
            for size in 1..=11 {
                ngrams.grow_to(size);
                let expected = slow(&words, size);
                prop_assert_eq!((ngrams.top_share().to_bits(), ngrams.repeated_share().to_bits()), (expected.0.to_bits(), expected.1.to_bits()), "size {}", size);
            }
        }
    }
}
