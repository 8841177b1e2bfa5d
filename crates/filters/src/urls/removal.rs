//! Takes URLs out of a text.
//!
//! DCLM does it with two patterns, in which C is `[-a-zA-Z0-9@:%._\+~#=]` and R is C with `()?&/`:
//!
//! - `\s{0,10}(?:((https?|ftp)://))?C{1,256}\.(TLD)\bR*`, where TLD is a trie of all top-level domains, then
//! - `\s{0,10}\b((https?|ftp)://)?(?:[0-2]?[0-9]{1,2}\.){3}[0-2]?[0-9]{1,2}R*`.
//!
//! A backtracking engine tries every character as a start. Here the dots are looked for instead, in linear time: a match has its dot
//! within a run of C, at most 256 characters behind the start of the host; the leftmost start wins, then the last dot that it reaches. Tests
//! compare with the patterns themselves, run by the `regex` crate.

use super::list::{Case, WordList};
use crate::python::{escape, is_space, is_word, is_word_boundary};
use memchr::memchr_iter;
use std::borrow::Cow;

/// What DCLM's URL removal does, with a list of top-level domains.
#[derive(Clone, Debug)]
pub struct UrlRemover {
    domains: WordList,
    /// The same in any case, if the text must begin with one of them.
    guard: Option<WordList>,
}

/// Characters a host may have before its dot, at most.
const MAX_HOST: usize = 256;
/// White space that goes with a URL, at most.
const MAX_BLANKS: usize = 10;

impl UrlRemover {
    /// Takes out every URL.
    pub fn new<'d>(domains: impl IntoIterator<Item = &'d str>) -> Self {
        let domains = domains.into_iter().filter(|domain| !domain.is_empty());
        Self { domains: WordList::new(domains, Case::Exact), guard: None }
    }

    /// Does as DCLM's code does: URLs with names go only if the text begins with a top-level domain (so "The site https://x.com"
    /// loses its URL to `.th`, "We like https://x.com" does not). Addresses of numbers go always.
    pub fn as_dclm<'d>(domains: impl IntoIterator<Item = &'d str>) -> Self {
        // The names are escaped once for the pattern and once more by Retrie: one with a hyphen matches only with a backslash.
        let domains: Vec<String> = domains.into_iter().map(escape).collect();
        Self {
            domains: WordList::new(&domains, Case::Exact),
            guard: Some(WordList::new(&domains, Case::Ignore)),
        }
    }

    /// The text without its URLs; borrowed if there are none.
    #[must_use]
    pub fn remove<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let guarded = self.guard.as_ref().is_some_and(|guard| !guard.is_prefix_of(text));
        let first = if guarded { Cow::Borrowed(text) } else { self.remove_named(text) };
        match first {
            Cow::Borrowed(text) => remove_numbered(text),
            Cow::Owned(text) => match remove_numbered(&text) {
                Cow::Borrowed(_) => Cow::Owned(text),
                Cow::Owned(text) => Cow::Owned(text),
            },
        }
    }

    fn remove_named<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let mut cut = Cut::new(text);
        for dot in memchr_iter(b'.', bytes) {
            // A dot at the very start of a run has no host before it.
            if dot <= cut.done || !is_host_byte(bytes[dot - 1]) || self.domain_after(text, dot).is_none() {
                continue;
            }
            let reach = dot.saturating_sub(MAX_HOST).max(cut.done);
            let run = dot - bytes[reach..dot].iter().rev().take_while(|byte| is_host_byte(**byte)).count();
            // At the start of its run a host may have a scheme and white space before it.
            let at_start = run == cut.done || !is_host_byte(bytes[run - 1]);
            let start = if at_start { cut.blanks_before(cut.scheme_before(run)) } else { run };
            let Some(end) = self.last_domain(text, run, dot) else { continue };
            cut.out(start, end + rest_of_url(bytes, end));
        }
        cut.finish()
    }

    /// The end of the last top-level domain that a host from `run` on reaches; `first` is a dot that has one.
    fn last_domain(&self, text: &str, run: usize, first: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let host = bytes.get(first..(run + MAX_HOST + 1).min(bytes.len())).unwrap_or_default();
        let host =
            host.get(..host.iter().take_while(|byte| is_host_byte(**byte)).count()).unwrap_or_default();
        memchr::memrchr_iter(b'.', host).find_map(|dot| self.domain_after(text, first + dot))
    }

    /// Where the top-level domain behind a dot ends, if there is one and a word boundary behind it.
    fn domain_after(&self, text: &str, dot: usize) -> Option<usize> {
        let rest = text.get(dot + 1..)?;
        let len = self.domains.longest_at(rest, |len| is_word_boundary(text, dot + 1 + len))?;
        Some(dot + 1 + len)
    }
}

