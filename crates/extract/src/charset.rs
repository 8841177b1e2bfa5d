//! Bytes to text: which encoding a page is in, and its decoding.
//!
//! [`Charset::Detect`] looks, in this order, at a byte order mark, at whether the bytes themselves say UTF-16 or UTF-8, at
//! the HTTP header, at `<meta>`, and at the statistics of the bytes (chardetng, Firefox's detector). Bytes before labels,
//! because text in another encoding is next to never well-formed UTF-8 by accident, while servers send default labels by
//! habit; and "say UTF-8" means most sequences are well-formed, so that one bad byte is one U+FFFD and not a page of
//! mojibake. For the same reason a label of windows-1252 (or ISO-8859-1) counts less than any other, and a label that the
//! statistics plainly contradict counts nothing. It never fails. Decoding is the Encoding Standard's (encoding_rs).
//!
//! [`Charset::Dclm`] does what DCLM did: strict UTF-8 or nothing.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Encoding, IBM866, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED,
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
            if let Some(utf_16) = unmarked_utf_16(body) {
                return Ok(decode_as(body, utf_16));
            }
            let http = http_charset.and_then(|label| usable(label.trim_matches(['"', '\'']).as_bytes()));
            let in_page = || label_in_page(&body[..body.len().min(PRESCAN_BYTES)]);
            // What servers send without knowing gives way to what the page says.
            let label = match http {
                None => in_page(),
                Some(habit) if habit == UTF_8 || habit == WINDOWS_1252 => {
                    in_page().filter(|label| *label != UTF_8).or(http)
                }
                known => known,
            };
            Ok(decode_labelled(body, label, http == Some(UTF_8)))
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

