//! Header blocks: of WARC records (ISO 28500, section 4), of HTTP responses, and the one-line headers of ARC.

use super::HttpHead;

/// The length of the header block that `bytes` begin with, its empty line included; `None` if that is not among them.
pub(super) fn block_len(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(newline) = memchr::memchr(b'\n', &bytes[from..]) {
        let next = from + newline + 1;
        match &bytes[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

/// The `name: value` lines of a header block. A line that begins with a blank goes on with the value before it; one
/// without a colon is passed over, as fastwarc, jwarc and browsers do.
pub(super) fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::with_capacity(16);
    for line in bytes.split(|&byte| byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let line = text.trim_end();
        if line.is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = found.last_mut() {
                value.push(' ');
                value.push_str(line.trim_start());
            }
            continue;
        }
        if let Some((name, value)) = line.split_once(':') {
            found.push((name.trim_end().to_owned(), value.trim_start().to_owned()));
        }
    }
    found
}

/// Whether the bytes begin a WARC record, blank lines aside: members that were cut a line early count too.
pub(super) fn starts_warc(bytes: &[u8]) -> bool {
    let blank = bytes.iter().take(4).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    bytes[blank..].starts_with(b"WARC/")
}

/// Bytes that [`starts_warc`] wants to see.
pub(super) const WARC_LOOKAHEAD: usize = 16;

/// Whether the bytes begin an ARC record: a line of at least five fields, the first a URL, the second an address.
pub(super) fn starts_arc(bytes: &[u8]) -> bool {
    let blank = bytes.iter().take(4).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = &bytes[blank..];
    let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(0)];
    ArcLine::parse(line).is_some()
}

/// Bytes that [`starts_arc`] wants to see; longer URLs are not taken for records.
pub(super) const ARC_LOOKAHEAD: usize = 8 << 10;

/// The header line of an ARC record (Internet Archive, "Arc File Format", versions 1 and 2).
#[derive(Debug, PartialEq)]
pub(super) struct ArcLine<'a> {
    pub(super) url: String,
    pub(super) ip: &'a str,
    /// 14 digits, or whatever stands there.
    pub(super) date: &'a str,
    pub(super) mime: &'a str,
    /// `None` where it is no number.
    pub(super) len: Option<u64>,
}

impl<'a> ArcLine<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.trim_end();
        let parts: Vec<&str> = text.split(' ').collect();
        // URLs with blanks shift the fields: the address is the first field that looks like one, with a date behind it.
        let is_address = |part: &str| {
            !part.is_empty()
                && part.contains(['.', ':'])
                && part.chars().all(|c| c.is_ascii_hexdigit() || ".:".contains(c))
        };
        let is_date =
            |part: &str| part == "null" || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        let at = (1..parts.len().checked_sub(3)?).find(|&i| is_address(parts[i]) && is_date(parts[i + 1]))?;
        let url = parts[..at].join(" ");
        let scheme = url.split_once(':')?.0;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let len = parts.last()?.parse().ok();
        Some(Self { url, ip: parts[at], date: parts[at + 1], mime: parts[at + 2], len })
    }

    /// The headers a WARC record of the same capture would have.
    pub(super) fn as_warc(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("WARC-Type".to_owned(), "response".to_owned()),
            ("WARC-Target-URI".to_owned(), self.url.clone()),
        ];
        if let Some(date) = iso_date(self.date) {
            headers.push(("WARC-Date".to_owned(), date));
        }
        headers.push(("WARC-IP-Address".to_owned(), self.ip.to_owned()));
        headers.push(("Content-Type".to_owned(), self.mime.to_owned()));
        if let Some(len) = self.len {
            headers.push(("Content-Length".to_owned(), len.to_string()));
        }
        headers
    }
}

/// `20140216050221` as `2014-02-16T05:02:21Z`; `None` for what is no time.
fn iso_date(digits: &str) -> Option<String> {
    if digits.len() != 14 {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let (month, day) = (part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let in_range = ("01"..="12").contains(&month)
        && ("01"..="31").contains(&day)
        && hour <= "23"
        && minute <= "59"
        && second <= "60";
    in_range.then(|| format!("{}-{month}-{day}T{hour}:{minute}:{second}Z", &digits[..4]))
}

/// The head of an HTTP response, and how many bytes of the block it takes. `None` where the block is no HTTP response.
pub(super) fn http(block: &[u8]) -> Option<(HttpHead, usize)> {
    if !block.get(..5)?.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    // A head without its empty line is all there is: a redirect with no body.
    let len = block_len(block).unwrap_or(block.len());
    let head = &block[..len];
    let line_end = memchr::memchr(b'\n', head).map_or(len, |newline| newline + 1);
    let line = String::from_utf8_lossy(&head[..line_end]);
    let mut parts = line.trim_end().splitn(3, ' ').skip(1);
    let status = parts.next().and_then(|status| status.trim().parse().ok()).unwrap_or(0);
    let reason = parts.next().unwrap_or_default().trim().to_owned();
    Some((HttpHead { status, reason, headers: fields(&head[line_end..]) }, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_blocks_end_at_an_empty_line() {
        for (bytes, expected) in [
            (&b"a: 1\r\nb: 2\r\n\r\nrest"[..], Some(14)),
            (b"a: 1\n\nrest", Some(6)),
            (b"a: 1\r\n", None),
            (b"", None),
        ] {
            assert_eq!(block_len(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn fields_are_read_leniently() {
        let found = fields(b"A: 1\r\nno colon\r\nb :2 \r\n folded\r\nA:3\r\n\xff: \xfe\r\n\r\n");
        let expected = [("A", "1"), ("b", "2 folded"), ("A", "3"), ("\u{fffd}", "\u{fffd}")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn arc_lines() {
        let parse = |line: &'static str| ArcLine::parse(line.as_bytes());
        let line = parse("http://e.com/a b 1.2.3.4 20140216050221 text/html 15").unwrap();
        assert_eq!((line.url.as_str(), line.len), ("http://e.com/a b", Some(15)));
        assert_eq!(iso_date(line.date).as_deref(), Some("2014-02-16T05:02:21Z"));
        let line = parse("http://e.com/ 1.2.3.4 201404010000000000 text/html -1").unwrap();
        assert_eq!((iso_date(line.date), line.len), (None, None));
        let line = parse("http://e.com/ 1.2.3.4 20140216050221 text/html 200 abc - 0 x.arc 15").unwrap();
        assert_eq!(line.len, Some(15));
        assert_eq!(parse("URL IP-address Archive-date Content-type Archive-length"), None);
        assert_eq!(parse("some words: 1.2 that are no record"), None);
    }

    #[test]
    fn http_heads() {
        let (head, len) = http(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nx").unwrap();
        assert_eq!((head.status, head.reason.as_str(), len), (404, "Not Found", 32));
        let (head, len) = http(b"HTTP/1.0 301").unwrap();
        assert_eq!((head.status, head.reason.as_str(), len), (301, "", 12));
        assert_eq!(http(b"<html>"), None);
    }
}
