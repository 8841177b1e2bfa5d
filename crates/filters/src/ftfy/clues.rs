//! Mojibake amid sound text: runs of characters that may each be a byte of UTF-8.
//!
//! Each class holds what such bytes are read as in some encoding of [`super::codepages`] (facts of ftfy 6.3.1, `ftfy/chardata.py`).

/// The runs of a text that may be mojibake: start and end of each, in order. One does not start behind what may itself be such a byte,
/// lest a few characters of a long garble are changed and the rest is left.
pub(super) fn runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let (mut at, mut inside) = (0, false);
    std::iter::from_fn(move || {
        while let Some(rest) = text.get(at..) {
            let first = rest.chars().next()?;
            let length = if inside { 0 } else { run(rest) };
            let start = at;
            at += if length > 0 { length } else { first.len_utf8() };
            inside = text.get(..at).and_then(|head| head.chars().next_back()).is_some_and(is_continuation);
            if length > 0 {
                return Some((start, at));
            }
        }
        None
    })
}

/// The length of the run that a text starts with.
fn run(text: &str) -> usize {
    let mut length = 0;
    while let Some(next) = text.get(length..).and_then(sequence) {
        length += next;
    }
    length
}

/// The length of what may be one character in UTF-8, if the text starts with such.
fn sequence(text: &str) -> Option<usize> {
    let first = text.chars().next().filter(|first| !first.is_ascii())?;
    let more = match first {
        _ if is_first_of_two(first) => 1,
        _ if is_first_of_three(first) => 2,
        _ if is_first_of_four(first) => 3,
        _ => return None,
    };
    let mut tail = text.chars().skip(1);
    (0..more).try_fold(first.len_utf8(), |length, _| {
        let next = tail.next().filter(|next| is_continuation(*next) || is_joining(*next))?;
        Some(length + next.len_utf8())
    })
}

/// What bytes C2 to DF are read as.
fn is_first_of_two(char: char) -> bool {
    matches!(char,
        'Â'..='ß' | 'Ā' | 'Ă' | 'Ć' | 'Č' | 'Ď' | 'Đ' | 'Ē' | 'Ė' | 'Ę' | 'Ě' | 'Ğ' | 'Ģ' | 'Ī' | 'İ' | 'Ķ' | 'Ĺ'
        | 'Ļ' | 'Ł' | 'Ń' | 'Ņ' | 'Ň' | 'Ō' | 'Ő' | 'Ř' | 'Ś' | 'Ş' | 'Š' | 'Ţ' | 'Ū' | 'Ů' | 'Ű' | 'Ų' | 'Ź' | 'Ż'
        | 'Ž' | 'Β'..='Ρ' | 'Σ'..='ί' | 'В'..='Я')
}

/// What bytes E0 to EF are read as.
fn is_first_of_three(char: char) -> bool {
    matches!(char,
        'à'..='ï' | 'ā' | 'ă' | 'ą' | 'ć' | 'č' | 'ď' | 'ē' | 'ė' | 'ę' | 'ě' | 'ģ' | 'ī' | 'į' | 'ķ' | 'ĺ' | 'ļ'
        | 'ŕ' | 'ź' | 'ΰ'..='ο' | 'а'..='п')
}

/// What bytes F0 and F3 are read as: no others begin characters of four bytes that are in use.
fn is_first_of_four(char: char) -> bool {
    matches!(char, 'ð' | 'ó' | 'đ' | 'ğ' | 'š' | 'π' | 'σ' | 'р' | 'у')
}

/// What bytes 80 to BF are read as, but for what often stands for itself.
fn is_continuation(char: char) -> bool {
    matches!(char,
        '\u{80}'..='¿' | 'Æ' | 'Ø' | 'æ' | 'ø' | 'Ą' | 'ą' | 'Ľ' | 'ľ' | 'Ł' | 'ł' | 'Œ' | 'œ' | 'Ŗ' | 'ŗ' | 'Ś' | 'ś'
        | 'Ş'..='š' | 'Ť' | 'ť' | 'Ÿ'..='ž' | 'ƒ' | 'ˆ' | 'ˇ' | '˘' | '˛'..='˝' | '΄'..='Ά' | 'Έ'..='Ί' | 'Ό' | 'Ύ'
        | 'Ώ' | 'Ё'..='Ќ' | 'Ў' | 'Џ' | 'ё'..='ќ' | 'ў' | 'џ' | 'Ґ' | 'ґ' | '†' | '‡' | '‰' | '‹' | '›' | '€' | '№'
        | '™')
}

/// The rest of those: blanks, dashes, quotes, bullets and ellipses.
fn is_joining(char: char) -> bool {
    matches!(char, ' ' | '–'..='―' | '‘'..='‚' | '“'..='„' | '•' | '…')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found() {
        for (text, expected) in [
            ("plain Ã© text â€™ð\u{9f}\u{98}\u{80}", "Ã©|â€™ð\u{9f}\u{98}\u{80}"),
            ("Ã la", "Ã "),
            ("Ã", ""),
            ("ð\u{9f}\u{98}", ""),
            // Behind what may be a byte of the same character, nothing starts.
            ("©Ã©", ""),
            ("Ã©©Ã©", "Ã©"),
            ("é à ü", ""),
        ] {
            let found: Vec<&str> = runs(text).filter_map(|(start, end)| text.get(start..end)).collect();
            assert_eq!(found.join("|"), expected, "{text:?}");
        }
    }
}