/// By what label and bytes say together. `sent_as_utf_8`: the HTTP header says so, whatever the page says.
fn decode_labelled<'a>(
    body: &'a [u8],
    label: Option<&'static Encoding>,
    sent_as_utf_8: bool,
) -> (Cow<'a, str>, &'static str) {
    let Some(first) = body.iter().position(|byte| !byte.is_ascii()) else {
        return decode_ascii(body, label);
    };
    if let Some(utf_16) = label.filter(|label| is_utf_16(label, body)) {
        return decode_as(body, utf_16);
    }
    let label = label.filter(|label| *label != UTF_16LE && *label != UTF_16BE);
    let says_utf_8 = sent_as_utf_8 || label == Some(UTF_8);
    let label = label.filter(|label| *label != UTF_8);
    let count = Utf8Count::of(body);
    if count.is_utf8() {
        // Two or three Chinese characters in another encoding can look like UTF-8.
        let contested = label.filter(|label| !label.is_single_byte() && !says_utf_8);
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
    if says_utf_8 && count.well_formed >= count.malformed {
        return decode_as(body, UTF_8);
    }
    let shown = &body[first..body.len().min(first + DETECTED_BYTES)];
    let guessed = || guess(shown, shown.len() == body.len() - first);
    let Some(label) = label else { return decode_as(body, guessed()) };
    if label.is_single_byte() {
        // Every byte means something in it, so only what the text comes to can speak against it.
        let contradicted = distinct_in_words(shown) >= CONTRADICTING && contradicts(guessed(), label);
        return decode_as(body, if contradicted { guessed() } else { label });
    }
    let (text, malformed) = label.decode_without_bom_handling(body);
    if malformed && replaced(&text) > body.len() / 100 {
        let (other, name) = decode_as(body, guessed());
        if replaced(&other) < replaced(&text) {
            return (other, name);
        }
    }
    (text, label.name())
}

/// So many different letters must there be for statistics to say that a label is wrong.
const CONTRADICTING: u32 = 6;

/// Whether a label and what the bytes look like cannot both be right. Encodings of one script mostly differ in letters
/// that statistics may miss; but windows-1252 is what pages say that do not know.
fn contradicts(guessed: &'static Encoding, label: &'static Encoding) -> bool {
    let koi8 = |encoding: &'static Encoding| encoding.name().starts_with("KOI8");
    match (script(guessed), script(label)) {
        // Full of letters where others have quotation marks and blanks, so that these look like it.
        _ if guessed == IBM866 => false,
        (Script::Latin, Script::Latin) => label == WINDOWS_1252 && guessed != label,
        // These have no letter in the same place.
        (Script::Cyrillic, Script::Cyrillic) => guessed != label && !(koi8(guessed) && koi8(label)),
        (guessed, label) => guessed != label,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Hebrew,
    Arabic,
    Thai,
    EastAsian,
}

fn script(encoding: &'static Encoding) -> Script {
    match encoding.name() {
        "windows-1251" | "ISO-8859-5" | "KOI8-R" | "KOI8-U" | "IBM866" | "x-mac-cyrillic" => Script::Cyrillic,
        "windows-1253" | "ISO-8859-7" => Script::Greek,
        "windows-1255" | "ISO-8859-8" | "ISO-8859-8-I" => Script::Hebrew,
        "windows-1256" | "ISO-8859-6" => Script::Arabic,
        "windows-874" => Script::Thai,
        _ if encoding.is_single_byte() => Script::Latin,
        _ => Script::EastAsian,
    }
}

/// How many different bytes that are not ASCII stand beside a letter or another such byte: those of words, not the blanks
/// and signs between them.
fn distinct_in_words(bytes: &[u8]) -> u32 {
    let of_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    let mut seen = 0_u128;
    for (at, &byte) in bytes.iter().enumerate() {
        if !byte.is_ascii()
            && (of_word(bytes.get(at + 1)) || of_word(at.checked_sub(1).and_then(|at| bytes.get(at))))
        {
            seen |= 1 << (byte & 0x7f);
        }
    }
    seen.count_ones()
}

/// A body of seven-bit bytes: its own text, unless it uses the escapes of ISO-2022-JP.
fn decode_ascii<'a>(body: &'a [u8], label: Option<&'static Encoding>) -> (Cow<'a, str>, &'static str) {
    let escapes = memchr::memchr(0x1B, body).is_some();
    let guessed = || guess(&body[..body.len().min(DETECTED_BYTES)], body.len() <= DETECTED_BYTES);
    if escapes && (label == Some(ISO_2022_JP) || guessed() == ISO_2022_JP) {
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
    let (even, odd) = nuls(body);
    let length = body.len().min(PRESCAN_BYTES);
    (label == UTF_16LE && 8 * odd > length) || (label == UTF_16BE && 8 * even > length)
}

/// UTF-16 that nothing announces but its bytes: of every two one is mostly NUL, and the other is not.
pub(crate) fn unmarked_utf_16(body: &[u8]) -> Option<&'static Encoding> {
    const SHORTEST: usize = 16;
    let (even, odd) = nuls(body);
    let enough = |nuls: usize, others: usize| {
        body.len() >= SHORTEST && 4 * nuls > body.len().min(PRESCAN_BYTES) && nuls > 4 * others
    };
    match () {
        () if enough(odd, even) => Some(UTF_16LE),
        () if enough(even, odd) => Some(UTF_16BE),
        () => None,
    }
}

/// How many NULs the start has at even places and at odd ones.
fn nuls(body: &[u8]) -> (usize, usize) {
    let start = &body[..body.len().min(PRESCAN_BYTES)];
    let at = |parity: usize| start.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    (at(0), at(1))
}

fn replaced(text: &str) -> usize {
    text.matches('\u{FFFD}').count()
}

/// By statistics. `whole`: nothing follows what is shown.
fn guess(shown: &[u8], whole: bool) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(shown, whole);
    let guessed = detector.guess(None, Utf8Detection::Deny);
    // Signs alone are in no language; the detector takes a page's many ¶ for Polish.
    if guessed.is_single_byte() && distinct_in_words(shown) == 0 { WINDOWS_1252 } else { guessed }
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
        check(b"<a>\xb6</a> <b>\xb6</b>", None, "<a>¶</a> <b>¶</b>", "windows-1252");
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

    /// A page in an encoding, with a label in it or none, sent with a label or none.
    #[track_caller]
    fn check_page(encoding: &'static Encoding, http: Option<&str>, meta: Option<&str>, text: &str) {
        let meta = meta.map_or(String::new(), |label| format!("<meta charset={label}>"));
        let page = format!("<html><head>{meta}<title>x</title></head><p>{text}</p></html>");
        let (body, _, unmappable) = encoding.encode(&page);
        assert!(!unmappable, "{page}");
        check(&body, http, &page, encoding.name());
    }

    #[test]
    fn a_label_by_habit_gives_way() {
        const RUSSIAN: &str = "Все люди рождаются свободными и равными в своём достоинстве и правах.";
        const POLISH: &str = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni \
            obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa. Każdy człowiek źle.";
        const FRENCH: &str = "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de \
            raison et de conscience et doivent agir là où il le faut, ça et là, dès qu’ils le peuvent, sans forêt.";
        const CHINESE: &str =
            "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。";
        use encoding_rs::{GBK, ISO_8859_5, KOI8_U, WINDOWS_1250, WINDOWS_1251};
        for latin in [None, Some("iso-8859-1"), Some("windows-1252"), Some("utf-8")] {
            check_page(WINDOWS_1251, latin, None, RUSSIAN);
            check_page(WINDOWS_1251, None, latin, RUSSIAN);
            check_page(WINDOWS_1251, latin, Some("windows-1251"), RUSSIAN);
            check_page(WINDOWS_1251, Some("windows-1251"), latin, RUSSIAN);
            // Too short for statistics.
            check_page(WINDOWS_1251, latin, Some("windows-1251"), "Вы");
            check_page(ISO_8859_5, latin, None, RUSSIAN);
            check_page(WINDOWS_1250, latin, None, POLISH);
            check_page(GBK, latin, None, CHINESE);
            check_page(WINDOWS_1252, latin, None, FRENCH);
        }
        check_page(UTF_8, Some("utf-8"), Some("gbk"), "Все люди");
        check_page(WINDOWS_1252, Some("utf-8"), Some("iso-8859-1"), "naïef, naïeve");
        // A label that is plainly wrong, and one that statistics say little about.
        check_page(KOI8_U, Some("windows-1251"), Some("windows-1251"), RUSSIAN);
        check_page(WINDOWS_1251, Some("koi8-r"), None, RUSSIAN);
        check_page(WINDOWS_1252, Some("windows-1251"), None, FRENCH);
        check_page(WINDOWS_1251, Some("windows-1251"), None, "The “mill” – №1");
    }

    #[test]
    fn utf_16_without_a_mark() {
        let page = "<html><head><title>Мельница</title></head><p>They grind, 磨坊.</p></html>";
        let little: Vec<u8> = page.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = page.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for http in [None, Some("utf-8"), Some("iso-8859-1")] {
            check(&little, http, page, "UTF-16LE");
            check(&big, http, page, "UTF-16BE");
        }
        check(b"<p>a\0b\0c and some more text</p>", None, "<p>a\0b\0c and some more text</p>", "UTF-8");
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
