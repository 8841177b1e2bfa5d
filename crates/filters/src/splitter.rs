//! DCLM's `split_words`: three tokenizers and what they leave out.
//!
//! Rules from mlfoundations/dclm 361714b, `baselines/mappers/core_utils.py`.

use crate::python::{self, is_alnum, is_blank, is_space};
use crate::{Text, words};

/// How words are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// fastText's tokenizer: words between its seven separators, and `</s>` for each newline.
    #[default]
    Fasttext,
    /// Unicode's rules (UAX #29).
    Uniseg,
    /// Python's `str.split()`.
    Split,
}

/// A tokenizer and what it leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splitter {
    pub model: Model,
    /// Leaves out words whose first character is no letter or digit.
    pub ignore_punctuation: bool,
    /// Leaves out words of white space.
    pub ignore_whitespace: bool,
}

/// What fastText reads for a newline.
const END_OF_LINE: &str = "</s>";

impl Splitter {
    /// How many words a text has.
    pub fn count(&self, text: &mut Text) -> usize {
        match (self.model, self.ignore_punctuation, self.ignore_whitespace) {
            (Model::Fasttext, true, true) => text.survey().alnum_tokens,
            (Model::Fasttext, false, false) => text.survey().tokens + text.survey().newlines,
            (Model::Split, false, _) => text.survey().words,
            _ => {
                let mut count = 0;
                self.all(text.as_str(), |_| {
                    count += 1;
                    true
                });
                count
            }
        }
    }

    /// Whether `test` holds for all words, in order, up to the first for which it does not.
    pub fn all(&self, text: &str, mut test: impl FnMut(&str) -> bool) -> bool {
        let mut test = |word: &str| !self.takes(word) || test(word);
        match self.model {
            Model::Fasttext => text.split_inclusive('\n').all(|line| {
                let (line, end) = line.strip_suffix('\n').map_or((line, false), |line| (line, true));
                let words = line.split([' ', '\r', '\t', '\x0b', '\x0c', '\0']);
                words.filter(|word| !word.is_empty()).all(&mut test) && (!end || test(END_OF_LINE))
            }),
            Model::Uniseg => words::tokens(text).all(test),
            Model::Split => python::words(text).all(test),
        }
    }

    fn takes(self, word: &str) -> bool {
        let starts = |test: fn(char) -> bool| word.chars().next().is_some_and(test);
        match (self.ignore_punctuation, self.ignore_whitespace) {
            (true, true) => starts(is_alnum),
            (true, false) => starts(is_alnum) || starts(is_space),
            (false, true) => !is_blank(word),
            (false, false) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_dclm_does() {
        let text = "\"Hello\" (see) a.b\n\u{a0} 7 c\0d e-f\r\n";
        for (model, punctuation, whitespace, expected) in [
            (Model::Fasttext, true, true, 5),
            (Model::Fasttext, true, false, 6),
            (Model::Fasttext, false, true, 9),
            (Model::Fasttext, false, false, 10),
            (Model::Split, true, true, 4),
            (Model::Split, false, true, 6),
            (Model::Uniseg, true, true, 8),
            (Model::Uniseg, false, true, 14),
        ] {
            let splitter = Splitter { model, ignore_punctuation: punctuation, ignore_whitespace: whitespace };
            let mut slow = 0;
            splitter.all(text, |_| {
                slow += 1;
                true
            });
            assert_eq!(splitter.count(&mut Text::new(text.to_owned())), expected, "{splitter:?}");
            assert_eq!(slow, expected, "{splitter:?}");
        }
    }
}
