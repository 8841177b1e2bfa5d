//! Characters that stand for others: C1 controls, ligatures, wide and narrow forms, curly quotes, line ends; and what nobody sees.

use super::{Options, codepages};
use crate::python::is_decimal;
use unicode_normalization::UnicodeNormalization;

/// Puts the plain characters in the place of all others that the options name; none if there are none.
///
/// One pass stands for five of ftfy's, whose order it keeps: what one of them puts in is seen by those behind it.
pub(super) fn replace(text: &str, options: &Options) -> Option<String> {
    let (start, _) = text.char_indices().find(|(_, char)| is_replaced(*char, options))?;
    let mut out = String::with_capacity(text.len());
    out.push_str(text.get(..start)?);
    let mut after_return = false;
    for char in text.get(start..)?.chars() {
        // Of `\r\n` only one is left.
        if !(after_return && char == '\n') {
            push(char, options, &mut out);
        }
        after_return = char == '\r' && options.fix_line_breaks;
    }
    Some(out)
}

/// Whether [`push`] makes something else of a character.
fn is_replaced(char: char, options: &Options) -> bool {
    match char {
        '\r' | '\u{2028}' | '\u{2029}' => options.fix_line_breaks,
        '\0'..='\x7f' => false,
        '\u{85}' => options.fix_c1_controls || options.fix_line_breaks,
        '\u{80}'..='\u{9f}' => options.fix_c1_controls,
        _ => {
            (options.uncurl_quotes && straight(char).is_some())
                || (options.fix_latin_ligatures && letters(char).is_some())
                || (options.fix_character_width && has_width(char))
        }
    }
}

fn push(char: char, options: &Options, out: &mut String) {
    let char = match char {
        '\u{80}'..='\u{9f}' if options.fix_c1_controls => codepages::WINDOWS_1252.char(char as u8),
        char => char,
    };
    match letters(char) {
        Some(letters) if options.fix_latin_ligatures => {
            letters.chars().for_each(|letter| push_single(letter, options, out));
        }
        _ if options.fix_character_width && char == '\u{3000}' => out.push(' '),
        _ if options.fix_character_width && has_width(char) => {
            std::iter::once(char).nfkc().for_each(|plain| push_single(plain, options, out));
        }
        _ => push_single(char, options, out),
    }
}

fn push_single(char: char, options: &Options, out: &mut String) {
    out.push(match char {
        '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' if options.fix_line_breaks => '\n',
        char if options.uncurl_quotes => straight(char).unwrap_or(char),
        char => char,
    });
}

/// The letters of a ligature, or of a pair that is one character for the sake of an old encoding.
fn letters(char: char) -> Option<&'static str> {
    Some(match char {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// Whether a character is the wide or narrow form of others: the ideographic space, and a block of Unicode.
fn has_width(char: char) -> bool {
    matches!(char, '\u{3000}' | '\u{ff01}'..='\u{ffef}')
}

/// The straight form of a curly quote.
fn straight(char: char) -> Option<char> {
    match char {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => Some('\''),
        '\u{201c}'..='\u{201f}' => Some('"'),
        _ => None,
    }
}

/// Takes out what colours text in a terminal: ESC, `[`, numbers, a letter.
pub(super) fn without_terminal_escapes(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for start in memchr::memchr_iter(0x1b, text.as_bytes()) {
        let Some(rest) = text.get(start + 1..).and_then(|rest| rest.strip_prefix('[')) else { continue };
        let rest = rest.trim_start_matches(|char| char == ';' || is_decimal(char));
        if let Some(rest) = rest.strip_prefix(|char: char| char.is_ascii_alphabetic()) {
            out.push_str(text.get(copied..start).unwrap_or_default());
            copied = text.len() - rest.len();
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// Takes out control characters that show nothing; those that shape their neighbours stay, and so do the C1 controls.
pub(super) fn without_controls(text: &str) -> Option<String> {
    text.contains(is_control).then(|| text.chars().filter(|char| !is_control(*char)).collect())
}

fn is_control(char: char) -> bool {
    matches!(char,
        '\0'..='\x08' | '\x0b' | '\x0e'..='\x1f' | '\x7f' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_replaced() {
        let options = Options::default();
        for (text, expected) in [
            ("\u{93}a\u{94}\u{85}\u{81}", Some("\"a\"…\u{81}")),
            ("ŉ ʼn", Some("'n 'n")),
            ("ﾀﾞ￣Ａ　！", Some("タ\u{3099} \u{304}A !")),
            ("a\r\r\n\n\u{2029}", Some("a\n\n\n\n")),
            ("ok\tÆœ", None),
        ] {
            assert_eq!(replace(text, &options).as_deref(), expected, "{text:?}");
        }
        let lines = Options { fix_c1_controls: false, ..Options::default() };
        assert_eq!(replace("a\u{85}\u{93}", &lines).as_deref(), Some("a\n\u{93}"));
        let none = Options {
            fix_c1_controls: false,
            fix_latin_ligatures: false,
            fix_character_width: false,
            uncurl_quotes: false,
            fix_line_breaks: false,
            ..Options::default()
        };
        assert_eq!(replace("\u{93}ŉＡ’\r\n\u{85}", &none), None);
    }

    #[test]
    fn controls_go() {
        for (text, expected) in [
            ("\u{1b}[1;31mred\u{1b}[0m", Some("red")),
            ("\u{1b}[١mx", Some("x")),
            ("\u{1b}[1 \u{1b}x \u{1b}", None),
            ("\u{1b}[\u{1b}[m", Some("\u{1b}[")),
        ] {
            assert_eq!(without_terminal_escapes(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(
            without_controls("a\0\t\u{b}\u{c}\u{feff}\u{200d}\u{85}").as_deref(),
            Some("a\t\u{c}\u{200d}\u{85}")
        );
        assert_eq!(without_controls("a\n"), None);
    }
}
