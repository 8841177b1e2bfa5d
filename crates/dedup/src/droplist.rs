//! The drop list: which documents of each shard go, and in whose favour. Where more is to be told of a dedup, its entries have
//! notes ([`crate::finding`]), and documents that stay may have entries, too.
//!
//! One file covers a run of shards; a shard's list is one byte range of it. A shard from which nothing is dropped has
//! an empty list, which is not the same as no list: a shard that the file does not cover is an error.
//!
//! ```text
//! blocks (see block.rs; key: ordinal, node: survivor), a new one at each shard
//! (shards + 1) × u64   offset of each shard's blocks, and their end
//! u32 first shard | u32 shards | u64 entries | u64 1 if entries have notes | u64 xxh3 of the offsets and these
//! u32 version | 4 zero | 8 bytes magic
//! ```
//!
//! The plan knows how many shards a file covers, so that its tail, [`tail_bytes`], is one ranged read from the end.

use std::io::{Read, Write};

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::block::{self, Reader};
use crate::keyfile::{Summary, shard_and_ordinal};
use crate::stream::Stream;

const MAGIC: &[u8; 8] = b"gmdrops\n";
const VERSION: u32 = 2;
const FIXED: usize = 48;

/// Length of the tail of a file that covers `shards` shards.
pub fn tail_bytes(shards: u32) -> u64 {
    8 * (u64::from(shards) + 1) + FIXED as u64
}

/// Writes the drop lists of shards `first..first + shards`.
pub struct Writer<W> {
    blocks: block::Writer<W>,
    offsets: Vec<u64>,
    first: u32,
    shards: u32,
    previous: Option<u64>,
}

impl<W: Write> Writer<W> {
    /// A writer into `out`.
    pub fn new(out: W, first: u32, shards: u32, notes: bool) -> Self {
        Self {
            blocks: block::Writer::new(out, notes, false),
            offsets: vec![0],
            first,
            shards,
            previous: None,
        }
    }

    /// Adds `node`, for which `survivor` is kept. Nodes come in ascending order.
    pub fn push(&mut self, node: u64, survivor: u64, note: &[u8]) -> Result<(), Error> {
        let (shard, ordinal) = shard_and_ordinal(node);
        if shard < self.first
            || shard - self.first >= self.shards
            || self.previous.is_some_and(|last| last >= node)
        {
            return Err(Error::Invalid(format!(
                "document {ordinal} of shard {shard} is out of order, or outside the {} shards from {}",
                self.shards, self.first
            )));
        }
        self.previous = Some(node);
        self.start_shard(shard - self.first)?;
        self.blocks.push(u64::from(ordinal), survivor, note)
    }

    /// Ends the lists of all shards before the `index`th.
    fn start_shard(&mut self, index: u32) -> Result<(), Error> {
        while self.offsets.len() <= index as usize {
            self.blocks.restart()?;
            self.offsets.push(self.blocks.offset);
        }
        Ok(())
    }

    /// Writes the tail. Every shard has its list then.
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.start_shard(self.shards)?;
        let notes = u64::from(self.blocks.notes);
        let done = self.blocks.into_inner()?;
        let mut tail = Vec::with_capacity(8 * self.offsets.len() + FIXED);
        for offset in &self.offsets {
            tail.extend_from_slice(&offset.to_le_bytes());
        }
        tail.extend_from_slice(&self.first.to_le_bytes());
        tail.extend_from_slice(&self.shards.to_le_bytes());
        tail.extend_from_slice(&done.entries.to_le_bytes());
        tail.extend_from_slice(&notes.to_le_bytes());
        tail.extend_from_slice(&xxh3_64(&tail).to_le_bytes());
        tail.extend_from_slice(&VERSION.to_le_bytes());
        tail.extend_from_slice(&[0; 4]);
        tail.extend_from_slice(MAGIC);
        let mut out = done.out;
        out.write_all(&tail)?;
        out.flush()?;
        Ok(Summary { entries: done.entries, bytes: done.bytes + tail.len() as u64 })
    }
}

