//! BlingFire's sentences: a program in an automaton, made of rules that Microsoft wrote, says where they end.
//!
//! From each place of a text the longest match of a rule is looked for. Its action tells a token, or calls a function, which is another set
//! of rules, on what was matched. Each token that comes out is the end of a sentence.
//!
//! The rules are in `sbd.bin`; how they run is microsoft/BlingFire's (MIT): blingfireclient.library/inc/FALexTools_t.h,
//! blingfiretools/blingfiretokdll/blingfiretokdll.cpp (`TextToSentencesWithOffsets`), as of its Python package 0.1.8.

use super::ModelError;
use std::ops::Range;

mod model;

use model::{INITIAL, LEFT_ANCHOR, Model, NOWHERE, RIGHT_ANCHOR};

/// Characters of a match, at most.
const MAX_MATCH: usize = 300;
/// Stands for the control characters that the automaton has other uses for.
const NO_CHARACTER: u32 = 3;

/// A sentence splitter with its rules.
pub struct BlingFire(Model);

impl BlingFire {
    /// Reads BlingFire's `sbd.bin`.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        Model::load(bytes).map(Self)
    }

    /// Puts into `found` where sentences are.
    pub(super) fn split(&self, text: &str, found: &mut Vec<Range<usize>>) {
        // A byte-order mark is no part of the text.
        let text_from = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let chars = || text.get(text_from..).unwrap_or_default().char_indices();
        let letters: Vec<u8> = chars().map(|(_, char)| self.letter(char)).collect();
        let mut run = Run { model: &self.0, most: letters.len(), ends: Vec::new() };
        run.find(INITIAL, 0, &letters, 1, false);

        let mut rest = chars();
        let mut passed = 0;
        // What is behind the last token is a sentence, too.
        for end in run.ends.into_iter().chain([letters.len().saturating_sub(1)]) {
            let sentence = rest.by_ref().take((end + 1).saturating_sub(passed));
            passed = passed.max(end + 1);
            let mut ends = sentence.skip_while(|(_, char)| is_blank(*char));
            if let Some((start, first)) = ends.next() {
                let (last, char) = ends.last().unwrap_or((start, first));
                found.push(text_from + start..text_from + last + char.len_utf8());
            }
        }
        // Of a text of blanks the Python package makes one sentence all the same: its first character, or all of it if that has more bytes
        // than one. Of a mark alone it makes none.
        if found.is_empty() && !letters.is_empty() {
            let ascii = text.as_bytes().first().is_some_and(u8::is_ascii);
            found.push(0..if ascii { 1 } else { text.len() });
        }
    }

    fn letter(&self, char: char) -> u8 {
        let number = match char {
            '\0' => u32::from(' '),
            '\x01' | '\x02' => NO_CHARACTER,
            _ => u32::from(char),
        };
        self.0.letter(number)
    }
}

/// What BlingFire takes off the start of a sentence.
fn is_blank(char: char) -> bool {
    matches!(char, '\0'..=' ' | '\u{a0}' | '\u{2000}'..='\u{200f}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{2420}' | '\u{2424}' | '\u{3000}' | '\u{feff}')
}

/// The rules at work on a text.
struct Run<'m> {
    model: &'m Model,
    /// Tokens, at most.
    most: usize,
    /// The last character of each token.
    ends: Vec<usize>,
}

impl Run<'_> {
    /// Looks for tokens in letters that stand at `offset` in the text; `once`: no further than the first match.
    fn find(&mut self, initial: u16, offset: usize, letters: &[u8], depth: u32, once: bool) {
        if depth > self.model.depth {
            return;
        }
        let Some(last) = letters.len().checked_sub(1) else { return };
        // The first place is before the first letter: there the left anchor matches.
        let mut place = -1;
        while place < letters.len() as isize {
            let from = place;
            place += 1;
            let Some((state, to)) = self.longest(initial, from, letters) else { continue };
            let Some(action) = self.model.action(state) else { continue };
            let within = |place: isize| place.clamp(0, last as isize).unsigned_abs();
            let cut = to - action.right as isize;
            let (start, end) = (within(from + action.left as isize), within(cut));
            if action.is_token {
                if self.ends.len() >= self.most {
                    return;
                }
                self.ends.push(offset + end);
            }
            let mut start = start;
            let only_once = action.calls.len() > 1;
            for (state, main) in &action.calls {
                let before = self.ends.len();
                let inner = letters.get(start..=end).unwrap_or_default();
                self.find(*state, offset + start, inner, depth + 1, only_once && !main);
                if self.ends.len() > before {
                    // The next function goes on behind the last token.
                    start = self.ends.last().map_or(start, |end| end + 1 - offset);
                    if start > end {
                        break;
                    }
                }
            }
            if once {
                return;
            }
            place = place.max(cut + 1);
        }
    }

    /// The longest match from a place on: the state it ends in, and its last place.
    fn longest(&self, initial: u16, from: isize, letters: &[u8]) -> Option<(u16, isize)> {
        let model = self.model;
        let mut state = initial;
        let mut best = None;
        let start = match from {
            -1 => {
                state = model.next(initial, model.letter(LEFT_ANCHOR));
                0
            }
            _ => from.unsigned_abs(),
        };
        let bound = letters.len().min((from + MAX_MATCH as isize).unsigned_abs());
        let mut at = start;
        while state != NOWHERE && at < bound {
            state = model.next(state, *letters.get(at)?);
            if model.action(state).is_some() {
                best = Some((state, at as isize));
            }
            at += 1;
        }
        if at == letters.len() {
            let end = model.next(state, model.letter(RIGHT_ANCHOR));
            if model.action(end).is_some() {
                best = Some((end, at as isize));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests;
