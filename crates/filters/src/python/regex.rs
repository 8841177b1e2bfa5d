//! Patterns written for Python's `re`, run by the `regex` crate.

use super::is_word;
use regex::{Match, Regex};
use std::borrow::Cow;

/// A pattern of Python's `re`.
///
/// Translated are `\s` (Python's has U+001C to U+001F), `$` and `\Z`, the letter `i` in any case (Python's `İ` and `ı` are some),
/// braces that are no quantifier, and what has another meaning in a class. `\w` and `\b` follow Unicode's recommendation in the engine
/// and `isalnum()` in Python: characters on which the two differ (`²`, combining marks, letters newer than Unicode 14.0) are shown to the
/// engine as others of the same length, on which they do not. Not known to the engine: look-around and back-references.
///
/// Remains: such a character is not told from others where the pattern has a range beyond ASCII; and where it stands in the pattern
/// itself, it is the engine's notion of words that counts for it.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Whether it asks which characters are part of words.
    asks_for_words: bool,
    /// The characters of the pattern on which Python and the engine differ.
    own: Vec<char>,
}

/// A pattern that the engine refuses.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{pattern:?} is no usable pattern: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl PatternError {
    pub(crate) fn new(pattern: &str, reason: &str) -> Self {
        Self { pattern: pattern.to_owned(), reason: reason.to_owned() }
    }
}

impl Pattern {
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, PatternError> {
        let flags = if ignore_case { "(?i)" } else { "" };
        let translated = format!("{flags}{}", Translation::of(pattern, ignore_case));
        // The engine's message repeats the pattern on lines of its own; the last line says what is wrong.
        let regex = Regex::new(&translated).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().next_back().unwrap_or_default();
            PatternError::new(pattern, reason.trim_start_matches("error: "))
        })?;
        let asks_for_words =
            ["\\w", "\\W", "\\b", "\\B", "\\d", "\\D"].iter().any(|class| pattern.contains(class));
        Ok(Self { regex, asks_for_words, own: pattern.chars().filter(|char| is_disputed(*char)).collect() })
    }

    /// Whether the pattern has groups that capture.
    #[must_use]
    pub fn captures(&self) -> bool {
        self.regex.captures_len() > 1
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(&self.shown(text))
    }

    /// `re.sub(pattern, "", text)`.
    #[must_use]
    pub fn delete<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let shown = match self.shown(text) {
            Cow::Borrowed(text) => return self.regex.replace_all(text, ""),
            Cow::Owned(shown) => shown,
        };
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for found in self.regex.find_iter(&shown) {
            out.push_str(text.get(copied..found.start()).unwrap_or_default());
            copied = found.end();
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Calls `part` with the parts of `re.split(pattern, text)`, for a pattern without groups.
    pub fn split<'t>(&self, text: &'t str, mut part: impl FnMut(&'t str)) {
        let shown = self.shown(text);
        let (mut start, mut at) = (0, 0);
        // Unlike in the engine, nothing may be found right behind what was found before.
        while let Some(found) = (at <= shown.len()).then(|| self.regex.find_at(&shown, at)).flatten() {
            part(text.get(start..found.start()).unwrap_or_default());
            start = found.end();
            at = start + if found.is_empty() { width_at(&shown, &found) } else { 0 };
        }
        part(text.get(start..).unwrap_or_default());
    }

    /// The text as it is shown to the engine.
    fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let replaced = |char: char| is_disputed(char) && !self.own.contains(&char);
        if !self.asks_for_words || text.is_ascii() || !text.contains(replaced) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.chars().map(|char| if replaced(char) { stand_in(char) } else { char }).collect())
    }
}

fn width_at(text: &str, found: &Match) -> usize {
    text.get(found.end()..).and_then(|tail| tail.chars().next()).map_or(1, char::len_utf8)
}

/// Whether a character is part of a word to Python and not to the engine, or the other way round.
fn is_disputed(char: char) -> bool {
    !char.is_ascii() && regex_syntax::try_is_word_character(char).is_ok_and(|word| word != is_word(char))
}

