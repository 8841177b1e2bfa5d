//! Punkt's words: what lies between blanks, without the punctuation around it, but with the full stop behind it.

use super::Nltk;
use crate::python;
use std::borrow::Cow;

/// A word and what is thought of it.
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// A sentence ends with it.
    pub(super) ends: bool,
    /// It is short for something, or several full stops.
    pub(super) abbreviation: bool,
}

impl<'t> Token<'t> {
    /// What all numbers are in the model.
    pub(super) const NUMBER: &'static str = "##number##";

    /// The word as the model knows it.
    pub(super) fn kind(&self) -> Cow<'t, str> {
        if is_number(self.text) { Cow::Borrowed(Self::NUMBER) } else { python::lower(self.text) }
    }

    /// Without the full stop at its end; a full stop alone stays.
    pub(super) fn without_stop(kind: &str) -> &str {
        kind.strip_suffix('.').filter(|word| !word.is_empty()).unwrap_or(kind)
    }

    /// One letter and a full stop.
    pub(super) fn is_initial(&self, nltk: Nltk) -> bool {
        let mut chars = self.text.chars();
        let letter = chars.next().is_some_and(|char| nltk.is_letter(char));
        letter && chars.as_str() == "."
    }

    pub(super) fn is_upper(&self) -> bool {
        self.text.chars().next().is_some_and(python::is_upper)
    }

    pub(super) fn is_lower(&self) -> bool {
        self.text.chars().next().is_some_and(char::is_lowercase)
    }
}

/// `-?[.,]?\d[\d,.-]*\.?`, all of it.
fn is_number(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let rest = rest.strip_prefix(['.', ',']).unwrap_or(rest);
    rest.starts_with(python::is_decimal)
        && rest.chars().all(|char| matches!(char, ',' | '.' | '-') || python::is_decimal(char))
}

/// The words of a text. A newline ends one, and lines of blanks have none.
pub(super) fn tokens(text: &str, nltk: Nltk) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !python::is_blank(line)).flat_map(move |line| {
        let mut rest = line;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|char| nltk.is_space(char));
            let length = token_at(rest, nltk)?;
            let (token, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(token)
        })
    })
}

/// The length of the token that a text starts with.
fn token_at(text: &str, nltk: Nltk) -> Option<usize> {
    if let Some(length) = long_mark(text, nltk) {
        return Some(length);
    }
    let mut chars = text.char_indices();
    let (_, first) = chars.next()?;
    if matches!(
        first,
        '(' | '"' | '`' | '{' | '[' | ':' | ';' | '&' | '#' | '*' | '@' | ')' | '}' | ']' | '-' | ','
    ) {
        return Some(first.len_utf8());
    }
    let end = chars.find(|(at, _)| ends_word(text.get(*at..).unwrap_or_default(), nltk));
    Some(end.map_or(text.len(), |(at, _)| at))
}

/// Whether a word ends before these characters.
fn ends_word(rest: &str, nltk: Nltk) -> bool {
    let ends = |rest: &str| {
        rest.chars().next().is_none_or(|char| nltk.is_space(char) || nltk.is_no_part(char))
            || long_mark(rest, nltk).is_some()
    };
    ends(rest) || rest.strip_prefix(',').is_some_and(ends)
}

/// The length of several hyphens, several full stops, or several full stops with white space between them: one token.
fn long_mark(text: &str, nltk: Nltk) -> Option<usize> {
    let run = |byte: u8| text.bytes().take_while(|other| *other == byte).count();
    match text.as_bytes().first()? {
        b'-' => Some(run(b'-')).filter(|length| *length >= 2),
        b'.' => Some(run(b'.')).filter(|length| *length >= 2).or_else(|| spaced_stops(text, nltk)),
        _ => None,
    }
}

fn spaced_stops(text: &str, nltk: Nltk) -> Option<usize> {
    let (mut stops, mut end) = (0, 0);
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('.') {
        stops += 1;
        end = text.len() - after.len();
        let Some(space) = after.chars().next().filter(|char| nltk.is_space(*char)) else { break };
        rest = after.get(space.len_utf8()..).unwrap_or_default();
    }
    (stops >= 3).then_some(end)
}
