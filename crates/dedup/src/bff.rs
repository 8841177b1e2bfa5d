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
//!
//! The work is in three parts, so that only what must go document by document does: [`Grams`] hashes a text's n-grams, the [`Deduper`] asks
//! the filter and says what it [`Found`], and that is cut out of the text, wherever that lies by then.

mod found;
mod grams;

pub use found::{Fate, Found, FoundRows};
pub use grams::Grams;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Error;
use crate::bloom::Filter;
use crate::sections::Reader;

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

impl Params {
    /// Refuses what cannot be ([`Error::Invalid`]).
    pub fn check(&self) -> Result<(), Error> {
        let Self { min_ngram_size: min, max_ngram_size: max, filtering_threshold: threshold, .. } = *self;
        if min == 0 || min > max || max > 1000 {
            return Err(Error::Invalid(format!(
                "n-grams of {min} to {max} tokens: take 1 ≤ min_ngram_size ≤ max_ngram_size ≤ 1000"
            )));
        }
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::Invalid(format!("filtering_threshold is {threshold}: take 0 to 1")));
        }
        Ok(())
    }
}

impl Params {
    /// What a filter of these n-grams says that it holds.
    #[must_use]
    pub fn kind(&self) -> String {
        let of = if self.mode == Mode::Document { "documents" } else { "paragraphs" };
        format!("bff {}-{} grams of {of}", self.min_ngram_size, self.max_ngram_size)
    }
}

/// The group of a document, of so many that are deduplicated apart: by its record id, so that groups are alike and do not
/// depend on how the input is cut into tasks. (In DCLM every `shards`-th file is of one group.)
#[must_use]
pub fn group_of(id: &str, groups: u32, seed: u64) -> u32 {
    ((u128::from(xxh3_64_with_seed(id.as_bytes(), seed)) * u128::from(groups)) >> 64) as u32
}

/// Holds documents against a filter, one after the other.
#[derive(Clone, Debug)]
pub struct Deduper {
    params: Params,
    /// Whether what stays is inserted; else the filter is only asked.
    update: bool,
    found: Found,
    /// Whether all that stays is white space.
    blank: bool,
    hashes: Vec<u64>,
}

impl Deduper {
    /// A deduper with `params`. Without `update` it only asks.
    pub fn new(params: Params, update: bool) -> Result<Self, Error> {
        params.check()?;
        Ok(Self { params, update, found: Found::default(), blank: true, hashes: Vec::new() })
    }

    /// One document by its text. `grams` hashes with the filter's seed.
    pub fn document(&mut self, text: &str, grams: &mut Grams, filter: &mut Filter) -> &Found {
        self.begin();
        grams.each(text, |piece, hashes| self.piece(hashes, piece.trim().is_empty(), filter));
        self.end()
    }

    /// The next document of those that [`Grams::encode`] wrote; none at their end.
    pub fn read(
        &mut self,
        rows: &mut Reader<impl std::io::Read>,
        filter: &mut Filter,
    ) -> Result<Option<&Found>, Error> {
        if rows.is_at_end()? {
            return Ok(None);
        }
        self.begin();
        let mut hashes = std::mem::take(&mut self.hashes);
        let read = grams::each_piece(rows, &mut hashes, |hashes, blank| self.piece(hashes, blank, filter));
        self.hashes = hashes;
        self.found.ordinal = read?;
        Ok(Some(self.end()))
    }

    /// Passes over the next document; false at the end.
    pub fn skip(&mut self, rows: &mut Reader<impl std::io::Read>) -> Result<bool, Error> {
        if rows.is_at_end()? {
            return Ok(false);
        }
        grams::each_piece(rows, &mut self.hashes, |_, _| {})?;
        Ok(true)
    }

    fn begin(&mut self) {
        self.found.clear();
        self.blank = true;
    }

    fn piece(&mut self, hashes: &[u64], blank: bool, filter: &mut Filter) {
        let contained = hashes.iter().filter(|&&hash| filter.contains(hash)).count();
        let found = &mut self.found;
        found.ngrams += hashes.len() as u64;
        found.contained += contained as u64;
        // 0 of 0 is not a number, and not above the threshold.
        if contained as f64 / hashes.len() as f64 > self.params.filtering_threshold {
            found.gone.push(found.pieces);
        } else {
            self.blank &= blank;
            if self.update {
                for &hash in hashes {
                    filter.insert(hash);
                }
            }
        }
        found.pieces += 1;
    }

    fn end(&mut self) -> &Found {
        let found = &mut self.found;
        let whole = found.contained as f64 / found.ngrams as f64 > self.params.filtering_threshold;
        found.fate = match self.params.mode {
            Mode::OldBoth | Mode::Document if whole => Fate::Duplicate,
            _ if self.blank => Fate::Blank,
            _ => Fate::Stays,
        };
        found
    }
}

/// The byte ranges of a text's pieces.
fn each_range(text: &str, mode: Mode, mut take: impl FnMut(usize, usize)) {
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
    use crate::sections::Writer;

    fn run(params: Params, texts: &[&str]) -> Vec<Option<String>> {
        let mut grams = Grams::new(params, 7).expect("possible");
        let mut coded = Vec::new();
        let items = (0..).zip(texts).map(|(ordinal, text)| grams.encode(ordinal, text, &mut coded)).sum();
        let mut filter = Filter::new(Size::for_items(items, 1e-12).expect("possible"), 7);
        let mut deduper = Deduper::new(params, true).expect("possible");
        let mut again = (filter.clone(), deduper.clone());
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, 1);
        writer.push(&coded).expect("memory");
        writer.finish().expect("memory");
        let mut rows = Reader::new("f", 0, 0, &file[..]);
        let left = (0..).zip(texts).map(|(ordinal, text)| {
            let found = deduper.document(text, &mut grams, &mut filter);
            let read = again.1.read(&mut rows, &mut again.0).expect("sound").expect("a document");
            assert_eq!((read.ordinal, &Found { ordinal: 0, ..read.clone() }), (ordinal, found));
            found.left(text, params.mode)
        });
        let left = left.collect();
        assert!(again.1.read(&mut rows, &mut again.0).expect("sound").is_none());
        assert!(again.0 == filter);
        left
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
        let mut grams = Grams::new(Params::default(), 1).expect("possible");
        let mut deduper = Deduper::new(Params::default(), false).expect("possible");
        let mut filter = Filter::new(Size { blocks: 8, k: 5 }, 1);
        let empty = filter.clone();
        assert_eq!(deduper.document(&"word ".repeat(40), &mut grams, &mut filter).ngrams, 28);
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
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn groups_are_alike() {
        let mut sizes = [0; 7];
        for number in 0..7000 {
            sizes[group_of(&format!("<urn:uuid:{number}>"), 7, 3) as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (850..1150).contains(size)), "{sizes:?}");
        assert_eq!(group_of("x", 1, 9), 0);
    }
}
