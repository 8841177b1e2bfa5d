//! Gopher's quality rules (Rae et al. 2021, appendix A.1.1), all parameters open.

use super::words;
use crate::python::{self, is_alpha, is_space};
use crate::sentences::is_terminal;
use crate::survey::STOP_WORDS;
use std::collections::HashSet;

/// Limits of Gopher's quality rules; none, or nothing: the rule is off.
#[derive(Clone, Debug, PartialEq)]
pub struct Gopher {
    pub min_doc_words: Option<usize>,
    pub max_doc_words: Option<usize>,
    pub min_avg_word_length: Option<f64>,
    pub max_avg_word_length: Option<f64>,
    /// Hashes per word, and ellipses per word, each at most.
    pub max_symbol_word_ratio: Option<f64>,
    pub max_bullet_lines_ratio: Option<f64>,
    pub max_ellipsis_lines_ratio: Option<f64>,
    /// The share of words with a letter, at least (the name is datatrove's).
    pub max_non_alpha_words_ratio: Option<f64>,
    /// Distinct stop words, at least.
    pub min_stop_words: Option<usize>,
    /// Compared as they are written.
    pub stop_words: HashSet<String>,
}

impl Default for Gopher {
    fn default() -> Self {
        Self {
            min_doc_words: Some(50),
            max_doc_words: Some(100_000),
            min_avg_word_length: Some(3.0),
            max_avg_word_length: Some(10.0),
            max_symbol_word_ratio: Some(0.1),
            max_bullet_lines_ratio: Some(0.9),
            max_ellipsis_lines_ratio: Some(0.3),
            max_non_alpha_words_ratio: Some(0.8),
            min_stop_words: Some(2),
            stop_words: STOP_WORDS.map(str::to_owned).into(),
        }
    }
}

impl Gopher {
    /// Why a text fails, if it does.
    #[must_use]
    pub fn judge(&self, text: &str) -> Option<&'static str> {
        let (mut all, mut counted, mut chars, mut with_letter) = (0_usize, 0_usize, 0_usize, 0_usize);
        let mut stops: HashSet<&str> = HashSet::new();
        for word in words(text) {
            all += 1;
            with_letter += usize::from(word.chars().any(is_alpha));
            if !word.chars().all(is_punctuation) {
                counted += 1;
                chars += python::len(word);
            }
            if self.stop_words.contains(word) {
                stops.insert(word);
            }
        }
        let below = |value: f64, min: Option<f64>| min.is_some_and(|min| min != 0.0 && value < min);
        let above = |value: f64, max: Option<f64>| max.is_some_and(|max| max != 0.0 && value > max);
        let per_word = |count: usize| count as f64 / all as f64;
        if self.min_doc_words.is_some_and(|min| counted < min) {
            return Some("too short");
        }
        if self.max_doc_words.is_some_and(|max| max != 0 && counted > max) {
            return Some("too long");
        }
        let average = chars as f64 / counted as f64;
        if below(average, self.min_avg_word_length) || above(average, self.max_avg_word_length) {
            return Some("word length");
        }
        let ellipses = text.matches("...").count() + text.matches('…').count();
        if above(per_word(text.matches('#').count()), self.max_symbol_word_ratio)
            || above(per_word(ellipses), self.max_symbol_word_ratio)
        {
            return Some("symbols");
        }
        let (mut lines, mut bullets, mut ends) = (0_usize, 0_usize, 0_usize);
        for line in python::lines(text) {
            lines += 1;
            bullets += usize::from(line.trim_start_matches(is_space).starts_with(['•', '-']));
            let line = line.trim_end_matches(is_space);
            ends += usize::from(line.ends_with("...") || line.ends_with('…'));
        }
        if above(bullets as f64 / lines as f64, self.max_bullet_lines_ratio) {
            return Some("bullets");
        }
        if above(ends as f64 / lines as f64, self.max_ellipsis_lines_ratio) {
            return Some("ellipses");
        }
        if below(per_word(with_letter), self.max_non_alpha_words_ratio) {
            return Some("words without letters");
        }
        self.min_stop_words.is_some_and(|min| stops.len() < min).then_some("no stop words")
    }
}

/// datatrove's punctuation: CCNet's list, control characters but tab and newline, and the ends of sentences of all scripts.
fn is_punctuation(char: char) -> bool {
    const LIST: &str =
        "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»";
    LIST.contains(char)
        || matches!(char, '\0'..='\x08' | '\x0b' | '\x0c' | '\r'..='\x1f' | '\x7f'..='\u{9f}')
        || is_terminal(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_reason() {
        let good = "the words of this text have a usual length and are not that many at all ".repeat(4);
        for (text, expected) in [
            (good.clone(), None),
            ("the end of it".to_owned(), Some("too short")),
            ("a b c ".repeat(20), Some("word length")),
            (format!("{good}{}", "# ".repeat(9)), Some("symbols")),
            (format!("{good}{}", "... ".repeat(9)), Some("symbols")),
            (format!("{}{good}", "- and the\n".repeat(11)), Some("bullets")),
            (format!("{}\n{good}", "some words…"), Some("ellipses")),
            (format!("{good}{}", "1234 ".repeat(30)), Some("words without letters")),
            ("some other words here ".repeat(20), Some("no stop words")),
        ] {
            assert_eq!(Gopher::default().judge(&text), expected, "{text}");
        }
        let off = Gopher {
            min_doc_words: None,
            min_avg_word_length: None,
            min_stop_words: None,
            ..Gopher::default()
        };
        assert_eq!(off.judge("a"), None);
        assert_eq!(
            Gopher { max_doc_words: Some(0), max_symbol_word_ratio: Some(0.0), ..off }.judge("a a a a #"),
            None
        );
    }
}
