//! Punkt, as NLTK has it: a full stop, question mark or exclamation mark ends a sentence unless what stands around it says otherwise.
//!
//! A trained model knows abbreviations, pairs of words with a full stop between them, words that often start sentences, and in which cases
//! words were seen at which places; an untrained one knows nothing of them, and splits at nearly every mark that white space follows.
//!
//! The algorithm is that of Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", Computational Linguistics 32 (2006);
//! what a word is, and all that the paper leaves open, is nltk/tokenize/punkt.py's of NLTK (Apache-2.0), `span_tokenize` with its
//! defaults, as of 3.10.4 and 3.9.1.

use super::{ModelError, zip};
use crate::python;
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

mod tokens;

use tokens::{Token, tokens};

/// A tokenizer: what a model has learnt, or nothing.
#[derive(Debug, Default)]
pub struct Punkt {
    abbreviations: FxHashSet<String>,
    /// First word → the words that follow it, its full stop ending no sentence.
    collocations: FxHashMap<String, FxHashSet<String>>,
    starters: FxHashSet<String>,
    /// Word → places and cases that it was seen in.
    contexts: FxHashMap<String, u8>,
    nltk: Nltk,
}

/// Whose notion of characters counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nltk {
    /// 3.10 and later: curly and angle quotes close sentences as straight ones do, and characters are those of the package `regex`.
    #[default]
    From3_10,
    /// 3.9 and earlier, as when C4 and DCLM were made: straight quotes only, and characters are Python's.
    Before3_10,
}

/// Where and how a word was seen: bits of [`Punkt::contexts`].
const BEGINNING_UPPER: u8 = 1 << 1;
const MIDDLE_UPPER: u8 = 1 << 2;
const UNKNOWN_UPPER: u8 = 1 << 3;
const BEGINNING_LOWER: u8 = 1 << 4;
const MIDDLE_LOWER: u8 = 1 << 5;
const UNKNOWN_LOWER: u8 = 1 << 6;
const UPPER: u8 = BEGINNING_UPPER | MIDDLE_UPPER | UNKNOWN_UPPER;
const LOWER: u8 = BEGINNING_LOWER | MIDDLE_LOWER | UNKNOWN_LOWER;

impl Punkt {
    /// An untrained tokenizer.
    #[must_use]
    pub fn untrained(nltk: Nltk) -> Self {
        Self { nltk, ..Self::default() }
    }

    /// Reads NLTK's `punkt_tab.zip`: the model of a language, such as `english`.
    pub fn load(archive: &[u8], language: &str, nltk: Nltk) -> Result<Self, ModelError> {
        let file = |name: &str| zip::file(archive, &format!("punkt_tab/{language}/{name}"));
        let set = |text: &str| text.lines().map(str::to_owned).collect();
        let mut punkt = Self {
            abbreviations: set(&file("abbrev_types.txt")?),
            starters: set(&file("sent_starters.txt")?),
            ..Self::untrained(nltk)
        };
        let bad =
            |file: &str, line: &str| ModelError::new(file, format!("{line:?} is not what belongs there"));
        for line in file("collocations.tab")?.lines() {
            let (first, second) = line.split_once('\t').ok_or_else(|| bad("collocations.tab", line))?;
            punkt.collocations.entry(first.to_owned()).or_default().insert(second.to_owned());
        }
        for line in file("ortho_context.tab")?.lines() {
            let parts = line.split_once('\t').and_then(|(word, bits)| Some((word, bits.parse().ok()?)));
            let (word, bits): (&str, u8) = parts.ok_or_else(|| bad("ortho_context.tab", line))?;
            punkt.contexts.insert(word.to_owned(), bits);
        }
        Ok(punkt)
    }

