//! RefinedWeb's line-wise corrections (arXiv 2306.01116, appendix G.2): lines that are no prose go, boilerplate is cut off short ones, and a
//! page goes that has much of both.
//!
//! The paper names examples where others would need a list: "mainly" upper case, `3 likes`, `sign-in`, `Read more...`, `items in cart`.
//! What counts as a counter is [`crate::lines::is_counter`]'s; words are `str.split()`'s.

use crate::lines::{Edit, Ends, edit, is_counter, uppercase_ratio};
use crate::phrases::LinePhrases;
use crate::python::{self, is_digit, is_space};
use std::borrow::Cow;

/// Limits and phrases of the corrections.
#[derive(Clone, Debug)]
pub struct LineCorrections {
    /// The share of capitals in a line, at most.
    pub max_uppercase_ratio: f64,
    pub remove_numeric_lines: bool,
    pub remove_counter_lines: bool,
    /// Words of a line, at least; empty lines stay.
    pub min_words_per_line: usize,
    /// Words of a line from which phrases are cut, at most.
    pub max_words_to_edit: usize,
    /// At its beginning, at its end, anywhere in it.
    pub phrases: [LinePhrases; 3],
    /// The share of a page's words that goes, at most.
    pub max_removed_ratio: f64,
}

/// What becomes of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corrected {
    Text(Edit),
    /// More went than may go.
    Dropped,
}

impl LineCorrections {
    #[must_use]
    pub fn correct(&self, text: &str) -> Corrected {
        let (mut words, mut removed) = (0_usize, 0_usize);
        let edit = edit(text, Ends::Keep, |line| {
            let count = python::words(line).count();
            words += count;
            if count == 0 {
                return Some(Cow::Borrowed(line));
            }
            if self.is_no_prose(line, count) {
                removed += count;
                return None;
            }
            if count > self.max_words_to_edit {
                return Some(Cow::Borrowed(line));
            }
            let shorter = self.phrases.iter().fold(Cow::Borrowed(line), cut);
            let left = if shorter.len() == line.len() { count } else { python::words(&shorter).count() };
            removed += count.saturating_sub(left);
            (left > 0).then_some(shorter)
        });
        if removed as f64 > self.max_removed_ratio * words as f64 {
            return Corrected::Dropped;
        }
        Corrected::Text(edit)
    }

    fn is_no_prose(&self, line: &str, words: usize) -> bool {
        words < self.min_words_per_line
            || uppercase_ratio(line) > self.max_uppercase_ratio
            || (self.remove_numeric_lines && line.chars().all(|char| is_digit(char) || is_space(char)))
            || (self.remove_counter_lines && is_counter(line))
    }
}

fn cut<'t>(line: Cow<'t, str>, phrases: &LinePhrases) -> Cow<'t, str> {
    match line {
        Cow::Borrowed(line) => phrases.delete(line),
        Cow::Owned(line) => Cow::Owned(phrases.delete(&line).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrases::{Location, Syntax};

    fn corrections() -> LineCorrections {
        let list = |phrase: &str, location| {
            LinePhrases::new(&[phrase.to_owned()], location, Syntax::Literal, true).expect("phrases")
        };
        LineCorrections {
            max_uppercase_ratio: 0.5,
            remove_numeric_lines: true,
            remove_counter_lines: true,
            min_words_per_line: 2,
            max_words_to_edit: 10,
            phrases: [
                list("sign-in", Location::Prefix),
                list("Read more...", Location::Suffix),
                list("items in cart", Location::Any),
            ],
            max_removed_ratio: 0.05,
        }
    }

    #[test]
    fn lines_are_corrected() {
        let prose = "these are words of a page that has many more of them than go ".repeat(20);
        for (line, expected) in [
            ("SOME Shouted LINE", None),
            ("12 34 ٥", None),
            ("3 likes", None),
            ("Home", None),
            ("Sign-in", None),
            ("Sign-in or stay", Some("or stay")),
            ("The news of the day read more...", Some("The news of the day")),
            ("Read more... of this", Some("Read more... of this")),
            ("You have 3 items in cart now", Some("You have 3 now")),
            ("Sign-in with items in cart read more...", Some("with")),
            ("", Some("")),
            ("A sentence that has no boilerplate", Some("A sentence that has no boilerplate")),
            (
                "one two three four five six seven eight nine items in cart",
                Some("one two three four five six seven eight nine items in cart"),
            ),
        ] {
            let text = format!("{prose}\n{line}\n{prose}");
            let expected = match expected {
                Some(same) if same == line => Edit::Unchanged,
                Some(left) => Edit::Changed(format!("{prose}\n{left}\n{prose}")),
                None => Edit::Changed(format!("{prose}\n{prose}")),
            };
            assert_eq!(corrections().correct(&text), Corrected::Text(expected), "{line}");
        }
    }

    #[test]
    fn pages_with_many_corrections_go() {
        // Of twenty words one may go.
        let words = |count: usize| "word ".repeat(count);
        assert_eq!(corrections().correct(&format!("{}\nHome", words(18))), Corrected::Dropped);
        assert_eq!(corrections().correct(&format!("{}\nSign-in or stay", words(16))), Corrected::Dropped);
        assert!(matches!(
            corrections().correct(&format!("{}\nHome", words(19))),
            Corrected::Text(Edit::Changed(_))
        ));
        assert_eq!(corrections().correct("\n\n"), Corrected::Text(Edit::Unchanged));
        assert_eq!(corrections().correct(""), Corrected::Text(Edit::Gone));
    }
}
