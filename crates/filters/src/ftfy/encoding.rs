//! Undoes a wrong decoding: the text's bytes in the encoding it was read as, read as UTF-8.

use super::{Budget, Options, badness, clues, codepages};
use regex::Regex;
use regex::bytes::Regex as BytesRegex;

/// Finds mojibake and undoes it.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    bad: Regex,
    /// UTF-8 of which a byte A0 became a blank, where that makes a likely character.
    blanked: BytesRegex,
    /// UTF-8 (and CESU-8) of which bytes were lost: each is 1A, or once a question mark.
    lossy: BytesRegex,
}

impl Detector {
    pub(super) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            bad: badness::pattern()?,
            blanked: bytes_regex(&[
                r"[\xC2\xC3\xC5\xCE\xD0\xD9]\x20",
                r"[\xE2\xE3]\x20[\x80-\x84\x86-\x9F\xA1-\xBF]",
                r"[\xE0-\xE3][\x80-\x84\x86-\x9F\xA1-\xBF]\x20",
                r"\xF0\x20[\x80-\xBF]{2}",
                r"\xF0[\x80-\xBF]\x20[\x80-\xBF]",
                r"\xF0[\x80-\xBF]{2}\x20",
            ])?,
            lossy: bytes_regex(&[
                r"[\xC2-\xDF]\x1A",
                r"[\xC2\xC3]\?",
                r"\xED[\xA0-\xAF][\x1A?]\xED[\xB0-\xBF][\x1A?\x80-\xBF]",
                r"\xED[\xA0-\xAF][\x1A?\x80-\xBF]\xED[\xB0-\xBF][\x1A?]",
                r"[\xE0-\xEF][\x1A?][\x1A\x80-\xBF]",
                r"[\xE0-\xEF][\x1A\x80-\xBF][\x1A?]",
                r"[\xF0-\xF4][\x1A?][\x1A\x80-\xBF]{2}",
                r"[\xF0-\xF4][\x1A\x80-\xBF][\x1A?][\x1A\x80-\xBF]",
                r"[\xF0-\xF4][\x1A\x80-\xBF]{2}[\x1A?]",
                r"\x1A",
            ])?,
        })
    }

    /// The text as it was meant; none if nothing about it is wrong, or nothing can be done.
    pub(super) fn fix_encoding(&self, text: &str, options: &Options, budget: &mut Budget) -> Option<String> {
        let mut fixed: Option<String> = None;
        // Text may have been broken more than once.
        loop {
            let now = fixed.as_deref().unwrap_or(text);
            if now.is_ascii() || !budget.spend(now) || !self.bad.is_match(now) {
                return fixed;
            }
            match self.undo(now, options, budget) {
                Some(new) if new != now => fixed = Some(new),
                _ => return fixed,
            }
        }
    }

    /// Undoes one wrong decoding of a text that looks like mojibake.
    fn undo(&self, text: &str, options: &Options, budget: &mut Budget) -> Option<String> {
        let mut latin_1 = None;
        for page in codepages::ALL {
            let Some(bytes) = page.encode(text) else { continue };
            if page.is(&codepages::LATIN_1) {
                latin_1 = Some(bytes.clone());
            }
            // In Mac's encoding it would take an en dash with a blank for mojibake.
            let mut bytes = if options.restore_byte_a0 && !page.is(&codepages::MACROMAN) {
                self.restore_byte_a0(bytes)
            } else {
                bytes
            };
            if options.replace_lossy_sequences && page.sloppy {
                bytes = self.lossy.replace_all(&bytes, "\u{fffd}".as_bytes()).into_owned();
            }
            if let Some(decoded) = decode(bytes) {
                return Some(decoded);
            }
        }
        if options.decode_inconsistent_utf8
            && let Some(decoded) = self.decode_inconsistent_utf8(text, budget)
        {
            return Some(decoded);
        }
        // Latin-1 with C1 controls is likelier to be Windows-1252.
        if let Some(bytes) = latin_1
            && !bytes.iter().any(|byte| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d))
        {
            let decoded: String = bytes.iter().map(|byte| codepages::WINDOWS_1252.char(*byte)).collect();
            if decoded != text {
                return Some(decoded);
            }
        }
        let is_control = |char: char| matches!(char, '\u{80}'..='\u{9f}');
        (options.fix_c1_controls && text.contains(is_control)).then(|| {
            let fix = |char: char| match char {
                '\u{80}'..='\u{9f}' => codepages::WINDOWS_1252.char(char as u8),
                char => char,
            };
            text.chars().map(fix).collect()
        })
    }

    /// Puts bytes A0 back that were taken for blanks.
    fn restore_byte_a0(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !self.blanked.is_match(&bytes) {
            return bytes;
        }
        let bytes = restore_words(&bytes);
        let restore = |found: &regex::bytes::Captures| -> Vec<u8> {
            let found = found.get(0).map_or(&[][..], |found| found.as_bytes());
            found.iter().map(|byte| if *byte == b' ' { 0xa0 } else { *byte }).collect()
        };
        self.blanked.replace_all(&bytes, restore).into_owned()
    }

    /// Decodes the runs that look like mojibake on their own, in a text that as a whole is none.
    fn decode_inconsistent_utf8(&self, text: &str, budget: &mut Budget) -> Option<String> {
        let mut out = String::new();
        let mut copied = 0;
        for (start, end) in clues::runs(text) {
            let run = text.get(start..end).unwrap_or_default();
            if run.len() < text.len()
                && let Some(fixed) = self.fix_encoding(run, &Options::default(), budget)
            {
                out.push_str(text.get(copied..start).unwrap_or_default());
                out.push_str(&fixed);
                copied = end;
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }
}

fn bytes_regex(sequences: &[&str]) -> Result<BytesRegex, regex::Error> {
    BytesRegex::new(&format!("(?-u:{})", sequences.join("|")))
}

/// `à` was its own word more often than the start of one: `Ã la` is `à la`. Not so in Portuguese: `às`, `àquele`, `àquela`, `àquilo`.
fn restore_words(bytes: &[u8]) -> Vec<u8> {
    const A_BLANK: &[u8] = b"\xc3 ";
    let parts_of_words: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];
    let mut out = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    for start in memchr::memmem::find_iter(bytes, A_BLANK) {
        let end = start + A_BLANK.len();
        let rest = bytes.get(end..).unwrap_or_default();
        if !parts_of_words.iter().any(|part| rest.starts_with(part)) {
            out.extend_from_slice(bytes.get(copied..start).unwrap_or_default());
            out.extend_from_slice(b"\xc3\xa0 ");
            copied = end;
        }
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    out
}

/// UTF-8, or what others take for it: CESU-8, where a character beyond the first plane is two surrogates, and Java's, where U+0000 is C0 80.
fn decode(bytes: Vec<u8>) -> Option<String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Some(text),
        Err(error) => error.into_bytes(),
    };
    // Both others have one of these bytes.
    memchr::memchr2(0xc0, 0xed, &bytes)?;
    let mut out = String::with_capacity(bytes.len());
    let mut rest = &bytes[..];
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                return Some(out);
            }
            Err(error) => error,
        };
        let (sound, odd) = rest.split_at_checked(error.valid_up_to())?;
        out.push_str(std::str::from_utf8(sound).ok()?);
        rest = match odd {
            [0xc0, 0x80, rest @ ..] => {
                out.push('\0');
                rest
            }
            [0xed, a @ 0xa0..=0xaf, b @ 0x80..=0xbf, 0xed, c @ 0xb0..=0xbf, d @ 0x80..=0xbf, rest @ ..] => {
                let bits = |byte: &u8, mask: u8, shift: u32| u32::from(byte & mask) << shift;
                let number = bits(a, 0x0f, 16) | bits(b, 0x3f, 10) | bits(c, 0x0f, 6) | bits(d, 0x3f, 0);
                out.push(char::from_u32(0x1_0000 + number)?);
                rest
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_utf8_are_read() {
        for (bytes, expected) in [
            (&b"a\xc0\x80\xc3\xa9"[..], Some("a\0é")),
            (b"\xed\xa0\xbd\xed\xb8\x8d \xed\x95\x9c", Some("😍 한")),
            (b"\xed\xa0\xbd\xed\xb8", None),
            (b"\xed\xa0\xbd", None),
            (b"\xe9 a", None),
            (b"\xc0\n", None),
        ] {
            assert_eq!(decode(bytes.to_vec()).as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn blanks_become_bytes() {
        let detector = Detector::new().expect("patterns");
        for (bytes, expected) in [
            (&b"voil\xc3 le"[..], &b"voil\xc3\xa0 le"[..]),
            (b"\xc3 s vezes \xc3 quele", b"\xc3\xa0s vezes \xc3\xa0quele"),
            (b"\xc3  a", b"\xc3\xa0 a"),
            (b"\xe2 \x98\x20", b"\xe2\xa0\x98\x20"),
            (b"plain \xe9 text", b"plain \xe9 text"),
        ] {
            assert_eq!(detector.restore_byte_a0(bytes.to_vec()), expected, "{bytes:?}");
        }
    }
}
