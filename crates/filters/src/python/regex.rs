//! Patterns written for Python's `re`, run by the `regex` crate.

use regex::Regex;

/// A pattern of Python's `re`.
///
/// Translated are `\s` (Python's has U+001C to U+001F), `\Z`, braces that are no quantifier, and what has another meaning in a class.
/// Not known to the engine: look-around and back-references. Different in rare scripts: `\w` and `\b`, which there follow Unicode's
/// recommendation and in Python `isalnum()`.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

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
        let translated = format!("{flags}{}", translate(pattern));
        // The engine's message repeats the pattern on lines of its own; the last line says what is wrong.
        Regex::new(&translated).map(Self).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().next_back().unwrap_or_default();
            PatternError::new(pattern, reason.trim_start_matches("error: "))
        })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// `re.sub(pattern, "", text)`.
    #[must_use]
    pub fn delete<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        self.0.replace_all(text, "")
    }

    /// `re.split(pattern, text)` of a pattern without groups.
    pub fn split<'p, 't>(&'p self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'p, 't> {
        self.0.split(text)
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

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut in_class = false;
    let mut rest = pattern;
    while let Some(char) = rest.chars().next() {
        let tail = rest.get(char.len_utf8()..).unwrap_or_default();
        let mut taken = char.len_utf8();
        match char {
            '\\' => {
                let next = tail.chars().next();
                taken += next.map_or(0, char::len_utf8);
                match next {
                    Some('s') if in_class => out.push_str(r"\s\x1c-\x1f"),
                    Some('s') => out.push_str(r"[\s\x1c-\x1f]"),
                    Some('S') if !in_class => out.push_str(r"[^\s\x1c-\x1f]"),
                    Some('Z') => out.push_str(r"\z"),
                    Some(other) => {
                        out.push('\\');
                        out.push(other);
                    }
                    None => out.push('\\'),
                }
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(char);
            }
            '[' => {
                in_class = true;
                out.push('[');
                // A bracket that stands first is a member of the class.
                let negated = tail.strip_prefix('^');
                if negated.is_some() {
                    out.push('^');
                    taken += 1;
                }
                if negated.unwrap_or(tail).starts_with(']') {
                    out.push_str(r"\]");
                    taken += 1;
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '{' if !in_class && (out.is_empty() || !is_quantifier(tail)) => out.push_str(r"\{"),
            other => out.push(other),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
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
        ] {
            assert_eq!(Pattern::new(pattern, true).expect(pattern).delete(text), left, "{pattern}");
        }
        let error = Pattern::new("a(", false).expect_err("open").to_string();
        assert_eq!(error, "\"a(\" is no usable pattern: unclosed group");
        assert_eq!(escape("a.b-c d"), r"a\.b\-c\ d");
    }
}
