//! Bytes to text: which encoding a page is in, and its decoding.
//!
//! [`Charset::Detect`] looks, in this order, at a byte order mark, at whether the bytes themselves say UTF-8, at the HTTP
//! header, at `<meta>`, and at the statistics of the bytes (chardetng, Firefox's detector). Bytes before labels, because
//! text in another encoding is next to never well-formed UTF-8 by accident, while servers send default labels by habit;
//! and "say UTF-8" means most sequences are well-formed, so that one bad byte is one U+FFFD and not a page of
//! mojibake. It never fails. Decoding is the Encoding Standard's (encoding_rs).
//!
//! [`Charset::Dclm`] does what DCLM did: strict UTF-8 or nothing.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Encoding, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED,
};

/// How bytes become text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Charset {
    /// Find the encoding out; what is malformed becomes U+FFFD.
    #[default]
    Detect,
    /// Strict UTF-8; labels are not looked at, and a byte order mark stays in the text as U+FEFF, which Resiliparse shows.
    /// DCLM drops other pages without a word, so count the errors.
    Dclm,
}

/// Why a body has no text. Only [`Charset::Dclm`] gives errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CharsetError {
    #[error("the body is not UTF-8 at byte {at}; `charset: detect` would decode it")]
    NotUtf8 { at: usize },
}

/// How far into the page its own label is looked for. The standard says 1,024 bytes; pages that put scripts first have it
/// later, and browsers find it there too.
const PRESCAN_BYTES: usize = 4096;

/// How much is shown to the detector, from the first byte on that is not ASCII.
const DETECTED_BYTES: usize = 256 << 10;

/// The body's text, and the name of the encoding it was read as. `http_charset` is the `charset` parameter of the HTTP
/// content type, if there is one.
pub fn decode<'a>(
    body: &'a [u8],
    http_charset: Option<&str>,
    policy: Charset,
) -> Result<(Cow<'a, str>, &'static str), CharsetError> {
    match policy {
        Charset::Dclm => match std::str::from_utf8(body) {
            Ok(text) => Ok((Cow::Borrowed(text), UTF_8.name())),
            Err(error) => Err(CharsetError::NotUtf8 { at: error.valid_up_to() }),
        },
        Charset::Detect => {
            if let Some((encoding, mark_bytes)) = Encoding::for_bom(body) {
                return Ok(decode_as(&body[mark_bytes..], encoding));
            }
            let http = http_charset.and_then(|label| usable(label.trim_matches(['"', '\'']).as_bytes()));
            let label = http.or_else(|| label_in_page(&body[..body.len().min(PRESCAN_BYTES)]));
            Ok(decode_labelled(body, label))
        }
    }
}

fn decode_as<'a>(body: &'a [u8], encoding: &'static Encoding) -> (Cow<'a, str>, &'static str) {
    (encoding.decode_without_bom_handling(body).0, encoding.name())
}

/// The encoding with that label, unless it is one that only says "do not decode".
fn usable(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(label).filter(|encoding| *encoding != REPLACEMENT)
}

/// How much of a body is UTF-8, by sequences of more than one byte.
#[derive(Clone, Copy, Default, Debug)]
struct Utf8Count {
    well_formed: usize,
    malformed: usize,
}

impl Utf8Count {
    fn of(body: &[u8]) -> Self {
        let mut count = Self::default();
        for chunk in body.utf8_chunks() {
            count.well_formed += chunk.valid().bytes().filter(|byte| *byte >= 0xC0).count();
            count.malformed += usize::from(!chunk.invalid().is_empty());
        }
        count
    }

    /// Whether this is UTF-8 with at most an accident here and there.
    fn is_utf8(self) -> bool {
        self.well_formed > 0 && self.well_formed >= 4 * self.malformed
    }
}

fn decode_labelled<'a>(body: &'a [u8], label: Option<&'static Encoding>) -> (Cow<'a, str>, &'static str) {
    let Some(first) = body.iter().position(|byte| !byte.is_ascii()) else {
        return decode_ascii(body, label);
    };
    if let Some(utf_16) = label.filter(|label| is_utf_16(label, body)) {
        return decode_as(body, utf_16);
    }
    let label = label.filter(|label| *label != UTF_16LE && *label != UTF_16BE);
    let count = Utf8Count::of(body);
    if count.is_utf8() {
        // Two or three Chinese characters in another encoding can look like UTF-8.
        let contested = label.filter(|label| !label.is_single_byte() && *label != UTF_8);
        match contested {
            Some(label) if count.well_formed < 8 => {
                let (text, malformed) = label.decode_without_bom_handling(body);
                if !malformed {
                    return (text, label.name());
                }
            }
            _ => {}
        }
        return decode_as(body, UTF_8);
    }
    if label == Some(UTF_8) && count.well_formed >= count.malformed {
        return decode_as(body, UTF_8);
    }
    let guess = || guess(&body[first..]);
    match label.filter(|label| *label != UTF_8) {
        None => decode_as(body, guess()),
        Some(label) => {
            let (text, malformed) = label.decode_without_bom_handling(body);
            if malformed && replaced(&text) > body.len() / 100 {
                let (other, name) = decode_as(body, guess());
                if replaced(&other) < replaced(&text) {
                    return (other, name);
                }
            }
            (text, label.name())
        }
    }
}

