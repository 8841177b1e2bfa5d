//! Files out of a `.zip` in memory, no more than one looks for.

use super::ModelError;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::Read;

/// A file that one looks for has less.
const MAX_UNPACKED: u64 = 16 << 20;

/// The file of a path, as text.
pub(super) fn file(archive: &[u8], path: &str) -> Result<String, ModelError> {
    let bad = |what: String| ModelError::new("zip archive", what);
    // The directory's end is followed by a comment of any length that fits 16 bits.
    let tail = archive.len().saturating_sub(22 + usize::from(u16::MAX));
    let end = memchr::memmem::rfind(archive.get(tail..).unwrap_or_default(), b"PK\x05\x06")
        .ok_or_else(|| bad("it has no directory".to_owned()))?;
    let end = Record { bytes: archive, at: tail + end };
    let mut entry = Record { bytes: archive, at: end.long(16).unwrap_or(usize::MAX) };
    for _ in 0..end.short(10).unwrap_or(0) {
        let cut = || bad("its directory is cut off".to_owned());
        let [name, extra, comment] =
            [entry.short(28), entry.short(30), entry.short(32)].map(|length| length.unwrap_or(usize::MAX));
        if entry.get(46, name).ok_or_else(cut)? == path.as_bytes() {
            return unpack(archive, &entry).map_err(|what| bad(format!("{path} {what}")));
        }
        entry.at = [46, name, extra, comment].into_iter().fold(entry.at, usize::saturating_add);
    }
    Err(bad(format!("it has no {path}")))
}

fn unpack(archive: &[u8], entry: &Record) -> Result<String, &'static str> {
    let parts = || {
        let header = Record { bytes: archive, at: entry.long(42)? };
        let start = 30 + header.short(26)? + header.short(28)?;
        Some((entry.short(10)?, entry.long(16)?, header.get(start, entry.long(20)?)?))
    };
    let (method, crc, packed) = parts().ok_or("is cut off")?;
    let mut unpacked = Vec::new();
    let read = match method {
        0 => packed.take(MAX_UNPACKED).read_to_end(&mut unpacked),
        8 => DeflateDecoder::new(packed).take(MAX_UNPACKED).read_to_end(&mut unpacked),
        _ => return Err("is packed in a way that is not read here"),
    };
    let mut sum = Crc::new();
    sum.update(&unpacked);
    if read.is_err() || sum.sum() as usize != crc {
        return Err("is damaged or too large");
    }
    String::from_utf8(unpacked).map_err(|_| "is not UTF-8")
}

/// A record of an archive, by the place of its first byte. Numbers are little-endian.
struct Record<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Record<'a> {
    fn get(&self, from: usize, length: usize) -> Option<&'a [u8]> {
        let from = self.at.checked_add(from)?;
        self.bytes.get(from..from.checked_add(length)?)
    }

    fn short(&self, from: usize) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes(self.get(from, 2)?.try_into().ok()?)))
    }

    fn long(&self, from: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.get(from, 4)?.try_into().ok()?)).ok()
    }
}
