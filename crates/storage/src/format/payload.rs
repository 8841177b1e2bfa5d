//! Undoing how HTTP packs a body: chunks, then content encodings.
//!
//! Crawls are careless. Chunks are undone only where `Transfer-Encoding` itself says so and the bytes are chunks (Common Crawl
//! stores bodies decoded and moves that header to `X-Crawler-Transfer-Encoding`); an encoding is undone only where its
//! bytes say so too or decode. A body that claims an encoding it does not have stays as it is; one that ends early keeps
//! what decoded and counts as truncated, as in a browser.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::HttpHead;

/// The decoded body would be larger than allowed.
#[derive(Debug, PartialEq)]
pub(super) struct TooLarge;

/// Decodes `body` in place (through `spare`, whose bytes are lost); says whether it ended early.
pub(super) fn decode(
    head: &HttpHead,
    body: &mut Vec<u8>,
    spare: &mut Vec<u8>,
    cap: usize,
) -> Result<bool, TooLarge> {
    let mut truncated = false;
    if tokens(head, "transfer-encoding").any(|token| token == "chunked") {
        truncated |= unchunk(body) == Chunked::Cut;
    }
    let encodings: Vec<String> = tokens(head, "content-encoding").collect();
    for encoding in encodings.iter().rev() {
        spare.clear();
        let end = match encoding.as_str() {
            "gzip" | "x-gzip" if body.starts_with(&[0x1f, 0x8b]) => {
                pump(MultiGzDecoder::new(&body[..]), spare, cap)?
            }
            "deflate" if is_zlib(body) => pump(ZlibDecoder::new(&body[..]), spare, cap)?,
            "deflate" => pump(DeflateDecoder::new(&body[..]), spare, cap)?,
            "br" => pump(brotli_decompressor::Decompressor::new(&body[..], 16 << 10), spare, cap)?,
            "zstd" if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => {
                match zstd::stream::read::Decoder::with_buffer(&body[..]) {
                    Ok(decoder) => pump(decoder, spare, cap)?,
                    Err(_) => End::Early,
                }
            }
            _ => continue,
        };
        if end == End::Early {
            if spare.is_empty() {
                // Not in that encoding at all.
                continue;
            }
            truncated = true;
        }
        std::mem::swap(body, spare);
    }
    if body.len() > cap {
        return Err(TooLarge);
    }
    Ok(truncated)
}

/// The comma-separated words of all headers of that name, in order, in lower case.
fn tokens<'a>(head: &'a HttpHead, name: &'a str) -> impl Iterator<Item = String> + 'a {
    head.headers
        .iter()
        .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
        .flat_map(|(_, value)| value.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
        .filter(|word| !word.is_empty())
}

#[derive(Debug, PartialEq)]
enum End {
    Clean,
    Early,
}

/// Everything that `from` yields before its end or an error.
fn pump(mut from: impl Read, out: &mut Vec<u8>, cap: usize) -> Result<End, TooLarge> {
    let mut piece = [0; 16 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(End::Clean),
            Ok(n) if out.len() + n > cap => return Err(TooLarge),
            Ok(n) => out.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(End::Early),
        }
    }
}

/// Whether the bytes begin a zlib stream (RFC 1950): servers send raw deflate under the same name.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        &[cmf, flags, ..] => {
            cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flags]).is_multiple_of(31)
        }
        _ => false,
    }
}

#[derive(Debug, PartialEq)]
enum Chunked {
    /// The bytes were no chunks and are as they were.
    Not,
    Whole,
    /// The chunks end early; what came before is kept.
    Cut,
}

/// Undoes chunked transfer coding (RFC 9112, section 7.1) in place.
fn unchunk(body: &mut Vec<u8>) -> Chunked {
    let (mut read, mut wrote) = (0, 0);
    let mut result = Chunked::Cut;
    loop {
        let Some((size, len)) = chunk_size(&body[read..]) else {
            if read == 0 {
                return Chunked::Not;
            }
            break;
        };
        read += len;
        if size == 0 {
            result = Chunked::Whole;
            break;
        }
        let here = size.min(body.len() - read);
        body.copy_within(read..read + here, wrote);
        read += here;
        wrote += here;
        if here < size {
            break;
        }
        read += match &body[read..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => 0,
        };
    }
    body.truncate(wrote);
    result
}