/// A body of seven-bit bytes: its own text, unless it uses the escapes of ISO-2022-JP.
fn decode_ascii<'a>(body: &'a [u8], label: Option<&'static Encoding>) -> (Cow<'a, str>, &'static str) {
    let escapes = memchr::memchr(0x1B, body).is_some();
    if escapes && (label == Some(ISO_2022_JP) || guess(body) == ISO_2022_JP) {
        return decode_as(body, ISO_2022_JP);
    }
    match label {
        Some(utf_16) if is_utf_16(utf_16, body) => decode_as(body, utf_16),
        Some(label) if label.is_ascii_compatible() => (decode_as(body, UTF_8).0, label.name()),
        _ => decode_as(body, UTF_8),
    }
}

/// Whether a label of UTF-16 is true: markup in it has a NUL in every other byte.
fn is_utf_16(label: &'static Encoding, body: &[u8]) -> bool {
    let start = &body[..body.len().min(PRESCAN_BYTES)];
    let nuls = |parity: usize| start.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    (label == UTF_16LE && 8 * nuls(1) > start.len()) || (label == UTF_16BE && 8 * nuls(0) > start.len())
}

fn replaced(text: &str) -> usize {
    text.matches('\u{FFFD}').count()
}

fn guess(from: &[u8]) -> &'static Encoding {
    let shown = &from[..from.len().min(DETECTED_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(shown, shown.len() == from.len());
    detector.guess(None, Utf8Detection::Deny)
}

// The label in the page ("prescan a byte stream to determine its encoding", HTML standard 13.2.3.2).

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

fn label_in_page(start: &[u8]) -> Option<&'static Encoding> {
    if start.starts_with(b"<?xml") {
        let end = memchr::memchr(b'>', start)?;
        if let Some(label) = after_equals(&start[..end], b"encoding") {
            return label_meaning(label);
        }
    }
    let mut scan = Scan { bytes: start, at: 0 };
    while let Some(found) = memchr::memchr(b'<', &scan.bytes[scan.at..]) {
        scan.at += found;
        let rest = &scan.bytes[scan.at..];
        let is_meta = rest.get(1..5).is_some_and(|name| name.eq_ignore_ascii_case(b"meta"))
            && rest.get(5).is_some_and(|&byte| is_space(byte) || byte == b'/');
        if rest.starts_with(b"<!--") {
            scan.at += memchr::memmem::find(&rest[2..], b"-->")? + 5;
        } else if is_meta {
            scan.at += 5;
            if let Some(encoding) = scan.meta() {
                return Some(encoding);
            }
        } else if rest.get(1).is_some_and(u8::is_ascii_alphabetic)
            || (rest.get(1) == Some(&b'/') && rest.get(2).is_some_and(u8::is_ascii_alphabetic))
        {
            scan.at += rest.iter().position(|&byte| is_space(byte) || byte == b'>')?;
            while scan.attribute().is_some() {}
        } else if matches!(rest.get(1), Some(b'!' | b'/' | b'?')) {
            scan.at += memchr::memchr(b'>', rest)?;
        } else {
            scan.at += 1;
        }
    }
    None
}

/// A label in a page cannot mean UTF-16, since it was read as ASCII.
fn label_meaning(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = usable(label)?;
    Some(if encoding == UTF_16LE || encoding == UTF_16BE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    })
}

