//! Sorted rows as bytes: blocks with a checksum each.
//!
//! A block is a header of 16 bytes and a payload of at most about 32 KiB (more only for one huge note):
//!
//! ```text
//! u32 payload length | u16 range | u16 zero | u64 xxh3 of the payload, seeded with the block's file offset and range
//! ```
//!
//! (numbers are little-endian everywhere). The seed makes a block that was copied from elsewhere in the file,
//! or a read that began at the wrong offset, as visible as a flipped bit; the range is in it because keys are stored
//! less its lower bound. A row in the payload is
//!
//! ```text
//! u8 tag | key delta (tag low nibble: bytes, 15 means 16) | node (tag high nibble: bytes) | [varint length, note]
//! ```
//!
//! Keys are hashes, so what can be saved is their common head: the key is stored less the previous row's key
//! (for the first row, less the lower bound of the block's key range). With n rows in a file a 64-bit key costs
//! about (64 - log2 n)/8 bytes. Where the key repeats and rows carry no notes the node is stored less the
//! previous row's. A byte of lengths in front costs what a varint's continuation bits would and decodes
//! without a branch per byte.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::Error;
use crate::stream::{Key, Stream};

/// The payload size at which a block is closed.
pub(crate) const PAYLOAD: usize = 32 << 10;
/// The largest payload a reader believes: a block of one row with the longest note.
const PAYLOAD_LIMIT: usize = PAYLOAD + NOTE_LIMIT + 64;
/// The longest note.
pub(crate) const NOTE_LIMIT: usize = 1 << 20;
pub(crate) const HEADER: usize = 16;

/// Equal parts of the key space that a key file can be read by.
pub const RANGES: usize = 1024;
/// log2 of [`RANGES`].
const RANGE_BITS: u32 = 10;

/// Which of the [`RANGES`] parts of the key space a key lies in.
#[inline]
pub(crate) fn range_of<K: Key>(key: K) -> usize {
    (key.widen() >> (K::BITS - RANGE_BITS)) as usize
}

/// The smallest key of a range.
fn lower_bound<K: Key>(range: u16) -> K {
    K::narrow(u128::from(range) << (K::BITS - RANGE_BITS))
}

/// What a block's header says of all that its rows hang on. No file has 2^48 bytes.
fn checksum(payload: &[u8], offset: u64, range: u16) -> u64 {
    xxh3_64_with_seed(payload, offset ^ u64::from(range) << 48)
}

/// Writes rows, which must come in order, as blocks.
pub(crate) struct Writer<W> {
    out: W,
    payload: Vec<u8>,
    range: u16,
    /// Whether blocks end at the borders of key ranges.
    ranged: bool,
    previous: Option<(u128, u64)>,
    pub(crate) notes: bool,
    pub(crate) offset: u64,
    pub(crate) entries: u64,
    pub(crate) hasher: Box<Xxh3>,
    /// Bytes written for each range, if ranged.
    pub(crate) sizes: Vec<u64>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W, notes: bool, ranged: bool) -> Self {
        Self {
            out,
            payload: Vec::with_capacity(PAYLOAD + 64),
            range: 0,
            ranged,
            previous: None,
            notes,
            offset: 0,
            entries: 0,
            hasher: Box::new(Xxh3::new()),
            sizes: if ranged { vec![0; RANGES] } else { Vec::new() },
        }
    }

    pub(crate) fn push<K: Key>(&mut self, key: K, node: u64, note: &[u8]) -> Result<(), Error> {
        if note.len() > NOTE_LIMIT {
            return Err(Error::Invalid(format!(
                "a note of {} bytes is longer than {NOTE_LIMIT}: shorten the record id",
                note.len()
            )));
        }
        let wide = key.widen();
        if self.previous.is_some_and(|(last, _)| last > wide) {
            return Err(Error::Invalid(format!("row {} is out of order: sort the rows first", self.entries)));
        }
        if self.ranged && range_of(key) != usize::from(self.range) {
            self.flush()?;
            self.range = range_of(key) as u16;
        } else if self.payload.len() >= PAYLOAD {
            self.flush()?;
        }
        let (base_key, base_node) = match self.previous {
            Some(previous) if !self.payload.is_empty() => previous,
            _ => (lower_bound::<K>(self.range).widen(), 0),
        };
        let delta = wide - base_key;
        let rest = if delta == 0 && !self.notes {
            node.checked_sub(base_node).ok_or_else(|| {
                Error::Invalid(format!("row {} is out of order: sort the rows first", self.entries))
            })?
        } else {
            node
        };
        put_row(&mut self.payload, delta, rest);
        if self.notes {
            put_varint(&mut self.payload, note.len() as u64);
            self.payload.extend_from_slice(note);
        }
        self.previous = Some((wide, node));
        self.entries += 1;
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.payload.is_empty() {
            return Ok(());
        }
        let mut header = [0_u8; HEADER];
        header[..4].copy_from_slice(&(self.payload.len() as u32).to_le_bytes());
        header[4..6].copy_from_slice(&self.range.to_le_bytes());
        header[8..].copy_from_slice(&checksum(&self.payload, self.offset, self.range).to_le_bytes());
        self.write_raw(&header)?;
        let payload = std::mem::take(&mut self.payload);
        self.write_raw(&payload)?;
        let size = (HEADER + payload.len()) as u64;
        if let Some(sum) = self.sizes.get_mut(usize::from(self.range)) {
            *sum += size;
        }
        self.payload = payload;
        self.payload.clear();
        Ok(())
    }

    /// Closes the block; the next row may have a smaller key.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.previous = None;
        Ok(())
    }

    /// Bytes that are no block: counted, and part of the file's checksum.
    fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// The writer underneath, after the last block.
    pub(crate) fn into_inner(mut self) -> Result<Finished<W>, Error> {
        self.flush()?;
        Ok(Finished {
            out: self.out,
            bytes: self.offset,
            entries: self.entries,
            checksum: self.hasher.digest(),
            sizes: self.sizes,
        })
    }
}

