//! The rows of frequent words, so that their character n-grams are hashed and looked up once.
//!
//! A direct-mapped table: a word that is met takes the place of the one that had its slot. Its size is fixed, and it only ever
//! changes the time taken: rows, and not their sum, are kept, so floats are added in the same order with and without it.

use crate::tokens::Token;

/// Slots, of some 200 bytes.
const SLOTS: usize = 1 << 13;
/// Longer words are not kept.
const WORD_BYTES: usize = 32;
/// Words of more rows are not kept.
const ROWS: usize = 44;
const SPREAD: u32 = 0x9e37_79b9;

/// What is known of a word.
#[derive(Clone, Copy)]
pub(crate) struct Cached<'c> {
    /// Not a label.
    pub(crate) is_word: bool,
    pub(crate) rows: &'c [u32],
}

#[derive(Clone)]
struct Slot {
    hash: u32,
    /// 0 in a free slot: no word is empty.
    length: u8,
    rows_used: u8,
    is_word: bool,
    word: [u8; WORD_BYTES],
    rows: [u32; ROWS],
}

/// See the module. Memory is taken when the first word is kept.
#[derive(Default)]
pub(crate) struct WordCache {
    slots: Vec<Slot>,
}

impl WordCache {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }

    #[inline]
    fn slot(hash: u32) -> usize {
        (hash.wrapping_mul(SPREAD) >> (32 - SLOTS.ilog2())) as usize
    }

    #[inline]
    pub(crate) fn find(&self, token: Token<'_>) -> Option<Cached<'_>> {
        let slot = self.slots.get(Self::slot(token.hash))?;
        let is_it = slot.hash == token.hash
            && usize::from(slot.length) == token.bytes.len()
            && slot.word.get(..token.bytes.len()) == Some(token.bytes);
        is_it.then_some(Cached {
            is_word: slot.is_word,
            rows: slot.rows.get(..usize::from(slot.rows_used)).unwrap_or_default(),
        })
    }

    pub(crate) fn put(&mut self, token: Token<'_>, cached: Cached<'_>) {
        if token.bytes.len() > WORD_BYTES || cached.rows.len() > ROWS {
            return;
        }
        if self.slots.is_empty() {
            let free = Slot {
                hash: 0,
                length: 0,
                rows_used: 0,
                is_word: false,
                word: [0; WORD_BYTES],
                rows: [0; ROWS],
            };
            self.slots.resize(SLOTS, free);
        }
        let Some(slot) = self.slots.get_mut(Self::slot(token.hash)) else { return };
        slot.hash = token.hash;
        slot.length = token.bytes.len() as u8;
        slot.rows_used = cached.rows.len() as u8;
        slot.is_word = cached.is_word;
        if let Some(word) = slot.word.get_mut(..token.bytes.len()) {
            word.copy_from_slice(token.bytes);
        }
        if let Some(rows) = slot.rows.get_mut(..cached.rows.len()) {
            rows.copy_from_slice(cached.rows);
        }
    }
}
