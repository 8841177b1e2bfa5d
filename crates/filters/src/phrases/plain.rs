//! Phrases of letters, and of the one pattern that phrases have by accident: a full stop.

use super::{Location, Syntax};
use crate::python::{fold, is_space, is_word_boundary};
use aho_corasick::AhoCorasick;
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Char(char),
    /// Any character but a newline.
    Any,
}

/// Alternatives, the first that matches counts.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    phrases: Vec<Vec<Item>>,
    ignore_case: bool,
}

impl Plain {
    /// None if a phrase is a pattern of another kind.
    pub(super) fn new(phrases: &[Cow<str>], syntax: Syntax, ignore_case: bool) -> Option<Self> {
        let item = |char| Item::Char(if ignore_case { fold(char) } else { char });
        let phrases = phrases.iter().map(|phrase| match syntax {
            Syntax::Literal => Some(phrase.chars().map(item).collect()),
            Syntax::Pattern if is_plain(phrase) => {
                Some(phrase.chars().map(|char| if char == '.' { Item::Any } else { item(char) }).collect())
            }
            Syntax::Pattern => None,
        });
        Some(Self { phrases: phrases.collect::<Option<_>>()?, ignore_case })
    }

    /// Searches from a byte offset on; start and end of the first match.
    pub(super) fn find(&self, line: &str, from: usize, location: Location) -> Option<(usize, usize)> {
        let tail = line.get(from..)?;
        let starts = tail.char_indices().map(|(at, _)| from + at).chain([line.len()]);
        let starts =
            starts.take(if location == Location::Prefix { usize::from(from == 0) } else { usize::MAX });
        for start in starts {
            let rest = line.get(start..)?;
            let blank = rest.chars().next().filter(|char| is_space(*char)).map_or(0, char::len_utf8);
            let end = match location {
                Location::Prefix => self.match_at(rest, false).map(|len| {
                    let next = rest.get(len..).and_then(|tail| tail.chars().next());
                    len + next.filter(|char| is_space(*char)).map_or(0, char::len_utf8)
                }),
                _ => {
                    let at_end = location == Location::Suffix;
                    let behind_blank = rest.get(blank..).and_then(|rest| self.match_at(rest, at_end));
                    behind_blank.map(|len| blank + len).or_else(|| self.match_at(rest, at_end))
                }
            };
            if let Some(len) = end {
                return Some((start, start + len));
            }
        }
        None
    }

    /// Whether a phrase stands at some place of a text, between word boundaries if so asked.
    pub(super) fn is_in(&self, text: &str, location: Location, whole_words: bool) -> bool {
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let starts = starts.take(if location == Location::Prefix { 1 } else { usize::MAX });
        let bounded = |at| !whole_words || is_word_boundary(text, at);
        starts.filter(|start| bounded(*start)).any(|start| {
            let rest = text.get(start..).unwrap_or_default();
            self.phrases.iter().filter_map(|phrase| self.len_at(phrase, rest)).any(|len| {
                // Python's `$` also matches before a newline at the very end.
                let ends = || matches!(rest.get(len..), Some("" | "\n"));
                (location != Location::Suffix || ends()) && bounded(start + len)
            })
        })
    }

    pub(super) fn delete<'t>(&self, line: &'t str, location: Location) -> Cow<'t, str> {
        let mut out = Cow::Borrowed("");
        // What is left in one piece is not copied.
        let mut keep = |piece: &'t str| match &mut out {
            _ if piece.is_empty() => {}
            Cow::Borrowed("") => out = Cow::Borrowed(piece),
            longer => longer.to_mut().push_str(piece),
        };
        let (mut kept, mut from) = (0, 0);
        while let Some((start, end)) = self.find(line, from, location) {
            keep(line.get(kept..start).unwrap_or_default());
            kept = end;
            // An empty match deletes nothing; the search goes on one character further.
            let step = line.get(end..).and_then(|tail| tail.chars().next()).map_or(1, char::len_utf8);
            from = if end > start { end } else { end + step };
        }
        keep(line.get(kept..).unwrap_or_default());
        out
    }

    /// The byte length of the first phrase that stands at the start of `rest`.
    fn match_at(&self, rest: &str, to_end: bool) -> Option<usize> {
        let mut lens = self.phrases.iter().filter_map(|phrase| self.len_at(phrase, rest));
        lens.find(|len| !to_end || *len == rest.len())
    }

    /// The byte length of a phrase if it stands at the start of `rest`.
    fn len_at(&self, phrase: &[Item], rest: &str) -> Option<usize> {
        let mut chars = rest.chars();
        for item in phrase {
            let char = chars.next()?;
            let fits = match item {
                Item::Any => char != '\n',
                Item::Char(wanted) => *wanted == if self.ignore_case { fold(char) } else { char },
            };
            if !fits {
                return None;
            }
        }
        Some(rest.len() - chars.as_str().len())
    }

    /// Parts that a text must have to match, one for each phrase: the longest run of ASCII that no other character folds to.
    pub(super) fn prefilter(&self) -> Option<AhoCorasick> {
        let parts: Vec<String> = self.phrases.iter().map(|phrase| certain_part(phrase)).collect();
        if parts.is_empty() || parts.iter().any(String::is_empty) {
            return None;
        }
        AhoCorasick::builder().ascii_case_insensitive(true).build(parts).ok()
    }
}

fn certain_part(phrase: &[Item]) -> String {
    let certain = |item: &Item| match item {
        Item::Char(char) if char.is_ascii() && !matches!(char, 'i' | 'k' | 's' | 'I' | 'K' | 'S') => {
            Some(*char)
        }
        _ => None,
    };
    let runs = phrase.split(|item| certain(item).is_none());
    let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
    longest.iter().filter_map(certain).collect()
}

/// Whether a pattern has no other special character than the full stop.
pub(super) fn is_plain(pattern: &str) -> bool {
    pattern == "{" || !pattern.contains(['^', '$', '*', '+', '?', '[', ']', '\\', '|', '(', ')', '{'])
}
