//! Character references: `&amp;`, `&copy`, `&#8212;`, `&#x80;` (HTML standard 13.2.5.72 to 80, names from its section 13.5).

use std::sync::LazyLock;

/// One name a line, `*` behind those that also work without their semicolon, then the code points in hexadecimal.
static NAMED: &str = include_str!("entities.txt");

/// Names without `&` and `;`, sorted, with the text each stands for.
static BY_NAME: LazyLock<Vec<(&'static str, Box<str>)>> =
    LazyLock::new(|| entries().map(|(n, t, _)| (n, t)).collect());

/// Those that old pages write without a semicolon.
static LEGACY: LazyLock<Vec<(&'static str, Box<str>)>> =
    LazyLock::new(|| entries().filter(|(_, _, legacy)| *legacy).map(|(n, t, _)| (n, t)).collect());

/// The longest name that works without its semicolon (`Aacute` and others).
const LEGACY_MAX_BYTES: usize = 6;

fn entries() -> impl Iterator<Item = (&'static str, Box<str>, bool)> {
    NAMED.lines().filter_map(|line| {
        let (name, code_points) = line.split_once(' ')?;
        let text =
            code_points.split(' ').filter_map(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?));
        let plain = name.trim_end_matches('*');
        Some((plain, text.collect::<String>().into_boxed_str(), plain.len() < name.len()))
    })
}

fn find<'a>(sorted: &'a [(&'static str, Box<str>)], name: &[u8]) -> Option<&'a str> {
    let at = sorted.binary_search_by(|(known, _)| known.as_bytes().cmp(name)).ok()?;
    sorted.get(at).map(|(_, text)| &**text)
}

/// Decodes the reference that `rest` (which starts with `&`) begins with, appends it to `out` and says how many bytes of
/// `rest` it took. What is no reference is one literal `&`.
pub(crate) fn decode(rest: &[u8], in_attribute: bool, out: &mut String) -> usize {
    match rest.get(1) {
        Some(b'#') => numeric(rest, out),
        Some(byte) if byte.is_ascii_alphanumeric() => named(rest, in_attribute, out),
        _ => literal(out),
    }
}

fn literal(out: &mut String) -> usize {
    out.push('&');
    1
}

fn named(rest: &[u8], in_attribute: bool, out: &mut String) -> usize {
    let name = &rest[1..];
    // No name is longer than 31 bytes, so a longer run of letters need not be looked at.
    let length = name.iter().take(40).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if name.get(length) == Some(&b';') {
        // What nearly every page is made of, before the table.
        let common = match &name[..length] {
            b"amp" => "&",
            b"lt" => "<",
            b"gt" => ">",
            b"quot" => "\"",
            b"nbsp" => "\u{a0}",
            other => find(&BY_NAME, other).unwrap_or(""),
        };
        if !common.is_empty() {
            out.push_str(common);
            return length + 2;
        }
    }
    for prefix in (2..=length.min(LEGACY_MAX_BYTES)).rev() {
        if let Some(text) = find(&LEGACY, &name[..prefix]) {
            let next = name.get(prefix).copied().unwrap_or(0);
            if in_attribute && (next == b'=' || next.is_ascii_alphanumeric()) {
                return literal(out);
            }
            out.push_str(text);
            return prefix + 1;
        }
    }
    literal(out)
}

fn numeric(rest: &[u8], out: &mut String) -> usize {
    let (radix, digits_at) = if matches!(rest.get(2), Some(b'x' | b'X')) { (16, 3) } else { (10, 2) };
    let mut code = 0u32;
    let mut at = digits_at;
    while let Some(digit) = rest.get(at).and_then(|&byte| char::from(byte).to_digit(radix)) {
        code = code.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    if at == digits_at {
        return literal(out);
    }
    out.push(code_point(code));
    at + usize::from(rest.get(at) == Some(&b';'))
}

/// The replacements of "numeric character reference end state": NUL, surrogates and what is beyond Unicode become
/// U+FFFD, and 80 to 9F mean windows-1252.
fn code_point(code: u32) -> char {
    const WINDOWS_1252: [u16; 32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152,
        0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122,
        0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
    ];
    let code = match code {
        0 => 0xFFFD,
        0x80..=0x9F => u32::from(WINDOWS_1252[code as usize - 0x80]),
        other => other,
    };
    char::from_u32(code).unwrap_or('\u{FFFD}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (input, in_attribute, text, used) in [
            ("&amp;x", false, "&", 5),
            ("&ampx", false, "&", 4),
            ("&ampx", true, "&", 1),
            ("&amp=", true, "&", 1),
            ("&amp ", true, "&", 4),
            ("&notit;", false, "¬", 4),
            ("&notin;", false, "∉", 7),
            ("&NotEqualTilde;", false, "≂\u{338}", 15),
            ("&foo;", false, "&", 1),
            ("&copy2", false, "©", 5),
            ("&#", false, "&", 1),
            ("&#x", false, "&", 1),
            ("&#65", false, "A", 4),
            ("&#x41;", false, "A", 6),
            ("&#128;", false, "€", 6),
            ("&#0;", false, "\u{FFFD}", 4),
            ("&#xD800;", false, "\u{FFFD}", 8),
            ("&#99999999999;", false, "\u{FFFD}", 14),
            ("&#13;", false, "\r", 5),
        ] {
            let mut out = String::new();
            assert_eq!(
                (decode(input.as_bytes(), in_attribute, &mut out), out.as_str()),
                (used, text),
                "{input}"
            );
        }
        assert_eq!((BY_NAME.len(), LEGACY.len()), (2125, 106));
        assert!(BY_NAME.is_sorted() && LEGACY.is_sorted());
        assert!(LEGACY.iter().all(|(name, _)| name.len() <= LEGACY_MAX_BYTES));
    }
}
