//! From words to numbers (lm/vocab.cc). Words are known by their hashes; one that is not there is number 0, `<unk>`.

use super::binary::Header;
use super::bytes::{u32_at, u64_at};
use super::hashed::Table;
use super::{LoadError, murmur};

pub(super) enum Vocabulary {
    /// Hash → number.
    Probing { table: Table, bound: u32 },
    /// Hashes in order; a word's number is its place, from 1 on.
    Sorted { start: usize, words: usize },
}

/// Version and bound of a table of words, in front of it.
pub(super) const PROBING_HEADER_BYTES: usize = 8;
pub(super) const PROBING_ENTRY_BYTES: usize = 12;

impl Vocabulary {
    pub(super) fn probing(file: &[u8], header: &Header, end: &mut usize) -> Result<Self, LoadError> {
        let start = header.bytes();
        let words = header.counts.first().copied().unwrap_or_default();
        let table =
            Table::new(start + PROBING_HEADER_BYTES, words, header.probing_multiplier, PROBING_ENTRY_BYTES)?;
        *end = table.end();
        let version = u32_at(file, start);
        if version != 0 {
            return Err(LoadError::Unsupported(format!("its table of words has version {version}")));
        }
        let bound = u32_at(file, start + 4);
        if u64::from(bound) > words + 1 {
            let problem = format!("it numbers {bound} words and has {words}");
            return Err(LoadError::Damaged(problem));
        }
        Ok(Self::Probing { table, bound })
    }

    pub(super) fn sorted(file: &[u8], header: &Header, end: &mut usize) -> Result<Self, LoadError> {
        let start = header.bytes() + 8;
        let room = header.counts.first().copied().unwrap_or_default();
        let words = u64_at(file, start - 8);
        // `<unk>` is among those that were counted, and not in the table.
        if words >= room || room > u64::from(u32::MAX) {
            return Err(LoadError::Damaged(format!("it lists {words} words and has {room}")));
        }
        *end = start + 8 * room as usize;
        Ok(Self::Sorted { start, words: words as usize })
    }

    pub(super) fn index(&self, file: &[u8], word: &[u8]) -> u32 {
        let hash = murmur::hash(word);
        match self {
            Self::Probing { table, bound } => {
                let number = table.find(file, hash).map_or(0, |at| u32_at(file, at));
                if number < *bound { number } else { 0 }
            }
            Self::Sorted { start, words } => {
                let (mut low, mut high) = (0, *words);
                while low < high {
                    let middle = usize::midpoint(low, high);
                    match u64_at(file, start + 8 * middle).cmp(&hash) {
                        std::cmp::Ordering::Less => low = middle + 1,
                        std::cmp::Ordering::Greater => high = middle,
                        std::cmp::Ordering::Equal => return middle as u32 + 1,
                    }
                }
                0
            }
        }
    }
}
