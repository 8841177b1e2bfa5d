//! IP addresses.

use super::stands_alone;
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// IPv4, as datatrove's pattern has it: four numbers up to 255, whatever stands beside them.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pattern: Regex,
}

impl Addresses {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let octet = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
        Ok(Self { pattern: Regex::new(&format!(r"(?:{octet}\.){{3}}{octet}"))? })
    }

    pub(super) fn find(
        &self,
        text: &str,
        public_only: bool,
        keep_versions: bool,
        found: &mut Vec<Range<usize>>,
    ) {
        let is_address = |range: &Range<usize>| {
            // A number with a zero before it is none of an address.
            let address = text.get(range.clone()).and_then(|text| text.parse::<Ipv4Addr>().ok());
            address.is_some_and(|address| !public_only || is_global(address))
        };
        let is_meant = |range: &Range<usize>| {
            !keep_versions || (stands_alone(text, range) && !is_version(text, range.start))
        };
        found.extend(
            self.pattern
                .find_iter(text)
                .map(|found| found.range())
                .filter(|range| is_address(range) && is_meant(range)),
        );
    }
}

/// Words before the number of a version or of a chapter.
const NUMBERED: [&str; 28] = [
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "releases",
    "build",
    "rev",
    "revision",
    "firmware",
    "driver",
    "kernel",
    "update",
    "patch",
    "chrome",
    "chromium",
    "firefox",
    "safari",
    "opera",
    "edge",
    "section",
    "sections",
    "chapter",
    "clause",
    "paragraph",
    "article",
    "oid",
    "asn",
];

/// Whether a number is that of a version or a chapter, by what stands before it: `version 1.2.3.4`, `§ 1.2.3.4`, `Opera/9.8.7.6`.
fn is_version(text: &str, start: usize) -> bool {
    let head = text.get(..start).unwrap_or_default();
    // The name of a program and its version, as in a browser's own words; two slashes are a URL's.
    if let Some(name) = head.strip_suffix('/') {
        return name.chars().next_back().is_some_and(char::is_alphanumeric);
    }
    let head = head.trim_end_matches([' ', '\u{a0}', ':', '.', '(', '#', '=']);
    let word = head.rsplit(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    head.ends_with('§') || NUMBERED.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Python's `is_global` of an IPv4 address: what IANA's registry of special addresses does not take out.
fn is_global(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        [100, 64..=127, ..] | [198, 18..=19, ..] | [240..=255, ..] => true,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [192, 0, 0, last] => !matches!(last, 9 | 10),
        _ => false,
    };
    !special
}

/// IPv6 addresses of networks and links. `::` and `::1` are nobody's.
pub(super) fn find_v6(text: &str, public_only: bool, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut from = 0;
    for colon in memchr::memchr_iter(b':', bytes) {
        if colon < from {
            continue;
        }
        let before =
            bytes.get(from..colon).unwrap_or_default().iter().rev().take_while(|byte| part(byte)).count();
        let after = bytes.get(colon..).unwrap_or_default().iter().take_while(|byte| part(byte)).count();
        from = colon + after;
        let run = text.get(colon - before..from).unwrap_or_default();
        // A full stop or colon at the end is the sentence's.
        let address = run.trim_end_matches(['.', ':']);
        let range = colon - before..colon - before + address.len();
        let parsed = address.parse::<Ipv6Addr>();
        if parsed.is_ok_and(|address| is_host(address, public_only)) && stands_alone(text, &range) {
            found.push(range);
        }
    }
}

/// Whether an address is of the open network (RFC 4291: 2000::/3, but for documentation and benchmarks), or else private.
fn is_host(address: Ipv6Addr, public_only: bool) -> bool {
    match address.segments() {
        [0x2001, 0xdb8, ..] | [0x2001, 0x2, 0, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        // Unique local and link-local ones.
        [0xfc00..=0xfdff | 0xfe80..=0xfebf, ..] => !public_only,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, public_only: bool, keep_versions: bool) -> String {
        let mut found = Vec::new();
        Addresses::new().expect("a pattern").find(text, public_only, keep_versions, &mut found);
        found.into_iter().filter_map(|range| text.get(range)).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn addresses_of_the_open_network_are_found() {
        for (text, expected) in [
            ("from 8.8.8.8 and 8.8.4.4.", "8.8.8.8|8.8.4.4"),
            ("http://8.8.8.8:80/ [8.8.4.4] 1.1.1.1/24", "8.8.8.8|8.8.4.4|1.1.1.1"),
            ("192.168.1.1 127.0.0.1 10.0.0.1 172.16.0.1 100.64.0.1 169.254.0.1 0.1.2.3 240.0.0.1", ""),
            ("192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 192.0.0.1", ""),
            ("300.1.1.1 1.2.3 1.2.3.4.5 x1.2.3.4 1.2.3.4b 01.2.3.4 1.2.3.4-5", ""),
            ("version 1.2.3.4, v8.8.8.8, Version: 1.2.3.4, (build 1.2.3.4), Opera/9.8.7.6, § 1.2.3.4", ""),
            ("on 31.12.2020 at 10.30, 1.234.567,89", ""),
        ] {
            assert_eq!(found(text, true, true), expected, "{text}");
        }
        assert_eq!(found("10.0.0.1 300.1.1.1", false, true), "10.0.0.1");
        assert_eq!(found("v8.8.8.8 1.2.3.4.5 10.0.0.1", true, false), "8.8.8.8|1.2.3.4");
    }

    #[test]
    fn addresses_of_ipv6_are_found() {
        for (text, public, all) in [
            ("at 2606:4700:4700::1111. and", "2606:4700:4700::1111", "2606:4700:4700::1111"),
            ("2a00:1450:4001:81b::200e/64: yes", "2a00:1450:4001:81b::200e", "2a00:1450:4001:81b::200e"),
            ("fe80::1ff:fe23:4567:890a%eth0, fd12:3456::1", "", "fe80::1ff:fe23:4567:890a|fd12:3456::1"),
            ("2001:db8::1 ::1 :: ::ffff:8.8.8.8", "", ""),
            ("12:30:45 00:1a:2b:3c:4d:5e std::cafe A::B a::b x2606:4700::1 10:11:12:13", "", ""),
        ] {
            for (public_only, expected) in [(true, public), (false, all)] {
                let mut found = Vec::new();
                find_v6(text, public_only, &mut found);
                let found: Vec<&str> = found.into_iter().filter_map(|range| text.get(range)).collect();
                assert_eq!(found.join("|"), expected, "{text}");
            }
        }
    }
}