fn remove_numbered(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut cut = Cut::new(text);
    for dot in memchr_iter(b'.', bytes) {
        let digits = |from: usize| {
            bytes.get(from..).unwrap_or_default().iter().take(4).take_while(|b| b.is_ascii_digit()).count()
        };
        if dot <= cut.done || digits(dot + 1) == 0 {
            continue;
        }
        // The first group of digits ends at this dot.
        let first =
            bytes[cut.done..dot].iter().rev().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = dot - first;
        let begin = at;
        let mut groups = 0;
        while groups < 3
            && is_octet(bytes.get(at..at + digits(at)).unwrap_or_default())
            && bytes.get(at + digits(at)) == Some(&b'.')
        {
            at += digits(at) + 1;
            groups += 1;
        }
        if groups < 3 || digits(at) == 0 {
            continue;
        }
        let scheme = cut.scheme_before(begin);
        let start = [scheme, begin].into_iter().find(|start| {
            // Behind white space, or anything else that is no word.
            let before = text.get(..*start).and_then(|head| head.chars().next_back());
            !before.is_some_and(is_word)
        });
        let Some(start) = start else { continue };
        // White space before the address goes with it, but none before a scheme that is part of a word.
        cut.out(cut.blanks_before(start), at + rest_of_url(bytes, at));
    }
    cut.finish()
}

/// `[0-2]?[0-9]{1,2}` and nothing more.
fn is_octet(digits: &[u8]) -> bool {
    match digits {
        [_] | [_, _] => true,
        [first, _, _] => *first <= b'2',
        _ => false,
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'@' | b':' | b'%' | b'.' | b'_' | b'+' | b'~' | b'#' | b'=')
}

fn rest_of_url(bytes: &[u8], from: usize) -> usize {
    let of_rest = |byte: &u8| is_host_byte(*byte) || matches!(byte, b'(' | b')' | b'?' | b'&' | b'/');
    bytes.get(from..).unwrap_or_default().iter().take_while(|byte| of_rest(byte)).count()
}

/// A text from which parts are cut, from left to right.
struct Cut<'t> {
    text: &'t str,
    out: String,
    /// All before this offset is decided.
    done: usize,
}

impl<'t> Cut<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, out: String::new(), done: 0 }
    }

    fn out(&mut self, start: usize, end: usize) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.text.len());
        }
        self.out.push_str(self.text.get(self.done..start).unwrap_or_default());
        self.done = end;
    }

    /// Where the scheme that ends at `at` starts, if one does; else `at`.
    fn scheme_before(&self, at: usize) -> usize {
        let head = self.text.get(self.done..at).unwrap_or_default();
        ["https://", "http://", "ftp://"]
            .iter()
            .find(|scheme| head.ends_with(**scheme))
            .map_or(at, |scheme| at - scheme.len())
    }

    /// Where the white space that ends at `at` starts, as far as a URL takes it along.
    fn blanks_before(&self, at: usize) -> usize {
        let head = self.text.get(self.done..at).unwrap_or_default();
        let blanks = head.chars().rev().take(MAX_BLANKS).take_while(|char| is_space(*char));
        at - blanks.map(char::len_utf8).sum::<usize>()
    }

    fn finish(mut self) -> Cow<'t, str> {
        if self.done == 0 {
            return Cow::Borrowed(self.text);
        }
        self.out.push_str(self.text.get(self.done..).unwrap_or_default());
        Cow::Owned(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    const DOMAINS: [&str; 6] = ["c", "com", "co", "xn--x", "рф", "бг\u{200e}"];

    #[test]
    fn urls_go_with_the_white_space_before_them() {
        let remover = UrlRemover::new(DOMAINS);
        for (text, expected) in [
            ("see  https://a.b.com/x?y#z, or", "see, or"),
            ("a.community a.com_", "a.community a.com_"),
            ("xhttp://a.com", "x"),
            ("mail me@a.com.", "mail"),
            ("a.com:80/(b)c d", " d"),
            ("http://1.2.3.4/x 1.2.3 1.2.3.4.5 300.1.1.1 x1.2.3.4", " 1.2.3 300.1.1.1 x1.2.3.4"),
            ("ip 10.0.0.1:80/a", "ip"),
            (".com", ".com"),
            ("а.рф b.рф c.com", "а.рф"),
            ("", ""),
        ] {
            assert_eq!(remover.remove(text), expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]
        #[test]
        fn removal_is_what_the_patterns_do(
            text in "([a-c0-3.:/@ _()é,\u{a0}]|\\.com|\\.co|\\.рф|http://|https://|ftp://|1\\.2|\\.30?|aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa| {5}){0,16}"
        ) {
            let c = r"[-a-zA-Z0-9@:%._+~\#=]";
            let rest = r"[-a-zA-Z0-9()@:%_+.~\#?&/=]*";
            // Longest first, as in a trie.
            let named = Regex::new(&format!(r"\s{{0,10}}(?:(?:https?|ftp)://)?{c}{{1,256}}\.(?:xn--x|com|co|c|рф|бг\u{{200e}})\b{rest}")).expect("a pattern");
            let numbered = Regex::new(&format!(r"\s{{0,10}}\b(?:(?:https?|ftp)://)?(?:[0-2]?[0-9]{{1,2}}\.){{3}}[0-2]?[0-9]{{1,2}}{rest}")).expect("a pattern");
            let expected = numbered.replace_all(&named.replace_all(&text, ""), "").into_owned();
            prop_assert_eq!(UrlRemover::new(DOMAINS).remove(&text).into_owned(), expected);
        }
    }
}
