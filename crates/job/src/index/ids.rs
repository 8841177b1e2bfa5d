//! Who the documents of a segment are, in order: how many units the dedup knows each by, its id and its address. What a
//! takedown looks for.
//!
//! A zstd stream (with its checksum) of three little-endian `u32` (units, lengths of id and address), each followed by those
//! bytes. `u32::MAX` units end it. A document that was taken down keeps its place, and its units, and has neither id nor
//! address.

use std::io::{self, BufReader, Read, Write};

const END: u32 = u32::MAX;

/// Writes the ids of a segment.
pub struct IdWriter<W: Write> {
    out: zstd::Encoder<'static, W>,
    count: u64,
}

impl<W: Write> IdWriter<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, 3)?;
        out.include_checksum(true)?;
        Ok(Self { out, count: 0 })
    }

    pub fn push(&mut self, units: u32, id: &str, url: &str) -> io::Result<()> {
        let length = |text: &str| {
            u32::try_from(text.len()).map_err(|_| io::Error::other("an id or address of more than 4 GiB"))
        };
        if units == END {
            return Err(io::Error::other("a document of 2^32 units"));
        }
        for number in [units, length(id)?, length(url)?] {
            self.out.write_all(&number.to_le_bytes())?;
        }
        self.out.write_all(id.as_bytes())?;
        self.out.write_all(url.as_bytes())?;
        self.count += 1;
        Ok(())
    }

    /// Ends the file; gives the number of documents and the inner writer.
    pub fn finish(mut self) -> io::Result<(u64, W)> {
        self.out.write_all(&END.to_le_bytes())?;
        Ok((self.count, self.out.finish()?))
    }
}

/// Reads them.
pub struct IdReader<R: Read> {
    input: zstd::Decoder<'static, BufReader<R>>,
    ids: Ids,
}

/// Who a document is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub units: u32,
    pub id: String,
    pub url: String,
}

impl<R: Read> IdReader<R> {
    pub fn new(input: R) -> io::Result<Self> {
        Ok(Self { input: zstd::Decoder::new(input)?, ids: Ids::default() })
    }

    /// The next document; none at the end. Fewer bytes than there should be are an error.
    pub fn read(&mut self) -> io::Result<Option<&Ids>> {
        let units = self.number()?;
        if units == END {
            // The checksum comes last.
            let rest = self.input.read(&mut [0])?;
            let more = || io::Error::new(io::ErrorKind::InvalidData, "the ids go on after their end");
            return if rest == 0 { Ok(None) } else { Err(more()) };
        }
        let (id, url) = (self.number()?, self.number()?);
        self.ids.units = units;
        read_text(&mut self.input, id, &mut self.ids.id)?;
        read_text(&mut self.input, url, &mut self.ids.url)?;
        Ok(Some(&self.ids))
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

/// Memory grows with the bytes that are there, not with those that are promised.
fn read_text(input: &mut impl Read, length: u32, text: &mut String) -> io::Result<()> {
    let mut bytes = std::mem::take(text).into_bytes();
    bytes.clear();
    let read = input.take(u64::from(length)).read_to_end(&mut bytes)?;
    if read as u64 != u64::from(length) {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the ids end too early"));
    }
    *text = String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "an id that is not UTF-8"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(ids: &[(u32, String, String)]) -> Vec<u8> {
        let mut writer = IdWriter::new(Vec::new()).expect("zstd");
        for (units, id, url) in ids {
            writer.push(*units, id, url).expect("memory");
        }
        let (count, bytes) = writer.finish().expect("memory");
        assert_eq!(count, ids.len() as u64);
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(u32, String, String)>> {
        let mut reader = IdReader::new(bytes)?;
        let mut all = Vec::new();
        while let Some(ids) = reader.read()? {
            all.push((ids.units, ids.id.clone(), ids.url.clone()));
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn ids_come_back_or_there_is_an_error(
            ids in prop::collection::vec((0_u32..5, "\\PC{0,9}", "\\PC{0,9}"), 0..20),
            at in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let bytes = write(&ids);
            prop_assert_eq!(read(&bytes).ok(), Some(ids.clone()));
            prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= 1_u8 << bit;
            if let Ok(read) = read(&flipped) {
                prop_assert_eq!(read, ids);
            }
        }
    }
}
