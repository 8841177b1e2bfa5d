//! Masks personal data in texts: e-mail addresses, IP addresses, telephone numbers.
//!
//! E-mail and IPv4 are found as huggingface/datatrove 0.10.1 finds them (`pipeline/formatters/pii.py`, what FineWeb was made with); IPv6
//! and telephone numbers are rules of ours. What is put in their place takes turns within a text, from the first on, so that it depends on
//! nothing but the text; datatrove's turns go on from document to document.

mod address;
mod email;
mod phone;

use address::Addresses;
use email::Emails;
use phone::Phones;
use std::borrow::Cow;
use std::ops::Range;

/// What FineWeb has in place of e-mail addresses: both domains belong to nobody.
pub const EMAILS: [&str; 2] = ["email@example.com", "firstname.lastname@example.org"];
/// What FineWeb has in place of IPv4 addresses: some that did not answer when datatrove chose them.
pub const ADDRESSES: [&str; 6] =
    ["22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168"];
/// What is put in place of IPv6 addresses: one of those for documentation (RFC 3849).
pub const ADDRESSES_V6: [&str; 1] = ["2001:db8::1"];
/// What is put in place of telephone numbers: one that is kept for fiction.
pub const PHONES: [&str; 1] = ["+1 555-0100"];

/// What is masked, each with what takes turns in its place; none: left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub emails: Option<Vec<String>>,
    pub addresses: Option<Vec<String>>,
    pub addresses_v6: Option<Vec<String>>,
    pub phones: Option<Vec<String>>,
    /// Of addresses, only those of the open network.
    pub public_only: bool,
    /// Leaves IPv4 addresses alone that are rather a part of something longer, or a version number.
    pub keep_versions: bool,
}

/// Masks texts.
#[derive(Clone, Debug)]
pub struct Masker {
    options: Options,
    emails: Emails,
    addresses: Addresses,
    phones: Phones,
}

impl Masker {
    /// Fails only if a pattern of ours is wrong, which a test rules out.
    pub fn new(options: Options) -> Result<Self, regex::Error> {
        Ok(Self { options, emails: Emails::new()?, addresses: Addresses::new()?, phones: Phones::new()? })
    }

    /// The text with its personal data masked; borrowed if it has none.
    #[must_use]
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let options = &self.options;
        let mut now = Cow::Borrowed(text);
        if let Some(by) = &options.emails {
            mask(&mut now, by, |text, found| self.emails.find(text, found));
        }
        if let Some(by) = &options.addresses {
            mask(&mut now, by, |text, found| {
                self.addresses.find(text, options.public_only, options.keep_versions, found);
            });
        }
        if let Some(by) = &options.addresses_v6 {
            mask(&mut now, by, |text, found| address::find_v6(text, options.public_only, found));
        }
        if let Some(by) = &options.phones {
            mask(&mut now, by, |text, found| self.phones.find(text, found));
        }
        now
    }
}

/// Puts the texts of `by`, in turn, in the place of what `find` finds.
fn mask(text: &mut Cow<'_, str>, by: &[String], find: impl FnOnce(&str, &mut Vec<Range<usize>>)) {
    let mut found = Vec::new();
    find(text, &mut found);
    if found.is_empty() {
        return;
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (range, by) in found.into_iter().zip(by.iter().cycle()) {
        out.push_str(text.get(copied..range.start).unwrap_or_default());
        out.push_str(by);
        copied = range.end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    *text = Cow::Owned(out);
}

/// Whether what is found is a number of its own: no letter, digit or sign beside it makes more of it.
fn stands_alone(text: &str, found: &Range<usize>) -> bool {
    let before = text.get(..found.start).and_then(|head| head.chars().next_back());
    let mut after = text.get(found.end..).unwrap_or_default().chars();
    let next = after.next();
    // A full stop ends a sentence, and a hyphen a phrase, unless a digit follows.
    let goes_on = next.is_some_and(|char| matches!(char, '.' | '-' | ','))
        && after.next().is_some_and(|char| char.is_ascii_digit());
    let joins = |char: char| char.is_alphanumeric() || char == '_';
    !goes_on
        && !next.is_some_and(joins)
        && !before.is_some_and(|char| joins(char) || matches!(char, '.' | '-' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn masks_take_turns_within_a_text() {
        let masker = Masker::new(Options {
            emails: Some(owned(&["<1>", "<2>"])),
            addresses: Some(owned(&["<ip>"])),
            addresses_v6: Some(owned(&["<ip6>"])),
            phones: Some(owned(&["<tel>"])),
            public_only: true,
            keep_versions: true,
        })
        .expect("patterns");
        for (text, expected) in [
            ("a@b.example c@d.example e@f.example", "<1> <2> <1>"),
            ("a@b.example", "<1>"),
            ("a@b.example, 8.8.8.8, 2606:4700::1111 or +49 30 1234567", "<1>, <ip>, <ip6> or <tel>"),
            ("", ""),
        ] {
            assert_eq!(masker.mask(text), expected, "{text}");
        }
        assert!(matches!(masker.mask("Nothing at all, 3 @ 4"), Cow::Borrowed(_)));
        assert_eq!(Masker::new(Options::default()).expect("patterns").mask("a@b.example"), "a@b.example");
    }
}
