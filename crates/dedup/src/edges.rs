//! The edge file: pairs of nodes, sorted, each once, in the form of [`rowfile`]; and one whose pairs have notes.

use std::io::{self, Read, Write};

use crate::Error;
use crate::keyfile::Summary;
use crate::rowfile::{self, FileRows, Format};
use crate::sort::{Plain, Scratch, Sorted, Sorter};
use crate::stream::Stream;

const FORMAT: Format = Format { magic: b"gmedges\n", name: "edge file", notes: false };
const NOTED: Format = Format { magic: b"gmnoted\n", name: "file of edges with notes", notes: true };

/// Gathers pairs in any order within a memory budget and writes them as an edge file.
pub struct Writer<S, F> {
    sorter: Sorter<u64, Plain, S, F>,
}

impl<S: Scratch, F: FnMut() -> io::Result<S>> Writer<S, F> {
    /// A writer that holds about `memory_bytes` and spills into files that `scratch` makes.
    pub fn new(memory_bytes: usize, scratch: F) -> Self {
        Self { sorter: Sorter::new(memory_bytes, scratch) }
    }

    /// Adds the pair `(from, to)`; the file is sorted by `from`.
    #[inline]
    pub fn push(&mut self, from: u64, to: u64) -> Result<(), Error> {
        self.sorter.push(from, to, &[])
    }

    /// Sorts and drops repetitions, for reading at once instead of writing a file.
    pub fn into_sorted(self) -> Result<Sorted<u64, Plain, S>, Error> {
        self.sorter.finish()
    }

    /// Sorts, drops repetitions and writes the file.
    pub fn finish(self, out: impl Write) -> Result<Summary, Error> {
        write_sorted(&mut self.sorter.finish()?, out)
    }
}

/// Writes pairs that come in order as an edge file.
pub fn write_sorted<S: Stream<Key = u64>>(rows: &mut S, out: impl Write) -> Result<Summary, Error> {
    write(&FORMAT, rows, out)
}

/// Writes pairs that come in order as a file of edges with notes.
pub fn write_noted<S: Stream<Key = u64>>(rows: &mut S, out: impl Write) -> Result<Summary, Error> {
    write(&NOTED, rows, out)
}

fn write<S: Stream<Key = u64>>(format: &Format, rows: &mut S, out: impl Write) -> Result<Summary, Error> {
    let mut blocks = rowfile::blocks(format, out);
    while let Some((from, to)) = rows.row() {
        blocks.push(from, to, rows.note())?;
        rows.advance()?;
    }
    Ok(rowfile::finish(format, blocks)?.0)
}

/// The edges of a file in order.
pub struct Edges<R>(FileRows<R>);

impl<R: Read> Edges<R> {
    /// Reads `input`, the whole of a file of `file_bytes` bytes, and stands on the first edge.
    pub fn open(file: &str, input: R, file_bytes: u64) -> Result<Self, Error> {
        FileRows::open(&FORMAT, file, input, file_bytes).map(Self)
    }

    /// The same of a file of edges with notes.
    pub fn open_noted(file: &str, input: R, file_bytes: u64) -> Result<Self, Error> {
        FileRows::open(&NOTED, file, input, file_bytes).map(Self)
    }
}

impl<R: Read> Stream for Edges<R> {
    type Key = u64;

    #[inline]
    fn row(&self) -> Option<(u64, u64)> {
        self.0.row()
    }

    #[inline]
    fn note(&self) -> &[u8] {
        self.0.note()
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        self.0.advance()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::block;
    use crate::rowfile::FOOTER_BYTES;
    use crate::sort::Noted;

    fn read(bytes: &[u8], claimed: u64) -> Result<Vec<(u64, u64)>, Error> {
        let mut edges = Edges::open("test", bytes, claimed)?;
        let mut out = Vec::new();
        while let Some(row) = edges.row() {
            out.push(row);
            edges.advance()?;
        }
        Ok(out)
    }

    #[test]
    fn pairs_come_back_sorted_and_once_and_damage_is_seen() {
        for count in [0_u64, 1, 40_000] {
            let mut expected: Vec<(u64, u64)> = (0..count).map(|i| (i * 37 % 1009, i * i % 5003)).collect();
            let mut writer = Writer::new(1, || Ok(Cursor::new(Vec::new())));
            for &(from, to) in &expected {
                writer.push(from, to).expect("memory");
            }
            expected.sort_unstable();
            expected.dedup();
            let mut bytes = Vec::new();
            let summary = writer.finish(&mut bytes).expect("memory");
            let length = bytes.len() as u64;
            assert_eq!(summary, Summary { entries: expected.len() as u64, bytes: length });
            assert_eq!(read(&bytes, length).expect("sound"), expected);
            // Cut to nothing, by a byte, and at the border of the first block.
            let block = 16 + block::le_u32(&bytes, 0) as usize;
            for end in [0, bytes.len() - 1, block.min(bytes.len() - 1)] {
                assert!(
                    matches!(read(&bytes[..end], end as u64), Err(Error::Corrupt { .. })),
                    "{count} {end}"
                );
                assert!(matches!(read(&bytes[..end], length), Err(Error::Corrupt { .. })), "{count} {end}");
            }
            // The first block left out: every other block now stands at the wrong offset.
            if bytes.len() > block + FOOTER_BYTES {
                let rest = &bytes[block..];
                assert!(read(rest, rest.len() as u64).is_err());
            }
        }
    }

    #[test]
    fn notes_come_back_with_their_pairs() {
        let mut sorter = Sorter::<u64, Noted, _, _>::new(0, || Ok(Cursor::new(Vec::new())));
        for node in 0..3000_u64 {
            sorter.push(node, node / 7, format!("note {node}").as_bytes()).expect("memory");
        }
        let mut bytes = Vec::new();
        write_noted(&mut sorter.finish().expect("memory"), &mut bytes).expect("memory");
        let mut edges = Edges::open_noted("test", &bytes[..], bytes.len() as u64).expect("sound");
        for node in 0..3000 {
            assert_eq!(edges.row(), Some((node, node / 7)));
            assert_eq!(edges.note(), format!("note {node}").as_bytes());
            edges.advance().expect("sound");
        }
        assert_eq!(edges.row(), None);
        // Whoever takes it for the other kind is told at the end at the latest.
        assert!(read(&bytes, bytes.len() as u64).is_err());
    }
}
