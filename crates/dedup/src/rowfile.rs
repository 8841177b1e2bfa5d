//! A file of rows that is read whole and in order: [edges](crate::edges), [sets](crate::sets).
//!
//! ```text
//! blocks (see block.rs) | u64 entries | u64 bytes of blocks | u64 xxh3 of the blocks | u32 version | 4 zero | 8 bytes magic
//! ```
//!
//! The reader takes one stream of the whole file and checks the footer last: a file that is cut short, even at a
//! block's border, is an error and not fewer rows.

use std::io::{self, Read, Write};

use crate::Error;
use crate::block::{self, Reader};
use crate::keyfile::Summary;
use crate::stream::Stream;

const VERSION: u32 = 1;
/// Length of the footer, and of a file without rows.
pub const FOOTER_BYTES: usize = 40;

/// What kind of rows a file holds.
pub(crate) struct Format {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) name: &'static str,
    pub(crate) notes: bool,
}

/// A writer of `format`'s blocks.
pub(crate) fn blocks<W: Write>(format: &Format, out: W) -> block::Writer<W> {
    block::Writer::new(out, format.notes, false)
}

/// Writes the footer after the blocks.
pub(crate) fn finish<W: Write>(format: &Format, blocks: block::Writer<W>) -> Result<(Summary, W), Error> {
    let done = blocks.into_inner()?;
    let mut footer = Vec::with_capacity(FOOTER_BYTES);
    footer.extend_from_slice(&done.entries.to_le_bytes());
    footer.extend_from_slice(&done.bytes.to_le_bytes());
    footer.extend_from_slice(&done.checksum.to_le_bytes());
    footer.extend_from_slice(&VERSION.to_le_bytes());
    footer.extend_from_slice(&[0; 4]);
    footer.extend_from_slice(format.magic);
    let mut out = done.out;
    out.write_all(&footer)?;
    out.flush()?;
    Ok((Summary { entries: done.entries, bytes: done.bytes + FOOTER_BYTES as u64 }, out))
}

/// The rows of a file.
pub(crate) struct FileRows<R> {
    rows: Reader<u64, R>,
    format: &'static Format,
    file: String,
    blocks: u64,
    seen: u64,
    ended: bool,
}

impl<R: Read> FileRows<R> {
    /// Reads `input`, the whole of a file of `file_bytes` bytes, and stands on the first row.
    pub(crate) fn open(
        format: &'static Format,
        file: &str,
        input: R,
        file_bytes: u64,
    ) -> Result<Self, Error> {
        let Some(blocks) = file_bytes.checked_sub(FOOTER_BYTES as u64) else {
            let what = format!("{file_bytes} bytes are no {}: it is cut short", format.name);
            return Err(Error::corrupt(file, 0, what));
        };
        let rows = Reader::new(file, input, 0, blocks, format.notes, 0)?;
        let mut rows = Self { rows, format, file: file.to_owned(), blocks, seen: 0, ended: false };
        rows.check_end()?;
        Ok(rows)
    }

    #[inline]
    fn check_end(&mut self) -> Result<(), Error> {
        if self.rows.row().is_some() {
            self.seen += 1;
            return Ok(());
        }
        if self.ended { Ok(()) } else { self.check_footer() }
    }

    fn check_footer(&mut self) -> Result<(), Error> {
        self.ended = true;
        let mut footer = [0_u8; FOOTER_BYTES];
        let read = self.rows.input().read_exact(&mut footer);
        let corrupt = |what: String| Error::corrupt(&self.file, self.blocks, what);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => corrupt("the bytes end before the footer".to_owned()),
            _ => error.into(),
        })?;
        if footer.last_chunk::<8>() != Some(self.format.magic) || block::le_u32(&footer, 24) != VERSION {
            return Err(corrupt(format!("it does not end like the {} of this version", self.format.name)));
        }
        let (entries, bytes) = (block::le_u64(&footer, 0), block::le_u64(&footer, 8));
        if entries != self.seen || bytes != self.blocks {
            return Err(corrupt(format!("the footer promises {entries} rows, and {} are there", self.seen)));
        }
        Ok(())
    }
}

impl<R: Read> Stream for FileRows<R> {
    type Key = u64;

    #[inline]
    fn row(&self) -> Option<(u64, u64)> {
        self.rows.row()
    }

    #[inline]
    fn note(&self) -> &[u8] {
        self.rows.note()
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        self.rows.advance()?;
        self.check_end()
    }
}
