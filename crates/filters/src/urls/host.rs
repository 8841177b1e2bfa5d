//! The host of a URL, as Python's `urllib.parse.urlparse(url).netloc` takes it out.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why `urlparse` raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("unbalanced or misplaced brackets in the host")]
    Brackets,
    #[error("a host that normalises to one with a delimiter in it")]
    Delimiter,
}

/// The network location: what stands between `//` and the next `/`, `?` or `#`, with user, port and case as they are. Empty
/// where a URL has none.
pub fn netloc(url: &str) -> Result<Cow<'_, str>, HostError> {
    let url = url.trim_start_matches(|char| char <= ' ');
    let url = if url.contains(['\t', '\r', '\n']) {
        Cow::Owned(url.replace(['\t', '\r', '\n'], ""))
    } else {
        Cow::Borrowed(url)
    };
    let range = range_of_netloc(&url);
    let netloc = match url {
        Cow::Borrowed(url) => Cow::Borrowed(url.get(range).unwrap_or_default()),
        Cow::Owned(url) => Cow::Owned(url.get(range).unwrap_or_default().to_owned()),
    };
    check(&netloc)?;
    Ok(netloc)
}

fn range_of_netloc(url: &str) -> std::ops::Range<usize> {
    let after_scheme = match url.find(':') {
        Some(colon) if colon > 0 && is_scheme(url.get(..colon).unwrap_or_default()) => colon + 1,
        _ => 0,
    };
    let rest = url.get(after_scheme..).unwrap_or_default();
    let Some(rest) = rest.strip_prefix("//") else { return 0..0 };
    let start = after_scheme + 2;
    start..start + rest.find(['/', '?', '#']).unwrap_or(rest.len())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn check(netloc: &str) -> Result<(), HostError> {
    match (netloc.find('['), netloc.find(']')) {
        (None, None) => {}
        (Some(open), Some(_)) => {
            let inside = netloc.get(open + 1..).unwrap_or_default();
            let host = inside.split(']').next().unwrap_or_default();
            if !is_bracketed_host(host) {
                return Err(HostError::Brackets);
            }
        }
        _ => return Err(HostError::Brackets),
    }
    if netloc.chars().any(folds_to_delimiter) {
        return Err(HostError::Delimiter);
    }
    Ok(())
}

/// An IPv6 address, perhaps with a zone, or an address of a future version.
fn is_bracketed_host(host: &str) -> bool {
    if let Some(future) = host.strip_prefix('v') {
        let Some((version, address)) = future.split_once('.') else { return false };
        return !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty();
    }
    let (address, zone) = host.split_once('%').map_or((host, None), |(address, zone)| (address, Some(zone)));
    address.parse::<Ipv6Addr>().is_ok()
        && address.parse::<Ipv4Addr>().is_err()
        && zone.is_none_or(|zone| !zone.is_empty() && !zone.contains('%'))
}

/// Characters that Unicode's NFKC form turns into something with one of `/?#@:` in it.
fn folds_to_delimiter(char: char) -> bool {
    matches!(
        char,
        '\u{2048}'
            | '\u{2049}'
            | '\u{2047}'
            | '\u{2100}'
            | '\u{2101}'
            | '\u{2105}'
            | '\u{2106}'
            | '\u{2a74}'
            | '\u{fe13}'
            | '\u{fe16}'
            | '\u{fe55}'
            | '\u{fe56}'
            | '\u{fe5f}'
            | '\u{fe6b}'
            | '\u{ff03}'
            | '\u{ff0f}'
            | '\u{ff1a}'
            | '\u{ff1f}'
            | '\u{ff20}'
    )
}

/// The host alone, for comparing with lists of domains: without user, port, a dot at its end and a leading `www.`.
#[must_use]
pub fn bare_host(netloc: &str) -> &str {
    let host = netloc.rsplit('@').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_end_matches('.');
    host.strip_prefix("www.").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_those_of_urlparse() {
        for (url, expected) in [
            ("https://User@A.example:80/p?q#f", Ok("User@A.example:80")),
            ("//a.example?q", Ok("a.example")),
            (" \x01http://a.exa\nmple#/", Ok("a.example")),
            ("a.example/p", Ok("")),
            ("1http://a.example", Ok("")),
            ("mailto:x@a.example", Ok("")),
            ("", Ok("")),
            ("http://[::1]:80/", Ok("[::1]:80")),
            ("http://[::1/", Err(HostError::Brackets)),
            ("http://[x]/", Err(HostError::Brackets)),
            ("http://[v1.é]/", Ok("[v1.é]")),
            ("http://[v1.]/", Err(HostError::Brackets)),
            ("http://a\u{2100}b/", Err(HostError::Delimiter)),
        ] {
            assert_eq!(netloc(url).as_deref(), expected.as_ref().map(|host| *host), "{url:?}");
        }
    }

    #[test]
    fn bare_hosts_compare_with_lists() {
        for (netloc, expected) in [
            ("www.xxx.com", "xxx.com"),
            ("user@www.xxx.com.:8080", "xxx.com"),
            ("xxx.com", "xxx.com"),
            ("wwwxxx.com", "wwwxxx.com"),
            ("", ""),
        ] {
            assert_eq!(bare_host(netloc), expected, "{netloc}");
        }
    }
}
