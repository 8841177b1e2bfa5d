//! Personal data in texts: e-mail addresses, public IPv4 addresses, telephone numbers.
//!
//! E-mail and IPv4 as in huggingface/datatrove 0.10.1, `pipeline/formatters/pii.py`, with more care for version numbers; what
//! is put in their place is what FineWeb has.

use regex::Regex;
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// What is put in place of e-mail addresses.
pub const EMAIL: &str = "email@example.com";
/// What is put in place of IPv4 addresses: one that belongs to nobody (RFC 5737).
pub const ADDRESS: &str = "192.0.2.1";
/// What is put in place of telephone numbers (reserved for fiction by the North American Numbering Plan).
pub const PHONE: &str = "+1 555 0100";

/// What is masked.
#[derive(Clone, Debug)]
pub struct Masker {
    email: Option<(Regex, String)>,
    address: Option<(Regex, String)>,
    phone: Option<(Regex, String)>,
}

impl Masker {
    /// Each with what is put in its place; none: left alone. Fails only if a pattern of ours is wrong, which a test rules out.
    pub fn new(
        email: Option<String>,
        address: Option<String>,
        phone: Option<String>,
    ) -> Result<Self, regex::Error> {
        let with = |pattern: &str, text: Option<String>| -> Result<_, regex::Error> {
            text.map(|text| Ok((Regex::new(pattern)?, text))).transpose()
        };
        let atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
        let host = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}";
        Ok(Self {
            email: with(&format!(r"\b{atom}(?:\.{atom})*@{host}"), email)?,
            address: with(r"[0-9]+(?:\.[0-9]+){3}", address)?,
            // A plus and a country, or an area code in brackets or between separators: numbers without either are prices and dates.
            phone: with(
                r"\+[1-9][0-9]{0,2}[ .\-]?(?:\([0-9]{1,4}\)[ .\-]?)?[0-9]{1,4}(?:[ .\-]?[0-9]{2,4}){2,4}|\([0-9]{3}\) ?[0-9]{3}[ .\-][0-9]{4}|[0-9]{3}-[0-9]{3}-[0-9]{4}",
                phone,
            )?,
        })
    }

    /// The text with its personal data masked; borrowed if it has none.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut new = Cow::Borrowed(text);
        if let Some((pattern, by)) = &self.email
            && memchr::memchr(b'@', text.as_bytes()).is_some()
        {
            new = replace(new, pattern, by, |_, _, _| true);
        }
        if let Some((pattern, by)) = &self.address {
            new = replace(new, pattern, by, is_public_address);
        }
        if let Some((pattern, by)) = &self.phone {
            new = replace(new, pattern, by, stands_alone);
        }
        new
    }
}

fn replace<'t>(
    text: Cow<'t, str>,
    pattern: &Regex,
    by: &str,
    wanted: impl Fn(&str, usize, usize) -> bool,
) -> Cow<'t, str> {
    let mut out = String::new();
    let mut copied = 0;
    for found in pattern.find_iter(&text) {
        if wanted(&text, found.start(), found.end()) {
            out.push_str(text.get(copied..found.start()).unwrap_or_default());
            out.push_str(by);
            copied = found.end();
        }
    }
    if copied == 0 {
        return text;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether no letter, digit or full stop with a digit makes more of it.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|head| head.chars().next_back());
    let mut after = text.get(end..).unwrap_or_default().chars();
    let next = after.next();
    let more = next.is_some_and(|char| matches!(char, '.' | '-'))
        && after.next().is_some_and(|char| char.is_ascii_digit());
    !more
        && !before.is_some_and(|char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_'))
        && !next.is_some_and(|char| char.is_alphanumeric() || char == '_')
}

/// Whether it is a host's address on the open network, and no version: none follows `v` or the word `version`.
fn is_public_address(text: &str, start: usize, end: usize) -> bool {
    let found = text.get(start..end).unwrap_or_default();
    let Ok(address) = found.parse::<Ipv4Addr>() else { return false };
    let head = text.get(..start).unwrap_or_default().trim_end();
    let word = head.rsplit(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    let version = ["v", "version", "ver", "release", "build", "chrome", "firefox", "safari"];
    let [a, b, ..] = address.octets();
    let reserved = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b));
    stands_alone(text, start, end) && !reserved && !version.iter().any(|name| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_is_masked_and_versions_are_not() {
        let masker = Masker::new(Some("<e>".to_owned()), Some("<ip>".to_owned()), Some("<tel>".to_owned()))
            .expect("patterns");
        for (text, expected) in [
            ("write to John.Doe+x@mail.example.org, please", "write to <e>, please"),
            ("no @ mail, a@b neither", "no @ mail, a@b neither"),
            ("from 8.8.8.8 and 8.8.4.4.", "from <ip> and <ip>."),
            ("192.168.1.1 127.0.0.1 10.0.0.1 300.1.1.1", "192.168.1.1 127.0.0.1 10.0.0.1 300.1.1.1"),
            (
                "version 1.2.3.4, v8.8.8.8, 1.2.3.4.5, x1.2.3.4",
                "version 1.2.3.4, v8.8.8.8, 1.2.3.4.5, x1.2.3.4",
            ),
            ("call +49 (0)30 1234567 or (212) 555-1234 or 212-555-1234", "call <tel> or <tel> or <tel>"),
            ("on 2020-12-31, 1,234.50, 123-456", "on 2020-12-31, 1,234.50, 123-456"),
            ("", ""),
        ] {
            assert_eq!(masker.mask(text), expected, "{text}");
        }
        assert_eq!(Masker::new(None, None, None).expect("patterns").mask("a@b.example"), "a@b.example");
    }
}
