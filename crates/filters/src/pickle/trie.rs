//! The words of a regex that Retrie made of a list.
//!
//! Such a regex writes a trie down: characters (`re.escape`d), of which only the last may be optional, or the last place has a class
//! (`[ab]`), a group of alternatives (`(?:…|…)`), or either of them optional. Nothing follows a class, a group or a `?` but the end of an
//! alternative, so every way through the regex is one word, and there are no more words than characters in it.

use super::PickleError;

/// More than this no list has: the words share beginnings in the regex, which they do not when written out.
const MAX_BYTES: usize = 1 << 30;

/// The words, and whether they are to stand between word boundaries.
pub(super) fn words(regex: &str) -> Result<(Vec<String>, bool), PickleError> {
    // Retrie's versions write either.
    for (before, after) in [("\\b", "\\b"), ("(?<=\\b)", "(?=\\b)")] {
        if let Some(trie) = regex.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) {
            return Ok((Reader::read(trie, before.chars().count())?, true));
        }
    }
    Ok((Reader::read(regex, 0)?, false))
}

struct Reader<'r> {
    rest: &'r str,
    /// Characters of the regex that were read.
    at: usize,
    /// The word up to here.
    word: String,
    /// For each open group the length of the word before it.
    groups: Vec<usize>,
    words: Vec<String>,
    bytes: usize,
}

impl<'r> Reader<'r> {
    fn read(trie: &'r str, at: usize) -> Result<Vec<String>, PickleError> {
        let mut reader =
            Reader { rest: trie, at, word: String::new(), groups: Vec::new(), words: Vec::new(), bytes: 0 };
        reader.alternatives()?;
        Ok(reader.words)
    }

    fn alternatives(&mut self) -> Result<(), PickleError> {
        // Whether all words of this alternative are read, so that it must end.
        let mut is_over = false;
        while let Some(char) = self.next() {
            match char {
                '|' | ')' if !self.groups.is_empty() => {
                    if !is_over {
                        self.emit()?;
                    }
                    let before = self.groups.last().copied().unwrap_or(0);
                    self.word.truncate(before);
                    is_over = char == ')';
                    if is_over {
                        self.groups.pop();
                        self.optional()?;
                    }
                }
                _ if is_over => return Err(self.unexpected(Some(char))),
                '(' => {
                    for expected in ['?', ':'] {
                        let found = self.next();
                        if found != Some(expected) {
                            return Err(self.unexpected(found));
                        }
                    }
                    self.groups.push(self.word.len());
                }
                '[' => {
                    self.class()?;
                    is_over = true;
                }
                _ => {
                    let literal = self.literal(char)?;
                    is_over = self.optional()?;
                    self.word.push(literal);
                    if is_over {
                        self.emit()?;
                    }
                }
            }
        }
        if !self.groups.is_empty() {
            return Err(self.unexpected(None));
        }
        if is_over { Ok(()) } else { self.emit() }
    }

    /// The words that end with one character of a class.
    fn class(&mut self) -> Result<(), PickleError> {
        let before = self.word.len();
        loop {
            match self.next() {
                Some(']') => break,
                Some(char) if char != '-' && char != '^' => {
                    let literal = self.literal(char)?;
                    self.word.push(literal);
                    self.emit()?;
                    self.word.truncate(before);
                }
                other => return Err(self.unexpected(other)),
            }
        }
        self.optional().map(drop)
    }

    /// A `?`: what came before may be missing. True if there is one.
    fn optional(&mut self) -> Result<bool, PickleError> {
        let is_optional = self.rest.starts_with('?');
        if is_optional {
            self.next();
            self.emit()?;
        }
        Ok(is_optional)
    }

    /// A character that stands for itself, escaped or not.
    fn literal(&mut self, char: char) -> Result<char, PickleError> {
        match char {
            '\\' => match self.next() {
                Some(char) if !char.is_ascii_alphanumeric() => Ok(char),
                _ => Err(self.unexpected(Some('\\'))),
            },
            '.' | '^' | '$' | '*' | '+' | '?' | '{' | '}' | '|' | '(' | ')' | '[' | ']' => {
                Err(self.unexpected(Some(char)))
            }
            char => Ok(char),
        }
    }

    fn emit(&mut self) -> Result<(), PickleError> {
        self.bytes += self.word.len() + size_of::<String>();
        if self.bytes > MAX_BYTES {
            return Err(PickleError::TooLarge { limit: MAX_BYTES });
        }
        self.words.push(self.word.clone());
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        self.at += 1;
        Some(char)
    }

    fn unexpected(&self, found: Option<char>) -> PickleError {
        let found = found.map_or_else(|| "end".to_owned(), |char| format!("`{}`", char.escape_debug()));
        PickleError::Regex { found, at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_written_out() {
        for (regex, whole, expected) in [
            ("(?:ab[cs]|foo)", false, "abc abs foo"),
            ("\\b(?:ab(?:c|s(?:olute)?)|foo)\\b", true, "abc absolute abs foo"),
            ("(?<=\\b)(?:ab(?:[cx]|s(?:olute)?)|foo)(?=\\b)", true, "abc abx absolute abs foo"),
            ("ab(?:c|s(?:olute)?|xy?)", false, "abc absolute abs abx abxy"),
            ("a\\.b\\-c\\\\?", false, "a.b-c a.b-c\\"),
            ("(?:(?:a|bc))?", false, "a bc "),
            ("(?:a[bc]?|\u{e9})", false, "ab ac a \u{e9}"),
            ("[\\-\\]a]", false, "- ] a"),
            ("", false, ""),
        ] {
            let (words, is_whole) = words(regex).unwrap_or_else(|error| panic!("{regex}: {error}"));
            assert_eq!((words.join(" ").as_str(), is_whole), (expected, whole), "{regex}");
        }
    }

    #[test]
    fn other_regexes_are_refused() {
        for regex in [
            "a|b", "a.b", "a*", "(a)", "(?i:a)", "[a-z]", "[^a]", "[ab]c", "a?b", "(?:a|b)c", "\\d", "(?:a",
            "a)", "[a",
        ] {
            assert!(words(regex).is_err(), "{regex}");
        }
    }
}
