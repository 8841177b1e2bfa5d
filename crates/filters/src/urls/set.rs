//! A set of many short strings in little memory.

use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Strings in one block of memory with a table of their places: some 16 bytes for each string besides its own.
#[derive(Clone, Debug, Default)]
pub struct StringSet {
    strings: String,
    /// Where each string ends.
    ends: Vec<usize>,
    /// Open addressing: number of the string plus one, 0 for none.
    slots: Vec<u32>,
}

impl StringSet {
    /// The set of the strings given. More than `u32::MAX` are not kept.
    pub fn new<S: AsRef<str>>(strings: impl IntoIterator<Item = S>) -> Self {
        let mut set = Self::default();
        for string in strings {
            set.insert(string.as_ref());
        }
        set.shrink_to_fit();
        set
    }

    /// Adds a string.
    pub fn insert(&mut self, string: &str) {
        let slot = self.slot(string.as_bytes());
        let is_there = self.slots.get(slot).is_some_and(|number| *number != 0);
        if is_there || self.ends.len() >= u32::MAX as usize - 1 {
            return;
        }
        self.strings.push_str(string);
        self.ends.push(self.strings.len());
        if self.ends.len() * 2 > self.slots.len() {
            self.rebuild();
        } else if let Some(slot) = self.slots.get_mut(slot) {
            *slot = self.ends.len() as u32;
        }
    }

    /// Gives back what was got in advance.
    pub fn shrink_to_fit(&mut self) {
        self.strings.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Bytes that the strings take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.strings.len()
    }

    #[must_use]
    pub fn contains(&self, string: &str) -> bool {
        self.slots.get(self.slot(string.as_bytes())).is_some_and(|number| *number != 0)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends.get(index - 1).copied().unwrap_or(0) };
        let end = self.ends.get(index).copied().unwrap_or(start);
        self.strings.as_bytes().get(start..end).unwrap_or_default()
    }

    /// The slot that holds the string, else the free one where it belongs. 0 without slots.
    fn slot(&self, string: &[u8]) -> usize {
        let Some(mask) = self.slots.len().checked_sub(1) else { return 0 };
        let mut slot = hash(string) & mask;
        while let Some(number) = self.slots.get(slot)
            && *number != 0
            && self.get(*number as usize - 1) != string
        {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn rebuild(&mut self) {
        let size = (self.ends.len() * 4).next_power_of_two().max(16);
        self.slots = vec![0; size];
        for index in 0..self.ends.len() {
            let mut slot = hash(self.get(index)) & (size - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = index as u32 + 1;
        }
    }
}

fn hash(string: &[u8]) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(string);
    hasher.finish() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let names: Vec<String> = (0..1000).map(|n| format!("host{n}.example")).collect();
        let set = StringSet::new(names.iter().chain(&names));
        assert_eq!(set.len(), 1000);
        assert!(names.iter().all(|name| set.contains(name)));
        assert!(!set.contains("") && !set.contains("host1000.example") && !set.contains("host1.exampl"));
        assert!(!StringSet::new([""; 0]).contains(""));
        assert!(StringSet::new([""]).contains(""));
    }
}