    /// Puts into `found` where sentences are.
    pub(super) fn split(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let mut slices = Slices { text, nltk: self.nltk, shift: 0, last: None, found };
        let mut start = 0;
        // The mark looked at last, with the word before it: another mark may belong to the same word.
        let mut pending: Option<Candidate> = None;
        let mut decide = |candidate: &Candidate| {
            let context = text.get(candidate.word.start..candidate.after).unwrap_or_default();
            if self.has_break(context) {
                slices.push(start..candidate.word.end + 1);
                start = candidate.next;
            }
        };
        for (mark, _) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'.' | b'?' | b'!')) {
            let Some((after, next)) = self.after(text, mark + 1) else { continue };
            let previous = pending.as_ref().map_or(0..0, |candidate| candidate.word.clone());
            let between = text.as_bytes().get(previous.end..mark).unwrap_or_default();
            let blank = between.iter().rposition(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).unwrap_or(0);
            // A blank at the very start counts as none, as in NLTK.
            let word = if blank == 0 { previous.start..mark } else { previous.end + blank + 1..mark };
            if let Some(candidate) = pending.filter(|candidate| candidate.word.end <= word.start) {
                decide(&candidate);
            }
            pending = Some(Candidate { word, after, next });
        }
        if let Some(candidate) = pending {
            decide(&candidate);
        }
        let end = text.trim_end_matches(python::is_space).len();
        slices.push(start..end);
        slices.finish();
    }

    /// What must follow a mark for it to end a sentence: something that is part of no word, or white space and a word. Where that ends,
    /// and where the next sentence would start.
    fn after(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let rest = text.get(from..)?;
        let char = rest.chars().next()?;
        if self.nltk.is_no_part(char) {
            return Some((from + char.len_utf8(), from));
        }
        let word = rest.trim_start_matches(|char| self.nltk.is_space(char));
        let next = text.len() - word.len();
        let length = word.find(|char| self.nltk.is_space(char)).unwrap_or(word.len());
        (next > from && length > 0).then_some((next + length, next))
    }

    /// Whether a sentence ends in these words, and not with the last.
    fn has_break(&self, words: &str) -> bool {
        let mut tokens = tokens(words, self.nltk).map(|text| self.first_look(text));
        let mut next = tokens.next();
        while let Some(mut token) = next {
            next = tokens.next();
            // The last one ends nothing.
            let Some(after) = &next else { return false };
            self.second_look(&mut token, after);
            if token.ends {
                return true;
            }
        }
        false
    }

    /// What a word says by itself.
    fn first_look<'t>(&self, text: &'t str) -> Token<'t> {
        let mut token = Token { text, ends: false, abbreviation: false };
        let dots = text.bytes().rev().take_while(|byte| *byte == b'.').count();
        if matches!(text, "." | "?" | "!") {
            token.ends = true;
        } else if dots == text.len() {
            token.abbreviation = true;
        } else if dots == 1 {
            let word = python::lower(text.get(..text.len() - 1).unwrap_or_default());
            let last_part = word.rsplit('-').next().unwrap_or_default();
            token.abbreviation =
                self.abbreviations.contains(&*word) || self.abbreviations.contains(last_part);
            token.ends = !token.abbreviation;
        }
        token
    }

    /// What it says beside the next one. An abbreviation is also an ellipsis here: both may end a sentence or not.
    fn second_look(&self, token: &mut Token, next: &Token) {
        if !token.text.ends_with('.') {
            return;
        }
        let kind = token.kind();
        let (word, following) = (Token::without_stop(&kind), next.kind());
        let following = if next.ends { Token::without_stop(&following) } else { &following };
        if self.collocations.get(word).is_some_and(|second| second.contains(following)) {
            token.ends = false;
            return;
        }
        let initial = token.is_initial(self.nltk);
        let starts = || self.starts_sentence(next, following);
        if token.abbreviation && !initial {
            token.ends = starts() == Some(true) || (next.is_upper() && self.starters.contains(following));
            if token.ends {
                return;
            }
        }
        if initial || word == Token::NUMBER {
            match starts() {
                Some(false) => token.ends = false,
                None if initial && next.is_upper() && self.context(following) & LOWER == 0 => {
                    token.ends = false
                }
                _ => {}
            }
        }
    }

    /// Whether a word starts a sentence, by the cases it was seen in; none if that says nothing.
    fn starts_sentence(&self, token: &Token, word: &str) -> Option<bool> {
        if matches!(token.text, ";" | ":" | "," | "." | "!" | "?") {
            return Some(false);
        }
        let context = self.context(word);
        if token.is_upper() && context & LOWER != 0 && context & MIDDLE_UPPER == 0 {
            return Some(true);
        }
        if token.is_lower() && (context & UPPER != 0 || context & BEGINNING_LOWER == 0) {
            return Some(false);
        }
        None
    }

    fn context(&self, word: &str) -> u8 {
        self.contexts.get(word).copied().unwrap_or(0)
    }
}

/// A mark that may end a sentence.
struct Candidate {
    /// The word before it; the mark stands at its end.
    word: Range<usize>,
    /// Where the word after it ends.
    after: usize,
    /// Where the next sentence would start.
    next: usize,
}

/// Sentences as they are found, what closes one moved to its end.
struct Slices<'t, 'f> {
    text: &'t str,
    nltk: Nltk,
    /// So many bytes of the next sentence belong to the one before.
    shift: usize,
    last: Option<Range<usize>>,
    found: &'f mut Vec<Range<usize>>,
}

impl Slices<'_, '_> {
    fn push(&mut self, next: Range<usize>) {
        if let Some(last) = self.last.replace(next.clone()) {
            let start = last.start + self.shift;
            let closing = self.closing(self.text.get(next.clone()).unwrap_or_default());
            self.shift = closing.map_or(0, |(_, with_space)| with_space);
            match closing {
                Some((length, _)) => self.found.push(start..next.start + length),
                None if start < last.end => self.found.push(start..last.end),
                None => {}
            }
        }
    }

    fn finish(self) {
        let Some(last) = self.last else { return };
        let start = last.start + self.shift;
        if start < last.end {
            self.found.push(start..last.end);
        }
    }

    /// The brackets and quotes at the start of a sentence that belong to the one before: their length, and with white space behind them.
    fn closing(&self, sentence: &str) -> Option<(usize, usize)> {
        let rest = sentence.trim_start_matches(|char| self.nltk.is_closing(char));
        let length = sentence.len() - rest.len();
        // Two hyphens do as well as white space, but only behind at least one of them.
        let with_space = sentence.len() - rest.trim_start_matches(|char| self.nltk.is_space(char)).len();
        let ends = rest.is_empty() || with_space > length || rest.starts_with("--");
        (length > 0 && ends).then_some((length, with_space))
    }
}

impl Nltk {
    fn is_space(self, char: char) -> bool {
        match self {
            Self::From3_10 => char.is_whitespace(),
            Self::Before3_10 => python::is_space(char),
        }
    }

    /// `[^\W\d]`.
    fn is_letter(self, char: char) -> bool {
        match self {
            Self::From3_10 => char.is_alphabetic() || char == '_',
            Self::Before3_10 => python::is_word(char) && !python::is_decimal(char),
        }
    }

    fn is_quote(self, char: char) -> bool {
        self == Self::From3_10 && matches!(char, '‘' | '’' | '“' | '”' | '«' | '»')
    }

    /// Whether a character ends a word before it.
    fn is_no_part(self, char: char) -> bool {
        const MARKS: &str = ")\";}]*:@'({[?!";
        MARKS.contains(char) || self.is_quote(char)
    }

    fn is_closing(self, char: char) -> bool {
        matches!(char, '"' | '\'' | ')' | ']' | '}') || self.is_quote(char)
    }
}

#[cfg(test)]
mod tests;
