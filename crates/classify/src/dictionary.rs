//! The words and labels of a model, found by their bytes.
//!
//! In the file: `i32` entries, `i32` words, `i32` labels, `i64` tokens seen in training, `i64` pruned n-grams or -1; then for each entry its bytes,
//! a NUL, an `i64` count and a type byte (0 word, 1 label), words first; then the pruned n-grams, two `i32` each (fastText's
//! `src/dictionary.cc`, `save` and `load`). Words stay where they are in the blob; the table that finds them is the only copy of
//! anything, 12 bytes a slot and at most two thirds full.

use std::ops::Range;

use crate::ModelError;
use crate::features::Pruned;
use crate::prefetch::prefetch;
use crate::reader::Reader;
use crate::tokens::{Token, hash};

const SECTION: &str = "the dictionary";
/// The shortest entry: a NUL, a count and a type.
const MIN_ENTRY_BYTES: u64 = 10;
const FREE: u32 = u32::MAX;
/// Spreads FNV's weaker low bits over the table (2^32 divided by the golden ratio).
const SPREAD: u32 = 0x9e37_79b9;

/// Where the entries of a model are, and a hash table over them.
pub(crate) struct Dictionary {
    /// The entries in the blob; offsets count from its start.
    entries: Range<usize>,
    slots: Box<[Slot]>,
    /// How far a spread hash is shifted to give a slot.
    shift: u32,
    /// Entries below this are words, the others labels.
    pub(crate) words: u32,
    pub(crate) labels: Vec<Label>,
    pub(crate) pruned: Pruned,
}

/// A label as the file has it.
pub(crate) struct Label {
    pub(crate) name: Box<[u8]>,
    /// How often training met it; decides its place in the tree of a hierarchical softmax.
    pub(crate) count: i64,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    entry: u32,
    offset: u32,
}

impl Dictionary {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        let size = reader.count32(SECTION, "its size")?;
        let words = reader.count32(SECTION, "its number of words")?;
        let labels = reader.count32(SECTION, "its number of labels")?;
        if u64::from(words) + u64::from(labels) != u64::from(size) {
            return Err(
                reader.corrupt(SECTION, format!("{words} words and {labels} labels make {size} entries"))
            );
        }
        if labels == 0 {
            return Err(reader.corrupt(SECTION, "no label is known".into()));
        }
        let _tokens_seen = reader.i64(SECTION)?;
        let pruned = reader.i64(SECTION)?;
        let start = reader.at();
        let all = reader.left();
        if (all.len() as u64) < u64::from(size) * MIN_ENTRY_BYTES {
            return Err(ModelError::Truncated {
                section: SECTION,
                at: start,
                wanted: u64::from(size) * MIN_ENTRY_BYTES,
                left: all.len(),
            });
        }

        let bits = (u64::from(size) * 3 / 2 + 1).next_power_of_two().ilog2().max(1);
        let free = Slot { hash: 0, entry: FREE, offset: 0 };
        let mut dictionary = Self {
            entries: start..start,
            slots: vec![free; 1 << bits].into_boxed_slice(),
            shift: 32_u32.saturating_sub(bits),
            words,
            labels: Vec::with_capacity(labels as usize),
            pruned: Pruned::No,
        };
        for entry in 0..size {
            let offset = reader.at() - start;
            let left = reader.left();
            let Some(length) = memchr::memchr(0, left) else {
                return Err(ModelError::Truncated {
                    section: SECTION,
                    at: reader.at(),
                    wanted: left.len() as u64 + MIN_ENTRY_BYTES,
                    left: left.len(),
                });
            };
            let name = left.get(..length).unwrap_or_default();
            reader.skip(SECTION, length as u64 + 1)?;
            let count = reader.i64(SECTION)?;
            let is_label = reader.bool(SECTION)?;
            if is_label != (entry >= words) {
                return Err(reader.corrupt(SECTION, format!("entry {entry} is of the wrong type")));
            }
            let offset = u32::try_from(offset).map_err(|_| {
                ModelError::Unsupported(
                    "its dictionary is longer than 4 GiB; train with a higher minCount".into(),
                )
            })?;
            dictionary.insert(all, Slot { hash: hash(name), entry, offset }, name);
            if is_label {
                dictionary.labels.push(Label { name: name.into(), count });
            }
        }
        dictionary.entries = start..reader.at();
        dictionary.pruned = Pruned::read(reader, pruned)?;
        Ok(dictionary)
    }

    /// Of entries with the same bytes the last is found, as in C++.
    fn insert(&mut self, all: &[u8], new: Slot, name: &[u8]) {
        let mut at = self.start(new.hash);
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.entry == FREE || (slot.hash == new.hash && is_at(all, slot.offset, name)) {
                *slot = new;
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    fn start(&self, hash: u32) -> usize {
        (u64::from(hash.wrapping_mul(SPREAD)) >> self.shift) as usize & (self.slots.len() - 1)
    }

    /// The bytes of the entries, to be handed to [`find`](Self::find).
    pub(crate) fn entries<'b>(&self, blob: &'b [u8]) -> &'b [u8] {
        blob.get(self.entries.clone()).unwrap_or_default()
    }

    /// Has the place of a word in the table fetched from memory, since it will be looked up soon.
    #[inline]
    pub(crate) fn expect(&self, token: Token<'_>) {
        prefetch(
            self.slots.get(self.start(token.hash)..).and_then(|slots| slots.get(..1)).unwrap_or_default(),
        );
    }

    /// The number of the entry that is this word or label.
    #[inline]
    pub(crate) fn find(&self, entries: &[u8], token: Token<'_>) -> Option<u32> {
        let mut at = self.start(token.hash);
        loop {
            let slot = self.slots.get(at)?;
            if slot.entry == FREE {
                return None;
            }
            if slot.hash == token.hash && is_at(entries, slot.offset, token.bytes) {
                return Some(slot.entry);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Memory beyond the blob.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
            + self.labels.iter().map(|label| size_of::<Label>() + label.name.len()).sum::<usize>()
            + self.pruned.bytes()
    }
}

/// Whether the NUL-terminated string at `offset` is `name`, which holds no NUL.
#[inline]
fn is_at(entries: &[u8], offset: u32, name: &[u8]) -> bool {
    let Some(stored) = entries.get(offset as usize..) else { return false };
    stored.get(name.len()) == Some(&0) && stored.starts_with(name)
}