/// The tail of a drop list file.
#[derive(Clone, Debug)]
pub struct Index {
    file: String,
    first: u32,
    offsets: Vec<u64>,
    /// Entries of all shards of the file.
    pub entries: u64,
    /// Whether entries have notes.
    pub notes: bool,
}

impl Index {
    /// Parses and checks the last [`tail_bytes`] bytes of a file. `file` is the name for error messages.
    pub fn parse(file: &str, tail: &[u8]) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::corrupt(file, 0, what);
        let Some(body) = tail.len().checked_sub(FIXED).filter(|body| body % 8 == 0 && *body >= 8) else {
            return Err(corrupt("the file is shorter than a drop list's tail"));
        };
        let at = |offset: usize| body + offset;
        if tail.last_chunk::<8>() != Some(MAGIC) || block::le_u32(tail, at(32)) != VERSION {
            return Err(corrupt("it does not end like a drop list of this version"));
        }
        if xxh3_64(tail.get(..at(24)).unwrap_or(&[])) != block::le_u64(tail, at(24)) {
            return Err(corrupt("the tail's checksum does not match: it may cover another number of shards"));
        }
        let offsets: Vec<u64> = (0..body / 8).map(|i| block::le_u64(tail, 8 * i)).collect();
        if offsets.len() as u64 != u64::from(block::le_u32(tail, at(4))) + 1 || !offsets.is_sorted() {
            return Err(corrupt("the tail's offsets are wrong"));
        }
        Ok(Self {
            file: file.to_owned(),
            first: block::le_u32(tail, at(0)),
            offsets,
            entries: block::le_u64(tail, at(8)),
            notes: block::le_u64(tail, at(16)) == 1,
        })
    }

    /// The bytes that hold `shard`'s list: `(offset, length)`, length 0 if nothing is dropped. A shard that the file
    /// does not cover is an error.
    pub fn byte_range(&self, shard: u32) -> Result<(u64, u64), Error> {
        let index = shard.checked_sub(self.first).map(|index| index as usize);
        match index.and_then(|i| Some((*self.offsets.get(i)?, *self.offsets.get(i + 1)?))) {
            Some((start, end)) => Ok((start, end - start)),
            None => Err(Error::Invalid(format!(
                "{} covers {} shards from {}, and not shard {shard}",
                self.file,
                self.offsets.len() - 1,
                self.first
            ))),
        }
    }

    /// `shard`'s list from `input`, which yields the bytes of [`byte_range`](Self::byte_range).
    pub fn list<R: Read>(&self, shard: u32, input: R) -> Result<DropList<R>, Error> {
        let (offset, length) = self.byte_range(shard)?;
        let rows = Reader::new(&self.file, input, offset, offset + length, self.notes, 0)?;
        Ok(DropList { rows, note: Vec::new() })
    }
}

/// One shard's entries in order.
pub struct DropList<R> {
    rows: Reader<u64, R>,
    note: Vec<u8>,
}

impl<R: Read> DropList<R> {
    /// The entry of the document at `ordinal`: which node survives it, and the note. Ask in ascending order.
    pub fn entry(&mut self, ordinal: u32) -> Result<Option<(u64, &[u8])>, Error> {
        while let Some((next, survivor)) = self.rows.row() {
            if next > u64::from(ordinal) {
                break;
            }
            let found = next == u64::from(ordinal);
            if found {
                self.note.clear();
                self.note.extend_from_slice(self.rows.note());
            }
            self.rows.advance()?;
            if found {
                return Ok(Some((survivor, &self.note)));
            }
        }
        Ok(None)
    }
}

/// An entry: its ordinal, its survivor, and the note.
pub type Entry<'a> = (u32, u64, &'a [u8]);

impl<R: Read> DropList<R> {
    /// The next entry.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let Some((ordinal, survivor)) = self.rows.row() else { return Ok(None) };
        self.note.clear();
        self.note.extend_from_slice(self.rows.note());
        self.rows.advance()?;
        Ok(Some((ordinal as u32, survivor, &self.note)))
    }
}

impl<R: Read> Iterator for DropList<R> {
    type Item = Result<(u32, u64), Error>;

