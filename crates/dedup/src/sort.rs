//! Sorting rows that do not fit in memory.
//!
//! Rows gather in a buffer; a full buffer is sorted and written to a scratch file as blocks ([`crate::block`]);
//! at the end the scratch files and the last buffer are merged. Peak memory is the budget, whatever the number
//! of rows. Scratch files come from the caller (this crate opens no files), are written once and read from their beginning.

use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use crate::Error;
use crate::block::{self, NOTE_LIMIT, PAYLOAD, Reader};
use crate::stream::{Key, Merge, Stream};

/// A place for a sorted run: `std::fs::File` from `tempfile()`, or a `Cursor<Vec<u8>>`.
pub trait Scratch: Read + Write + Seek {}
impl<T: Read + Write + Seek> Scratch for T {}

/// What a row carries beside key and node: nothing ([`Plain`]), or bytes ([`Noted`]). Sealed.
pub trait Notes: Copy + sealed::Notes {
    /// Whether files of such rows have notes.
    const PRESENT: bool;
    /// Stores `note` in the arena.
    fn save(arena: &mut Vec<u8>, note: &[u8]) -> Self;
    /// Finds it again.
    fn get(self, arena: &[u8]) -> &[u8];
}

mod sealed {
    pub trait Notes {}
    impl Notes for super::Plain {}
    impl Notes for super::Noted {}
}

/// Rows without notes.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// Rows with a note each.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    start: u32,
    length: u32,
}

impl Notes for Plain {
    const PRESENT: bool = false;
    fn save(_: &mut Vec<u8>, _: &[u8]) -> Self {
        Self
    }
    fn get(self, _: &[u8]) -> &[u8] {
        &[]
    }
}

impl Notes for Noted {
    const PRESENT: bool = true;
    fn save(arena: &mut Vec<u8>, note: &[u8]) -> Self {
        let start = arena.len() as u32;
        arena.extend_from_slice(note);
        Self { start, length: note.len() as u32 }
    }
    fn get(self, arena: &[u8]) -> &[u8] {
        let start = self.start as usize;
        arena.get(start..start + self.length as usize).unwrap_or(&[])
    }
}

#[derive(Clone, Copy)]
struct Slot<K, N> {
    key: K,
    node: u64,
    note: N,
}

/// Takes rows in any order and gives them back sorted, each once, within a memory budget.
pub struct Sorter<K, N, S, F> {
    slots: Vec<Slot<K, N>>,
    arena: Vec<u8>,
    slot_limit: usize,
    arena_limit: usize,
    fan_in: usize,
    scratch: F,
    runs: Vec<Run<S>>,
}

struct Run<S> {
    file: S,
    bytes: u64,
}

impl<K: Key, N: Notes, S: Scratch, F: FnMut() -> io::Result<S>> Sorter<K, N, S, F> {
    /// A sorter that holds at most about `memory_bytes` (but at least some rows) and asks `scratch` for a file
    /// per full buffer.
    pub fn new(memory_bytes: usize, scratch: F) -> Self {
        let row = size_of::<Slot<K, N>>();
        // A WARC record id is 47 bytes; other notes only shift where a buffer counts as full.
        let slot_share = if N::PRESENT { memory_bytes / (row + 47) * row } else { memory_bytes };
        Self {
            slots: Vec::new(),
            arena: Vec::new(),
            slot_limit: (slot_share / row).max(256),
            arena_limit: (memory_bytes - slot_share).clamp(64 << 10, u32::MAX as usize - NOTE_LIMIT),
            // Each run that is merged has a block and a read buffer in memory.
            fan_in: (memory_bytes / (2 * PAYLOAD)).clamp(8, 4096),
            scratch,
            runs: Vec::new(),
        }
    }

    /// Adds a row. `note` is ignored by [`Plain`] sorters.
    #[inline]
    pub fn push(&mut self, key: K, node: u64, note: &[u8]) -> Result<(), Error> {
        if self.slots.len() >= self.slot_limit || (N::PRESENT && self.arena.len() >= self.arena_limit) {
            self.spill()?;
        }
        if N::PRESENT && note.len() > NOTE_LIMIT {
            return Err(Error::Invalid(format!(
                "a note of {} bytes is longer than {NOTE_LIMIT}: shorten the record id",
                note.len()
            )));
        }
        if self.slots.capacity() == 0 {
            // All at once: growing by doubling would copy, and hold three times the budget at the last step. Memory
            // that is not written to is only promised.
            self.slots.reserve_exact(self.slot_limit);
            self.arena.reserve_exact(if N::PRESENT { self.arena_limit } else { 0 });
        }
        let note = N::save(&mut self.arena, note);
        self.slots.push(Slot { key, node, note });
        Ok(())
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        if N::PRESENT {
            self.slots.sort_unstable_by(|a, b| {
                a.key
                    .cmp(&b.key)
                    .then_with(|| a.note.get(arena).cmp(b.note.get(arena)))
                    .then_with(|| a.node.cmp(&b.node))
            });
        } else {
            self.slots.sort_unstable_by_key(|slot| (slot.key, slot.node));
        }
        self.slots.dedup_by_key(|slot| (slot.key, slot.node));
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.sort();
        let mut out = block::Writer::new(BufWriter::new((self.scratch)()?), N::PRESENT, false);
        for slot in &self.slots {
            out.push(slot.key, slot.node, slot.note.get(&self.arena))?;
        }
        self.slots.clear();
        self.arena.clear();
        self.runs.push(close(out)?);
        Ok(())
    }

