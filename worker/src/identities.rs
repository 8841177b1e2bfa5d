//! The identities of a task's documents, in order: what survivors are chosen by.
//!
//! A zstd stream of little-endian `u32` lengths, each followed by that many bytes; `u32::MAX` ends it.

use std::io::{self, BufReader, Read, Write};

const END: u32 = u32::MAX;

pub(crate) struct IdentityWriter<W: Write> {
    out: zstd::Encoder<'static, W>,
    count: u64,
}

impl<W: Write> IdentityWriter<W> {
    pub(crate) fn new(out: W) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, 1)?;
        out.include_checksum(true)?;
        Ok(Self { out, count: 0 })
    }

    pub(crate) fn push(&mut self, id: &str) -> io::Result<()> {
        let length = u32::try_from(id.len()).ok().filter(|n| *n != END);
        let length = length.ok_or_else(|| io::Error::other("an identity of more than 4 GiB"))?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(id.as_bytes())?;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<(u64, W)> {
        self.out.write_all(&END.to_le_bytes())?;
        Ok((self.count, self.out.finish()?))
    }
}

pub(crate) struct IdentityReader<R: Read> {
    input: zstd::Decoder<'static, BufReader<R>>,
    next: u32,
    id: Vec<u8>,
}

impl<R: Read> IdentityReader<R> {
    pub(crate) fn new(input: R) -> io::Result<Self> {
        Ok(Self { input: zstd::Decoder::new(input)?, next: 0, id: Vec::new() })
    }

    /// The identity of the document at `ordinal`. Ask in ascending order.
    pub(crate) fn at(&mut self, ordinal: u32) -> io::Result<&[u8]> {
        while self.next <= ordinal {
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length);
            self.id.clear();
            let read = self.input.by_ref().take(u64::from(length)).read_to_end(&mut self.id)?;
            if length == END || read as u64 != u64::from(length) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the identities end too early"));
            }
            self.next += 1;
        }
        Ok(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_come_back_in_order() {
        let mut writer = IdentityWriter::new(Vec::new()).expect("zstd");
        for id in ["a", "", "ü"] {
            writer.push(id).expect("write");
        }
        let (count, bytes) = writer.finish().expect("finish");
        assert_eq!(count, 3);
        let mut reader = IdentityReader::new(&bytes[..]).expect("zstd");
        assert_eq!(reader.at(0).expect("first"), b"a");
        assert_eq!(reader.at(2).expect("third"), "ü".as_bytes());
        assert_eq!(reader.at(2).expect("again"), "ü".as_bytes());
        assert!(reader.at(3).is_err());
    }
}