    /// The next entry's ordinal and its survivor.
    fn next(&mut self) -> Option<Self::Item> {
        let (ordinal, survivor) = self.rows.row()?;
        Some(self.rows.advance().map(|()| (ordinal as u32, survivor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyfile::node;

    fn write(first: u32, shards: u32, drops: &[(u32, u32)]) -> Vec<u8> {
        let mut out = Vec::new();
        // Every other file has notes.
        let mut writer = Writer::new(&mut out, first, shards, first > 0);
        for &(shard, ordinal) in drops {
            let note = format!("{ordinal}");
            writer.push(node(shard, ordinal), node(shard, 1 << 20), note.as_bytes()).expect("in order");
        }
        let summary = writer.finish().expect("memory");
        assert_eq!(summary, Summary { entries: drops.len() as u64, bytes: out.len() as u64 });
        out
    }

    fn index(bytes: &[u8], shards: u32) -> Result<Index, Error> {
        Index::parse("drops", &bytes[bytes.len().saturating_sub(tail_bytes(shards) as usize)..])
    }

    fn list(bytes: &[u8], index: &Index, shard: u32) -> Result<Vec<(u32, u64)>, Error> {
        let (offset, length) = index.byte_range(shard)?;
        index.list(shard, &bytes[offset as usize..(offset + length) as usize])?.collect()
    }

    #[test]
    fn every_shard_has_its_list_even_an_empty_one() {
        let many: Vec<(u32, u32)> = (0..40_000).map(|i| (7, 3 * i)).collect();
        let drops = [&[(5, 0), (5, 4), (5, u32::MAX)][..], &many, &[(9, 1)]].concat();
        let bytes = write(5, 6, &drops);
        let index = index(&bytes, 6).expect("sound");
        assert_eq!(index.entries, drops.len() as u64);
        for shard in 5..11 {
            let expected: Vec<(u32, u64)> =
                drops.iter().filter(|d| d.0 == shard).map(|d| (d.1, node(shard, 1 << 20))).collect();
            assert_eq!(list(&bytes, &index, shard).expect("sound"), expected, "shard {shard}");
        }
        for shard in [0, 4, 11, u32::MAX] {
            assert!(matches!(index.byte_range(shard), Err(Error::Invalid(_))), "shard {shard}");
        }
        let (offset, length) = index.byte_range(7).expect("covered");
        let mut ask = index.list(7, &bytes[offset as usize..(offset + length) as usize]).expect("sound");
        for ordinal in 0..130_000 {
            let note = ordinal.to_string();
            let expected =
                (ordinal % 3 == 0 && ordinal < 120_000).then_some((node(7, 1 << 20), note.as_bytes()));
            assert_eq!(ask.entry(ordinal).expect("sound"), expected);
        }
    }

    #[test]
    fn damage_is_seen() {
        let bytes = write(0, 3, &[(0, 1), (1, 2), (1, 7)]);
        assert!(index(&bytes, 3).is_ok());
        for (name, shards, damaged) in [
            ("cut", 3, bytes[..bytes.len() - 1].to_vec()),
            ("empty", 3, Vec::new()),
            ("other number of shards", 2, bytes.clone()),
        ] {
            assert!(matches!(index(&damaged, shards), Err(Error::Corrupt { .. })), "{name}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            let read = index(&flipped, 3).and_then(|index| {
                (0..3).map(|shard| list(&flipped, &index, shard)).collect::<Result<Vec<_>, _>>()
            });
            if let Ok(read) = read {
                let index = index(&bytes, 3).expect("sound");
                for (shard, list_read) in (0..).zip(read) {
                    assert_eq!(list_read, list(&bytes, &index, shard).expect("sound"), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn documents_out_of_order_or_place_are_refused() {
        let mut writer = Writer::new(Vec::new(), 2, 2, false);
        writer.push(node(2, 5), 0, &[]).expect("first");
        for bad in [node(2, 5), node(2, 4), node(1, 9), node(4, 0)] {
            assert!(matches!(writer.push(bad, 0, &[]), Err(Error::Invalid(_))), "{bad}");
        }
    }
}
