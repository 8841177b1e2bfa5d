//! A file in numbered sections, each of them one byte range: what many tasks read parts of.
//!
//! ```text
//! for each section: blocks, and the block that ends it
//! (sections + 1) × u64   where each section begins, and where the last one ends
//! ```
//!
//! A block is `u32 payload length | u32 section | u64 xxh3 of the payload`, seeded with section and number of the block, and a
//! payload of at most 64 KiB; the one that ends a section has none. Who knows how many sections there are finds one by
//! one read of 16 bytes ([`index_range`]), however many there are. Whatever is read from a wrong place, or is cut short, or has a
//! flipped bit, is [`Error::Corrupt`].

use std::io::{self, Read, SeekFrom, Write};
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Error;
use crate::block::{le_u32, le_u64};
use crate::sort::Scratch;

const HEADER: usize = 16;
const PAYLOAD: usize = 64 << 10;

fn checksum(payload: &[u8], section: u32, number: u32) -> u64 {
    xxh3_64_with_seed(payload, u64::from(section) << 32 | u64::from(number))
}

/// Where in a file of so many bytes and sections the bounds of one section stand.
pub fn index_range(file_bytes: u64, sections: u32, section: u32) -> Range<u64> {
    let index = file_bytes.saturating_sub(8 * (u64::from(sections) + 1));
    let start = index + 8 * u64::from(section);
    start..start + 16
}

/// The byte range of a section, by the bytes of its [`index_range`].
pub fn byte_range(file: &str, bounds: &[u8]) -> Result<Range<u64>, Error> {
    let (start, end) = (le_u64(bounds, 0), le_u64(bounds, 8));
    if bounds.len() != 16 || start > end {
        return Err(Error::corrupt(file, 0, "the bounds of a section are no range"));
    }
    Ok(start..end)
}

/// Writes a file section by section.
pub struct Writer<W> {
    out: W,
    offset: u64,
    /// Where the sections that are begun begin.
    starts: Vec<u64>,
    sections: u32,
    /// Blocks of the last of them.
    number: u32,
    block: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer of so many sections into `out`.
    pub fn new(out: W, sections: u32) -> Self {
        Self { out, offset: 0, starts: vec![0], sections, number: 0, block: Vec::new() }
    }

    /// Goes on with this section, which is the present one or one after it.
    pub fn go_to(&mut self, section: u32) -> Result<(), Error> {
        if section >= self.sections || u64::from(section) + 1 < self.starts.len() as u64 {
            return Err(Error::Invalid(format!(
                "section {section} of {} is not there to be written any more",
                self.sections
            )));
        }
        while self.starts.len() as u64 <= u64::from(section) {
            self.end_section()?;
            self.starts.push(self.offset);
        }
        Ok(())
    }

    /// Adds bytes to the present section.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PAYLOAD - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == PAYLOAD {
                self.end_block()?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Error> {
        let section = self.starts.len() as u32 - 1;
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(self.block.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&section.to_le_bytes());
        header[8..].copy_from_slice(&checksum(&self.block, section, self.number).to_le_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(&self.block)?;
        self.offset += (HEADER + self.block.len()) as u64;
        self.block.clear();
        self.number = self
            .number
            .checked_add(1)
            .ok_or_else(|| Error::Invalid("a section of more than 256 TiB: use smaller tasks".to_owned()))?;
        Ok(())
    }

    fn end_section(&mut self) -> Result<(), Error> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.end_block()?;
        self.number = 0;
        Ok(())
    }

    /// Ends the file; gives its length.
    pub fn finish(mut self) -> Result<u64, Error> {
        if let Some(last) = self.sections.checked_sub(1) {
            self.go_to(last)?;
            self.end_section()?;
            self.starts.push(self.offset);
        }
        for start in &self.starts {
            self.out.write_all(&start.to_le_bytes())?;
        }
        self.out.flush()?;
        Ok(self.offset + 8 * self.starts.len() as u64)
    }
}

/// Gathers sections in any order, within a memory budget and beyond it in a scratch file.
pub struct Gatherer<S, F> {
    /// What each section has in memory.
    held: Vec<Vec<u8>>,
    held_bytes: usize,
    memory_bytes: usize,
    scratch: F,
    /// The scratch file, and its length.
    spilled: Option<(S, u64)>,
    /// What each section has there, in order.
    extents: Vec<Vec<Range<u64>>>,
}

