//! FineWeb's three rules, and one on lists.

use super::words;
use crate::python;
use crate::sentences::is_terminal;
use std::collections::HashSet;

/// Limits of FineWeb's quality filter.
#[derive(Clone, Debug, PartialEq)]
pub struct FineWeb {
    /// The share of lines that end in punctuation, at least.
    pub line_punct: f64,
    /// Pages without any such line pass.
    pub line_punct_exclude_zero: bool,
    /// What lines end in that do; none: what ends sentences in all scripts.
    pub stop_chars: Option<Vec<String>>,
    /// The share of short lines, at most.
    pub short_line: f64,
    /// Characters a short line has, at most.
    pub short_line_length: usize,
    /// The share of characters in lines that were there before, at most.
    pub char_duplicates: f64,
    /// Newlines per word, at most.
    pub new_line: f64,
}

impl Default for FineWeb {
    fn default() -> Self {
        Self {
            line_punct: 0.12,
            line_punct_exclude_zero: false,
            stop_chars: None,
            short_line: 0.67,
            short_line_length: 30,
            char_duplicates: 0.01,
            new_line: 0.3,
        }
    }
}

impl FineWeb {
    /// Why a text fails, if it does.
    #[must_use]
    pub fn judge(&self, text: &str) -> Option<&'static str> {
        let (mut lines, mut ended, mut short, mut repeated, mut newlines) =
            (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
        let mut seen: HashSet<&str, rustc_hash::FxBuildHasher> = HashSet::default();
        for (index, line) in text.split('\n').enumerate() {
            newlines = index;
            if python::is_blank(line) {
                continue;
            }
            let len = python::len(line);
            lines += 1;
            ended += usize::from(self.is_ended(line));
            short += usize::from(len <= self.short_line_length);
            if !seen.insert(line) {
                repeated += len;
            }
        }
        if lines == 0 {
            return Some("empty");
        }
        let share = ended as f64 / lines as f64;
        if share < self.line_punct && !(ended == 0 && self.line_punct_exclude_zero) {
            return Some("few lines end in punctuation");
        }
        if short as f64 / lines as f64 > self.short_line {
            return Some("short lines");
        }
        if repeated as f64 / (python::len(text) - newlines) as f64 > self.char_duplicates {
            return Some("repeated lines");
        }
        let words = words(text).count();
        (newlines as f64 / words as f64 > self.new_line).then_some("list")
    }

    fn is_ended(&self, line: &str) -> bool {
        match &self.stop_chars {
            Some(stops) => stops.iter().any(|stop| line.ends_with(&**stop)),
            None => line.ends_with(is_terminal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_reason() {
        let long = "this line has more than thirty characters and ends well.";
        let many = (0..20).map(|n| format!("{long} {n}.\n")).collect::<Vec<_>>().concat();
        for (text, expected) in [
            (long.to_owned(), None),
            (" \n".to_owned(), Some("empty")),
            (long.replace('.', ""), Some("few lines end in punctuation")),
            (format!("{long}\na.\nb.\nc."), Some("short lines")),
            (format!("{many}{long}\n{long}"), Some("repeated lines")),
            (format!("{long}{}", "\n".repeat(9)), Some("list")),
        ] {
            assert_eq!(FineWeb::default().judge(&text), expected, "{text}");
        }
        let paper = FineWeb { stop_chars: Some(vec!["\"".to_owned()]), ..FineWeb::default() };
        assert_eq!(paper.judge(long), Some("few lines end in punctuation"));
        assert_eq!(FineWeb { line_punct_exclude_zero: true, ..paper }.judge(long), None);
    }
}
