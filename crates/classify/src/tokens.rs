//! fastText's words: what lies between its seven separators, each with its hash, and the end-of-line word at the end.
//!
//! Rules from fastText's `src/dictionary.cc` (`readWord`, `hash`, `getLine`): separators are blank, `\n`, `\r`, `\t`, `\v`, `\f` and
//! NUL; nothing else splits, no Unicode blank either. The hash is 32-bit FNV-1a with a slip that every model depends
//! on: bytes are widened as signed. A text that holds the word `</s>` ends there, since the reader takes it for the end of the
//! line; what follows is not seen. fastText's Python `predict` refuses newlines; here they separate words like blanks.

const FNV_OFFSET: u32 = 2_166_136_261;
const FNV_PRIME: u32 = 16_777_619;

/// The word that ends each line.
pub const EOS: &[u8] = b"</s>";
/// The hash of [`EOS`].
pub const EOS_HASH: u32 = hash(EOS);

/// One step of fastText's hash.
#[inline]
pub(crate) const fn step(hash: u32, byte: u8) -> u32 {
    // A byte of 128 or more sets the upper 24 bits as well: fastText casts it to a signed char first.
    (hash ^ (byte as i8 as u32)).wrapping_mul(FNV_PRIME)
}

/// The hash of nothing, from which [`step`] goes on.
pub(crate) const EMPTY_HASH: u32 = FNV_OFFSET;

/// fastText's hash of a word.
#[must_use]
pub const fn hash(bytes: &[u8]) -> u32 {
    let mut hash = EMPTY_HASH;
    let mut at = 0;
    while at < bytes.len() {
        hash = step(hash, bytes[at]);
        at += 1;
    }
    hash
}

/// A word of a text. It does not depend on a model, so that several models can share one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// The word: no separator in it, never empty.
    pub bytes: &'t [u8],
    /// [`hash`] of it.
    pub hash: u32,
}

impl Token<'_> {
    /// Whether this word ends the line.
    #[inline]
    #[must_use]
    pub fn is_eos(&self) -> bool {
        self.hash == EOS_HASH && self.bytes == EOS
    }
}

/// The words of one line of text, and [`EOS`] behind the last.
#[must_use]
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { left: text.as_bytes(), ended: false }
}

/// See [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'t> {
    left: &'t [u8],
    ended: bool,
}

const SEPARATOR: [bool; 256] = {
    let mut table = [false; 256];
    let separators = b" \n\r\t\x0b\x0c\0";
    let mut at = 0;
    while at < separators.len() {
        table[separators[at] as usize] = true;
        at += 1;
    }
    table
};

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    #[inline]
    fn next(&mut self) -> Option<Token<'t>> {
        let mut left = self.left;
        while let [first, rest @ ..] = left {
            if !SEPARATOR[*first as usize] {
                break;
            }
            left = rest;
        }
        let mut hash = EMPTY_HASH;
        let mut length = 0;
        for byte in left {
            if SEPARATOR[*byte as usize] {
                break;
            }
            hash = step(hash, *byte);
            length += 1;
        }
        let (bytes, rest) = left.split_at(length);
        self.left = rest;
        let token = if length == 0 { Token { bytes: EOS, hash: EOS_HASH } } else { Token { bytes, hash } };
        if self.ended {
            return None;
        }
        self.ended = token.is_eos();
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let got: Vec<_> = tokens(text).map(|token| str::from_utf8(token.bytes).unwrap()).collect();
        assert_eq!(got, expected, "{text:?}");
        assert!(tokens(text).all(|token| token.hash == hash(token.bytes)));
    }

    #[test]
    fn words_end_at_seven_bytes_and_the_line_at_its_end() {
        check("", &["</s>"]);
        check(" \0\t", &["</s>"]);
        check("a b", &["a", "b", "</s>"]);
        check(" a\r\n\x0b\x0c\tb\0c ", &["a", "b", "c", "</s>"]);
        check("a\u{a0}b\u{2028}c\u{1c}d", &["a\u{a0}b\u{2028}c\u{1c}d", "</s>"]);
    }

    #[test]
    fn a_literal_end_of_line_word_ends_the_text() {
        check("a </s> b", &["a", "</s>"]);
        check("a x</s> </s>b c", &["a", "x</s>", "</s>b", "c", "</s>"]);
    }

    #[test]
    fn bytes_are_hashed_as_signed_chars() {
        assert_eq!(hash(b"a"), 0xe40c_292c, "plain FNV-1a below 128");
        // 0xC3 becomes 0xFFFFFFC3 before the exclusive or.
        assert_eq!(hash(b"\xc3"), (0x811c_9dc5_u32 ^ 0xffff_ffc3).wrapping_mul(16_777_619));
    }
}
