//! What a filter says of documents, and how that is stored until it is cut out of them.

use std::io::Read;

use super::{Mode, each_range};
use crate::Error;
use crate::block::put_varint;
use crate::sections::Reader;

/// What becomes of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It stays, perhaps without some of its pieces.
    #[default]
    Stays,
    /// Of all its n-grams, too many were contained.
    Duplicate,
    /// Nothing but white space is left of it.
    Blank,
}

/// What the filter says of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its place among the documents of its shard.
    pub ordinal: u32,
    pub fate: Fate,
    /// The pieces that go, by their places.
    pub gone: Vec<u32>,
    /// N-grams that were in the filter: `bff_contained_ngram_count_before_dedupe`.
    pub contained: u64,
    /// All n-grams; not stored.
    pub ngrams: u64,
    /// Pieces looked at; not stored.
    pub pieces: u32,
}

impl Found {
    pub(super) fn clear(&mut self) {
        let mut gone = std::mem::take(&mut self.gone);
        gone.clear();
        *self = Self { gone, ..Self::default() };
    }

    /// The byte ranges of `text` that go, in order: DCLM's `bff_duplicate_spans`. All of a document that goes as a
    /// duplicate.
    pub fn spans(&self, text: &str, mode: Mode) -> Vec<(usize, usize)> {
        if self.fate == Fate::Duplicate {
            return vec![(0, text.len())];
        }
        let mut spans = Vec::with_capacity(self.gone.len());
        let mut gone = self.gone.iter().peekable();
        let mut place = 0;
        each_range(text, mode, |start, end| {
            if gone.next_if_eq(&&place).is_some() {
                spans.push((start, end));
            }
            place += 1;
        });
        spans
    }

    /// What is left of `text`; none if the document goes.
    pub fn left(&self, text: &str, mode: Mode) -> Option<String> {
        if self.fate != Fate::Stays {
            return None;
        }
        let mut left = String::with_capacity(text.len());
        let mut from = 0;
        for (start, end) in self.spans(text, mode) {
            left.push_str(text.get(from..start).unwrap_or_default());
            from = end;
        }
        left.push_str(text.get(from..).unwrap_or_default());
        Some(left)
    }

    /// Adds the row to `out`: ordinal, contained n-grams, four times the number of pieces that go and the fate, and for each of
    /// those how far it is behind the last (LEB128).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let fate = match self.fate {
            Fate::Stays => 0,
            Fate::Duplicate => 1,
            Fate::Blank => 2,
        };
        put_varint(out, u64::from(self.ordinal));
        put_varint(out, self.contained);
        put_varint(out, 4 * self.gone.len() as u64 + fate);
        let mut next = 0;
        for &place in &self.gone {
            put_varint(out, u64::from(place - next));
            next = place + 1;
        }
    }
}

/// The rows of a shard, asked for in the order of its documents.
pub struct FoundRows<R> {
    rows: Reader<R>,
    /// The row under the head.
    found: Option<Found>,
}

impl<R: Read> FoundRows<R> {
    /// Rows from a section that holds nothing else.
    pub fn new(rows: Reader<R>) -> Self {
        Self { rows, found: None }
    }

    /// What was found of the document at `ordinal`. Ask in ascending order. A document without a row is an error: whatever
    /// was signed was held against the filter.
    pub fn at(&mut self, ordinal: u32) -> Result<&Found, Error> {
        while self.found.as_ref().is_none_or(|found| found.ordinal < ordinal) {
            if self.rows.is_at_end()? {
                break;
            }
            self.read()?;
        }
        match &self.found {
            Some(found) if found.ordinal == ordinal => Ok(found),
            _ => Err(self.rows.corrupt(&format!("it does not say what becomes of document {ordinal}"))),
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        let last = self.found.take();
        let mut found = Found { ordinal: self.number()?, contained: self.rows.varint()?, ..Found::default() };
        if last.as_ref().is_some_and(|last| last.ordinal >= found.ordinal) {
            return Err(self.rows.corrupt("its documents are out of order"));
        }
        let head = self.rows.varint()?;
        found.fate = match head % 4 {
            0 => Fate::Stays,
            1 => Fate::Duplicate,
            2 => Fate::Blank,
            _ => return Err(self.rows.corrupt("there is no such fate")),
        };
        let mut next = 0_u32;
        for _ in 0..head / 4 {
            let place = next.checked_add(self.number()?);
            let place = place.ok_or_else(|| self.rows.corrupt("a piece of more than 32 bits"))?;
            found.gone.push(place);
            next = place.saturating_add(1);
        }
        self.found = Some(found);
        Ok(())
    }

    fn number(&mut self) -> Result<u32, Error> {
        let number = self.rows.varint()?;
        u32::try_from(number).map_err(|_| self.rows.corrupt("a number of more than 32 bits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sections::Writer;

    fn file(rows: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, 1);
        writer.push(rows).expect("memory");
        writer.finish().expect("memory");
        file
    }

    fn rows(file: &[u8]) -> FoundRows<&[u8]> {
        FoundRows::new(Reader::new("f", 0, 0, file))
    }

    #[test]
    fn rows_come_back_by_ordinal() {
        let all = [
            Found { ordinal: 2, contained: 300, gone: vec![0, 1, 9], ..Found::default() },
            Found { ordinal: 3, fate: Fate::Duplicate, ..Found::default() },
            Found { ordinal: 90_000, fate: Fate::Blank, gone: vec![u32::MAX - 1], ..Found::default() },
        ];
        let mut coded = Vec::new();
        for found in &all {
            found.encode(&mut coded);
        }
        let file = file(&coded);
        let mut every = rows(&file);
        for found in &all {
            assert_eq!(every.at(found.ordinal).expect("sound"), found);
        }
        assert_eq!(rows(&file).at(90_000).expect("sound"), &all[2]);
        for missing in [0, 4, 90_001] {
            assert!(matches!(rows(&file).at(missing), Err(Error::Corrupt { .. })), "{missing}");
        }
    }

    #[test]
    fn what_goes_is_cut_out() {
        let text = "a\nb\n\nc";
        let found = |fate, gone: &[u32]| Found { fate, gone: gone.to_vec(), ..Found::default() };
        for (fate, gone, spans, left) in [
            (Fate::Stays, &[][..], vec![], Some(text)),
            (Fate::Stays, &[0, 3], vec![(0, 1), (4, 6)], Some("\nb\n")),
            (Fate::Blank, &[0, 1, 3], vec![(0, 1), (1, 3), (4, 6)], None),
            (Fate::Duplicate, &[1], vec![(0, 6)], None),
        ] {
            let found = found(fate, gone);
            assert_eq!(found.spans(text, Mode::OldBoth), spans);
            assert_eq!(found.left(text, Mode::OldBoth).as_deref(), left);
        }
        assert_eq!(found(Fate::Stays, &[0]).spans(text, Mode::Document), [(0, 6)]);
    }

    proptest! {
        #[test]
        fn bytes_of_others_are_errors(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let file = file(&bytes);
            let mut rows = rows(&file);
            for ordinal in [0, 5, 300, u32::MAX] {
                if rows.at(ordinal).is_err() {
                    break;
                }
            }
        }
    }
}
