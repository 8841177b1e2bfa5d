//! Phrases that mark a whole page: DCLM's `substring_filter`, C4's bad words.

use super::{Location, Syntax};
use crate::python::{Pattern, PatternError, is_word_boundary, lower};
use aho_corasick::{AhoCorasick, Input};

/// Phrases to find in a page.
#[derive(Clone, Debug)]
pub struct PagePhrases {
    matcher: Matcher,
    ignore_case: bool,
    location: Location,
    whole_words: bool,
}

#[derive(Clone, Debug)]
enum Matcher {
    Nothing,
    /// Letters only: all phrases at once.
    Literal {
        exact: AhoCorasick,
        any_case: AhoCorasick,
    },
    Pattern(Pattern),
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
        let phrases: Vec<String> = phrases
            .iter()
            .map(|phrase| if ignore_case { lower(phrase).into_owned() } else { phrase.clone() })
            .collect();
        let special = |phrase: &String| {
            phrase.contains(['^', '$', '*', '+', '?', '.', '[', ']', '\\', '|', '(', ')', '{'])
        };
        let lone_brace = |phrase: &String| phrase == "{";
        let matcher = if phrases.is_empty() {
            Matcher::Nothing
        } else if syntax == Syntax::Pattern && phrases.iter().any(|p| special(p) && !lone_brace(p)) {
            let mut pattern = format!("(?:{})", phrases.join("|"));
            if whole_words {
                pattern = format!(r"\b{pattern}\b");
            }
            match location {
                Location::Any => {}
                Location::Prefix => pattern = format!("^{pattern}"),
                // Python's `$` also matches before a newline at the very end.
                Location::Suffix => pattern = format!(r"{pattern}(?:\n?\Z)"),
            }
            Matcher::Pattern(Pattern::new(&pattern, false)?)
        } else {
            let build = |any_case| {
                AhoCorasick::builder().ascii_case_insensitive(any_case).build(&phrases).map_err(|error| {
                    PatternError::new(&format!("{} phrases", phrases.len()), &error.to_string())
                })
            };
            Matcher::Literal { exact: build(false)?, any_case: build(true)? }
        };
        Ok(Self { matcher, ignore_case, location, whole_words })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        if self.ignore_case && !text.is_ascii() {
            return self.is_match_in(&lower(text), false);
        }
        self.is_match_in(text, self.ignore_case)
    }

    /// `any_case`: compare ASCII letters in any case; otherwise the text was lower-cased or must match as it is.
    fn is_match_in(&self, text: &str, any_case: bool) -> bool {
        match &self.matcher {
            Matcher::Nothing => false,
            Matcher::Pattern(pattern) if any_case => pattern.is_match(&lower(text)),
            Matcher::Pattern(pattern) => pattern.is_match(text),
            Matcher::Literal { exact, any_case: folded } => {
                let automaton = if any_case { folded } else { exact };
                // All matches, overlapping ones as well: one that is no whole word must not hide one that is.
                automaton.find_overlapping_iter(Input::new(text)).any(|found| {
                    let ends_here = || found.end() == text.len() || text.get(found.end()..) == Some("\n");
                    (match self.location {
                        Location::Any => true,
                        Location::Prefix => found.start() == 0,
                        Location::Suffix => ends_here(),
                    }) && (!self.whole_words
                        || (is_word_boundary(text, found.start()) && is_word_boundary(text, found.end())))
                })
            }
        }
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
    }
}
