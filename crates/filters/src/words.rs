//! Words by Unicode's rules (UAX #29), as Python's `uniseg` finds them.
//!
//! Rules: <https://www.unicode.org/reports/tr29/tr29-45.html>, Word_Break of Unicode 16.0 (uniseg 0.10.1). Only words whose first
//! character `isalnum()` are given: that is what DCLM calls `ignore_punctuation`. Tests compare with the `unicode-segmentation`
//! crate; the two part only where Unicode 17.0 assigned characters.

use crate::python::{ALNUM, EXTENDED_PICTOGRAPHIC, Properties, WORD_BREAK_MASK, properties};

// Values of Word_Break, in the order of `uniseg.wordbreak.WordBreak`.
const CR: u16 = 1;
const LF: u16 = 2;
const NEWLINE: u16 = 3;
const EXTEND: u16 = 4;
const ZWJ: u16 = 5;
const REGIONAL_INDICATOR: u16 = 6;
const FORMAT: u16 = 7;
const KATAKANA: u16 = 8;
const HEBREW_LETTER: u16 = 9;
const ALETTER: u16 = 10;
const SINGLE_QUOTE: u16 = 11;
const DOUBLE_QUOTE: u16 = 12;
const MID_NUM_LET: u16 = 13;
const MID_LETTER: u16 = 14;
const MID_NUM: u16 = 15;
const NUMERIC: u16 = 16;
const EXTEND_NUM_LET: u16 = 17;
const WSEG_SPACE: u16 = 18;

/// Calls `found` with each word that starts with a letter or digit, and its length in code points, in order.
pub fn for_each<'t>(text: &'t str, mut found: impl FnMut(&'t str, usize)) {
    let table = properties();
    let ascii = table.ascii();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let flags = if byte < 0x80 { ascii[usize::from(byte)] } else { 0 };
        if flags & ALNUM != 0 {
            let (end, chars) = end_of_word(text, at, table);
            found(text.get(at..end).unwrap_or_default(), chars);
            at = end;
        } else if byte < 0x80 && byte != b'_' && bytes.get(at + 1).is_none_or(|next| *next < 0x80) {
            // Nothing in ASCII joins what it follows unless that is a letter, a digit or `_`; blanks and line ends join only
            // each other.
            at += 1;
        } else {
            let first = text.get(at..).and_then(|t| t.chars().next()).unwrap_or('\0');
            let (end, chars) = end_of_word(text, at, table);
            if table.of(first) & ALNUM != 0 {
                found(text.get(at..end).unwrap_or_default(), chars);
            }
            at = end;
        }
    }
}

/// All tokens, those of punctuation and white space as well.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let table = properties();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        at = end_of_word(text, start, table).0;
        (at > start).then(|| text.get(start..at).unwrap_or_default())
    })
}

/// Where the word that starts at `start` ends, and how many code points it has. Always goes on by one character at least.
#[inline]
fn end_of_word(text: &str, start: usize, table: &Properties) -> (usize, usize) {
    let bytes = text.as_bytes();
    let ascii = table.ascii();
    // Runs of ASCII letters, digits and `_` are what most words are.
    let mut at = start;
    while let Some(&byte) = bytes.get(at)
        && (byte.is_ascii_alphanumeric() || byte == b'_')
    {
        at += 1;
    }
    let class_at =
        |at: usize| bytes.get(at).map(|byte| if *byte < 0x80 { ascii[usize::from(*byte)] } else { u16::MAX });
    if at > start {
        match class_at(at) {
            None => return (at, at - start),
            Some(u16::MAX) => {}
            Some(flags) => match flags & WORD_BREAK_MASK {
                MID_LETTER | MID_NUM | MID_NUM_LET | SINGLE_QUOTE => {}
                _ => return (at, at - start),
            },
        }
    }
    Walk::new(text, start, table).end()
}

/// The rules in full, one character after another.
struct Walk<'t> {
    text: &'t str,
    table: &'t Properties,
    at: usize,
    chars: usize,
    /// Classes of the last character and the one before, not counting Extend, Format and ZWJ (rule WB4).
    before_last: u16,
    last: u16,
    /// The class of the last character, counting all.
    raw: u16,
}

impl<'t> Walk<'t> {
    fn new(text: &'t str, start: usize, table: &'t Properties) -> Self {
        let mut walk = Self { text, table, at: start, chars: 0, before_last: 0, last: 0, raw: 0 };
        if let Some((char, flags)) = walk.peek() {
            walk.take(char, flags & WORD_BREAK_MASK);
        }
        walk
    }

    fn end(mut self) -> (usize, usize) {
        while let Some((char, flags)) = self.peek() {
            let class = flags & WORD_BREAK_MASK;
            if !self.joins(char, class, flags) {
                break;
            }
            self.take(char, class);
        }
        (self.at, self.chars)
    }

    fn peek(&self) -> Option<(char, u16)> {
        let char = self.text.get(self.at..)?.chars().next()?;
        Some((char, self.table.of(char)))
    }

    fn take(&mut self, char: char, class: u16) {
        self.at += char.len_utf8();
        self.chars += 1;
        // An ignorable at the very start stands for itself, but joins nothing.
        if !is_ignorable(class) || self.chars == 1 {
            self.before_last = self.last;
            self.last = class;
        }
        self.raw = class;
    }