impl<S: Scratch, F: FnMut() -> io::Result<S>> Gatherer<S, F> {
    /// For so many sections. Beyond `memory_bytes` they go into a file that `scratch` makes.
    pub fn new(sections: u32, memory_bytes: usize, scratch: F) -> Self {
        Self {
            held: vec![Vec::new(); sections as usize],
            held_bytes: 0,
            memory_bytes,
            scratch,
            spilled: None,
            extents: vec![Vec::new(); sections as usize],
        }
    }

    /// Adds bytes to a section.
    pub fn push(&mut self, section: u32, bytes: &[u8]) -> Result<(), Error> {
        let held = self.held.get_mut(section as usize);
        let held = held.ok_or_else(|| Error::Invalid(format!("there is no section {section}")))?;
        held.extend_from_slice(bytes);
        self.held_bytes += bytes.len();
        if self.held_bytes > self.memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        let (file, end) = match &mut self.spilled {
            Some(open) => open,
            None => self.spilled.insert(((self.scratch)()?, 0)),
        };
        for (held, extents) in self.held.iter_mut().zip(&mut self.extents) {
            if held.is_empty() {
                continue;
            }
            file.write_all(held)?;
            let start = *end;
            *end += held.len() as u64;
            extents.push(start..*end);
            // Another section may be the large one next.
            *held = Vec::new();
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// Writes the file; gives its length.
    pub fn finish(mut self, out: impl Write) -> Result<u64, Error> {
        let mut writer = Writer::new(out, self.held.len() as u32);
        let mut copy = vec![0; PAYLOAD];
        for (section, (held, extents)) in (0..).zip(self.held.iter().zip(&self.extents)) {
            writer.go_to(section)?;
            for extent in extents {
                let Some((file, _)) = &mut self.spilled else { continue };
                file.seek(SeekFrom::Start(extent.start))?;
                let mut rest = extent.end - extent.start;
                while rest > 0 {
                    let bytes = &mut copy[..PAYLOAD.min(rest as usize)];
                    file.read_exact(bytes)?;
                    writer.push(bytes)?;
                    rest -= bytes.len() as u64;
                }
            }
            writer.push(held)?;
        }
        writer.finish()
    }
}

/// Reads one section. No byte is given before its block is checked.
pub struct Reader<R> {
    input: R,
    file: String,
    section: u32,
    number: u32,
    offset: u64,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// `input` yields the bytes of the section's [`byte_range`], which begins at `offset`. `file` is the name for error messages.
    pub fn new(file: &str, section: u32, offset: u64, input: R) -> Self {
        Self {
            input,
            file: file.to_owned(),
            section,
            number: 0,
            offset,
            block: Vec::new(),
            at: 0,
            ended: false,
        }
    }

    /// That what the section holds is not what its writer meant.
    pub fn corrupt(&self, what: &str) -> Error {
        Error::corrupt(&self.file, self.offset, what)
    }

    /// The bytes at hand, at least one of them before the section's end.
    fn fill(&mut self) -> Result<&[u8], Error> {
        if self.at == self.block.len() && !self.ended {
            self.next_block()?;
        }
        Ok(self.block.get(self.at..).unwrap_or_default())
    }

    fn next_block(&mut self) -> Result<(), Error> {
        let mut header = [0; HEADER];
        self.read_raw(&mut header)?;
        let length = le_u32(&header, 0) as usize;
        if length > PAYLOAD || le_u32(&header, 4) != self.section {
            return Err(self.corrupt("there is no block of this section"));
        }
        let mut block = std::mem::take(&mut self.block);
        block.resize(length, 0);
        self.read_raw(&mut block)?;
        if checksum(&block, self.section, self.number) != le_u64(&header, 8) {
            return Err(self.corrupt("the checksum of a block does not match"));
        }
        self.offset += (HEADER + length) as u64;
        self.number = self.number.wrapping_add(1);
        self.ended = length == 0;
        (self.block, self.at) = (block, 0);
        Ok(())
    }

    fn read_raw(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.corrupt("the section is cut short"),
            _ => error.into(),
        })
    }