/// A character of the same length in bytes, of which Python and the engine say what Python says of this one.
fn stand_in(char: char) -> char {
    match (char.len_utf8(), is_word(char)) {
        (..=2, true) => '\u{aa}',
        (..=2, false) => '\u{a4}',
        (3, true) => '\u{a000}',
        (3, false) => '\u{e000}',
        (_, true) => '\u{20000}',
        (_, false) => '\u{f0000}',
    }
}

/// `re.escape()`.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(
            char,
            '(' | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '?'
                | '*'
                | '+'
                | '-'
                | '|'
                | '^'
                | '$'
                | '\\'
                | '.'
                | '&'
                | '~'
                | '#'
        ) || matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
        {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// A pattern on its way from Python to the engine.
struct Translation {
    out: String,
    in_class: bool,
    ignore_case: bool,
    /// Whether `^` and `$` are of lines.
    multiline: bool,
}

impl Translation {
    fn of(pattern: &str, ignore_case: bool) -> String {
        let multiline = pattern
            .split("(?")
            .skip(1)
            .any(|flags| flags.chars().take_while(char::is_ascii_alphabetic).any(|flag| flag == 'm'));
        let mut all =
            Self { out: String::with_capacity(pattern.len() + 8), in_class: false, ignore_case, multiline };
        let mut rest = pattern;
        while let Some(char) = rest.chars().next() {
            let tail = rest.get(char.len_utf8()..).unwrap_or_default();
            let taken = char.len_utf8() + all.take(char, tail);
            rest = rest.get(taken..).unwrap_or_default();
        }
        all.out
    }

    /// Translates a character; gives how many bytes behind it went along.
    fn take(&mut self, char: char, tail: &str) -> usize {
        match char {
            '\\' => return self.escape(tail),
            '[' | '&' | '~' if self.in_class => self.out.extend(['\\', char]),
            '[' => return self.open_class(tail),
            ']' if self.in_class => {
                self.in_class = false;
                self.out.push(']');
            }
            '$' if !self.in_class && !self.multiline => self.out.push_str(r"(?:\n?\z)"),
            '{' if !self.in_class && (self.out.is_empty() || !is_quantifier(tail)) => {
                self.out.push_str(r"\{")
            }
            '{' if !self.in_class && tail.starts_with(',') => self.out.push_str("{0"),
            'i' | 'I' if self.ignore_case && !self.in_class && !self.out.ends_with("(?") => {
                self.out.push_str("[i\u{131}\u{130}]");
            }
            other => {
                self.out.push(other);
                if self.in_class && self.ignore_case && has_i(other, tail) {
                    // Behind the range, if it is one.
                    let range = range_end(tail).map_or(0, |end| 1 + end.len_utf8());
                    self.out.push_str(tail.get(..range).unwrap_or_default());
                    self.out.push_str("\u{131}\u{130}");
                    return range;
                }
            }
        }
        0
    }

    fn escape(&mut self, tail: &str) -> usize {
        let Some(next) = tail.chars().next() else {
            self.out.push('\\');
            return 0;
        };
        match next {
            's' if self.in_class => self.out.push_str(r"\s\x1c-\x1f"),
            's' => self.out.push_str(r"[\s\x1c-\x1f]"),
            'S' => self.out.push_str(r"[^\s\x1c-\x1f]"),
            'Z' => self.out.push_str(r"\z"),
            // Letters in Python, other things to the engine.
            '<' | '>' => self.out.push(next),
            _ if !next.is_ascii() => self.out.push(next),
            _ => self.out.extend(['\\', next]),
        }
        next.len_utf8()
    }

    fn open_class(&mut self, tail: &str) -> usize {
        self.in_class = true;
        self.out.push('[');
        let negated = tail.strip_prefix('^');
        if negated.is_some() {
            self.out.push('^');
        }
        // A bracket that stands first is a member of the class.
        let bracket = negated.unwrap_or(tail).starts_with(']');
        if bracket {
            self.out.push_str(r"\]");
        }
        usize::from(negated.is_some()) + usize::from(bracket)
    }
}

/// Whether a member of a class, or the range that it starts, has the letter i.
fn has_i(member: char, tail: &str) -> bool {
    let end = range_end(tail).unwrap_or(member);
    ['i', 'I'].iter().any(|i| (member..=end).contains(i))
}

/// Where the range ends whose start has `tail` behind it.
fn range_end(tail: &str) -> Option<char> {
    tail.strip_prefix('-')?.chars().next().filter(|end| !matches!(end, ']' | '\\' | '['))
}

/// Whether what follows a `{` makes it a quantifier: `{m}`, `{m,}`, `{,n}` or `{m,n}`.
pub(crate) fn is_quantifier(tail: &str) -> bool {
    let Some((inside, _)) = tail.split_once('}') else { return false };
    let (low, high) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(low) && digits(high) && !inside.is_empty() && inside != ","
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        for (pattern, text, left) in [
            ("{", "a{b", "ab"),
            ("a{2}", "aaab", "ab"),
            (r"a\s?b", "a\x1cb", ""),
            (r"[\s,]", "a\x1f, b", "ab"),
            ("[[x]", "a[x", "a"),
            ("[]a]", "]ab", "b"),
            ("[^]a]", "]ab", "]a"),
            ("Read more...", "read more!!! now", " now"),
            (r"x\Z", "xx", "x"),
            ("(?m)x$", "x\nx", "\n"),
            (r"[^\S\n]", "a\x1f\u{2028}\nb", "a\nb"),
            ("i[h-j]", "İı IJ iK", "  iK"),
            ("[^i]", "ıxİ", "ıİ"),
            ("xb{,2}", "xbbb", "b"),
            (r"\<a\>", "<A> a", " a"),
        ] {
            assert_eq!(Pattern::new(pattern, true).expect(pattern).delete(text), left, "{pattern}");
        }
        assert!(Pattern::new("x$", false).expect("x$").is_match("xx\n"));
        // Words are Python's: a superscript is part of one, a combining mark is none, nor is a letter newer than its Unicode.
        for (pattern, text, left) in [
            (r"\bx\b", "x² x\u{301} \u{24d0}x", "x² \u{301} \u{24d0}"),
            (r"\w+", "a²\u{301}½\u{1c89}_", "\u{301}\u{1c89}"),
            (r"\W", "é²\u{200d}\u{20dd}", "é²"),
            (r"[^\W\d]", "1²a\u{11f50}", "1\u{11f50}"),
        ] {
            assert_eq!(Pattern::new(pattern, false).expect(pattern).delete(text), left, "{pattern}");
        }
        let error = Pattern::new("a(", false).expect_err("open").to_string();
        assert_eq!(error, "\"a(\" is no usable pattern: unclosed group");
        assert_eq!(escape("a.b-c d"), r"a\.b\-c\ d");
    }

    #[test]
    fn parts_are_those_of_split() {
        for (pattern, text, expected) in [
            ("\n\n", "a\n\n\nb", "a|\nb"),
            ("x*", "axbc", "|a||b|c|"),
            (r"\b", "a² b\u{301}", "|a²| |b|\u{301}"),
            ("b", "", ""),
        ] {
            let mut parts = Vec::new();
            Pattern::new(pattern, false).expect(pattern).split(text, |part| parts.push(part));
            assert_eq!(parts.join("|"), expected, "{pattern}");
        }
    }

    #[test]
    fn stand_ins_are_beyond_dispute() {
        for char in ('\u{80}'..=char::MAX).filter(|char| is_disputed(*char)) {
            let other = stand_in(char);
            assert!(
                !is_disputed(other) && other.len_utf8() == char.len_utf8() && is_word(other) == is_word(char)
            );
        }
    }
}