    fn joins(&self, char: char, class: u16, flags: u16) -> bool {
        if is_newline(self.raw) || is_newline(class) {
            return self.raw == CR && class == LF; // WB3, WB3a, WB3b
        }
        if self.raw == ZWJ && flags & EXTENDED_PICTOGRAPHIC != 0 {
            return true; // WB3c
        }
        if (self.raw == WSEG_SPACE && class == WSEG_SPACE) || is_ignorable(class) {
            return true; // WB3d, WB4
        }
        let (last, before) = (self.last, self.before_last);
        match class {
            ALETTER | HEBREW_LETTER => {
                matches!(last, ALETTER | HEBREW_LETTER | NUMERIC | EXTEND_NUM_LET) // WB5, WB10, WB13b
                    || (is_letter(before) && is_mid_letter(last)) // WB7
                    || (class == HEBREW_LETTER && before == HEBREW_LETTER && last == DOUBLE_QUOTE) // WB7c
            }
            NUMERIC => {
                matches!(last, NUMERIC | ALETTER | HEBREW_LETTER | EXTEND_NUM_LET) // WB8, WB9, WB13b
                    || (before == NUMERIC && is_mid_number(last)) // WB11
            }
            KATAKANA => matches!(last, KATAKANA | EXTEND_NUM_LET), // WB13, WB13b
            EXTEND_NUM_LET => {
                matches!(last, ALETTER | HEBREW_LETTER | NUMERIC | KATAKANA | EXTEND_NUM_LET) // WB13a
            }
            DOUBLE_QUOTE => last == HEBREW_LETTER && self.class_after(char) == HEBREW_LETTER, // WB7b
            REGIONAL_INDICATOR => last == REGIONAL_INDICATOR && before != REGIONAL_INDICATOR, // WB15, WB16
            SINGLE_QUOTE if last == HEBREW_LETTER => true,                                    // WB7a
            _ if is_letter(last) && is_mid_letter(class) => is_letter(self.class_after(char)), // WB6
            _ if last == NUMERIC && is_mid_number(class) => self.class_after(char) == NUMERIC, // WB12
            _ => false,                                                                       // WB999
        }
    }

    /// The class of the next character that counts, behind `char`.
    fn class_after(&self, char: char) -> u16 {
        let rest = self.text.get(self.at + char.len_utf8()..).unwrap_or_default();
        rest.chars()
            .map(|next| self.table.of(next) & WORD_BREAK_MASK)
            .find(|class| !is_ignorable(*class))
            .unwrap_or(0)
    }
}

fn is_newline(class: u16) -> bool {
    matches!(class, CR | LF | NEWLINE)
}

fn is_ignorable(class: u16) -> bool {
    matches!(class, EXTEND | FORMAT | ZWJ)
}

fn is_letter(class: u16) -> bool {
    matches!(class, ALETTER | HEBREW_LETTER)
}

fn is_mid_letter(class: u16) -> bool {
    matches!(class, MID_LETTER | MID_NUM_LET | SINGLE_QUOTE)
}

fn is_mid_number(class: u16) -> bool {
    matches!(class, MID_NUM | MID_NUM_LET | SINGLE_QUOTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python;
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    fn words(text: &str) -> Vec<&str> {
        let mut all = Vec::new();
        for_each(text, |word, chars| {
            assert_eq!(chars, word.chars().count(), "{word:?}");
            all.push(word);
        });
        all
    }

    #[test]
    fn words_are_those_of_uniseg() {
        for (text, expected) in [
            (
                "The quick (“brown”) fox can’t jump 32.3 feet, right?",
                "The|quick|brown|fox|can’t|jump|32.3|feet|right",
            ),
            ("a.b a..b a. 1,000.5 1,a a:b x_y _z 3G", "a.b|a|b|a|1,000.5|1|a|a:b|x_y|3G"),
            ("e\u{301}a a\u{200d}😀b a\u{ad}.b", "e\u{301}a|a\u{200d}😀|b|a\u{ad}.b"),
            ("א\"ב א' א\"", "א\"ב|א'|א"),
            ("アイア 日本 a日", "アイア|日|本|a|日"),
            ("²½ ٣٤ 🇩🇪", "²|½|٣٤"),
            ("1'\u{200d}🌀 a'\u{200d}🌀 \u{16ac0}'\u{200d}🌀1", "1|a|\u{16ac0}|1"),
            ("\n\u{301}a\r\n", "a"),
        ] {
            assert_eq!(words(text).join("|"), expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
        #[test]
        fn words_are_those_of_unicode(text in r#"([a-c0-9_ .,:;'"\n\r\u{301}\u{200d}\u{ad}אבア日ก²'’😀🇩]|\PC){0,24}"#) {
            // unicode-segmentation knows Unicode 17.0: leave out what may be assigned since 16.0.
            let known = |c: char| c.is_ascii() || properties().of(c) != 0;
            // Nor does it take a ZWJ before a pictograph as uniseg does: behind `1'` it joins them all, and Unicode 17.0 has
            // fewer pictographs. The table above has that rule.
            let chars: Vec<char> = text.chars().filter(|c| known(*c)).collect();
            let pictograph = |at: usize| {
                chars.get(at).is_some_and(|c| properties().of(*c) & EXTENDED_PICTOGRAPHIC != 0)
            };
            let text: String = chars
                .iter()
                .enumerate()
                .filter(|(at, c)| **c != '\u{200d}' || !pictograph(at + 1))
                .map(|(_, c)| *c)
                .collect();
            let expected: Vec<&str> = text
                .split_word_bounds()
                .filter(|word| word.chars().next().is_some_and(python::is_alnum))
                .collect();
            prop_assert_eq!(words(&text), expected);
            prop_assert_eq!(tokens(&text).collect::<Vec<_>>(), text.split_word_bounds().collect::<Vec<_>>());
        }
    }
}