    /// Whether nothing is left.
    pub fn is_at_end(&mut self) -> Result<bool, Error> {
        Ok(self.fill()?.is_empty())
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Error> {
        match self.fill()?.first() {
            Some(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            None => Err(self.corrupt("the section ends within a row")),
        }
    }

    /// The next LEB128 number.
    pub fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a number does not end"))
    }

    /// Adds the next `count` numbers of 64 bits to `numbers`, which grows only as they arrive.
    pub fn numbers(&mut self, count: u64, numbers: &mut Vec<u64>) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            let (whole, _) = self.fill()?.as_chunks::<8>();
            let wanted = usize::try_from(left).unwrap_or(usize::MAX);
            let mut taken = 0;
            for bytes in whole.iter().take(wanted) {
                numbers.push(u64::from_le_bytes(*bytes));
                taken += 1;
            }
            self.at += 8 * taken;
            left -= taken as u64;
            if taken == 0 {
                // One that lies across two blocks.
                let mut bytes = [0; 8];
                for byte in &mut bytes {
                    *byte = self.byte()?;
                }
                numbers.push(u64::from_le_bytes(bytes));
                left -= 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// The sections of a file, as whoever knows their number finds them.
    fn read(file: &[u8], sections: u32) -> Result<Vec<Vec<u8>>, Error> {
        let part = |range: Range<u64>| {
            let end = (range.end as usize).min(file.len());
            &file[(range.start as usize).min(end)..end]
        };
        (0..sections)
            .map(|section| {
                let range = byte_range("f", part(index_range(file.len() as u64, sections, section)))?;
                let mut reader = Reader::new("f", section, range.start, part(range));
                let mut bytes = Vec::new();
                while !reader.is_at_end()? {
                    bytes.push(reader.byte()?);
                }
                Ok(bytes)
            })
            .collect()
    }

    fn bytes_of(section: u32, length: usize) -> Vec<u8> {
        (0..length).map(|at| (at as u32 * 7 + section) as u8).collect()
    }

    #[test]
    fn sections_come_back_whatever_the_memory() {
        let lengths = [0, 3, PAYLOAD, 0, 3 * PAYLOAD + 5, 1];
        let expected: Vec<Vec<u8>> =
            (0..).zip(lengths).map(|(section, length)| bytes_of(section, length)).collect();
        let mut written = Vec::new();
        let mut writer = Writer::new(&mut written, 6);
        for (section, bytes) in (0..).zip(&expected) {
            if !bytes.is_empty() {
                writer.go_to(section).expect("in order");
            }
            writer.push(bytes).expect("memory");
        }
        assert!(writer.go_to(4).is_err() && writer.go_to(6).is_err());
        assert_eq!(writer.finish().expect("memory"), written.len() as u64);
        assert_eq!(read(&written, 6).expect("sound"), expected);
        for memory in [0, 1000, 1 << 20] {
            let mut gatherer = Gatherer::new(6, memory, || Ok(Cursor::new(Vec::new())));
            // Round and round, a piece of each.
            for start in (0..3 * PAYLOAD + 5).step_by(999) {
                for (section, bytes) in (0..).zip(&expected) {
                    let end = bytes.len().min(start + 999);
                    gatherer.push(section, bytes.get(start..end).unwrap_or(&[])).expect("memory");
                }
            }
            let mut gathered = Vec::new();
            assert_eq!(gatherer.finish(&mut gathered).expect("memory"), written.len() as u64);
            assert!(gathered == written, "with {memory} bytes of memory");
        }
        let mut none = Vec::new();
        Writer::new(&mut none, 0).finish().expect("memory");
        assert_eq!(read(&none, 0).expect("sound"), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn numbers_come_back_across_blocks() {
        let numbers: Vec<u64> = (0..20_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, 1);
        writer.push(&[0x85, 0x01, 7]).expect("memory");
        for number in &numbers {
            writer.push(&number.to_le_bytes()).expect("memory");
        }
        writer.finish().expect("memory");
        let mut reader = Reader::new("f", 0, 0, &file[..]);
        assert_eq!((reader.varint().expect("sound"), reader.byte().expect("sound")), (133, 7));
        let mut back = Vec::new();
        reader.numbers(20_000, &mut back).expect("sound");
        assert_eq!(back, numbers);
        assert!(reader.is_at_end().expect("sound"));
        // More than there are: an error, and no great allocation.
        let mut reader = Reader::new("f", 0, 0, &file[..]);
        assert!(matches!(reader.numbers(u64::MAX, &mut back), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn damage_is_seen() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, 3);
        writer.push(&bytes_of(0, 300)).expect("memory");
        writer.go_to(2).expect("in order");
        writer.push(&bytes_of(2, 100)).expect("memory");
        writer.finish().expect("memory");
        let sound = read(&file, 3).expect("sound");
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 4;
            // An end further on than the section's goes unnoticed: the block that ends it comes before.
            assert!(
                read(&flipped, 3).is_ok_and(|read| read == sound) || read(&flipped, 3).is_err(),
                "byte {at}"
            );
            assert!(read(&file[..at], 3).is_err(), "cut at {at}");
        }
        assert!(read(&file, 4).is_err() && read(&file, 2).is_err());
    }
}
