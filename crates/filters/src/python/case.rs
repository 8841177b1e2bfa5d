//! Lower case and case-insensitive equality.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// `str.lower()`.
///
/// Rust knows characters that Python 3.11 does not, those assigned after Unicode 14.0. Capitals among them stay as they are, and none
/// has a say in whether a sigma is the last letter of its word.
#[must_use]
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Borrowed(text);
        }
        return Cow::Owned(text.to_ascii_lowercase());
    }
    if !text.contains(|char| char == 'Σ' || is_later_capital(char)) {
        return Cow::Owned(text.to_lowercase());
    }
    let mut out = String::with_capacity(text.len());
    let mut start = 0;
    for later in LATER.as_ref().into_iter().flat_map(|later| later.find_iter(text)) {
        out.push_str(&text.get(start..later.start()).unwrap_or_default().to_lowercase());
        out.push_str(later.as_str());
        start = later.end();
    }
    out.push_str(&text.get(start..).unwrap_or_default().to_lowercase());
    Cow::Owned(out)
}

/// Characters that Unicode 14.0 did not have.
static LATER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\P{age=14.0}+").ok());

/// Capitals that Unicode 15.0 to 17.0 brought.
fn is_later_capital(char: char) -> bool {
    matches!(char,
        '\u{1c89}'
        | '\u{a7cb}' | '\u{a7cc}' | '\u{a7ce}' | '\u{a7d2}' | '\u{a7d4}' | '\u{a7da}' | '\u{a7dc}'
        | '\u{10d50}'..='\u{10d65}'
        | '\u{16ea0}'..='\u{16eb8}')
}

/// What a character is the same as under `re.IGNORECASE`: two characters match each other if their folds are equal.
///
/// Python's `sre` compares the simple lower case, and joins some lower-case letters with each other (`Lib/re/_casefix.py`): so `s`
/// matches U+017F and `i` the dotless one. The fold is one of the characters so joined;
/// ASCII folds to ASCII, and what is part of a word to what is one.
#[inline]
#[must_use]
pub fn fold(char: char) -> char {
    if char.is_ascii() { char.to_ascii_lowercase() } else { fold_wide(char) }
}

fn fold_wide(char: char) -> char {
    let lower = match char {
        // Its full lower case is two characters, its simple one is not.
        '\u{130}' => 'i',
        _ if is_later_capital(char) => char,
        _ => char.to_lowercase().next().unwrap_or(char),
    };
    match lower {
        '\u{131}' => 'i',
        '\u{17f}' => 's',
        '\u{3bc}' => '\u{b5}',
        '\u{345}' | '\u{1fbe}' => '\u{3b9}',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{3d0}' => '\u{3b2}',
        '\u{3f5}' => '\u{3b5}',
        '\u{3d1}' => '\u{3b8}',
        '\u{3f0}' => '\u{3ba}',
        '\u{3d6}' => '\u{3c0}',
        '\u{3f1}' => '\u{3c1}',
        '\u{3c3}' => '\u{3c2}',
        '\u{3d5}' => '\u{3c6}',
        '\u{1c80}' => '\u{432}',
        '\u{1c81}' => '\u{434}',
        '\u{1c82}' => '\u{43e}',
        '\u{1c83}' => '\u{441}',
        '\u{1c84}' | '\u{1c85}' => '\u{442}',
        '\u{1c86}' => '\u{44a}',
        '\u{1c87}' => '\u{463}',
        '\u{a64b}' => '\u{1c88}',
        '\u{1e9b}' => '\u{1e61}',
        '\u{fb06}' => '\u{fb05}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_is_pythons() {
        for (text, expected) in [
            ("Straße ÄÖÜ", "straße äöü"),
            ("ΟΔΟΣ ΟΔΟΣ.", "οδος οδος."),
            ("İstanbul", "i\u{307}stanbul"),
            ("\u{212a}elvin", "kelvin"),
            ("A\u{16ea0}B\u{1c89}", "a\u{16ea0}b\u{1c89}"),
            // A small letter and a mark of Unicode 16.0.
            ("\u{1c8a}Σ aΣ\u{897}a", "\u{1c8a}σ aς\u{897}a"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(lower(text), expected, "{text:?}");
        }
    }

    #[test]
    fn folds_join_what_sre_joins() {
        for (a, b) in [
            ('K', '\u{212a}'),
            ('S', '\u{17f}'),
            ('i', '\u{130}'),
            ('I', '\u{131}'),
            ('Σ', 'ς'),
            ('É', 'é'),
            ('µ', 'Μ'),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        for (a, b) in [('ß', 's'), ('\u{1c89}', '\u{1c8a}'), ('a', 'b')] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
        for char in '\0'..='\x7f' {
            assert!(fold(char).is_ascii());
        }
    }
}
