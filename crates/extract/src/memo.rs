//! What class and id values say, remembered: pages and sites repeat theirs.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Longer pairs are answered anew each time. Chosen so that a slot is two cache lines.
pub(crate) const KEPT_KEY_BYTES: usize = 112;

/// Slots of the memory, each for one pair of values: half a megabyte.
const SLOTS: usize = 1 << 12;

/// Answers by class and id. Direct-mapped: a newcomer takes the slot of whoever was there, so that neither size nor
/// time depend on what pages do. What it answers never depends on what it holds.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Slot {
    hash: u64,
    answer: u32,
    class_length: u8,
    id_length: u8,
    /// Class and id one after the other.
    key: [u8; KEPT_KEY_BYTES],
}

impl Memo {
    /// The answer for this pair, computed if it is not remembered.
    pub(crate) fn answer(&mut self, class: &str, id: &str, compute: impl FnOnce() -> u32) -> u32 {
        if class.len() + id.len() > KEPT_KEY_BYTES {
            return compute();
        }
        let hash = Self::hash(class, id);
        if let Some(known) = self.get(hash, class, id) {
            return known;
        }
        let answer = compute();
        self.put(hash, class, id, answer);
        answer
    }

    fn hash(class: &str, id: &str) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write(class.as_bytes());
        hasher.write_usize(class.len());
        if !id.is_empty() {
            hasher.write(id.as_bytes());
        }
        hasher.finish()
    }

    fn slot(hash: u64) -> usize {
        (hash ^ (hash >> 32)) as usize % SLOTS
    }

    fn get(&self, hash: u64, class: &str, id: &str) -> Option<u32> {
        let slot = self.slots.get(Self::slot(hash))?;
        let lengths = (usize::from(slot.class_length), usize::from(slot.id_length));
        if slot.hash != hash || lengths != (class.len(), id.len()) {
            return None;
        }
        let (known_class, rest) = slot.key.split_at(class.len());
        let same = known_class == class.as_bytes() && (id.is_empty() || rest.starts_with(id.as_bytes()));
        same.then_some(slot.answer)
    }

    fn put(&mut self, hash: u64, class: &str, id: &str, answer: u32) {
        let mut slot = Slot {
            hash,
            answer,
            class_length: class.len() as u8,
            id_length: id.len() as u8,
            key: [0; KEPT_KEY_BYTES],
        };
        if self.slots.is_empty() {
            self.slots = vec![Slot { class_length: u8::MAX, ..slot }; SLOTS];
        }
        slot.key[..class.len()].copy_from_slice(class.as_bytes());
        slot.key[class.len()..class.len() + id.len()].copy_from_slice(id.as_bytes());
        self.slots[Self::slot(hash)] = slot;
    }
}
