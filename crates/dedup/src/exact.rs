//! Keys of exact deduplication: 128 bits of xxh3 over a text or URL, normalised first if asked.
//!
//! Among 200 billion documents the chance that any two different ones share a 128-bit key is about 6e-17, so equal
//! keys are taken for equal texts without a second look.
//!
//! The normalisers are those that DCLM's `exact_dedup` offers (mlfoundations/dclm, `baselines/mappers/core_utils.py`). They shape the key only; the document keeps its text.

use std::borrow::Cow;

use gristmill_filters::python;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What is done to the content before it is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalizer {
    /// Nothing. DCLM's `hash_text` is this too: it hashes, as every key does.
    #[default]
    None,
    /// `normalize_whitespace_and_lowercase`: white space cut off at both ends (inside it stays), lower case.
    WhitespaceAndLowercase,
    /// `ccnet_dedup_normalizer`: see [`ccnet`].
    Ccnet,
    /// `normalize_url`: see [`url`].
    Url,
}

/// DCLM's names, for recipes.
pub const NORMALIZERS: [(&str, Normalizer); 4] = [
    ("hash_text", Normalizer::None),
    ("normalize_whitespace_and_lowercase", Normalizer::WhitespaceAndLowercase),
    ("ccnet_dedup_normalizer", Normalizer::Ccnet),
    ("normalize_url", Normalizer::Url),
];

impl Normalizer {
    /// The normaliser that DCLM calls `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        NORMALIZERS.iter().find(|known| known.0 == name).map(|known| known.1)
    }

    /// `content` as it is hashed.
    pub fn apply(self, content: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(content),
            Self::WhitespaceAndLowercase => python::lower(python::strip(content)),
            Self::Ccnet => Cow::Owned(ccnet(content)),
            Self::Url => Cow::Owned(url(content)),
        }
    }
}

/// The key of `content` (a text, or a URL with [`Normalizer::Url`]).
pub fn key(content: &str, normalizer: Normalizer, seed: u64) -> u128 {
    xxh3_128_with_seed(normalizer.apply(content).as_bytes(), seed)
}

/// C4's rule for URLs, by way of DCLM: every `http://`, `https://` and a `www.` after it goes, wherever it stands;
/// then everything from the first `?utm_`, `?ref` or `?feed` to the end of that line; then slashes at the end.
pub fn url(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find("http") {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let after = tail.strip_prefix("https://").or_else(|| tail.strip_prefix("http://"));
        rest = if let Some(after) = after {
            after.strip_prefix("www.").unwrap_or(after)
        } else {
            out.push_str("http");
            tail.get(4..).unwrap_or("")
        };
    }
    out.push_str(rest);
    let mut from = 0;
    while let Some(mark) = out.get(from..).and_then(|rest| rest.find('?')).map(|at| at + from) {
        let tail = out.get(mark + 1..).unwrap_or("");
        if ["utm_", "ref", "feed"].iter().any(|tracker| tail.starts_with(tracker)) {
            // Python's dot stops at a line feed.
            let end = tail.find('\n').map_or(out.len(), |at| mark + 1 + at);
            out.replace_range(mark..end, "");
            from = mark;
        } else {
            from = mark + 1;
        }
    }
    out.truncate(out.trim_end_matches('/').len());
    out
}

/// CCNet's rule for lines, as DCLM has it: white space off both ends, lower case, every decimal digit 0, a list of
/// typographic punctuation and control characters deleted, the rest transliterated to ASCII.
///
/// DCLM transliterates with Python's Unidecode, whose tables are GPL; here deunicode (BSD) does it, cut down to what Unidecode 1.4
/// covers. The tables agree on accented Latin, Greek, Cyrillic and the readings of common Chinese characters, not on every
/// character, so keys equal DCLM's in effect rather than byte for byte.
pub fn ccnet(line: &str) -> String {
    /// The keys of `UNICODE_PUNCT` in CCNet, full-width 1 included, which is a digit by then.
    const PUNCTUATION: &str = "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►";
    let lower = python::lower(python::strip(line));
    let mut out = String::with_capacity(lower.len());
    for c in lower.chars() {
        if c.is_ascii() {
            match c {
                '0'..='9' => out.push('0'),
                '\0'..='\x1f' | '\x7f' => {}
                _ => out.push(c),
            }
        } else if python::is_decimal(c) {
            out.push('0');
        } else if !('\u{80}'..'\u{a0}').contains(&c) && !PUNCTUATION.contains(c) && is_transliterated(c) {
            out.push_str(deunicode::deunicode_char(c).unwrap_or(""));
        }
    }
    out
}

