//! UAX #29 word bounds, with a short way for ASCII.

use unicode_segmentation::UnicodeSegmentation;

/// Calls `take` with every piece between word bounds that is not all white space: words, numbers, and each mark of
/// punctuation by itself.
pub fn each_token<'a>(text: &'a str, mut take: impl FnMut(&'a str)) {
    // There is always a bound at a line feed, so that only the lines that need it go the long way.
    for line in text.split('\n') {
        if line.is_ascii() {
            each_ascii_piece(line, |piece| {
                if !matches!(piece.as_bytes().first(), Some(b' ' | b'\t'..=b'\r')) {
                    take(piece);
                }
            });
        } else {
            for piece in line.split_word_bounds() {
                if !piece.chars().all(char::is_whitespace) {
                    take(piece);
                }
            }
        }
    }
}

/// The Word_Break properties that ASCII characters have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Blank,
    Letter,
    Digit,
    Underscore,
    /// `:`, which joins letters.
    MidLetter,
    /// `,` and `;`, which join digits.
    MidNumber,
    /// `.` and `'`, which join either.
    MidBoth,
}

const CLASSES: [Class; 128] = {
    let mut classes = [Class::Other; 128];
    let mut at = 0;
    while at < 128 {
        classes[at] = match at as u8 {
            b' ' => Class::Blank,
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'_' => Class::Underscore,
            b':' => Class::MidLetter,
            b',' | b';' => Class::MidNumber,
            b'.' | b'\'' => Class::MidBoth,
            _ => Class::Other,
        };
        at += 1;
    }
    classes
};

/// `split_word_bounds` for ASCII text.
fn each_ascii_piece<'a>(text: &'a str, mut take: impl FnMut(&'a str)) {
    let bytes = text.as_bytes();
    let class = |at: usize| bytes.get(at).and_then(|&b| CLASSES.get(b as usize)).copied();
    let mut start = 0;
    while let Some(first) = class(start) {
        let mut end = start + 1;
        match first {
            // WB3: CR LF stay together. WB3a, WB3b and WB999 break around everything else.
            Class::Other => {
                if bytes.get(start) == Some(&b'\r') && bytes.get(end) == Some(&b'\n') {
                    end += 1;
                }
            }
            Class::MidLetter | Class::MidNumber | Class::MidBoth => {}
            // WB3d.
            Class::Blank => {
                while class(end) == Some(Class::Blank) {
                    end += 1;
                }
            }
            // WB5 to WB13b.
            Class::Letter | Class::Digit | Class::Underscore => {
                let mut last = first;
                while let Some(next) = class(end) {
                    let joined = match (last, next) {
                        (_, Class::Letter | Class::Digit | Class::Underscore) => 1,
                        (Class::Letter, Class::MidLetter | Class::MidBoth)
                            if class(end + 1) == Some(Class::Letter) =>
                        {
                            2
                        }
                        (Class::Digit, Class::MidNumber | Class::MidBoth)
                            if class(end + 1) == Some(Class::Digit) =>
                        {
                            2
                        }
                        _ => break,
                    };
                    end += joined;
                    last = class(end - 1).unwrap_or(next);
                }
            }
        }
        take(text.get(start..end).unwrap_or(""));
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_words_and_marks() {
        for (text, expected) in [
            ("", &[][..]),
            (" \t\r\n", &[]),
            ("\nHello,  world!", &["Hello", ",", "world", "!"]),
            ("can't 3.14 a.b 1,000;5 x:y 1:2", &["can't", "3.14", "a.b", "1,000;5", "x:y", "1", ":", "2"]),
            ("snake_case_1 'tis...", &["snake_case_1", "'", "tis", ".", ".", "."]),
            ("naïve\u{a0}“été”", &["naïve", "“", "été", "”"]),
        ] {
            let mut got = Vec::new();
            each_token(text, |token| got.push(token.to_owned()));
            assert_eq!(got, expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_ascii_way_is_the_general_way(text in "[ -~\t\r\n\u{b}\u{c}\u{1c}]{0,24}|[ab1_:,;.'\r\n ]{0,16}") {
            let mut got = Vec::new();
            each_ascii_piece(&text, |piece| got.push(piece));
            let expected: Vec<&str> = text.split_word_bounds().collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn lines_may_be_cut_by_themselves(text in "[ab1'., \r\n\u{300}é\u{200d}\u{a0}\u{2028}\u{1F1E6}]{0,20}|\\PC{0,20}") {
            let mut got = Vec::new();
            each_token(&text, |piece| got.push(piece));
            let all = text.split_word_bounds();
            let expected: Vec<&str> = all.filter(|piece| !piece.chars().all(char::is_whitespace)).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