/// What a writer of blocks leaves.
pub(crate) struct Finished<W> {
    pub(crate) out: W,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    pub(crate) checksum: u64,
    pub(crate) sizes: Vec<u64>,
}

#[inline]
fn put_row(out: &mut Vec<u8>, delta: u128, node: u64) {
    let key_bytes = (128 - delta.leading_zeros()).div_ceil(8) as usize;
    // A nibble counts to 15: deltas of 15 bytes are stored in 16.
    let (key_tag, key_bytes) = if key_bytes >= 15 { (15, 16) } else { (key_bytes, key_bytes) };
    let node_bytes = (64 - node.leading_zeros()).div_ceil(8) as usize;
    out.push((key_tag | node_bytes << 4) as u8);
    out.extend_from_slice(&delta.to_le_bytes()[..key_bytes]);
    out.extend_from_slice(&node.to_le_bytes()[..node_bytes]);
}

/// LEB128.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads one LEB128 number at `*at` and moves past it; `None` if it does not end or does not fit.
pub(crate) fn get_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The little-endian number at `at`; 0 past the end, which checksums rule out.
pub(crate) fn le_u64(bytes: &[u8], at: usize) -> u64 {
    get_le(bytes, at, 8).unwrap_or(0)
}

/// The same for 32 bits.
pub(crate) fn le_u32(bytes: &[u8], at: usize) -> u32 {
    get_le(bytes, at, 4).unwrap_or(0) as u32
}

/// Little-endian number of `count` bytes (at most 8) at `at`; `None` past the end.
#[inline]
fn get_le(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    if let Some(eight) = bytes.get(at..at + 8) {
        let whole = u64::from_le_bytes(eight.try_into().ok()?);
        return Some(if count >= 8 { whole } else { whole & ((1 << (8 * count)) - 1) });
    }
    let mut short = [0_u8; 8];
    short.get_mut(..count)?.copy_from_slice(bytes.get(at..at + count)?);
    Some(u64::from_le_bytes(short))
}

/// Reads blocks of rows from a part of a file, checking each block and the order of rows.
pub struct Reader<K, R> {
    input: R,
    file: String,
    /// Offset in the file of the next block.
    offset: u64,
    /// Offset in the file where the part ends.
    end: u64,
    /// Added to every node.
    base: u64,
    notes: bool,
    block: Vec<u8>,
    block_offset: u64,
    at: usize,
    /// The row before the first one of the block: key is the lower bound of its range.
    previous: (K, u64),
    row: Option<(K, u64)>,
    note: (usize, usize),
    /// The last row of the block before, which must go before the first one of this.
    last: Option<(K, u64)>,
    started: bool,
}

impl<K: Key, R: Read> Reader<K, R> {
    /// A reader over bytes `offset..end` of `file`, of which `input` yields exactly those. It stands on the first row.
    pub(crate) fn new(
        file: &str,
        input: R,
        offset: u64,
        end: u64,
        notes: bool,
        base: u64,
    ) -> Result<Self, Error> {
        let mut reader = Self {
            input,
            file: file.to_owned(),
            offset,
            end,
            base,
            notes,
            block: Vec::new(),
            block_offset: offset,
            at: 0,
            previous: (K::default(), 0),
            row: None,
            note: (0, 0),
            last: None,
            started: false,
        };
        reader.next_row()?;
        Ok(reader)
    }

