//! C4's rules, line by line (Raffel et al. 2020, section 2.2), its lists of bad words, and mC4's rule of paragraphs (Xue et al. 2021).

use crate::python::{self, is_word, lower};
use crate::sentences::sentences;
use aho_corasick::{AhoCorasick, Input};
use std::borrow::Cow;

/// Switches and limits of C4's quality filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct C4 {
    /// Lines are what lies between line ends. False: sentences.
    pub split_paragraph: bool,
    pub remove_citations: bool,
    pub filter_no_terminal_punct: bool,
    /// Sentences of the lines that stay, at least.
    pub min_num_sentences: Option<usize>,
    pub min_words_per_line: Option<usize>,
    pub max_word_length: Option<usize>,
    pub filter_lorem_ipsum: bool,
    pub filter_javascript: bool,
    pub filter_curly_bracket: bool,
    pub filter_policy: bool,
}

impl Default for C4 {
    fn default() -> Self {
        Self {
            split_paragraph: true,
            remove_citations: true,
            filter_no_terminal_punct: true,
            min_num_sentences: Some(5),
            min_words_per_line: Some(3),
            max_word_length: Some(1000),
            filter_lorem_ipsum: true,
            filter_javascript: true,
            filter_curly_bracket: true,
            filter_policy: true,
        }
    }
}

const POLICY: [&str; 6] =
    ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"];

/// What C4's filter makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum C4Quality {
    /// The lines that stay.
    Kept(String),
    Dropped(&'static str),
}

impl C4 {
    #[must_use]
    pub fn judge(&self, text: &str) -> C4Quality {
        let mut kept: Vec<Cow<str>> = Vec::new();
        let mut found = 0;
        let mut lines: Vec<&str> =
            if self.split_paragraph { python::lines(text).collect() } else { sentences(text).collect() };
        if lines.is_empty() && !self.split_paragraph {
            lines.push("");
        }
        for line in lines {
            let line = python::strip(line);
            let too_long =
                |max: usize| line.len() > max && python::words(line).any(|word| python::len(word) > max);
            if self.max_word_length.is_some_and(too_long) {
                continue;
            }
            // Words are counted before citations go.
            let words = self.min_words_per_line.map_or(0, |min| python::words(line).take(min).count());
            let line = if self.remove_citations { without_citations(line) } else { Cow::Borrowed(line) };
            let ends_well = line.ends_with(['.', '?', '!', '"', '\'']) && !line.ends_with("...");
            if (self.filter_no_terminal_punct && !ends_well)
                || self.min_words_per_line.is_some_and(|min| words < min)
            {
                continue;
            }
            let lowered = lower(&line);
            if self.filter_lorem_ipsum && lowered.contains("lorem ipsum") {
                return C4Quality::Dropped("lorem ipsum");
            }
            if self.filter_javascript && lowered.contains("javascript") {
                continue;
            }
            if self.filter_curly_bracket && line.contains('{') {
                return C4Quality::Dropped("curly bracket");
            }
            if self.filter_policy && POLICY.iter().any(|phrase| lowered.contains(phrase)) {
                continue;
            }
            if self.min_num_sentences.is_some() {
                // What has no sentence is one, as in datatrove.
                found += if self.split_paragraph { sentences(&line).count().max(1) } else { 1 };
            }
            kept.push(line);
        }
        if self.min_num_sentences.is_some_and(|min| found < min) {
            return C4Quality::Dropped("few sentences");
        }
        let joined = kept.join(if self.split_paragraph { "\n" } else { " " });
        C4Quality::Kept(python::strip(&joined).to_owned())
    }
}

fn without_citations(line: &str) -> Cow<'_, str> {
    use crate::lines::{Edit, without_citations};
    match without_citations(line) {
        Edit::Unchanged => Cow::Borrowed(line),
        Edit::Changed(new) => Cow::Owned(new),
        Edit::Gone => Cow::Borrowed(""),
    }
}

/// Whether a text has enough long lines: mC4's rule.
#[must_use]
pub fn has_paragraphs(text: &str, min_paragraphs: usize, min_paragraph_len: usize) -> bool {
    let long = |line: &&str| line.len() >= min_paragraph_len && python::len(line) >= min_paragraph_len;
    text.split('\n').filter(long).take(min_paragraphs).count() == min_paragraphs
}

/// A list of bad words of one language, such as LDNOOBW's.
#[derive(Clone, Debug)]
pub struct BadWords {
    words: AhoCorasick,
    /// Languages without blanks have no ends of words.
    anywhere: bool,
}

/// Left out of the lists: common parts of words in languages without blanks (C4's own exceptions).
const ALLOWED: [&str; 4] = ["sm", "グロ", "女の子", "性"];

impl BadWords {
    /// Blank lines are passed over. `language` as the list's file is called. None if the list is too large for the automaton.
    #[must_use]
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>, language: &str) -> Option<Self> {
        let words =
            words.into_iter().map(python::strip).filter(|word| !word.is_empty() && !ALLOWED.contains(word));
        let words = AhoCorasick::new(words).ok()?;
        Some(Self { words, anywhere: matches!(language, "ja" | "th" | "zh") })
    }

    /// Whether a text has one of the words, in lower case, with no letter or digit beside it.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let text = lower(text);
        self.words.find_overlapping_iter(Input::new(&*text)).any(|found| {
            let before = text.get(..found.start()).and_then(|head| head.chars().next_back());
            let after = text.get(found.end()..).and_then(|tail| tail.chars().next());
            self.anywhere || !(before.is_some_and(is_word) || after.is_some_and(is_word))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_pages_go() {
        let three = "One is here. Two is here. Three is here.";
        for (text, expected) in [
            (
                format!("{three}\nFour is[1] here. Five is here."),
                C4Quality::Kept(format!("{three}\nFour is here. Five is here.")),
            ),
            (three.to_owned(), C4Quality::Dropped("few sentences")),
            (
                format!(
                    "{three}\nMenu\nTwo words.\nUse of javascript here.\nOur Privacy Policy is here.\n{three}"
                ),
                C4Quality::Kept(format!("{three}\n{three}")),
            ),
            (format!("{three}\nLorem ipsum it is."), C4Quality::Dropped("lorem ipsum")),
            (format!("{three}\nA {{ it is."), C4Quality::Dropped("curly bracket")),
            (format!("{three}\n{three}\nand so on..."), C4Quality::Kept(format!("{three}\n{three}"))),
            (
                format!("{three}\n{three}\n{} is long.", "x".repeat(1001)),
                C4Quality::Kept(format!("{three}\n{three}")),
            ),
        ] {
            assert_eq!(C4::default().judge(&text), expected, "{text}");
        }
    }

    #[test]
    fn pages_have_paragraphs() {
        let long = "ä".repeat(200);
        for (text, expected) in [
            (format!("{long}\n{long}\nx\n{long}"), true),
            (format!("{long}\n{long}\n{}", "ä".repeat(199)), false),
        ] {
            assert_eq!(has_paragraphs(&text, 3, 200), expected, "{text}");
        }
    }

    #[test]
    fn bad_words_stand_alone() {
        let list = BadWords::new(["bad", " worse one\n", "", "性"], "en").expect("a list");
        for (text, expected) in
            [("So BAD!", true), ("badge", false), ("a worse one.", true), ("worst", false), ("性", false)]
        {
            assert_eq!(list.is_match(text), expected, "{text}");
        }
        assert!(BadWords::new(["悪い"], "ja").expect("a list").is_match("これは悪いです"));
    }
}