/// The value in `name = "value"` or `name=value`, wherever in the text ("extracting a character encoding from a meta
/// element").
fn after_equals<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut from = 0;
    loop {
        let found =
            text.get(from..)?.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name))?;
        from += found + name.len();
        let rest = text[from..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b"=") else { continue };
        let rest = rest.trim_ascii_start();
        return match rest.first()? {
            quote @ (b'"' | b'\'') => {
                let end = memchr::memchr(*quote, &rest[1..])?;
                Some(&rest[1..=end])
            }
            _ => {
                let end = rest.iter().position(|&byte| is_space(byte) || byte == b';' || byte == b'?');
                Some(&rest[..end.unwrap_or(rest.len())])
            }
        };
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What the `meta` tag whose attributes come next says.
    fn meta(&mut self) -> Option<&'static Encoding> {
        let (mut pragma, mut charset, mut content) = (false, None, None);
        while let Some((name, value)) = self.attribute() {
            if name.eq_ignore_ascii_case(b"http-equiv") {
                pragma = value.eq_ignore_ascii_case(b"content-type");
            } else if name.eq_ignore_ascii_case(b"charset") {
                charset = charset.or(label_meaning(value));
            } else if name.eq_ignore_ascii_case(b"content") {
                content = content.or(after_equals(value, b"charset").and_then(label_meaning));
            }
        }
        charset.or(content.filter(|_| pragma))
    }

    /// The next attribute of the tag; None, at its end.
    fn attribute(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        while self.peek().is_some_and(|byte| is_space(byte) || byte == b'/') {
            self.at += 1;
        }
        if self.peek()? == b'>' {
            return None;
        }
        let start = self.at;
        // An equals sign may start a name.
        self.at += 1;
        while self.peek().is_some_and(|byte| !is_space(byte) && !matches!(byte, b'/' | b'>' | b'=')) {
            self.at += 1;
        }
        let name = &self.bytes[start..self.at];
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        if self.peek() != Some(b'=') {
            return Some((name, b""));
        }
        self.at += 1;
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        let rest = self.bytes.get(self.at..)?;
        match rest.first()? {
            quote @ (b'"' | b'\'') => {
                let end = memchr::memchr(*quote, &rest[1..])?;
                self.at += end + 2;
                Some((name, &rest[1..=end]))
            }
            _ => {
                let end = rest.iter().position(|&byte| is_space(byte) || byte == b'>').unwrap_or(rest.len());
                self.at += end;
                Some((name, &rest[..end]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8], http: Option<&str>, text: &str, name: &str) {
        let decoded = decode(body, http, Charset::Detect);
        assert_eq!(decoded, Ok((Cow::Borrowed(text), name)), "{body:?} with {http:?}");
    }

    #[test]
    fn detection() {
        check(b"plain", None, "plain", "UTF-8");
        check(b"plain", Some("iso-8859-1"), "plain", "windows-1252");
        check("größer".as_bytes(), None, "größer", "UTF-8");
        check("größer".as_bytes(), Some("latin1"), "größer", "UTF-8");
        check(b"\xef\xbb\xbfx", Some("gbk"), "x", "UTF-8");
        check(b"\xff\xfea\0", None, "a", "UTF-16LE");
        check(b"<\0p\0>\0a\0", Some("utf-16le"), "<p>a", "UTF-16LE");
        check(b"<p>abc\xe9", Some("utf-16"), "<p>abcé", "windows-1252");
        check(b"\xcf\xf0\xe8\xe2\xe5\xf2", Some("\"windows-1251\""), "Привет", "windows-1251");
        check(b"<meta charset=koi8-r>\xf0\xd2\xc9", None, "<meta charset=koi8-r>При", "KOI8-R");
        check(b"\xc1\xaa\xcd\xa8", Some("gb2312"), "联通", "GBK");
        check(b"x\x1b$B$\"\x1b(B", None, "xあ", "ISO-2022-JP");
        check(b"caf\xe9", Some("hz-gb-2312"), "café", "windows-1252");
    }

    #[test]
    fn one_bad_byte_is_one_replacement() {
        let mut body = "Über die Mühle: größer, schöner, älter".as_bytes().to_vec();
        body.extend(b" \x92 x");
        let text = "Über die Mühle: größer, schöner, älter \u{FFFD} x";
        for http in [None, Some("utf-8"), Some("iso-8859-1")] {
            check(&body, http, text, "UTF-8");
        }
        // But a page that only claims to be UTF-8 is read as what it is.
        check(b"<p>Caf\xe9 cr\xe8me br\xfbl\xe9e", Some("utf-8"), "<p>Café crème brûlée", "windows-1252");
    }

    #[test]
    fn labels_in_pages() {
        for (page, label) in [
            ("<meta charset=utf-8>", "UTF-8"),
            ("<META CHARSET = 'Shift_JIS' >", "Shift_JIS"),
            ("<meta http-equiv=Content-Type content='text/html; charset=big5'>", "Big5"),
            ("<meta content='text/html; charset=\"euc-kr\"' http-equiv=content-type>", "EUC-KR"),
            ("<!-- <meta charset=gbk> --><meta charset=koi8-u>", "KOI8-U"),
            ("<a title='<meta charset=gbk>'><meta charset=utf-16>", "UTF-8"),
            ("<?xml version='1.0' encoding='iso-8859-2'?>", "ISO-8859-2"),
            ("<meta name=x content='charset=gbk'><meta charset=x-user-defined>", "windows-1252"),
        ] {
            assert_eq!(label_in_page(page.as_bytes()).map(Encoding::name), Some(label), "{page}");
        }
        for page in
            ["", "<", "<meta", "<meta charset", "<meta charset=nonsense>", "<!--", "<meta charset='utf-8"]
        {
            assert_eq!(label_in_page(page.as_bytes()), None, "{page}");
        }
    }

    #[test]
    fn dclm_is_strict_and_keeps_the_mark() {
        assert_eq!(decode(b"a\xff", Some("latin1"), Charset::Dclm), Err(CharsetError::NotUtf8 { at: 1 }));
        let marked = decode(b"\xef\xbb\xbfa", None, Charset::Dclm);
        assert_eq!(marked, Ok((Cow::Borrowed("\u{feff}a"), "UTF-8")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode(body in proptest::collection::vec(proptest::num::u8::ANY, 0..300), http in "[a-z0-9-]{0,12}") {
            let decoded = decode(&body, Some(&http), Charset::Detect);
            proptest::prop_assert!(decoded.is_ok());
        }
    }
}
