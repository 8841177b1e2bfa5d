//! The edge file: pairs of nodes, sorted, each once.
//!
//! ```text
//! blocks (see block.rs) | u64 entries | u64 bytes of blocks | u64 xxh3 of the blocks | u32 version | 4 zero | 8 bytes magic
//! ```
//!
//! It is always read whole and in order, so the reader takes one stream of the whole file and checks the footer
//! last: a file that is cut short, even at a block's border, is an error and not a smaller graph.

use std::io::{self, Read, Write};

use crate::Error;
use crate::block::{self, Reader};
use crate::keyfile::Summary;
use crate::sort::{Plain, Scratch, Sorter};
use crate::stream::Stream;

const MAGIC: &[u8; 8] = b"gmedges\n";
const VERSION: u32 = 1;
/// Length of the footer, and of an edge file without edges.
pub const FOOTER_BYTES: usize = 40;

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

    /// Sorts, drops repetitions and writes the file.
    pub fn finish(self, out: impl Write) -> Result<Summary, Error> {
        write_sorted(&mut self.sorter.finish()?, out)
    }
}

/// Writes pairs that come in order as an edge file.
pub fn write_sorted<S: Stream<Key = u64>>(rows: &mut S, out: impl Write) -> Result<Summary, Error> {
    let mut blocks = block::Writer::new(out, false, false);
    while let Some((from, to)) = rows.row() {
        blocks.push(from, to, &[])?;
        rows.advance()?;
    }
    let done = blocks.into_inner()?;
    let mut footer = Vec::with_capacity(FOOTER_BYTES);
    footer.extend_from_slice(&done.entries.to_le_bytes());
    footer.extend_from_slice(&done.bytes.to_le_bytes());
    footer.extend_from_slice(&done.checksum.to_le_bytes());
    footer.extend_from_slice(&VERSION.to_le_bytes());
    footer.extend_from_slice(&[0; 4]);
    footer.extend_from_slice(MAGIC);
    let mut out = done.out;
    out.write_all(&footer)?;
    out.flush()?;
    Ok(Summary { entries: done.entries, bytes: done.bytes + FOOTER_BYTES as u64 })
}

/// The edges of a file in order.
pub struct Edges<R> {
    rows: Reader<u64, R>,
    file: String,
    blocks: u64,
    seen: u64,
    ended: bool,
}

impl<R: Read> Edges<R> {
    /// Reads `input`, the whole of a file of `file_bytes` bytes, and stands on the first edge.
    pub fn open(file: &str, input: R, file_bytes: u64) -> Result<Self, Error> {
        let Some(blocks) = file_bytes.checked_sub(FOOTER_BYTES as u64) else {
            return Err(Error::corrupt(
                file,
                0,
                format!("{file_bytes} bytes are no edge file: it is cut short"),
            ));
        };
        let rows = Reader::new(file, input, 0, blocks, false, 0)?;
        let mut edges = Self { rows, file: file.to_owned(), blocks, seen: 0, ended: false };
        edges.check_end()?;
        Ok(edges)
    }

    fn check_end(&mut self) -> Result<(), Error> {
        if self.rows.row().is_some() {
            self.seen += 1;
            return Ok(());
        }
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        let corrupt = |what: &str| Error::corrupt(&self.file, self.blocks, what);
        let mut footer = [0_u8; FOOTER_BYTES];
        self.rows.input().read_exact(&mut footer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => corrupt("the bytes end before the footer"),
            _ => error.into(),
        })?;
        if footer.last_chunk::<8>() != Some(MAGIC) || block::le_u32(&footer, 24) != VERSION {
            return Err(corrupt("it does not end like an edge file of this version"));
        }
        if block::le_u64(&footer, 0) != self.seen || block::le_u64(&footer, 8) != self.blocks {
            return Err(corrupt("the footer promises another number of edges"));
        }
        Ok(())
    }
}

impl<R: Read> Stream for Edges<R> {
    type Key = u64;

    #[inline]
    fn row(&self) -> Option<(u64, u64)> {
        self.rows.row()
    }

    fn note(&self) -> &[u8] {
        &[]
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        self.rows.advance()?;
        self.check_end()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

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
}
