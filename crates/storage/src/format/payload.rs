//! Undoing how HTTP packs a body: chunks, then content encodings.
//!
//! Crawls are careless. Chunks are undone only where `Transfer-Encoding` itself says so and the bytes are chunks (Common Crawl
//! stores bodies decoded and moves that header to `X-Crawler-Transfer-Encoding`); an encoding is undone only where its
//! bytes say so too or decode. A body that claims an encoding it does not have stays as it is; one that ends early keeps
//! what decoded and counts as truncated, as in a browser.

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::HttpHead;

/// The decoded body would be larger than allowed.
#[derive(Debug, PartialEq)]
pub(super) struct TooLarge;

/// How many codings are undone. Servers behind proxies stack two; whoever names a thousand wants to keep us busy.
const MAX_CODINGS: usize = 8;

/// Decodes `body` in place (through `spare`, whose bytes are lost); says whether it ended early.
pub(super) fn decode(
    head: &HttpHead,
    body: &mut Vec<u8>,
    spare: &mut Vec<u8>,
    cap: usize,
) -> Result<bool, TooLarge> {
    let mut truncated = false;
    // In the order they were applied; the last one is undone first.
    let mut codings: Vec<String> = tokens(head, "content-encoding").collect();
    codings.extend(tokens(head, "transfer-encoding"));
    for coding in codings.iter().rev().take(MAX_CODINGS) {
        if coding == "chunked" {
            truncated |= unchunk(body) == Chunked::Cut;
            continue;
        }
        spare.clear();
        let end = match coding.as_str() {
            "gzip" | "x-gzip" if body.starts_with(&GZIP) => gunzip(body, spare, cap)?,
            // Neither raw deflate nor brotli has a mark of its own, and what is none may decode for a while.
            "deflate" | "br" if reads_as_text(body) => continue,
            "deflate" => inflate(body, spare, cap)?,
            "br" => pump(brotli_decompressor::Decompressor::new(&body[..], 16 << 10), spare, cap)?,
            "zstd" if body.starts_with(&ZSTD) => unzstd(body, spare, cap)?,
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

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// All members; what comes behind them and is none is passed over, as in browsers.
fn gunzip(mut body: &[u8], out: &mut Vec<u8>, cap: usize) -> Result<End, TooLarge> {
    while body.starts_with(&GZIP) {
        let mut member = GzDecoder::new(body);
        if pump(&mut member, out, cap)? == End::Early {
            return Ok(End::Early);
        }
        body = member.into_inner();
    }
    Ok(End::Clean)
}

/// With zlib's header or without: servers send both under one name.
fn inflate(body: &[u8], out: &mut Vec<u8>, cap: usize) -> Result<End, TooLarge> {
    if is_zlib(body) {
        let end = pump(ZlibDecoder::new(body), out, cap)?;
        if end == End::Clean || !out.is_empty() {
            return Ok(end);
        }
    }
    pump(DeflateDecoder::new(body), out, cap)
}

fn unzstd(body: &[u8], out: &mut Vec<u8>, cap: usize) -> Result<End, TooLarge> {
    // The largest window that senders may use (RFC 9659), since the decoder takes as much memory as the frame asks for.
    const MAX_WINDOW_LOG: u32 = 23;
    let Ok(mut decoder) = zstd::stream::read::Decoder::with_buffer(body) else { return Ok(End::Early) };
    if decoder.window_log_max(MAX_WINDOW_LOG).is_err() {
        return Ok(End::Early);
    }
    pump(decoder, out, cap)
}

/// Whether the body begins with so much UTF-8 without control characters that it is no compressed data.
fn reads_as_text(body: &[u8]) -> bool {
    const LOOKED_AT: std::ops::RangeInclusive<usize> = 16..=64;
    let start = &body[..body.len().min(*LOOKED_AT.end())];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    start.len() >= *LOOKED_AT.start()
        && valid
            .chars()
            .all(|char| !char.is_control() || matches!(char, '\t' | '\n' | '\r' | '\x0c' | '\x1b'))
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
        // A word like "add" may begin a body that has been put together already; a chunk has a line end behind it.
        if read == 0 && !matches!(body.get(len + size..), None | Some([] | [b'\r' | b'\n', ..])) {
            return Chunked::Not;
        }
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
    use proptest::prelude::*;

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
        // Put together already.
        check(&chunked, b"a\nsheet of paper", b"a\nsheet of paper", false);
        check(&chunked, b"0\r\n\r\n", b"", false);
        // Said twice.
        let twice = [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")];
        check(&twice, b"4\r\nabcd\r\n0\r\n\r\n", b"abcd", false);
    }

    #[test]
    fn encodings() {
        let packed = gzip(TEXT);
        check(&[("content-encoding", "gzip")], &packed, TEXT, false);
        check(&[("Content-Encoding", "x-gzip")], TEXT, TEXT, false);
        check(&[("X-Crawler-Content-Encoding", "gzip")], TEXT, TEXT, false);
        check(&[("Content-Encoding", "identity")], TEXT, TEXT, false);
        check(&[("Content-Encoding", "gzip, gzip")], &gzip(&packed), TEXT, false);
        check(&[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")], &gzip(&packed), TEXT, false);
        check(&[("Transfer-Encoding", "gzip")], &packed, TEXT, false);
        // Two members, and a line end that belongs to neither.
        let members = [&packed[..], &packed, b"\r\n"].concat();
        check(&[("Content-Encoding", "gzip")], &members, &TEXT.repeat(2), false);
        check(&[("Content-Encoding", "compress, utf-8, none")], TEXT, TEXT, false);
        check(&[("Content-Encoding", "deflate")], TEXT, TEXT, false);
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

    /// One coding of each kind that can be undone, by its name.
    fn pack(coding: &str, body: &[u8]) -> Vec<u8> {
        match coding {
            "gzip" => gzip(body),
            "zstd" => zstd::bulk::compress(body, 1).unwrap(),
            "chunked" => {
                let chunk =
                    |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
                body.chunks(1 + body.len() / 3).flat_map(chunk).chain(*b"0\r\n\r\n").collect()
            }
            "raw" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn stacked(codings: &[&str]) -> HttpHead {
        let named = |coding: &&str| match *coding {
            "raw" => ("Content-Encoding".to_owned(), "deflate".to_owned()),
            "chunked" => ("Transfer-Encoding".to_owned(), "chunked".to_owned()),
            other => ("Content-Encoding".to_owned(), other.to_owned()),
        };
        HttpHead { status: 200, reason: String::new(), headers: codings.iter().map(named).collect() }
    }

    const CODINGS: [&str; 4] = ["gzip", "deflate", "raw", "zstd"];
    const CAP: usize = 1 << 14;

    /// Codings one over the other, and what they come to.
    fn packed(layers: &[usize], chunked: bool, text: &[u8]) -> (HttpHead, Vec<u8>) {
        let mut codings: Vec<&str> = layers.iter().map(|&at| CODINGS[at % CODINGS.len()]).collect();
        codings.extend(chunked.then_some("chunked"));
        let body = codings.iter().fold(text.to_vec(), |body, coding| pack(coding, &body));
        (stacked(&codings), body)
    }

    /// What is damaged decodes to something of bounded size, or not at all.
    fn damaged(head: &HttpHead, mut body: Vec<u8>, cut: usize, flips: &[(usize, u8)]) {
        body.truncate(body.len() - cut.min(body.len()));
        for &(at, mask) in flips {
            let length = body.len().max(1);
            if let Some(byte) = body.get_mut(at % length) {
                *byte ^= mask;
            }
        }
        let mut spare = Vec::new();
        if decode(head, &mut body, &mut spare, CAP).is_ok() {
            assert!(body.len() <= CAP);
        }
        assert!(spare.capacity() <= 4 * CAP && body.capacity() <= 4 * CAP);
    }

    proptest! {
        #[test]
        fn any_stack_of_codings(
            layers in proptest::collection::vec(0..CODINGS.len(), 0..5),
            chunked: bool,
            text in proptest::collection::vec(proptest::num::u8::ANY, 20..2000),
            cut in 0..4000_usize,
            flips in proptest::collection::vec((0..4000_usize, 1..=255_u8), 0..4),
        ) {
            let (head, body) = packed(&layers, chunked, &text);
            let mut whole = body.clone();
            prop_assert_eq!(decode(&head, &mut whole, &mut Vec::new(), CAP), Ok(false));
            prop_assert_eq!(whole, text);
            damaged(&head, body, cut, &flips);
        }
    }

    #[test]
    #[ignore = "minutes; run by make soak"]
    fn any_stack_of_codings_for_long() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        for _ in 0..300_000 {
            let text: Vec<u8> = (0..20 + random(400)).map(|_| b"<p>a b</p>\0\xff"[random(12)]).collect();
            let layers: Vec<usize> = (0..random(5)).map(|_| random(CODINGS.len())).collect();
            let (head, body) = packed(&layers, random(2) == 0, &text);
            let flips: Vec<(usize, u8)> =
                (0..random(4)).map(|_| (random(4000), random(255) as u8 + 1)).collect();
            damaged(&head, body, [0, random(500)][random(2)], &flips);
        }
    }

    #[test]
    fn no_more_codings_are_undone_than_servers_stack() {
        let layers = [0; MAX_CODINGS + 1];
        let (head, mut body) = packed(&layers, false, TEXT);
        assert_eq!(decode(&head, &mut body, &mut Vec::new(), CAP), Ok(false));
        assert_eq!(body, gzip(TEXT));
    }

    #[test]
    fn windows_larger_than_senders_may_use_are_refused() {
        // A frame whose header asks for a window of two gigabytes, and one raw block.
        let mut body = [&ZSTD[..], &[0x00, 21 << 3, 0x09, 0x00, 0x00, b'x']].concat();
        let whole = body.clone();
        assert_eq!(decode(&stacked(&["zstd"]), &mut body, &mut Vec::new(), CAP), Ok(false));
        assert_eq!(body, whole);
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
