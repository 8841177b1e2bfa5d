//! Phrases that mark a whole page: DCLM's `substring_filter`, C4's bad words.

use super::plain::{Plain, is_plain};
use super::{Location, Syntax};
use crate::python::{Pattern, PatternError, is_word_boundary, lower};
use aho_corasick::{AhoCorasick, Input};
use std::borrow::Cow;

/// Phrases to find in a page.
#[derive(Clone, Debug)]
pub struct PagePhrases {
    /// Letters only, all phrases at once: as they are, and in any case of ASCII.
    literal: Option<(AhoCorasick, AhoCorasick)>,
    /// Those with a full stop that is any character.
    plain: Option<Plain>,
    /// All other patterns.
    pattern: Option<Pattern>,
    ignore_case: bool,
    location: Location,
    whole_words: bool,
}

impl PagePhrases {
    /// An empty list finds nothing. `whole_words` asks for a word boundary (`\b`) at both ends.
    pub fn new(
        phrases: &[String],
        location: Location,
        syntax: Syntax,
        ignore_case: bool,
        whole_words: bool,
    ) -> Result<Self, PatternError> {
        let (mut literal, mut plain, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        for phrase in phrases {
            let phrase = if ignore_case { lower(phrase) } else { Cow::Borrowed(&**phrase) };
            match syntax {
                Syntax::Pattern if !is_plain(&phrase) => patterns.push(phrase),
                Syntax::Pattern if phrase.contains('.') => plain.push(phrase),
                _ => literal.push(phrase),
            }
        }
        let build = |any_case| {
            let list = literal.iter().map(|phrase| phrase.as_bytes());
            AhoCorasick::builder()
                .ascii_case_insensitive(any_case)
                .build(list)
                .map_err(|error| PatternError::new(&format!("{} phrases", phrases.len()), &error.to_string()))
        };
        let pattern = match (patterns.join("|"), location) {
            (any, _) if any.is_empty() => None,
            (any, location) => {
                let words = if whole_words { r"\b" } else { "" };
                let (start, end) = match location {
                    Location::Any => ("", ""),
                    Location::Prefix => ("^", ""),
                    // Python's `$` also matches before a newline at the very end.
                    Location::Suffix => ("", r"(?:\n?\Z)"),
                };
                Some(Pattern::new(&format!("{start}{words}(?:{any}){words}{end}"), false)?)
            }
        };
        Ok(Self {
            literal: if literal.is_empty() { None } else { Some((build(false)?, build(true)?)) },
            plain: if plain.is_empty() { None } else { Plain::new(&plain, syntax, false) },
            pattern,
            ignore_case,
            location,
            whole_words,
        })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        // Most lists are letters, and most texts ASCII: neither needs a copy of the text in lower case.
        let as_it_is =
            !self.ignore_case || (text.is_ascii() && self.plain.is_none() && self.pattern.is_none());
        let lowered = if as_it_is { Cow::Borrowed(text) } else { lower(text) };
        let in_literal = self.literal.as_ref().is_some_and(|(exact, any_case)| {
            let automaton = if self.ignore_case && as_it_is { any_case } else { exact };
            self.finds(automaton, &lowered)
        });
        in_literal
            || self.plain.as_ref().is_some_and(|plain| plain.is_in(&lowered, self.location, self.whole_words))
            || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(&lowered))
    }

    /// Looks at all matches, overlapping ones as well: one that is no whole word must not hide one that is.
    fn finds(&self, automaton: &AhoCorasick, text: &str) -> bool {
        automaton.find_overlapping_iter(Input::new(text)).any(|found| {
            let in_place = match self.location {
                Location::Any => true,
                Location::Prefix => found.start() == 0,
                Location::Suffix => matches!(text.get(found.end()..), Some("" | "\n")),
            };
            let whole = || is_word_boundary(text, found.start()) && is_word_boundary(text, found.end());
            in_place && (!self.whole_words || whole())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_by_phrases() {
        use Location::{Any, Prefix, Suffix};
        for (phrases, location, whole, text, expected) in [
            (vec!["lorem ipsum"], Any, false, "a LOREM ipsum", true),
            (vec!["home", "the"], Prefix, true, "The end", true),
            (vec!["home", "the"], Prefix, true, "Then", false),
            (vec!["home", "the"], Prefix, true, " the", false),
            (vec!["ass", "asshole"], Any, true, "Asshole!", true),
            (vec!["end"], Suffix, false, "The End\n", true),
            (vec!["end"], Suffix, false, "The End.", false),
            (vec!["straße"], Any, true, "STRASSE Straße", true),
            (vec!["{"], Any, false, "a { b", true),
            (vec![], Any, false, "a", false),
        ] {
            let list: Vec<String> = phrases.iter().map(ToString::to_string).collect();
            for syntax in [Syntax::Literal, Syntax::Pattern] {
                let phrases = PagePhrases::new(&list, location, syntax, true, whole).expect("phrases");
                assert_eq!(phrases.is_match(text), expected, "{list:?} {text:?}");
            }
        }
        let dot = |syntax| PagePhrases::new(&["a.c".to_owned()], Any, syntax, false, false).expect("phrases");
        assert!(dot(Syntax::Pattern).is_match("abc") && !dot(Syntax::Literal).is_match("abc"));
        // Boundaries are Python's: a combining mark is no part of a word, a superscript is.
        let whole = PagePhrases::new(&["b".to_owned(), "x.y".to_owned()], Any, Syntax::Pattern, true, true)
            .expect("phrases");
        for (text, expected) in
            [("B\u{301}", true), ("b²", false), ("x-y\u{301}", true), ("x-y²", false), ("ax-y", false)]
        {
            assert_eq!(whole.is_match(text), expected, "{text}");
        }
    }
}
