//! `split`, `strip`, `splitlines` and `len` of Python's `str`.

use super::is_space;

/// `str.split()`: what lies between runs of white space, never empty.
#[inline]
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.strip()`.
#[inline]
#[must_use]
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether `str.strip()` leaves nothing.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// `len(str)`: code points.
#[inline]
#[must_use]
pub fn len(text: &str) -> usize {
    // Every byte but those that continue a character; the compiler makes vectors of it.
    text.as_bytes().iter().filter(|byte| (**byte as i8) >= -0x40).count()
}

/// `str.splitlines()`: ten line ends, `\r\n` being one, and no empty line after the last.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((at, end)) = rest.char_indices().find(|(_, char)| is_line_end(*char)) else {
            return Some(std::mem::take(&mut rest));
        };
        let (line, tail) = rest.split_at(at);
        let width = if tail.starts_with("\r\n") { 2 } else { end.len_utf8() };
        rest = tail.get(width..).unwrap_or_default();
        Some(line)
    })
}

fn is_line_end(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_split() {
        let split = |text| words(text).collect::<Vec<_>>().join("|");
        assert_eq!(split(" a\x1cb\x1fc\u{a0}d\u{3000}e\u{200b}f\0g "), "a|b|c|d|e\u{200b}f\0g");
        assert_eq!(split(" \n\x1d"), "");
    }

    #[test]
    fn lines_are_those_of_splitlines() {
        let split = |text| lines(text).collect::<Vec<_>>().join("|");
        assert_eq!(
            split("a\nb\r\nc\rd\x0be\x0cf\x1cg\x1dh\x1ei\x1fj\u{85}k\u{2028}l\u{2029}"),
            "a|b|c|d|e|f|g|h|i\x1fj|k|l"
        );
        assert_eq!(split("\n\r\r\n"), "||");
        assert_eq!(lines("").count(), 0);
    }

    #[test]
    fn lengths_are_code_points() {
        for text in ["", "abc", "äöü", "日本語", "🦀e\u{301}"] {
            assert_eq!(len(text), text.chars().count(), "{text}");
        }
        assert_eq!(strip("\x1f\u{a0} x \u{2029}"), "x");
        assert!(is_blank("\x1c \u{3000}") && !is_blank("\u{200b}"));
    }
}
