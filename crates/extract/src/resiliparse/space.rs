//! White space as Resiliparse sees it: the six bytes of C's `isspace`, vertical tab included, and nothing of Unicode.

static IS_SPACE: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 9;
    while at <= 13 {
        table[at] = true;
        at += 1;
    }
    table[b' ' as usize] = true;
    table
};

#[inline(always)]
pub(super) fn is_space(byte: u8) -> bool {
    IS_SPACE[byte as usize]
}

fn is_space_char(char: char) -> bool {
    char.is_ascii() && is_space(char as u8)
}

/// Without white space at both ends.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space_char)
}

/// Without white space at the left end.
pub(super) fn strip_start(text: &str) -> &str {
    text.trim_start_matches(is_space_char)
}

/// Removes white space from the end, down to length `floor`.
pub(super) fn strip_end(text: &mut String, floor: usize) {
    let kept =
        text.as_bytes()[floor..].iter().rposition(|&byte| !is_space(byte)).map_or(floor, |at| floor + at + 1);
    text.truncate(kept);
}

/// Whether the text ends in white space; an empty one does not.
pub(super) fn ends_in_space(text: &str) -> bool {
    text.as_bytes().last().is_some_and(|&byte| is_space(byte))
}

/// Appends the text with each run of white space as one blank. Parts without longer runs are copied whole.
pub(super) fn push_collapsed(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        if !is_space(byte) {
            at += 1;
            continue;
        }
        let next_is_space = bytes.get(at + 1).is_some_and(|&next| is_space(next));
        if byte == b' ' && !next_is_space {
            at += 1;
            continue;
        }
        out.push_str(&text[copied..at]);
        out.push(' ');
        while bytes.get(at).is_some_and(|&byte| is_space(byte)) {
            at += 1;
        }
        copied = at;
    }
    out.push_str(&text[copied..]);
}

/// The length in bytes that the text has once its runs of white space are collapsed.
pub(super) fn collapsed_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    // Bytes that are white space after white space. Written without branches, for vector instructions.
    let dropped: usize = bytes
        .chunks(128)
        .map(|chunk| {
            let pairs = chunk.iter().zip(chunk.iter().skip(1));
            usize::from(pairs.map(|(&a, &b)| u8::from(space_arithmetic(a) & space_arithmetic(b))).sum::<u8>())
        })
        .sum();
    let at_seams =
        (128..bytes.len()).step_by(128).filter(|&at| is_space(bytes[at - 1]) && is_space(bytes[at])).count();
    bytes.len() - dropped - at_seams
}

#[inline(always)]
fn space_arithmetic(byte: u8) -> bool {
    (byte.wrapping_sub(9) < 5) | (byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapsing() {
        let long = " a  b".repeat(100);
        for text in ["", " ", "a", " \t\u{b}a\n\n b ", "a b", "a  b", "\u{a0} \u{a0}", "x\u{c}\r\ny  ", &long]
        {
            let words: Vec<&str> = text.split(is_space_char).filter(|word| !word.is_empty()).collect();
            let mut expected = words.join(" ");
            if !words.is_empty() && text.starts_with(is_space_char) {
                expected.insert(0, ' ');
            }
            if ends_in_space(text) {
                expected.push(' ');
            }
            let mut out = String::new();
            push_collapsed(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
            assert_eq!(collapsed_len(text), expected.len(), "{text:?}");
        }
    }
}
