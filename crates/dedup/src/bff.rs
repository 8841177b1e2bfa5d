//! DCLM's Bloom deduplication: paragraphs and documents against the n-grams seen so far.
//!
//! The rules are those of `dedup/bff` in mlfoundations/dclm (361714b, `src/main.rs`), held against its own output in
//! `tests/golden/bff.rs`. What differs is on purpose: seeds are fixed and records come in order, so that the same input
//! gives the same output (there, seeds are random, files are shuffled and threads race).
//!
//! - The text is cut before every "\n" (a paragraph keeps its leading line feed); in document mode it is one piece.
//! - A piece's tokens are UAX #29 pieces that are not white space; punctuation counts. Its n-grams have
//!   `max_ngram_size` tokens; a piece with fewer but at least `min_ngram_size` tokens is one n-gram; a shorter one has
//!   none, stays, and is not remembered.
//! - A piece goes if more than `filtering_threshold` of its n-grams are in the filter. The n-grams of a piece that
//!   stays are inserted after that. So a later paragraph of the same document can fall for an earlier one.
//! - In old-both mode the whole document goes if more than the threshold of all its n-grams were contained, though what
//!   its surviving paragraphs inserted stays inserted.
//! - What is left of a document is dropped if it is blank.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Error;
use crate::bloom::Filter;
use crate::shingle::Window;
use crate::tokens::each_token;

/// `remove_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `old-both`: paragraphs, and documents of which too much was contained. What DCLM-Baseline used.
    #[default]
    OldBoth,
    /// `paragraph`.
    Paragraph,
    /// `document`.
    Document,
}

/// The parameters, by DCLM's names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// `remove_type`.
    pub mode: Mode,
    /// Pieces with fewer tokens stay and are not remembered.
    pub min_ngram_size: usize,
    /// Tokens per n-gram.
    pub max_ngram_size: usize,
    /// The share of contained n-grams above which a piece goes.
    pub filtering_threshold: f64,
}

impl Default for Params {
    /// Those of DCLM-Baseline.
    fn default() -> Self {
        Self { mode: Mode::OldBoth, min_ngram_size: 13, max_ngram_size: 13, filtering_threshold: 0.8 }
    }
}

/// What the filter says of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Byte ranges that go, in order: DCLM's `bff_duplicate_spans`.
    pub spans: Vec<(usize, usize)>,
    /// Whether old-both takes the whole document.
    pub whole: bool,
    /// N-grams that were in the filter: `bff_contained_ngram_count_before_dedupe`.
    pub contained: u64,
    /// All n-grams.
    pub ngrams: u64,
    /// Pieces looked at.
    pub pieces: u64,
}

impl Outcome {
    /// What is left of `text`; `None` if the document goes because nothing but white space is.
    pub fn left<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if self.whole {
            return None;
        }
        let left = if self.spans.is_empty() {
            Cow::Borrowed(text)
        } else {
            let mut left = String::with_capacity(text.len());
            let mut from = 0;
            for &(start, end) in &self.spans {
                left.push_str(text.get(from..start).unwrap_or(""));
                from = end;
            }
            left.push_str(text.get(from..).unwrap_or(""));
            Cow::Owned(left)
        };
        (!left.trim().is_empty()).then_some(left)
    }
}

/// Counts n-grams, or looks for them in a filter, with buffers that are used again.
pub struct Deduper {
    params: Params,
    window: Window,
    hashes: Vec<u64>,
}

impl Deduper {
    /// A deduper with `params`, which may be impossible ([`Error::Invalid`]).
    pub fn new(params: Params) -> Result<Self, Error> {
        let Params { min_ngram_size: min, max_ngram_size: max, filtering_threshold: threshold, .. } = params;
        if min == 0 || min > max || max > 1000 {
            return Err(Error::Invalid(format!(
                "n-grams of {min} to {max} tokens: take 1 ≤ min_ngram_size ≤ max_ngram_size ≤ 1000"
            )));
        }
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::Invalid(format!("filtering_threshold is {threshold}: take 0 to 1")));
        }
        Ok(Self { params, window: Window::new(max), hashes: Vec::new() })
    }

    /// How many n-grams `text` has: their sum over the corpus is what [`Size::for_items`](crate::bloom::Size::for_items)
    /// wants.
    pub fn ngrams(&mut self, text: &str) -> u64 {
        let mut sum = 0;
        let (min, max) = (self.params.min_ngram_size, self.params.max_ngram_size);
        each_piece(text, self.params.mode, |start, end| {
            let mut tokens = 0;
            each_token(text.get(start..end).unwrap_or(""), |_| tokens += 1);
            sum += if tokens >= max { tokens - max + 1 } else { usize::from(tokens >= min) } as u64;
        });
        sum
    }

    /// Looks at one document and, if `update`, inserts what stays. Without it the filter is only asked.
    pub fn document(&mut self, text: &str, filter: &mut Filter, update: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let threshold = self.params.filtering_threshold;
        each_piece(text, self.params.mode, |start, end| {
            self.hash(text.get(start..end).unwrap_or(""), filter.seed());
            let contained = self.hashes.iter().filter(|&&hash| filter.contains(hash)).count();
            outcome.pieces += 1;
            outcome.ngrams += self.hashes.len() as u64;
            outcome.contained += contained as u64;
            // 0 of 0 is not a number, and not above the threshold.
            if contained as f64 / self.hashes.len() as f64 > threshold {
                outcome.spans.push((start, end));
            } else if update {
                for &hash in &self.hashes {
                    filter.insert(hash);
                }
            }
        });
        outcome.whole =
            self.params.mode == Mode::OldBoth && outcome.contained as f64 / outcome.ngrams as f64 > threshold;
        outcome
    }

    /// The hashes of a piece's n-grams into `self.hashes`.
    fn hash(&mut self, piece: &str, seed: u64) {
        self.hashes.clear();
        self.window.reset();
        let (window, hashes) = (&mut self.window, &mut self.hashes);
        each_token(piece, |token| window.push(xxh3_64_with_seed(token.as_bytes(), seed), hashes));
        if self.window.seen() >= self.params.min_ngram_size {
            self.window.finish(&mut self.hashes);
        }
    }
}