/// The size that a chunk's first line states, and the length of that line.
fn chunk_size(bytes: &[u8]) -> Option<(usize, usize)> {
    // Extensions may follow the number; no sane server writes more than this.
    const MAX_LINE: usize = 4096;
    let seen = &bytes[..bytes.len().min(MAX_LINE)];
    let newline = memchr::memchr(b'\n', seen)?;
    let line = std::str::from_utf8(&seen[..newline]).ok()?;
    let number = line.split(';').next()?.trim();
    if number.is_empty() || number.len() > 15 || !number.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some((usize::from_str_radix(number, 16).ok()?, newline + 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"Some text that is worth packing, packing, packing, packing.";

    fn check(headers: &[(&str, &str)], body: &[u8], expected: &[u8], truncated: bool) {
        let headers = headers.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let head = HttpHead { status: 200, reason: String::new(), headers };
        let mut body = body.to_vec();
        assert_eq!(decode(&head, &mut body, &mut Vec::new(), 1 << 20), Ok(truncated));
        assert_eq!(body.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn chunks() {
        let chunked = [("Transfer-Encoding", "chunked")];
        check(&chunked, b"4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\n\r\n", b"abcdef", false);
        check(&chunked, b"4\nabcd\n0\n\n", b"abcd", false);
        check(&chunked, b"8\r\nabcd", b"abcd", true);
        check(&chunked, b"4\r\nabcd\r\n", b"abcd", true);
        check(&chunked, b"<html>not chunked", b"<html>not chunked", false);
        check(&[("X-Crawler-Transfer-Encoding", "chunked")], b"4\r\nabcd", b"4\r\nabcd", false);
        check(&chunked, b"ffffffffffffffff\r\nx", b"ffffffffffffffff\r\nx", false);
    }

    #[test]
    fn encodings() {
        let packed = gzip(TEXT);
        check(&[("content-encoding", "gzip")], &packed, TEXT, false);
        check(&[("Content-Encoding", "x-gzip")], TEXT, TEXT, false);
        check(&[("X-Crawler-Content-Encoding", "gzip")], TEXT, TEXT, false);
        check(&[("Content-Encoding", "identity")], TEXT, TEXT, false);
        check(&[("Content-Encoding", "gzip, gzip")], &gzip(&packed), TEXT, false);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        check(&[("Content-Encoding", "deflate")], &zlib.finish().unwrap(), TEXT, false);
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        check(&[("Content-Encoding", "deflate")], &raw.finish().unwrap(), TEXT, false);
        check(&[("Content-Encoding", "zstd")], &zstd::bulk::compress(TEXT, 3).unwrap(), TEXT, false);
        check(&[("Content-Encoding", "br")], TEXT, TEXT, false);
        // "Hello World" by the reference encoder.
        let brotli = [11, 5, 128, 72, 101, 108, 108, 111, 32, 87, 111, 114, 108, 100, 3];
        check(&[("Content-Encoding", "br")], &brotli, b"Hello World", false);
    }

    #[test]
    fn chunked_gzip_that_ends_early() {
        let mut packed = b"ffff\r\n".to_vec();
        let long: Vec<u8> = (0..5000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        packed.extend_from_slice(&gzip(&long)[..10_000]);
        let headers = [("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .to_vec();
        let head = HttpHead { status: 200, reason: String::new(), headers };
        assert_eq!(decode(&head, &mut packed, &mut Vec::new(), 1 << 20), Ok(true));
        assert!(packed.len() > 5000 && long.starts_with(&packed));
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = gzip(&vec![0; 3 << 20]);
        let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
        let head = HttpHead { status: 200, reason: String::new(), headers };
        let mut spare = Vec::new();
        assert_eq!(decode(&head, &mut bomb.clone(), &mut spare, 1 << 20), Err(TooLarge));
        assert!(spare.capacity() <= 2 << 20);
    }
}