/// Whether Unidecode has anything for a character. For scripts that it leaves out, emoji and the rest beyond the BMP it has not: they
/// vanish.
fn is_transliterated(c: char) -> bool {
    if c > '\u{ffff}' {
        return ('\u{1d400}'..='\u{1d7ff}').contains(&c); // mathematical letters
    }
    // By the numbers of blocks of 256.
    let is_left_out = matches!(c as u32 >> 8, 0x08 | 0x19..=0x1c | 0x2b | 0x2d | 0x2f | 0x34..=0x4d | 0xa5..=0xab | 0xe0..=0xf8 | 0xfc | 0xfd);
    !is_left_out && c != '\u{fffd}'
}

/// `normalize_timestamps`, for choosing a survivor by date: seconds since 1970 of `YYYY-MM-DDThh:mm:ssZ` as `strptime` of Python 3.11
/// reads it, or -1 for anything else. `strptime` takes digits of any script where it takes any digit, months to seconds of one digit,
/// a blank for the first digit of a day, and `t` and `z`. Read as UTC, where DCLM reads it in the machine's own time zone.
pub fn timestamp(text: &str) -> i64 {
    parse_timestamp(text).unwrap_or(-1)
}

fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix(['Z', 'z'])?.split_once(['T', 't'])?;
    let (mut date, mut time) = (date.split('-'), time.split(':'));
    let year = year(date.next()?)?;
    let month = match two(date.next()?)? {
        (None, month @ '1'..='9') | (Some('0'), month @ '1'..='9') => digit(month)?,
        (Some('1'), unit @ '0'..='2') => 10 + digit(unit)?,
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = match two(date.next()?)? {
        (None | Some('0' | ' '), day @ '1'..='9') => digit(day)?,
        (Some(ten @ '1'..='2'), unit) => 10 * digit(ten)? + digit(unit)?,
        (Some('3'), unit @ '0'..='1') => 30 + digit(unit)?,
        _ => return None,
    };
    let hour = match two(time.next()?)? {
        (None, unit) => digit(unit)?,
        (Some(ten @ '0'..='1'), unit) => 10 * digit(ten)? + digit(unit)?,
        (Some('2'), unit @ '0'..='3') => 20 + digit(unit)?,
        _ => return None,
    };
    let mut sixtieths = || match two(time.next()?)? {
        (None, unit) => digit(unit),
        (Some(ten @ '0'..='5'), unit) => Some(10 * digit(ten)? + digit(unit)?),
        _ => None,
    };
    let (minute, second) = (sixtieths()?, sixtieths()?);
    // On the first of all days Python fails, for want of one before it.
    let is_first = (year, month, day) == (1, 1, 1);
    if day > longest || is_first || date.next().is_some() || time.next().is_some() {
        return None;
    }
    // Days since 1970-01-01, counting years from March so that the leap day comes last.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Four digits; year 0 is none.
fn year(part: &str) -> Option<i64> {
    let digits: Vec<i64> = part.chars().take(5).map(digit).collect::<Option<_>>()?;
    (digits.len() == 4)
        .then(|| digits.iter().fold(0, |year, digit| 10 * year + digit))
        .filter(|year| *year > 0)
}

/// A part of one or two characters.
fn two(part: &str) -> Option<(Option<char>, char)> {
    let mut chars = part.chars();
    let (first, second) = (chars.next()?, chars.next());
    if chars.next().is_some() {
        return None;
    }
    Some(second.map_or((None, first), |second| (Some(first), second)))
}

/// The value of a decimal digit of any script. They come in tens, each ten in order.
fn digit(char: char) -> Option<i64> {
    if let Some(value) = char.to_digit(10) {
        return Some(i64::from(value));
    }
    if !python::is_decimal(char) {
        return None;
    }
    let is_decimal_at =
        |back: u32| (char as u32).checked_sub(back).and_then(char::from_u32).is_some_and(python::is_decimal);
    // The longest row of tens has five.
    Some((1..50).take_while(|back| is_decimal_at(*back)).count() as i64 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_normalise_as_in_dclm() {
        for (input, expected) in [
            ("https://www.example.com/", "example.com"),
            ("http://example.com/a/?utm_source=x&b=1", "example.com/a"),
            ("http://example.com/a?b=1", "example.com/a?b=1"),
            ("http://example.com/a?referrer=x", "example.com/a"),
            ("https://example.com/rss?feed//", "example.com/rss"),
            ("www.example.com//", "www.example.com"),
            ("https://web.archive.org/http://www.a.com/", "web.archive.org/a.com"),
            ("httpx http://", "httpx "),
            ("http://a.com/?a=?ref=b", "a.com/?a="),
        ] {
            assert_eq!(url(input), expected, "{input}");
        }
    }

    #[test]
    fn ccnet_lines_normalise_as_in_dclm() {
        // The first three are the cases of DCLM's own tests.
        for (input, expected) in [
            ("０２３´∶：\x10 | ;012 hèllo", "000 | ;000 hello"),
            ("😃 kožušček", " kozuscek"),
            ("北亰 29 \u{a0}", "Bei Jing  00"),
            ("ΟΔΟΣ ـ٣", "odos 0"),
            // Not in Unidecode: a replacement character, Tifinagh, an emoji, a private character.
            ("a\u{fffd}ⴰ😃\u{e000}b", "ab"),
            ("  Ünïted — “States”, １9\u{85} ", "united  states, 00"),
            ("", ""),
        ] {
            assert_eq!(ccnet(input), expected, "{input:?}");
        }
    }

    #[test]
    fn timestamps_read_as_in_dclm() {
        for (input, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2013-12-05T04:56:51Z", 1_386_219_411),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2013-2-3T4:5:6Z", 1_359_864_306),
            ("2100-02-29T00:00:00Z", -1),
            ("2013-12-05 04:56:51", -1),
            ("2013-12-05T04:56:51Z ", -1),
            ("+013-12-05T04:56:51Z", -1),
            ("2013-12- 5t4:5٦:51z", 1_386_219_411),
            ("２０１３-12-05T04:56:51Z", 1_386_219_411),
            ("2013-12-05T04:٥6:51Z", -1),
            ("𝟚𝟘𝟙𝟛-12-05T04:56:51Z", 1_386_219_411),
            ("0001-01-02T00:00:00Z", -62_135_510_400),
            ("0001-01-01T00:00:00Z", -1),
            ("2013-٣-05T04:56:51Z", -1),
            ("2013- 3-05T04:56:51Z", -1),
            ("2013-12-05T04:56:60Z", -1),
            ("2013-12-05T24:00:00Z", -1),
            ("2013-11-31T00:00:00Z", -1),
            ("0000-12-05T04:56:51Z", -1),
            ("2013-012-05T04:56:51Z", -1),
            ("time", -1),
            ("", -1),
        ] {
            assert_eq!(timestamp(input), expected, "{input}");
        }
    }

    #[test]
    fn keys_follow_the_normalised_content() {
        let lower = Normalizer::by_name("normalize_whitespace_and_lowercase").expect("known");
        assert_eq!(key(" Ab c\u{1f}\n", lower, 1), key("ab c", Normalizer::None, 1));
        assert_ne!(key("a  b", lower, 1), key("a b", lower, 1));
        assert_ne!(key("a", Normalizer::None, 1), key("a", Normalizer::None, 2));
        assert_eq!(key("http://www.a.com/", Normalizer::Url, 1), key("https://a.com", Normalizer::Url, 1));
        assert!(Normalizer::by_name("none such").is_none());
    }
}
