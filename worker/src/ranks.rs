//! The ranks of a task's documents, in order: what survivors are chosen by.
//!
//! A zstd stream of little-endian `u32` lengths, each followed by that many bytes; `u32::MAX` ends it.

use std::io::{self, BufReader, Read, Write};

const END: u32 = u32::MAX;

pub(crate) struct RankWriter<W: Write> {
    out: zstd::Encoder<'static, W>,
    count: u64,
}

impl<W: Write> RankWriter<W> {
    pub(crate) fn new(out: W) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, 1)?;
        out.include_checksum(true)?;
        Ok(Self { out, count: 0 })
    }

    pub(crate) fn push(&mut self, rank: &[u8]) -> io::Result<()> {
        let length = u32::try_from(rank.len()).ok().filter(|n| *n != END);
        let length = length.ok_or_else(|| io::Error::other("a rank of more than 4 GiB"))?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(rank)?;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<(u64, W)> {
        self.out.write_all(&END.to_le_bytes())?;
        Ok((self.count, self.out.finish()?))
    }
}

pub(crate) struct RankReader<R: Read> {
    input: zstd::Decoder<'static, BufReader<R>>,
    next: u32,
    rank: Vec<u8>,
}

impl<R: Read> RankReader<R> {
    pub(crate) fn new(input: R) -> io::Result<Self> {
        Ok(Self { input: zstd::Decoder::new(input)?, next: 0, rank: Vec::new() })
    }

    /// The rank of the document at `ordinal`. Ask in ascending order.
    pub(crate) fn at(&mut self, ordinal: u32) -> io::Result<&[u8]> {
        while self.next <= ordinal {
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length);
            self.rank.clear();
            let read = self.input.by_ref().take(u64::from(length)).read_to_end(&mut self.rank)?;
            if length == END || read as u64 != u64::from(length) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the ranks end too early"));
            }
            self.next += 1;
        }
        Ok(&self.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_back_in_order() {
        let mut writer = RankWriter::new(Vec::new()).expect("zstd");
        for rank in ["a", "", "ü"] {
            writer.push(rank.as_bytes()).expect("write");
        }
        let (count, bytes) = writer.finish().expect("finish");
        assert_eq!(count, 3);
        let mut reader = RankReader::new(&bytes[..]).expect("zstd");
        assert_eq!(reader.at(0).expect("first"), b"a");
        assert_eq!(reader.at(2).expect("third"), "ü".as_bytes());
        assert_eq!(reader.at(2).expect("again"), "ü".as_bytes());
        assert!(reader.at(3).is_err());
    }
}
