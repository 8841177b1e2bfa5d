//! One pass over a text that counts what the page filters ask for.
//!
//! Words are met in three meanings: those of Python's `str.split()`, those of fastText's tokenizer (seven separators, and `</s>` for
//! each newline: `src/dictionary.cc`), and lines, which are what lies between newlines if any word does. They differ in rare
//! characters only, so one loop feeds them all.

use crate::python::{ALNUM, ALPHA, Properties, SPACE, properties};

/// What one pass counts. All lengths are in code points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Words of `str.split()`.
    pub words: usize,
    /// Their lengths, added up.
    pub word_chars: usize,
    /// Words without any `isalpha()` character.
    pub words_without_letter: usize,
    /// Words that are one of [`STOP_WORDS`], in any case.
    pub stop_words: usize,
    /// Which of [`STOP_WORDS`] occur: one bit each.
    pub stop_words_seen: u8,
    /// fastText's words, without the `</s>` of newlines.
    pub tokens: usize,
    /// fastText's words whose first character `isalnum()`: what DCLM counts as words.
    pub alnum_tokens: usize,
    /// Newlines, each a `</s>` to fastText.
    pub newlines: usize,
    /// Lines with a word in them.
    pub lines: usize,
    /// Lines that start with a bullet, white space aside: `●`, `•`, `*` or `-`.
    pub bullet_lines: usize,
    /// Lines that end in an ellipsis, white space aside: `...`, `. . .` or `…`.
    pub ellipsis_lines: usize,
}

/// Gopher's stop words (Rae et al. 2021, appendix A.1.1).
pub const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

impl Survey {
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut pass = Pass { counts: Self::default(), line_end: None, in_token: false };
        pass.run(text, properties());
        pass.counts
    }

    #[must_use]
    pub fn distinct_stop_words(&self) -> usize {
        self.stop_words_seen.count_ones() as usize
    }
}

struct Pass {
    counts: Survey,
    /// Where the last word of the current line ends, if the line has a word.
    line_end: Option<usize>,
    /// Whether a fastText word is open: it goes on over blanks that fastText does not know.
    in_token: bool,
}

impl Pass {
    fn run(&mut self, text: &str, table: &Properties) {
        let bytes = text.as_bytes();
        let ascii = table.ascii();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte < 0x80 && ascii[usize::from(byte)] & SPACE != 0 {
                self.blank(text, byte, at);
                at += 1;
                continue;
            }
            if byte >= 0x80 {
                let char = text.get(at..).and_then(|t| t.chars().next()).unwrap_or('\0');
                if table.of(char) & SPACE != 0 {
                    self.open(0);
                    at += char.len_utf8();
                    continue;
                }
            }
            at = self.word(text, at, table);
        }
        self.end_line(text);
    }

    #[inline]
    fn blank(&mut self, text: &str, byte: u8, at: usize) {
        match byte {
            b'\n' => {
                self.in_token = false;
                self.counts.newlines += 1;
                debug_assert!(self.line_end.is_none_or(|end| end <= at));
                self.end_line(text);
            }
            b' ' | b'\r' | b'\t' | 0x0b | 0x0c => self.in_token = false,
            // U+001C to U+001F are letters like any to fastText.
            _ => self.open(0),
        }
    }

    #[inline]
    fn open(&mut self, flags: u16) {
        if !self.in_token {
            self.in_token = true;
            self.counts.tokens += 1;
            self.counts.alnum_tokens += usize::from(flags & ALNUM != 0);
        }
    }

    /// A word of `split()`, from its first character; gives the offset behind it.
    #[inline]
    fn word(&mut self, text: &str, start: usize, table: &Properties) -> usize {
        let bytes = text.as_bytes();
        let ascii = table.ascii();
        let (mut at, mut chars, mut seen) = (start, 0, 0);
        while let Some(&byte) = bytes.get(at) {
            let (flags, width) = if byte < 0x80 {
                (ascii[usize::from(byte)], 1)
            } else {
                let char = text.get(at..).and_then(|t| t.chars().next()).unwrap_or('\0');
                (table.of(char), char.len_utf8())
            };
            if flags & SPACE != 0 {
                break;
            }
            if byte == 0 {
                // No white space to Python, a separator to fastText.
                self.in_token = false;
            } else if !self.in_token {
                self.open(flags);
            }
            seen |= flags;
            chars += 1;
            at += width;
        }
        let word = bytes.get(start..at).unwrap_or_default();
        let counts = &mut self.counts;
        counts.words += 1;
        counts.word_chars += chars;
        counts.words_without_letter += usize::from(seen & ALPHA == 0);
        if let Some(which) = stop_word(word) {
            counts.stop_words += 1;
            counts.stop_words_seen |= 1 << which;
        }
        if self.line_end.is_none() {
            counts.lines += 1;
            counts.bullet_lines += usize::from(
                matches!(word.first(), Some(b'*' | b'-'))
                    || word.starts_with("●".as_bytes())
                    || word.starts_with("•".as_bytes()),
            );
        }
        self.line_end = Some(at);
        at
    }

    fn end_line(&mut self, text: &str) {
        if let Some(end) = self.line_end.take() {
            let line = text.as_bytes().get(..end).unwrap_or_default();
            let ellipsis =
                line.ends_with(b"...") || line.ends_with(b". . .") || line.ends_with("…".as_bytes());
            self.counts.ellipsis_lines += usize::from(ellipsis);
        }
    }
}

