//! E-mail addresses, as datatrove's pattern has them: `\b`, words of a local part joined by full stops, `@`, a host's name or, in square
//! brackets, its address. They are found from their `@` on, in linear time.

use crate::python::is_word_boundary;
use regex::Regex;
use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Emails {
    /// What follows the `@`.
    host: Regex,
}

impl Emails {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
        let octet = "25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?";
        // That an address may end in a name and a colon is datatrove's, from RFC 5322's tagged literals.
        let literal = format!(r"\[(?:(?:{octet})\.){{3}}(?:{octet}|[A-Za-z0-9-]*[A-Za-z0-9]:)\]");
        Ok(Self { host: Regex::new(&format!(r"^(?:(?:{label}\.)+{label}|{literal})"))? })
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let mut from = 0;
        for at in memchr::memchr_iter(b'@', text.as_bytes()) {
            let behind = text.get(at + 1..).unwrap_or_default();
            if let Some(start) = start_of_local(text, from, at)
                && let Some(host) = self.host.find(behind)
            {
                from = at + 1 + host.end();
                found.push(start..from);
            }
        }
    }
}

/// The leftmost place, not before `from`, from which a local part reaches to `at`.
fn start_of_local(text: &str, from: usize, at: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(..at)?;
    let mut start = None;
    // What lies before the byte at hand is looked at last, so the leftmost wins.
    for (index, byte) in bytes.iter().enumerate().skip(from).rev() {
        let after_stop = bytes.get(index + 1).is_none_or(|next| *next == b'.');
        match byte {
            // Neither two full stops in a row nor one before the `@`.
            b'.' if after_stop => break,
            b'.' => {}
            _ if is_atom(*byte) => {
                if is_word_boundary(text, index) {
                    start = Some(index);
                }
            }
            _ => break,
        }
    }
    start
}

fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found() {
        let emails = Emails::new().expect("a pattern");
        for (text, expected) in [
            ("write to John.Doe+x@mail.example.org, please", "John.Doe+x@mail.example.org"),
            ("a@b.example.c@d.example", "a@b.example.c"),
            ("mail: <a@b.example>", "a@b.example"),
            ("no @ mail, a@b neither, nor a.@b.example", ""),
            ("..a..b.c@d.example", "b.c@d.example"),
            ("!!a@b.example", "a@b.example"),
            ("a!!@b.example", "a!!@b.example"),
            ("é1@b.example", ""),
            ("e\u{301}a@b.example", "a@b.example"),
            ("a@[8.8.8.8] a@[8.8.8.tag:]", "a@[8.8.8.8]|a@[8.8.8.tag:]"),
            ("a@b-.example a@b..example a@-b.example", ""),
            ("a@b.example-", "a@b.example"),
        ] {
            let mut found = Vec::new();
            emails.find(text, &mut found);
            let found: Vec<&str> = found.into_iter().filter_map(|range| text.get(range)).collect();
            assert_eq!(found.join("|"), expected, "{text}");
        }
    }
}
