//! Lists of words to look for in URLs: what DCLM does with Retrie, a regex made of a trie.

use crate::python::{fold, is_word_boundary};
use std::borrow::Cow;

/// Whether letters are compared in any case, as `re.IGNORECASE` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Ignore,
    Exact,
}

/// Words, sorted, so that those which stand at a place in a text are found by narrowing a range byte by byte: millions of them cost
/// no more memory than their letters.
#[derive(Clone, Debug)]
pub struct WordList {
    /// Folded if case is ignored, sorted, each once.
    words: Vec<Box<str>>,
    /// The range of words that start with each byte.
    first: Box<[(u32, u32); 256]>,
    /// An empty word stands everywhere.
    has_empty: bool,
    /// Characters of the longest word.
    longest: usize,
    case: Case,
}

impl WordList {
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>, case: Case) -> Self {
        let mut words: Vec<Box<str>> = words
            .into_iter()
            .map(|word| match case {
                Case::Ignore => word.as_ref().chars().map(fold).collect::<String>().into_boxed_str(),
                Case::Exact => Box::from(word.as_ref()),
            })
            .collect();
        words.sort_unstable();
        words.dedup();
        let has_empty = words.first().is_some_and(|word| word.is_empty());
        let mut first = Box::new([(0, 0); 256]);
        for (index, word) in words.iter().enumerate() {
            if let Some(&byte) = word.as_bytes().first() {
                let range = &mut first[usize::from(byte)];
                if range.1 == 0 {
                    range.0 = index as u32;
                }
                range.1 = index as u32 + 1;
            }
        }
        let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
        Self { words, first, has_empty, longest, case }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The length in bytes of the longest word that stands at the start of `text` (already folded, see [`Self::folded`]) and for
    /// whose end `fits` holds.
    pub(super) fn longest_at(&self, text: &str, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut longest = (self.has_empty && fits(0)).then_some(0);
        let Some(&byte) = bytes.first() else { return longest };
        let (low, high) = self.first[usize::from(byte)];
        let mut range = self.words.get(low as usize..high as usize).unwrap_or_default();
        let mut depth = 1;
        while let Some(word) = range.first() {
            if word.len() == depth {
                if fits(depth) {
                    longest = Some(depth);
                }
                range = range.get(1..).unwrap_or_default();
            }
            let Some(&byte) = bytes.get(depth) else { break };
            let at = |word: &str| word.as_bytes().get(depth).copied().unwrap_or(0);
            let start = range.partition_point(|word| at(word) < byte);
            let rest = range.get(start..).unwrap_or_default();
            range = rest.get(..rest.partition_point(|word| at(word) == byte)).unwrap_or_default();
            depth += 1;
        }
        longest
    }

    /// The text as it is compared. Folding may change the length of a character, never their number.
    pub(super) fn folded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.case == Case::Exact || text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
        {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.chars().map(fold).collect())
    }

    /// How many distinct parts of `text` are words of the list: `len(set(pattern.findall(text)))`. Parts do not overlap, each is
    /// the longest that stands at its place; parts that differ in case only are distinct, as they are in the text.
    /// `whole_words` asks for word boundaries (`\b`) at both ends. Counts no further than `limit`.
    #[must_use]
    pub fn count_distinct(&self, text: &str, whole_words: bool, limit: usize) -> usize {
        let folded = self.folded(text);
        let mut found: Vec<&str> = Vec::new();
        // Offsets in the text and in its folded form go side by side.
        let (mut at, mut folded_at) = (0, 0);
        while found.len() < limit {
            let (Some(rest), Some(folded_rest)) = (text.get(at..), folded.get(folded_at..)) else { break };
            let starts = !whole_words || is_word_boundary(text, at);
            // Boundaries are those of the text itself: a combining iota (U+0345) is no part of a word, what it folds to is.
            let ends = |len: usize| {
                !whole_words
                    || is_word_boundary(
                        text,
                        at + same_chars(rest, folded_rest.get(..len).unwrap_or_default()),
                    )
            };
            let len = if starts { self.longest_at(folded_rest, ends) } else { None };
            let chars = match len {
                Some(len) => {
                    let folded_part = folded_rest.get(..len).unwrap_or_default();
                    let chars = folded_part.chars().count();
                    let part = rest.get(..same_chars(rest, folded_part)).unwrap_or_default();
                    if !found.contains(&part) {
                        found.push(part);
                    }
                    chars.max(1)
                }
                None => 1,
            };
            if rest.is_empty() {
                break;
            }
            at += rest.chars().take(chars).map(char::len_utf8).sum::<usize>();
            folded_at += folded_rest.chars().take(chars).map(char::len_utf8).sum::<usize>();
        }
        found.len()
    }

    /// Whether a text starts with a word of the list.
    #[must_use]
    pub fn is_prefix_of(&self, text: &str) -> bool {
        // Folding keeps the number of characters.
        let end = text.char_indices().nth(self.longest).map_or(text.len(), |(end, _)| end);
        let head = text.get(..end).unwrap_or_default();
        self.longest_at(&self.folded(head), |_| true).is_some()
    }
}

/// The length in bytes of as many characters of `text` as `folded` has.
fn same_chars(text: &str, folded: &str) -> usize {
    if text.is_char_boundary(folded.len()) && text.as_bytes().iter().take(folded.len()).all(u8::is_ascii) {
        return folded.len(); // ASCII folds to ASCII
    }
    text.char_indices().nth(folded.chars().count()).map_or(text.len(), |(end, _)| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_distinct_parts_without_overlap() {
        let words = ["ass", "asshole", "sex", "se", "x-x", "é"];
        for (text, whole, expected) in [
            ("asshole", false, 1),
            ("asshole", true, 1),
            ("assholes", true, 0),
            ("assholes", false, 1),
            ("ass.sex.ass", true, 2),
            ("sexass", false, 2),
            ("sexass", true, 0),
            ("sex-ass", true, 2),
            ("\u{17f}ex/sex", true, 2),
            ("x-x", true, 1),
            ("x-xx-x", false, 1),
            ("é/É", true, 2),
            ("sex_", true, 0),
            ("sex\u{345}", true, 1),
            ("\u{17f}ex\u{345}/x-x\u{301}", true, 2),
            ("", true, 0),
        ] {
            assert_eq!(
                WordList::new(words, Case::Ignore).count_distinct(text, whole, 99),
                expected,
                "{text}"
            );
        }
        // An empty line in a list matches everywhere, and counts once.
        assert_eq!(WordList::new(["", "a"], Case::Ignore).count_distinct("ba", false, 99), 2);
        assert_eq!(WordList::new(["A"], Case::Exact).count_distinct("aA", false, 99), 1);
        assert_eq!(WordList::new([""; 0], Case::Exact).count_distinct("aA", false, 99), 0);
    }

    #[test]
    fn prefixes_are_found_in_any_case() {
        let list = WordList::new(["th", "com", "рф"], Case::Ignore);
        for (text, expected) in
            [("The site", true), ("COM", true), ("РФ", true), ("We", false), ("t", false), ("", false)]
        {
            assert_eq!(list.is_prefix_of(text), expected, "{text}");
        }
    }
}
