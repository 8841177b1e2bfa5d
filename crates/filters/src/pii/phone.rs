//! Telephone numbers that say what they are: international ones behind a plus (ITU-T E.164), and North America's with area code in brackets
//! or between separators, as Dolma (arXiv 2402.00159) masks them.
//!
//! Numbers without either are prices, dates, identifiers and the like far more often; they stay.

use super::stands_alone;
use regex::Regex;
use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Phones {
    pattern: Regex,
}

impl Phones {
    pub(super) fn new() -> Result<Self, regex::Error> {
        // Groups of digits, the last of two at least: `+49 (0)30 1234567`.
        let international =
            r"\+[1-9][0-9]{0,2}(?:[ .\-/]?\([0-9]{1,4}\))?(?:[ .\-/]?[0-9]+)*[ .\-/]?[0-9]{2,}";
        let north_american = r"(?:1[ .\-])?(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .\-]?[0-9]{4}|[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}|[2-9][0-9]{2}\.[2-9][0-9]{2}\.[0-9]{4})";
        Ok(Self { pattern: Regex::new(&format!("{international}|{north_american}"))? })
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let is_phone = |range: &Range<usize>| {
            let number = text.get(range.clone()).unwrap_or_default();
            stands_alone(text, range)
                && !is_amount(text, range.start)
                && number.strip_prefix('+').is_none_or(is_international)
        };
        found.extend(self.pattern.find_iter(text).map(|found| found.range()).filter(is_phone));
    }
}

/// Whether a sign before a number makes it an amount or a part of something.
fn is_amount(text: &str, start: usize) -> bool {
    let before = text.get(..start).and_then(|head| head.chars().next_back());
    before.is_some_and(|char| matches!(char, '$' | '€' | '£' | '¥' | '#' | '=' | '/' | ','))
}

/// Digits of a number with its country, at least and at most.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Whether what follows a plus is a number with a country before it.
fn is_international(number: &str) -> bool {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
    let country = match digits[..] {
        // North America's have ten digits behind the 1, and no area or exchange starts with 0 or 1.
        [1, area, _, _, exchange, ..] => digits.len() == 11 && area > 1 && exchange > 1,
        [first, second, ..] => is_country(first, second),
        _ => false,
    };
    DIGITS.contains(&digits.len()) && country && !is_round(number, &digits)
}

/// Whether a country's code starts with two digits: all are taken but those that E.164 keeps back.
fn is_country(first: u8, second: u8) -> bool {
    !matches!((first, second), (2, 8) | (8, 3) | (8, 9))
}

/// Whether a number is rather an amount with its thousands apart: `+20 000 000`.
fn is_round(number: &str, digits: &[u8]) -> bool {
    let mut groups = number.split([' ', '.']);
    groups.next().is_some_and(|first| first.len() <= 3)
        && groups.all(|group| group.len() == 3)
        && (digits.len() < 10 || digits.ends_with(&[0, 0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        let mut found = Vec::new();
        Phones::new().expect("a pattern").find(text, &mut found);
        found.into_iter().filter_map(|range| text.get(range)).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn numbers_are_found() {
        for text in [
            "+49 (0)30 1234567",
            "+49 30 1234567",
            "+33 1 23 45 67 89",
            "+44 20 7946 0958",
            "+48 123 456 789",
            "+1 212 555 1234",
            "+1-800-555-0199",
            "+1 (212) 555-1234",
            "+919876543210",
            "+86 10 6552 9988",
            "+351.21.123.4567",
            "(212) 555-1234",
            "(212)555-1234",
            "1 (212) 555-1234",
            "212-555-1234",
            "1-800-555-0199",
            "212.555.1234",
        ] {
            assert_eq!(found(text), text);
            assert_eq!(found(&format!("Call {text}.")), text);
            assert_eq!(found(&format!("({text}), or 5")), text);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "version 4.212.555.1234, 212.555.1234.5",
            "2020-12-31, 31.12.2020, 12/31/2020, 2020-12-31T10:30:00+01:00",
            "10:30:45, 10.30-12.45",
            "ISBN 978-3-16-148410-0, 0-306-40615-2, 9783161484100",
            "$212.555.1234, 1,234.50, 1.234.567,89, £(212) 555-1234x",
            "2125551234, 4111 1111 1111 1111, 123-45-6789, DE89 3704 0044 0532 0130 00",
            "112-555-1234, 212-155-1234, (112) 555-1234",
            "+20 000 000, +1 000 000, +100, +3.5 %, C++11, x+49 30 1234567",
            "+49 30, +1 212 555 12345, +12345678901234567, +28 123 456 7890",
            "id-212-555-1234, a212-555-1234, 212-555-1234-99, ?tel=212-555-1234",
            "52.5200, 13.4050; 8.8.8.8; 192.168.100.1",
        ] {
            assert_eq!(found(text), "", "{text}");
        }
    }
}
