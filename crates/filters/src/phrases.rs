//! Phrases that mark a line or a page as boilerplate.

mod page;
mod plain;

use crate::python::{Pattern, PatternError, lower};
use aho_corasick::AhoCorasick;
use plain::Plain;
use std::borrow::Cow;

pub use page::PagePhrases;

/// Where in a line or a page a phrase must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    Any,
    Prefix,
    Suffix,
}

/// How a phrase is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Letter for letter.
    Literal,
    /// As DCLM reads it: a pattern of Python's `re`, in which a full stop is any character.
    Pattern,
}

/// Phrases to find in lines, each with the white space that DCLM takes along: one character before it, or after a prefix.
#[derive(Clone, Debug)]
pub struct LinePhrases {
    location: Location,
    matcher: Matcher,
    /// Finds parts that every matching line has, in any case; none where a phrase has no such part.
    prefilter: Option<AhoCorasick>,
}

#[derive(Clone, Debug)]
enum Matcher {
    Plain(Plain),
    Pattern(Pattern),
}

impl LinePhrases {
    /// An empty list finds nothing.
    pub fn new(
        phrases: &[String],
        location: Location,
        syntax: Syntax,
        ignore_case: bool,
    ) -> Result<Self, PatternError> {
        // DCLM lower-cases the pattern itself, classes and all.
        let phrases: Vec<Cow<str>> = phrases
            .iter()
            .map(|phrase| if ignore_case { lower(phrase) } else { Cow::Borrowed(&**phrase) })
            .collect();
        let matcher = match Plain::new(&phrases, syntax, ignore_case) {
            Some(plain) => Matcher::Plain(plain),
            None => {
                let any = phrases.join("|");
                let pattern = match location {
                    Location::Prefix => format!(r"^(?:{any})\s?"),
                    Location::Suffix => format!(r"\s?(?:{any})$"),
                    Location::Any => format!(r"\s?(?:{any})"),
                };
                Matcher::Pattern(Pattern::new(&pattern, ignore_case)?)
            }
        };
        let prefilter = match &matcher {
            Matcher::Plain(plain) => plain.prefilter(),
            Matcher::Pattern(_) => None,
        };
        Ok(Self { location, matcher, prefilter })
    }

    /// False only if no line of the text has a phrase: one quick pass.
    #[must_use]
    pub fn may_occur(&self, text: &str) -> bool {
        self.prefilter.as_ref().is_none_or(|parts| parts.is_match(text))
    }

    /// Whether a line has a phrase in its place.
    #[must_use]
    pub fn is_match(&self, line: &str) -> bool {
        match &self.matcher {
            Matcher::Plain(plain) => plain.find(line, 0, self.location).is_some(),
            Matcher::Pattern(pattern) => pattern.is_match(line),
        }
    }

    /// The line without its phrases and the white space they take along.
    #[must_use]
    pub fn delete<'t>(&self, line: &'t str) -> Cow<'t, str> {
        match &self.matcher {
            Matcher::Plain(plain) => plain.delete(line, self.location),
            Matcher::Pattern(pattern) => pattern.delete(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(phrases: &[&str], location: Location, syntax: Syntax, line: &str, expected: &str) {
        let phrases: Vec<String> = phrases.iter().map(ToString::to_string).collect();
        let phrases = LinePhrases::new(&phrases, location, syntax, true).expect("phrases");
        assert_eq!(phrases.delete(line), expected, "{line:?}");
        assert_eq!(phrases.is_match(line), line != expected, "{line:?}");
        assert!(phrases.may_occur(line) || line == expected);
    }

    #[test]
    fn phrases_go_with_one_white_space() {
        use Location::{Any, Prefix, Suffix};
        use Syntax::{Literal, Pattern};
        for syntax in [Literal, Pattern] {
            check(&["items in cart"], Any, syntax, "3  ITEMS in cart, items in cart", "3 ,");
            check(&["Sign-in"], Prefix, syntax, "sign-in\u{a0} now", " now");
            check(&["Sign-in"], Prefix, syntax, "please sign-in", "please sign-in");
            check(&["sign-in"], Any, syntax, "ſıgn-İn", "");
            check(&["b", "ab"], Suffix, syntax, "x\x1cab", "x");
            check(&["a", "ab"], Any, syntax, "x ab", "xb");
            check(&["}"], Any, syntax, "{}", "{");
            check(&[], Any, syntax, "x", "x");
        }
        check(&["Read more..."], Suffix, Pattern, "text read more>>>", "text");
        check(&["Read more..."], Suffix, Literal, "text read more>>>", "text read more>>>");
        check(&["Read more..."], Suffix, Literal, "text read more...", "text");
        check(&["a+"], Any, Pattern, "x aaa", "x");
        check(&["a+"], Any, Literal, "x a+", "x");
        check(&["{"], Any, Pattern, "a {", "a");
    }
}
