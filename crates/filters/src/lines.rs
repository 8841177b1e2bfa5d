//! What changes a text line by line: which lines stay.
//!
//! Rules from mlfoundations/dclm 361714b, `baselines/mappers/modifiers.py`. Lines are what lies between `\n`, so `\r` belongs to them.

mod counter;
mod dedup;

use crate::python::{self, is_digit, is_space, is_upper};
use std::borrow::Cow;

pub use counter::is_counter;
pub use dedup::{Granularity, without_repeats};

/// What becomes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Unchanged,
    Changed(String),
    /// Nothing is left.
    Gone,
}

impl Edit {
    pub(crate) fn of(old: &str, new: Cow<'_, str>) -> Self {
        match new {
            new if new.is_empty() => Self::Gone,
            // A text that only shrinks is the same if it is as long.
            new if new.len() == old.len() => Self::Unchanged,
            new => Self::Changed(new.into_owned()),
        }
    }
}

/// What is cut off the ends of a text once its lines are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Keep,
    /// As Python's `strip()` does.
    Strip,
}

/// Keeps the lines for which `keep` holds.
#[must_use]
pub fn retain(text: &str, ends: Ends, mut keep: impl FnMut(&str) -> bool) -> Edit {
    edit(text, ends, |line| keep(line).then_some(Cow::Borrowed(line)))
}

/// Gives each line another form, or none. Lines must not grow.
#[must_use]
pub fn edit<'t>(text: &'t str, ends: Ends, mut change: impl FnMut(&'t str) -> Option<Cow<'t, str>>) -> Edit {
    let mut out: Option<String> = None;
    let (mut start, mut kept_any) = (0, false);
    for line in text.split('\n') {
        let new = change(line);
        let unchanged = matches!(&new, Some(new) if new.len() == line.len());
        if !unchanged && out.is_none() {
            // All lines so far stayed: they are a prefix of the text, without the newline before this line.
            let mut copy = String::with_capacity(text.len());
            copy.push_str(text.get(..start.max(1) - 1).unwrap_or_default());
            out = Some(copy);
        }
        if let (Some(out), Some(new)) = (&mut out, &new) {
            if kept_any {
                out.push('\n');
            }
            out.push_str(new);
        }
        kept_any |= new.is_some();
        start += line.len() + 1;
    }
    let new = out.map_or(Cow::Borrowed(text), Cow::Owned);
    match (ends, new) {
        (Ends::Keep, new) => Edit::of(text, new),
        (Ends::Strip, Cow::Borrowed(new)) => Edit::of(text, Cow::Borrowed(python::strip(new))),
        (Ends::Strip, Cow::Owned(mut new)) => {
            new.truncate(new.trim_end_matches(is_space).len());
            let blanks = new.len() - new.trim_start_matches(is_space).len();
            new.drain(..blanks);
            Edit::of(text, Cow::Owned(new))
        }
    }
}

/// No more than `max` newlines in a row. Unlike other edits, an empty result is a text: it is never [`Edit::Gone`].
#[must_use]
pub fn collapse_newlines(text: &str, max: usize) -> Edit {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let start = at + found;
        let run = bytes.get(start..).unwrap_or_default().iter().take_while(|byte| **byte == b'\n').count();
        at = start + run;
        if run > max {
            out.push_str(text.get(copied..start + max).unwrap_or_default());
            copied = at;
        }
    }
    if copied == 0 {
        return Edit::Unchanged;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Edit::Changed(out)
}

