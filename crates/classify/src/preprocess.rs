//! What DCLM does to a text before its classifiers see it, and to their answer afterwards.
//!
//! Rules from mlfoundations/dclm 361714b: `baselines/mappers/enrichers/language_id_enrichers.py` and
//! `quality_prediction_enrichers_calc_fasttext.py`.

use std::borrow::Cow;

/// The text that `detect_lang_whole_page_enricher` hands to the language model, or none where it records no language: if
/// all characters are blanks or ASCII punctuation. A newline or a tab is neither, so a page of newlines does get a language.
///
/// Newlines are deleted and not replaced by blanks: the last word of a line and the first of the next become one.
#[must_use]
pub fn lid_whole_page(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_punctuation()) {
        return None;
    }
    if memchr::memchr(b'\n', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut joined = String::with_capacity(text.len());
    joined.extend(text.split('\n'));
    Some(Cow::Owned(joined))
}

/// The text that `classify_fasttext_hq_prob_enricher` hands to the quality model: Python's `" ".join(text.strip().splitlines())`.
#[must_use]
pub fn quality(text: &str) -> Cow<'_, str> {
    let stripped = text.trim_matches(is_python_space);
    if !stripped.contains(is_line_end) {
        return Cow::Borrowed(stripped);
    }
    let mut joined = String::with_capacity(stripped.len());
    let mut last = '\0';
    for char in stripped.chars() {
        if !is_line_end(char) {
            joined.push(char);
        } else if !(last == '\r' && char == '\n') {
            joined.push(' ');
        }
        last = char;
    }
    Cow::Owned(joined)
}

/// DCLM's quality score from the best label and its probability: `__label__cc` stands for a page like any in the crawl, and counts
/// by what is left to 1; every other label, `__label__hq` above all, counts as it is. `label` has no prefix. Computed in double
/// precision, as in Python.
#[must_use]
pub fn hq_probability(label: &str, probability: f32) -> f64 {
    let probability = f64::from(probability);
    if label == "cc" { 1.0 - probability } else { probability }
}

/// What Python's `str.strip()` takes off: Unicode white space and four ASCII separators.
fn is_python_space(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\x1c'..='\x1f')
}

/// Where Python's `str.splitlines()` splits; `\r\n` is one end.
fn is_line_end(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_vanish_before_languages_are_told() {
        for (text, expected) in [
            ("one\ntwo\r\n\nthree", Some("onetwo\rthree")),
            ("plain", Some("plain")),
            ("", None),
            (" .,-[]`~ ", None),
            ("\n", Some("")),
            (".\t", Some(".\t")),
            ("…", Some("…")),
            ("7", Some("7")),
        ] {
            assert_eq!(lid_whole_page(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_joined_by_blanks_before_quality_is_told() {
        // Expected values are what Python 3.11 gives.
        for (text, expected) in [
            ("", ""),
            (" \x1f\u{a0}a b\u{3000}\x1c\n", "a b"),
            ("a\nb\r\nc\rd", "a b c d"),
            ("a\n\nb\n\r\r\nc", "a  b   c"),
            ("a\x0bb\x0cc\x1cd\x1de\x1ef\x1fg", "a b c d e f\x1fg"),
            ("a\u{85}b\u{2028}c\u{2029}d\u{2003}e", "a b c d\u{2003}e"),
            ("\u{200b}a\u{feff}", "\u{200b}a\u{feff}"),
        ] {
            assert_eq!(quality(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_page_like_the_crawl_scores_by_the_rest() {
        for (label, expected) in [("hq", 0.75_f64), ("cc", 0.25), ("wiki", 0.75)] {
            assert_eq!(hq_probability(label, 0.75).to_bits(), expected.to_bits(), "{label}");
        }
    }
}