    /// The input, for what follows the blocks.
    pub(crate) fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// The input, wherever it stands, and where the part ends that is read.
    pub(crate) fn into_input(self) -> (R, u64) {
        (self.input, self.end)
    }

    fn corrupt(&self, what: impl Into<String>) -> Error {
        Error::corrupt(&self.file, self.block_offset, what)
    }

    fn next_block(&mut self) -> Result<bool, Error> {
        self.block_offset = self.offset;
        if self.offset >= self.end {
            return Ok(false);
        }
        let mut header = [0_u8; HEADER];
        self.fill(|input| input.read_exact(&mut header))?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let range = u16::from_le_bytes([header[4], header[5]]);
        let size = (HEADER + length) as u64;
        if length == 0
            || length > PAYLOAD_LIMIT
            || usize::from(range) >= RANGES
            || self.end - self.offset < size
        {
            return Err(self.corrupt("no block begins here"));
        }
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        block.resize(length, 0);
        let filled = self.fill(|input| input.read_exact(&mut block));
        self.block = block;
        filled?;
        let mut sum = [0_u8; 8];
        sum.copy_from_slice(&header[8..]);
        if checksum(&self.block, self.offset, range) != u64::from_le_bytes(sum) {
            return Err(self.corrupt("the block's checksum does not match"));
        }
        self.offset += size;
        self.at = 0;
        self.previous = (lower_bound(range), 0);
        self.started = false;
        Ok(true)
    }

    fn fill(&mut self, read: impl FnOnce(&mut R) -> io::Result<()>) -> Result<(), Error> {
        read(&mut self.input).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                self.corrupt(format!("the bytes end before {}", self.end))
            } else {
                error.into()
            }
        })
    }

    #[inline]
    fn next_row(&mut self) -> Result<(), Error> {
        if self.at >= self.block.len() {
            self.last = self.row;
            self.row = None;
            if !self.next_block()? {
                self.block.clear();
                return Ok(());
            }
        }
        match self.decode() {
            Some(row) => {
                if !self.started {
                    self.started = true;
                    if self.last.is_some_and(|last| last.0 > row.0 || (last >= row && !self.notes)) {
                        return Err(self.corrupt("rows are out of order"));
                    }
                }
                self.row = Some(row);
                Ok(())
            }
            None => Err(self.corrupt(format!("byte {} of the block is no row", self.at))),
        }
    }

    #[inline]
    fn decode(&mut self) -> Option<(K, u64)> {
        let tag = usize::from(*self.block.get(self.at)?);
        let (key_bytes, node_bytes) = (tag & 15, tag >> 4);
        let mut at = self.at + 1;
        let delta = if key_bytes <= 8 {
            let low = get_le(&self.block, at, key_bytes)?;
            at += key_bytes;
            u128::from(low)
        } else {
            let key_bytes = if key_bytes == 15 { 16 } else { key_bytes };
            let low = get_le(&self.block, at, 8)?;
            let high = get_le(&self.block, at + 8, key_bytes - 8)?;
            at += key_bytes;
            u128::from(low) | u128::from(high) << 64
        };
        if node_bytes > 8 {
            return None;
        }
        let mut node = get_le(&self.block, at, node_bytes)?;
        at += node_bytes;
        let wide = self.previous.0.widen().checked_add(delta)?;
        if K::BITS < 128 && wide >> (K::BITS - 1) > 1 {
            return None;
        }
        if delta == 0 && !self.notes {
            node = node.checked_add(self.previous.1)?;
        }
        if self.notes {
            let length = usize::try_from(get_varint(&self.block, &mut at)?).ok()?;
            let end = at.checked_add(length)?;
            let note = self.block.get(at..end)?;
            // The first row of a block has no note before it; its key is checked by the caller.
            if delta == 0 && self.started && self.block.get(self.note.0..self.note.1)? > note {
                return None;
            }
            self.note = (at, end);
            at = end;
        }
        self.at = at;
        self.previous = (K::narrow(wide), node);
        Some((self.previous.0, node.checked_add(self.base)?))
    }
}

impl<K: Key, R: Read> Stream for Reader<K, R> {
    type Key = K;

    #[inline]
    fn row(&self) -> Option<(K, u64)> {
        self.row
    }

    #[inline]
    fn note(&self) -> &[u8] {
        self.block.get(self.note.0..self.note.1).unwrap_or(&[])
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        self.next_row()
    }
}
