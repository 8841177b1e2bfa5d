//! What a body is: HTML, plain text, or nothing that has text, by its content type and its first bytes.
//!
//! A type that says HTML or plain text is believed unless the bytes begin like another kind of file, or are full of what no
//! text has; a type that says nothing is made up for by the bytes, as browsers do (MIME Sniffing Standard, sections 6 and
//! 7). Any other type is taken at its word.

use crate::charset::unmarked_utf_16;

/// A body with text in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// HTML or XHTML.
    Html,
    /// Text that stays as it is.
    Plain,
}

/// Why a body has no text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoText {
    #[error("its content type is neither HTML nor plain text")]
    ContentType,
    #[error("its first bytes are those of something else")]
    NotText,
}

impl NoText {
    /// A short, stable name for counting.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ContentType => "content type",
            Self::NotText => "not text",
        }
    }
}

/// How far the standard looks.
const LOOKED_AT_BYTES: usize = 1445;

/// How files begin that are no text.
const MAGICS: [&[u8]; 26] = [
    b"%PDF-",
    b"%!PS-Adobe-",
    b"GIF87a",
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"\0\0\x01\0",
    b"II*\0",
    b"MM\0*",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"ID3\x02",
    b"ID3\x03",
    b"ID3\x04",
    b"OggS\0",
    b"fLaC\0",
    b"\x1aE\xdf\xa3",
    b"wOFF\0",
    b"wOF2\0",
    b"\0asm",
    b"\x7fELF",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
];

/// How HTML begins, behind white space; what comes next is a blank or `>`.
const HTML_STARTS: [&[u8]; 17] = [
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
    b"<meta",
];

/// What the body is by `content_type`, a header as it came, and its bytes.
pub fn of(content_type: Option<&str>, body: &[u8]) -> Result<Media, NoText> {
    // Browsers, too, read a type up to the first blank: servers write `text/html charset=utf-8`.
    let ends = |char: char| matches!(char, ';' | ',') || char.is_ascii_whitespace();
    let essence = content_type.unwrap_or_default().trim().split(ends).next().unwrap_or_default();
    let declared = match essence.to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" | "application/vnd.wap.xhtml+xml" => Some(Media::Html),
        "text/plain" => Some(Media::Plain),
        // What servers send for a file they do not know. Only what cannot be anything else is taken for a page.
        "application/octet-stream" | "binary/octet-stream" => {
            return if begins_as_html(body) { Ok(Media::Html) } else { Err(NoText::ContentType) };
        }
        "unknown/unknown" | "application/unknown" | "*/*" => None,
        other if !other.contains('/') => None,
        _ => return Err(NoText::ContentType),
    };
    if MAGICS.iter().any(|magic| body.starts_with(magic)) || is_binary(body) {
        return Err(NoText::NotText);
    }
    match declared {
        Some(media) => Ok(media),
        None => sniffed(body),
    }
}

/// What a body is whose type nobody says.
fn sniffed(body: &[u8]) -> Result<Media, NoText> {
    let first = body.get(..LOOKED_AT_BYTES).unwrap_or(body);
    if is_utf_16(first) {
        return Ok(Media::Html);
    }
    if first.iter().copied().any(is_binary_byte) {
        return Err(NoText::NotText);
    }
    let has_markup = first.windows(2).any(|pair| {
        pair[0] == b'<' && (pair[1].is_ascii_alphabetic() || matches!(pair[1], b'!' | b'?' | b'/'))
    });
    Ok(if has_markup { Media::Html } else { Media::Plain })
}

/// Bytes that no text has (MIME Sniffing Standard, section 3).
fn is_binary_byte(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

/// Whether a body is full of such bytes, whatever its type says: a tenth of compressed data is, and pages have one by
/// accident.
fn is_binary(body: &[u8]) -> bool {
    const SHORTEST: usize = 64;
    let first = body.get(..LOOKED_AT_BYTES).unwrap_or(body);
    let found = first.iter().filter(|byte| is_binary_byte(**byte)).count();
    first.len() >= SHORTEST && 20 * found > first.len() && !is_utf_16(first)
}

/// UTF-16 has NULs, and a byte order mark or their places say so.
fn is_utf_16(first: &[u8]) -> bool {
    first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) || unmarked_utf_16(first).is_some()
}

fn begins_as_html(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    body.starts_with(b"<!--")
        || HTML_STARTS.iter().any(|start| {
            body.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
                && matches!(body.get(start.len()), Some(b' ' | b'>' | b'\n' | b'\r' | b'\t'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_bytes_are_no_text_whatever_their_type() {
        let packed: Vec<u8> = (0..2000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let film = [b"\0\0\0\x18ftypmp42", &packed[..]].concat();
        for content_type in [None, Some("text/html"), Some("text/plain; charset=utf-8")] {
            assert_eq!(of(content_type, &film), Err(NoText::NotText), "{content_type:?}");
        }
        let text = "<p>Ein Müller, der mahlt. Ещё мельница.</p>".repeat(40);
        let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        // A page with a NUL here and there, which browsers pass over.
        let damaged = text.replace("mahlt", "\0\0mahlt");
        for body in [text.as_bytes(), &utf_16, damaged.as_bytes()] {
            assert_eq!(of(Some("text/html"), body), Ok(Media::Html));
        }
        assert_eq!(of(None, &utf_16), Ok(Media::Html));
    }

    #[test]
    fn types_and_first_bytes() {
        let (html, plain) = (Ok(Media::Html), Ok(Media::Plain));
        let (other, not_text) = (Err(NoText::ContentType), Err(NoText::NotText));
        for (content_type, body, expected) in [
            // The type says it.
            (Some("text/html"), &b"x"[..], html),
            (Some(" Text/HTML ; charset=x"), b"", html),
            (Some("text/html, text/html"), b"x", html),
            (Some("text/html charset=utf-8"), b"x", html),
            (Some("application/xhtml+xml"), b"x", html),
            (Some("text/plain;charset=utf-8"), b"<html>", plain),
            (Some("image/png"), b"<html>", other),
            (Some("application/pdf"), b"%PDF-1.4", other),
            (Some("text/xml"), b"<a>", other),
            (Some("application/json"), b"{}", other),
            (Some("text/"), b"<p>x", other),
            // It is wrong.
            (Some("text/html"), b"%PDF-1.4 x", not_text),
            (Some("text/html; charset=utf-8"), b"\x89PNG\r\n\x1a\n", not_text),
            (Some("text/plain"), b"PK\x03\x04x", not_text),
            (Some("text/html"), b"PK is no archive", html),
            (Some("text/html"), b"<p>\0", html),
            (Some("application/octet-stream"), b"\n <!DOCTYPE HTML PUBLIC", html),
            (Some("application/octet-stream"), b"\xef\xbb\xbf<html>", html),
            (Some("application/octet-stream"), b"some text", other),
            (Some("application/octet-stream"), b"<articles>", other),
            // There is none, or one that means nothing.
            (None, b"<p>a", html),
            (None, b"text, <b>bold</b>", html),
            (None, b"text, 1 < 2", plain),
            (None, b"", plain),
            (None, b"a\0b", not_text),
            (None, b"%PDF-1.4 x", not_text),
            (None, b"\xff\xfea\0", html),
            (Some(""), b"<p>a", html),
            (Some("; charset=utf-8"), b"<p>a", html),
            (Some("html"), b"<p>a", html),
            (Some("*/*"), b"\x01", not_text),
        ] {
            assert_eq!(of(content_type, body), expected, "{content_type:?}, {}", body.escape_ascii());
        }
    }
}
