//! Numbers for strings and for pairs of numbers, exact: equal hashes are followed by a comparison.

use rustc_hash::FxHasher;
use std::hash::Hasher;

const EMPTY: u32 = u32::MAX;

/// Numbers the parts of one text, each distinct string in the order of its first coming. Keeps its memory between texts.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    /// Open addressing: number of the string, and bits of its hash to tell most others apart without a look at the text.
    slots: Vec<(u32, u32)>,
    /// Where each string lies in the text.
    spans: Vec<(u32, u32)>,
    hashes: Vec<u64>,
}

impl Interner {
    /// Forgets all strings and makes room for about `expected` of them.
    pub fn clear(&mut self, expected: usize) {
        self.spans.clear();
        self.hashes.clear();
        let size = (expected * 2).next_power_of_two().max(64);
        self.slots.clear();
        self.slots.resize(size, (EMPTY, 0));
    }

    /// The number of `part`, which must be a slice of `text`.
    #[inline]
    pub fn number(&mut self, text: &str, part: &str) -> u32 {
        if self.spans.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let hash = hash_bytes(part.as_bytes());
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (number, other) = self.slots[slot];
            if number == EMPTY {
                break;
            }
            if other == tag {
                let (start, end) = self.spans[number as usize];
                if text.as_bytes().get(start as usize..end as usize) == Some(part.as_bytes()) {
                    return number;
                }
            }
            slot = (slot + 1) & mask;
        }
        let number = self.spans.len() as u32;
        self.slots[slot] = (number, tag);
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        self.spans.push((start as u32, (start + part.len()) as u32));
        self.hashes.push(hash);
        number
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots.clear();
        self.slots.resize(size, (EMPTY, 0));
        for (number, hash) in self.hashes.iter().enumerate() {
            let mut slot = *hash as usize & (size - 1);
            while self.slots[slot].0 != EMPTY {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = (number as u32, (hash >> 32) as u32);
        }
    }
}

#[inline]
fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Counts pairs of numbers; each distinct pair gets a number in the order of its first coming.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    slots: Vec<(u64, u32)>,
    /// How often each pair came.
    pub(crate) counts: Vec<u32>,
}

impl Pairs {
    /// Forgets all pairs and makes room for `expected` of them, which must not be exceeded.
    pub(crate) fn clear(&mut self, expected: usize) {
        self.counts.clear();
        let size = (expected * 2).next_power_of_two().max(16);
        self.slots.clear();
        self.slots.resize(size, (0, EMPTY));
    }

    #[inline]
    pub(crate) fn count(&mut self, first: u32, second: u32) -> u32 {
        let pair = u64::from(first) << 32 | u64::from(second);
        let mask = self.slots.len() - 1;
        let hash = pair.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (hash >> 32) as usize & mask;
        loop {
            let (other, number) = self.slots[slot];
            if number == EMPTY {
                let number = self.counts.len() as u32;
                self.slots[slot] = (pair, number);
                self.counts.push(1);
                return number;
            }
            if other == pair {
                self.counts[number as usize] += 1;
                return number;
            }
            slot = (slot + 1) & mask;
        }
    }
}
