//! Python's notions of characters and strings, since the rules of DCLM and datatrove are written in them.
//!
//! Rust's differ: `char::is_alphanumeric` counts combining vowels as letters, `str::split_whitespace` does not split at U+001C,
//! `str::lines` knows two line ends of ten. All here follows CPython 3.11, whose character data is Unicode 14.0: a code point
//! assigned later is no letter. Tests hold every code point against tables that Python wrote (`data/properties.py`).

mod case;
mod properties;
mod regex;
mod split;

pub use case::{fold, lower};
pub(crate) use properties::{
    ALNUM, ALPHA, EXTENDED_PICTOGRAPHIC, Properties, SPACE, WORD_BREAK_MASK, properties,
};
pub(crate) use regex::escape;
pub use regex::{Pattern, PatternError};
pub use split::{is_blank, len, lines, strip, words};

/// `str.isspace()` of one character: Unicode's white space and four ASCII separators.
#[inline]
#[must_use]
pub fn is_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\x1c'..='\x1f')
}

/// `str.isalnum()` of one character: letters, and all with a numeric value.
#[inline]
#[must_use]
pub fn is_alnum(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_alphanumeric() } else { properties().of(char) & ALNUM != 0 }
}

/// `str.isalpha()` of one character: general category L.
#[inline]
#[must_use]
pub fn is_alpha(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_alphabetic() } else { properties().of(char) & ALPHA != 0 }
}

/// `str.isupper()` of one character.
#[inline]
#[must_use]
pub fn is_upper(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_uppercase() } else { properties().of(char) & properties::UPPER != 0 }
}

/// `str.isdigit()` of one character: also superscripts and circled digits.
#[inline]
#[must_use]
pub fn is_digit(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_digit() } else { properties().of(char) & properties::DIGIT != 0 }
}

/// `\d` of a regex over text: decimal digits of any script.
#[inline]
#[must_use]
pub fn is_decimal(char: char) -> bool {
    if char.is_ascii() { char.is_ascii_digit() } else { properties().of(char) & properties::DECIMAL != 0 }
}

/// `\w` of a regex over text.
#[inline]
#[must_use]
pub fn is_word(char: char) -> bool {
    char == '_' || is_alnum(char)
}

/// `\b` of a regex over text, at a byte offset that is a character boundary.
#[must_use]
pub fn is_word_boundary(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|t| t.chars().next_back()).is_some_and(is_word);
    let after = text.get(at..).and_then(|t| t.chars().next()).is_some_and(is_word);
    before != after
}