/// Takes out Wikipedia's marks: `[1]`, `[]`, `[edit]`, `[citation needed]` (DCLM: `\[\d*\]|\[edit\]|\[citation needed\]`).
#[must_use]
pub fn without_citations(text: &str) -> Edit {
    let mut out = String::new();
    let mut copied = 0;
    for open in memchr::memchr_iter(b'[', text.as_bytes()) {
        let rest = text.get(open + 1..).unwrap_or_default();
        let digits = rest.trim_start_matches(python::is_decimal);
        let tail = digits
            .strip_prefix(']')
            .or_else(|| rest.strip_prefix("edit]"))
            .or_else(|| rest.strip_prefix("citation needed]"));
        if let Some(tail) = tail {
            out.push_str(text.get(copied..open).unwrap_or_default());
            copied = text.len() - tail.len();
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Edit::of(text, Cow::Owned(out))
}

/// The share of characters that `isupper()`; 0 of an empty line.
#[must_use]
pub fn uppercase_ratio(line: &str) -> f64 {
    ratio(line, u8::is_ascii_uppercase, is_upper)
}

/// The share of characters that `isdigit()`; 0 of an empty line.
#[must_use]
pub fn digit_ratio(line: &str) -> f64 {
    ratio(line, u8::is_ascii_digit, is_digit)
}

#[inline]
fn ratio(line: &str, of_byte: impl Fn(&u8) -> bool, of_char: impl Fn(char) -> bool) -> f64 {
    let bytes = line.as_bytes();
    let (part, whole) = if bytes.is_ascii() {
        (bytes.iter().filter(|byte| of_byte(byte)).count(), bytes.len())
    } else {
        let mut chars = 0;
        (line.chars().inspect(|_| chars += 1).filter(|char| of_char(*char)).count(), chars)
    };
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Whether a line has from `min` to `max` words of `str.split()`. An empty line counts as fitting.
#[must_use]
pub fn has_length(line: &str, min: usize, max: usize) -> bool {
    if line.is_empty() {
        return true;
    }
    // One word more than the bound tells all; without a bound, as many as there must be.
    let enough = if max == usize::MAX { min } else { (max + 1).max(min) };
    let words = python::words(line).take(enough).count();
    (min..=max).contains(&words)
}

/// C4's rule: a line ends in `.`, `!`, `?`, `"` or `…`, white space aside, and, if so asked, not in an ellipsis. An empty line counts as fitting.
#[must_use]
pub fn ends_in_punctuation(line: &str, ellipsis_counts: bool) -> bool {
    let line = line.trim_end_matches(is_space);
    if !ellipsis_counts && (line.ends_with("...") || line.ends_with('…')) {
        return false;
    }
    line.ends_with(['.', '!', '?', '"', '…'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_stay_or_go() {
        let drop_x = |text: &str, ends| retain(text, ends, |line| !line.starts_with('x'));
        for (text, ends, expected) in [
            ("a\nb", Ends::Keep, Edit::Unchanged),
            ("x\na\nx\nb\nx", Ends::Keep, Edit::Changed("a\nb".to_owned())),
            ("\nx", Ends::Keep, Edit::Gone),
            ("x\n\n", Ends::Keep, Edit::Changed("\n".to_owned())),
            ("a\n\nx", Ends::Keep, Edit::Changed("a\n".to_owned())),
            ("a\n\nx", Ends::Strip, Edit::Changed("a".to_owned())),
            (" a", Ends::Strip, Edit::Changed("a".to_owned())),
            ("", Ends::Keep, Edit::Gone),
            (" \n", Ends::Strip, Edit::Gone),
            ("\nx\na", Ends::Keep, Edit::Changed("\na".to_owned())),
        ] {
            assert_eq!(drop_x(text, ends), expected, "{text:?}");
        }
    }

    #[test]
    fn newlines_and_citations_go() {
        for (text, max, expected) in
            [("a\n\n\n\nb\n", 2, "a\n\nb\n"), ("\n\n\n", 0, ""), ("a\nb", 1, "a\nb"), ("\n\na", 1, "\na")]
        {
            let Edit::Changed(new) = collapse_newlines(text, max) else {
                assert_eq!(text, expected);
                continue;
            };
            assert_eq!(new, expected, "{text:?}");
        }
        for (text, expected) in [
            ("a[1][edit] b[]", Edit::Changed("a b".to_owned())),
            ("[citation needed]", Edit::Gone),
            ("[[1]]", Edit::Changed("[]".to_owned())),
            ("[x] [1", Edit::Unchanged),
            ("[١]x", Edit::Changed("x".to_owned())),
        ] {
            assert_eq!(without_citations(text), expected, "{text}");
        }
    }

    #[test]
    fn ratios_are_of_code_points() {
        for (line, upper, digits) in
            [("ABc1", 0.5, 0.25), ("ÄÖé²", 0.5, 0.25), ("", 0.0, 0.0), ("١٢", 0.0, 1.0)]
        {
            assert_eq!((uppercase_ratio(line), digit_ratio(line)), (upper, digits), "{line}");
        }
    }

    #[test]
    fn c4_wants_terminal_punctuation() {
        for (line, plain, strict) in [
            ("a.", true, true),
            ("a... ", true, false),
            ("a…", true, false),
            ("a\"\t", true, true),
            ("a:", false, false),
            (" ", false, false),
        ] {
            assert_eq!(
                (ends_in_punctuation(line, true), ends_in_punctuation(line, false)),
                (plain, strict),
                "{line:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]
        #[test]
        fn lines_are_joined_as_python_does(text in "[ax \n\u{a0}é]{0,20}", strip: bool) {
            let kept: Vec<&str> = text.split('\n').filter(|line| !line.contains('x')).collect();
            let mut expected = kept.join("\n");
            if strip {
                expected = python::strip(&expected).to_owned();
            }
            let ends = if strip { Ends::Strip } else { Ends::Keep };
            let got = match retain(&text, ends, |line| !line.contains('x')) {
                Edit::Unchanged => text.clone(),
                Edit::Changed(new) => { prop_assert!(new != text); new }
                Edit::Gone => String::new(),
            };
            prop_assert_eq!(got, expected);
        }
    }
}