/// Which stop word a word is, in any case. No character outside ASCII lower-cases to a letter of theirs.
#[inline]
fn stop_word(word: &[u8]) -> Option<usize> {
    if !(2..=4).contains(&word.len()) {
        return None;
    }
    STOP_WORDS.iter().position(|stop| word.eq_ignore_ascii_case(stop.as_bytes()))
}

/// DCLM's symbols: `#`, `...`, `. . .` and `…`, each counted without overlap.
#[must_use]
pub fn symbols(text: &str) -> usize {
    let bytes = text.as_bytes();
    let hashes = memchr::memchr_iter(b'#', bytes).count();
    let ellipses: usize = ["...", ". . .", "…"]
        .iter()
        .map(|symbol| memchr::memmem::find_iter(bytes, symbol.as_bytes()).count())
        .sum();
    hashes + ellipses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::{self, is_alnum, is_alpha};
    use proptest::prelude::*;

    /// The same by the book, one Python expression after another.
    fn slow(text: &str) -> Survey {
        let words: Vec<&str> = python::words(text).collect();
        let lines: Vec<&str> = text.split('\n').map(python::strip).filter(|line| !line.is_empty()).collect();
        let tokens: Vec<&str> = text
            .split([' ', '\n', '\r', '\t', '\x0b', '\x0c', '\0'])
            .filter(|token| !token.is_empty())
            .collect();
        let stops: Vec<usize> = words
            .iter()
            .filter_map(|word| STOP_WORDS.iter().position(|stop| python::lower(word) == *stop))
            .collect();
        Survey {
            words: words.len(),
            word_chars: words.iter().map(|word| word.chars().count()).sum(),
            words_without_letter: words.iter().filter(|word| !word.chars().any(is_alpha)).count(),
            stop_words: stops.len(),
            stop_words_seen: stops.iter().fold(0, |seen, which| seen | (1 << which)),
            tokens: tokens.len(),
            alnum_tokens: tokens.iter().filter(|token| token.chars().next().is_some_and(is_alnum)).count(),
            newlines: text.matches('\n').count(),
            lines: lines.len(),
            bullet_lines: lines.iter().filter(|line| line.starts_with(['●', '•', '*', '-'])).count(),
            ellipsis_lines: lines
                .iter()
                .filter(|line| ["...", ". . .", "…"].iter().any(|end| line.ends_with(end)))
                .count(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]
        #[test]
        fn one_pass_counts_what_many_do(
            text in "([a-c0-9 .*●\n\r\t\0\x1c\u{a0}\u{2028}\u{3000}…É²]|The|to|AND|\\. \\. \\.|-|\\PC){0,40}"
        ) {
            prop_assert_eq!(Survey::of(&text), slow(&text));
        }
    }

    #[test]
    fn symbols_do_not_overlap() {
        for (text, expected) in
            [("", 0), ("#a ##", 3), ("......", 2), (". . . . .", 1), ("…...", 2), ("..", 0)]
        {
            assert_eq!(symbols(text), expected, "{text:?}");
        }
    }
}