/// The byte ranges of a text's pieces.
fn each_piece(text: &str, mode: Mode, mut take: impl FnMut(usize, usize)) {
    let mut start = 0;
    if mode != Mode::Document {
        for (at, _) in text.match_indices('\n') {
            take(start, at);
            start = at;
        }
    }
    take(start, text.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bloom::Size;

    fn run(params: Params, texts: &[&str]) -> Vec<Option<String>> {
        let mut deduper = Deduper::new(params).expect("possible");
        let items = texts.iter().map(|text| deduper.ngrams(text)).sum();
        let mut filter = Filter::new(Size::for_items(items, 1e-12).expect("possible"), 7);
        texts
            .iter()
            .map(|text| deduper.document(text, &mut filter, true).left(text).map(Cow::into_owned))
            .collect()
    }

    fn params(mode: Mode) -> Params {
        Params { mode, min_ngram_size: 2, max_ngram_size: 3, filtering_threshold: 0.5 }
    }

    #[test]
    fn each_mode_takes_what_it_should() {
        let a = "one two three four five";
        let b = "six seven eight nine ten";
        let both = "one two three four five\nsix seven eight nine ten";
        let half = "one two three four five\nnew words are here now and more of them too";
        let some = |text: &str| Some(text.to_owned());
        for (mode, texts, expected) in [
            (Mode::Paragraph, vec![a, a], vec![some(a), None]),
            (Mode::Paragraph, vec![a, half], vec![some(a), some(&half[a.len()..])]),
            (Mode::Document, vec![a, half], vec![some(a), some(half)]),
            (Mode::Document, vec![a, b, both], vec![some(a), some(b), None]),
            (Mode::OldBoth, vec![a, half], vec![some(a), some(&half[a.len()..])]),
            // Twice the same paragraph in one document: the second goes.
            (Mode::Paragraph, vec!["x y z w\nx y z w"], vec![some("x y z w")]),
            // One token: never remembered. Two: one short n-gram.
            (Mode::Paragraph, vec!["a", "a", "a b", "a b"], vec![some("a"), some("a"), some("a b"), None]),
            (Mode::OldBoth, vec!["", " \n", "\n\na"], vec![None, None, some("\n\na")]),
        ] {
            assert_eq!(run(params(mode), &texts), expected, "{mode:?} {texts:?}");
        }
    }

    #[test]
    fn old_both_forgets_nothing_of_a_document_it_took() {
        let first = "a b c d e f g h\ni j k l m n o p";
        // Paragraph 1 has 6 n-grams of which all are known, paragraph 2 has 3 new ones: 6 of 9 are contained.
        let second = "a b c d e f g h\nq r s t u";
        assert_eq!(run(params(Mode::OldBoth), &[first, second])[1], None);
        assert_eq!(run(params(Mode::OldBoth), &[first, second, "q r s t u"])[2], None);
    }

    #[test]
    fn a_query_changes_nothing() {
        let mut deduper = Deduper::new(Params::default()).expect("possible");
        let mut filter = Filter::new(Size { blocks: 8, k: 5 }, 1);
        let empty = filter.clone();
        deduper.document(&"word ".repeat(40), &mut filter, false);
        assert!(filter == empty);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for bad in [
            Params { min_ngram_size: 0, ..Params::default() },
            Params { min_ngram_size: 14, ..Params::default() },
            Params { filtering_threshold: 1.5, ..Params::default() },
            Params { filtering_threshold: f64::NAN, ..Params::default() },
        ] {
            assert!(Deduper::new(bad).is_err(), "{bad:?}");
        }
    }
}
