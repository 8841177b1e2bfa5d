//! Character references in text that is no HTML any more.

use rustc_hash::FxBuildHasher;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// HTML's names, kept by the parser of HTML: one a line, `*` behind those that also work without a semicolon, then code points.
static TABLE: &str = include_str!("../../../extract/src/html/entities.txt");

static NAMES: LazyLock<HashMap<&'static str, Box<str>, FxBuildHasher>> = LazyLock::new(|| {
    let entry = |line: &'static str| {
        let (name, code_points) = line.split_once(' ')?;
        let text =
            code_points.split(' ').filter_map(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?));
        Some((name.trim_end_matches('*'), text.collect::<String>().into_boxed_str()))
    };
    TABLE.lines().filter_map(entry).collect()
});

/// Capital names that HTML reads without their semicolon: no longer name that begins with one is read in small letters.
const CAPITALS: [&str; 8] = ["AMP", "COPY", "ETH", "GT", "LT", "QUOT", "REG", "THORN"];

/// Characters of a reference between `&` or `&#` and `;`, at most.
const MAX_NAME: usize = 24;

/// Decodes all references that end in a semicolon; none if there are none.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for start in memchr::memchr_iter(b'&', text.as_bytes()) {
        let rest = text.get(start + 1..).unwrap_or_default();
        let (number, name) = rest.strip_prefix('#').map_or((false, rest), |digits| (true, digits));
        let length = name.bytes().take(MAX_NAME + 1).take_while(u8::is_ascii_alphanumeric).count();
        if !(1..=MAX_NAME).contains(&length) || name.as_bytes().get(length) != Some(&b';') {
            continue;
        }
        let name = name.get(..length).unwrap_or_default();
        let Some(decoded) = (if number { numbered(name) } else { named(name) }) else { continue };
        out.push_str(text.get(copied..start).unwrap_or_default());
        out.push_str(&decoded);
        copied = start + 1 + usize::from(number) + length + 1;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// Also names that somebody wrote in capitals: `&EACUTE;` is `É`.
fn named(name: &str) -> Option<Cow<'static, str>> {
    if let Some(text) = NAMES.get(name) {
        return Some(Cow::Borrowed(text));
    }
    let shouted = !name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !CAPITALS.iter().any(|capital| name.starts_with(capital));
    let text = shouted.then(|| NAMES.get(&*name.to_ascii_lowercase()))??;
    Some(Cow::Owned(text.to_uppercase()))
}

/// As in HTML (13.2.5.80) with two exceptions, both Python's: what is no character is nothing, and a semicolon stays a reference.
fn numbered(digits: &str) -> Option<Cow<'static, str>> {
    let (digits, radix) = digits.strip_prefix(['x', 'X']).map_or((digits, 10), |digits| (digits, 16));
    if digits.is_empty() {
        return None;
    }
    let number = digits.chars().try_fold(0_u32, |number, digit| {
        // More than any character has is enough.
        Some((number * radix + digit.to_digit(radix)?).min(0x11_0000))
    })?;
    let char = match number {
        0x3b => return None,
        0 => '\u{fffd}',
        0x80..=0x9f => super::codepages::WINDOWS_1252.char(number as u8),
        0x01..=0x08 | 0x0b | 0x0e..=0x1f | 0x7f | 0xfdd0..=0xfdef => return Some(Cow::Borrowed("")),
        _ if number <= 0x10_ffff && number & 0xfffe == 0xfffe => return Some(Cow::Borrowed("")),
        _ => char::from_u32(number).unwrap_or('\u{fffd}'),
    };
    Some(Cow::Owned(char.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_decoded() {
        for (text, expected) in [
            ("&lt;tag&gt;", Some("<tag>")),
            ("P&eacute;rez P&EACUTE;REZ BUNDESSTRA&SZLIG;E", Some("Pérez PÉREZ BUNDESSTRASSE")),
            ("&ntilde; &Ntilde; &NTILDE; &nTILDE;", Some("ñ Ñ Ñ &nTILDE;")),
            ("&nvlt; &GTCC; &AMP;", Some("<\u{20d2} &GTCC; &")),
            ("&#65;&#x41;&#X41;&#128;&#0;&#55296;&#999999999999;", Some("AAA€\u{fffd}\u{fffd}\u{fffd}")),
            ("a&#1;&#xfffe;&#x10ffff;b", Some("ab")),
            ("&#59; &#12a; &#xg; &#; &# ; &; &unknown; &amp &#000000000000000000000000065;", None),
            ("&&amp;", Some("&&")),
            ("&AMP; &LT", Some("& &LT")),
            ("", None),
        ] {
            assert_eq!(unescape(text).as_deref(), expected, "{text}");
        }
        assert_eq!(NAMES.len(), 2125);
    }
}