    /// All rows, sorted.
    pub fn finish(mut self) -> Result<Sorted<K, N, S>, Error> {
        if self.runs.is_empty() {
            self.sort();
            return Ok(Sorted(Inner::Memory(Buffer { slots: self.slots, arena: self.arena, at: 0 })));
        }
        if !self.slots.is_empty() {
            self.spill()?;
        }
        drop(std::mem::take(&mut self.slots));
        drop(std::mem::take(&mut self.arena));
        // Runs are merged first come, first merged, so that each is read about log(runs)/log(fan_in) times.
        let mut runs = std::collections::VecDeque::from(std::mem::take(&mut self.runs));
        while runs.len() > self.fan_in {
            let group: Vec<Run<S>> = runs.drain(..self.fan_in).collect();
            let mut merged = merge::<K, N, S>(group)?;
            let mut out = block::Writer::new(BufWriter::new((self.scratch)()?), N::PRESENT, false);
            while let Some((key, node)) = merged.row() {
                out.push(key, node, merged.note())?;
                merged.advance()?;
            }
            runs.push_back(close(out)?);
        }
        Ok(Sorted(Inner::Merged(merge::<K, N, S>(runs.into())?)))
    }
}

fn close<S: Scratch>(out: block::Writer<BufWriter<S>>) -> Result<Run<S>, Error> {
    let done = out.into_inner()?;
    let mut file = done.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Run { file, bytes: done.bytes })
}

fn merge<K: Key, N: Notes, S: Scratch>(runs: Vec<Run<S>>) -> Result<Merge<Reader<K, BufReader<S>>>, Error> {
    let mut readers = Vec::with_capacity(runs.len());
    for run in runs {
        let input = BufReader::with_capacity(PAYLOAD, run.file);
        readers.push(Reader::new("scratch run", input, 0, run.bytes, N::PRESENT, 0)?);
    }
    Ok(Merge::new(readers))
}

/// The sorted rows of a [`Sorter`], as a [`Stream`].
pub struct Sorted<K, N, S>(Inner<K, N, S>);

impl<K: Key, N: Notes, S: Scratch> Sorted<K, N, S> {
    /// The same rows once more, from the first.
    pub fn again(self) -> Result<Self, Error> {
        match self.0 {
            Inner::Memory(buffer) => Ok(Self(Inner::Memory(Buffer { at: 0, ..buffer }))),
            Inner::Merged(merged) => {
                let mut runs = Vec::with_capacity(merged.width());
                for reader in merged.into_streams() {
                    let (input, bytes) = reader.into_input();
                    let mut file = input.into_inner();
                    file.seek(SeekFrom::Start(0))?;
                    runs.push(Run { file, bytes });
                }
                Ok(Self(Inner::Merged(merge::<K, N, S>(runs)?)))
            }
        }
    }
}

enum Inner<K, N, S> {
    Memory(Buffer<K, N>),
    Merged(Merge<Reader<K, BufReader<S>>>),
}

struct Buffer<K, N> {
    slots: Vec<Slot<K, N>>,
    arena: Vec<u8>,
    at: usize,
}

impl<K: Key, N: Notes, S: Scratch> Stream for Sorted<K, N, S> {
    type Key = K;

    #[inline]
    fn row(&self) -> Option<(K, u64)> {
        match &self.0 {
            Inner::Memory(buffer) => buffer.slots.get(buffer.at).map(|slot| (slot.key, slot.node)),
            Inner::Merged(merged) => merged.row(),
        }
    }

    #[inline]
    fn note(&self) -> &[u8] {
        match &self.0 {
            Inner::Memory(buffer) => {
                buffer.slots.get(buffer.at).map_or(&[], |slot| slot.note.get(&buffer.arena))
            }
            Inner::Merged(merged) => merged.note(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Memory(buffer) => {
                buffer.at += 1;
                Ok(())
            }
            Inner::Merged(merged) => merged.advance(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn check<N: Notes>(budget: usize, rows: &[(u64, u64, Vec<u8>)]) {
        let mut sorter = Sorter::<u64, N, _, _>::new(budget, || Ok(Cursor::new(Vec::new())));
        for (key, node, note) in rows {
            sorter.push(*key, *node, note).expect("memory");
        }
        let mut sorted = sorter.finish().expect("memory");
        for _ in 0..20 {
            sorted.advance().expect("memory");
        }
        let mut sorted = sorted.again().expect("memory");
        let mut expected: Vec<(u64, Vec<u8>, u64)> =
            rows.iter().map(|(k, n, t)| (*k, if N::PRESENT { t.clone() } else { vec![] }, *n)).collect();
        expected.sort();
        expected.dedup();
        for (key, note, node) in expected {
            assert_eq!(sorted.row(), Some((key, node)));
            assert_eq!(sorted.note(), &note[..]);
            sorted.advance().expect("memory");
        }
        assert_eq!(sorted.row(), None);
    }

    #[test]
    fn sorts_in_memory_and_through_runs_alike() {
        let rows: Vec<(u64, u64, Vec<u8>)> = (0..30_000_u64)
            .map(|i| {
                let node = i % 9_000;
                (node.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (node % 60), node, node.to_string().into_bytes())
            })
            .collect();
        for budget in [0, 100_000, 10_000_000] {
            check::<Plain>(budget, &rows);
            check::<Noted>(budget, &rows);
        }
        check::<Plain>(0, &[]);
    }
}
