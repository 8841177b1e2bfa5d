//! N-grams in hash tables (lm/search_hashed.hh, util/probing_hash_table.hh): one for each length, none for single words, whose values stand in
//! the order of their numbers.

use super::binary::Header;
use super::bytes::{f32_at, u64_at};
use super::{Gram, LoadError, Search};

/// A hash table with linear probing. An entry is its key, eight bytes, and its value; the key 0 marks an empty one.
#[derive(Clone, Debug)]
pub(super) struct Table {
    start: usize,
    pub(super) buckets: u64,
    entry_bytes: usize,
    end: usize,
}

pub(super) struct Hashed {
    pub(super) unigrams: usize,
    pub(super) unigram_bytes: usize,
    /// From two words on.
    pub(super) middles: Vec<Table>,
    pub(super) longest: Table,
}

/// An n-gram's hash from that of the n-gram without its first word.
pub(super) fn combine(hash: u64, word: u32) -> u64 {
    hash.wrapping_mul(8_978_948_897_894_561_157)
        ^ (1 + u64::from(word)).wrapping_mul(17_894_857_484_156_487_943)
}

impl Table {
    pub(super) fn new(
        start: usize,
        entries: u64,
        multiplier: f32,
        entry_bytes: usize,
    ) -> Result<Self, LoadError> {
        // In single precision, as in C++.
        let buckets = (entries + 1).max((multiplier * entries as f32) as u64);
        let end = usize::try_from(buckets)
            .ok()
            .and_then(|buckets| buckets.checked_mul(entry_bytes))
            .and_then(|bytes| bytes.checked_add(start))
            .ok_or_else(|| LoadError::Damaged(format!("a table of it has {buckets} buckets")))?;
        Ok(Self { start, buckets, entry_bytes, end })
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Where the value of a key stands in the file.
    pub(super) fn find(&self, file: &[u8], key: u64) -> Option<usize> {
        let entry = self.probe(file, key, |found| found == key || found == 0)?;
        (u64_at(file, entry) == key).then_some(entry + 8)
    }

    /// The first entry, from where the key belongs, whose key will do; none if none of the whole table does.
    #[inline]
    pub(super) fn probe(&self, file: &[u8], key: u64, will_do: impl Fn(u64) -> bool) -> Option<usize> {
        let mut at = self.start + (key % self.buckets) as usize * self.entry_bytes;
        for _ in 0..self.buckets {
            if will_do(u64_at(file, at)) {
                return Some(at);
            }
            at += self.entry_bytes;
            if at == self.end {
                at = self.start;
            }
        }
        None
    }
}

impl Hashed {
    pub(super) fn lay_out(header: &Header, start: usize, rest: bool) -> Result<Self, LoadError> {
        let value_bytes = if rest { 12 } else { 8 };
        let (words, multiplier) =
            (header.counts.first().copied().unwrap_or_default(), header.probing_multiplier);
        // One more than was counted, in case that `<unk>` was not.
        let mut at = start + (words as usize + 1) * value_bytes;
        let mut tables = Vec::new();
        for (length, count) in header.counts.iter().enumerate().skip(1) {
            let value_bytes = if length + 1 == header.counts.len() { 4 } else { value_bytes };
            let table = Table::new(at, *count, multiplier, 8 + value_bytes)?;
            at = table.end();
            tables.push(table);
        }
        let longest =
            tables.pop().ok_or_else(|| LoadError::Damaged("it has single words only".to_owned()))?;
        Ok(Self { unigrams: start, unigram_bytes: value_bytes, middles: tables, longest })
    }

    pub(super) fn end(&self) -> usize {
        self.longest.end()
    }
}

/// Probabilities are never positive, so their sign is free to say something else: it is set where no longer n-gram ends in this one.
fn gram_at(file: &[u8], at: usize) -> Gram {
    let prob = f32_at(file, at);
    Gram { prob: -prob.abs(), backoff: f32_at(file, at + 4), longest_match: prob.is_sign_negative() }
}

impl Search for Hashed {
    /// The hash of the words so far.
    type Node = u64;

    fn unigram(&self, file: &[u8], word: u32) -> (Gram, u64) {
        (gram_at(file, self.unigrams + word as usize * self.unigram_bytes), u64::from(word))
    }

    fn middle(&self, file: &[u8], middle: usize, context: u32, node: &mut u64) -> Option<Gram> {
        *node = combine(*node, context);
        let at = self.middles.get(middle)?.find(file, *node)?;
        Some(gram_at(file, at))
    }

    fn longest(&self, file: &[u8], context: u32, node: &u64) -> Option<f32> {
        let at = self.longest.find(file, combine(*node, context))?;
        Some(f32_at(file, at))
    }
}
