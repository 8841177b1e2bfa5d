//! How much of a text repeats itself: lines, paragraphs, n-grams of words (Gopher, Rae et al. 2021, appendix A.1.1, in DCLM's reading).
//!
//! Words are numbered in the order of their first coming, so that an n-gram is a list of numbers; an n-gram of n + 1 words is the pair
//! of an n-gram's number and a word's, and gets a number of its own. That is exact: pairs of numbers are compared, not hashes. An
//! n-gram that comes once is part of no longer one that comes twice, so each size looks only where the size before found a repetition.

mod interner;
mod ngrams;

use crate::words;
pub use interner::Interner;
pub use ngrams::{Ngrams, Scratch};

/// The words of a text (UAX #29, first character alphanumeric), numbered.
#[derive(Clone, Debug, Default)]
pub struct Repetitions {
    /// For each word of the text, its number.
    pub(crate) ids: Vec<u32>,
    /// For each number, the length of the word in code points.
    pub(crate) lens: Vec<u32>,
    /// The lengths of all words of the text.
    pub(crate) chars: usize,
}

impl Repetitions {
    #[must_use]
    pub fn of(text: &str, scratch: &mut Scratch) -> Self {
        let mut all = Self::default();
        all.ids.reserve(text.len() / 6);
        let interner = &mut scratch.strings;
        // A new word every ten bytes is more than texts have.
        interner.clear(text.len() / 10);
        words::for_each(text, |word, chars| {
            let id = interner.number(text, word);
            if id as usize == all.lens.len() {
                all.lens.push(chars as u32);
            }
            all.ids.push(id);
            all.chars += chars;
        });
        all
    }

    #[must_use]
    pub fn words(&self) -> usize {
        self.ids.len()
    }
}

/// What repeats among the lines or paragraphs of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// Segments that are not blank.
    pub count: usize,
    /// Their lengths in code points, white space at both ends cut off.
    pub chars: usize,
    /// Segments that come more than once, all their copies counted, the first as well.
    pub repeated: usize,
    /// The lengths of those.
    pub repeated_chars: usize,
}

impl Segments {
    /// Between each `separator`, as Python's `re.split` finds it.
    #[must_use]
    pub fn of(text: &str, separator: &str, scratch: &mut Scratch) -> Self {
        let (interner, tallies) = (&mut scratch.strings, &mut scratch.tallies);
        interner.clear(16);
        tallies.clear();
        let mut all = Self::default();
        let mut start = 0;
        // As `str::split` does it, with a faster search.
        let ends = memchr::memmem::find_iter(text.as_bytes(), separator).chain([text.len()]);
        for end in ends {
            let segment = crate::python::strip(text.get(start..end).unwrap_or_default());
            start = end + separator.len();
            if segment.is_empty() {
                continue;
            }
            all.count += 1;
            let id = interner.number(text, segment) as usize;
            match tallies.get_mut(id) {
                Some((copies, _)) => *copies += 1,
                None => tallies.push((1, crate::python::len(segment))),
            }
        }
        for &(copies, chars) in tallies.iter() {
            all.chars += copies * chars;
            if copies > 1 {
                all.repeated += copies;
                all.repeated_chars += copies * chars;
            }
        }
        all
    }

    /// The share that repeats, by count or by characters. None where there is no segment.
    #[must_use]
    pub fn share(&self, characters: bool) -> Option<f64> {
        let (part, whole) =
            if characters { (self.repeated_chars, self.chars) } else { (self.repeated, self.count) };
        (self.count > 0).then(|| part as f64 / whole as f64)
    }
}

/// Whether a text passes one of DCLM's tests on segments: it fails without a segment and passes with a single one.
#[must_use]
pub fn segments_pass(segments: &Segments, characters: bool, max_fraction: f64) -> bool {
    match (segments.count, segments.share(characters)) {
        (1, _) => true,
        (_, Some(share)) => share <= max_fraction,
        (_, None) => false,
    }
}

/// A limit that a text goes beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    Empty,
    Lines,
    Paragraphs,
    /// The characters of the most common n-gram of this size.
    TopNgram(usize),
    /// The characters in any repeated n-gram of this size.
    Ngrams(usize),
}

/// Limits for top n-grams, by size (Gopher, table A1).
const TOP_NGRAMS: [(usize, f64); 3] = [(2, 0.20), (3, 0.18), (4, 0.16)];
/// Limits for all repeated n-grams, by size (Gopher, table A1).
const ALL_NGRAMS: [(usize, f64); 6] = [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)];

/// DCLM's `massive_web_repetition_filters`: all tests of Gopher in order; the first that fails is told.
pub fn massive_web(
    text: &mut crate::Text,
    skip_paragraphs: bool,
    scratch: &mut Scratch,
) -> Result<(), Excess> {
    let string = text.as_str();
    if string.is_empty() {
        return Err(Excess::Empty);
    }
    let lines = Segments::of(string, "\n", scratch);
    let paragraphs = (!skip_paragraphs).then(|| Segments::of(string, "\n\n", scratch));
    for (characters, limit) in [(false, 0.3), (true, 0.2)] {
        if !segments_pass(&lines, characters, limit) {
            return Err(Excess::Lines);
        }
        if paragraphs.is_some_and(|segments| !segments_pass(&segments, characters, limit)) {
            return Err(Excess::Paragraphs);
        }
    }
    let words = text.repetitions(scratch);
    let mut ngrams = Ngrams::new(words, scratch);
    for (size, limit) in TOP_NGRAMS {
        ngrams.grow_to(size);
        if ngrams.top_share() > limit {
            return Err(Excess::TopNgram(size));
        }
    }
    for (size, limit) in ALL_NGRAMS {
        ngrams.grow_to(size);
        if ngrams.repeated_share() > limit {
            return Err(Excess::Ngrams(size));
        }
    }
    Ok(())
}
