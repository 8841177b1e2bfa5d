//! Text as a set of shingles: hashes of n consecutive words.
//!
//! The text is lower-cased (Unicode's full mapping, as Python's `str.lower`), cut into units, and every window of
//! n units is one shingle. A text of fewer than n units is one shingle of all of them; a text without units
//! has none, and is nobody's duplicate.
//!
//! A unit's hash is its seeded xxh3 (64 bits); a window's is the polynomial of its units' hashes over 2^64, which
//! rolls from one window to the next, scrambled at the end. Nothing is allocated per word.
//!
//! The word rule is the one of Python's `\w+` on the lower-cased text, which datasketch-like tools and this
//! project's golden pairs use: letters, numbers of every kind and the underscore. Marks are no part of words
//! (unlike `char::is_alphanumeric`, which takes some of them).

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::tokens::each_token;

/// What a text is cut into before n-grams are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Maximal runs of `\w`. Scripts written without blanks give a word a sentence: take `Uax29` or `Chars` there.
    #[default]
    Words,
    /// Words by UAX #29 that hold a letter or a number.
    Uax29,
    /// Code points, each run of white space as one blank.
    Chars,
}

/// Cuts texts into shingles, with buffers that are used again.
#[derive(Clone, Debug)]
pub struct Shingler {
    unit: Unit,
    seed: u64,
    window: Window,
    lower: String,
}

impl Shingler {
    /// Shingles of `ngram` units (at least 1), hashed with `seed`.
    pub fn new(unit: Unit, ngram: usize, seed: u64) -> Self {
        Self { unit, seed, window: Window::new(ngram.max(1)), lower: String::new() }
    }

    /// Writes the hashes of `text`'s shingles into `out`, in text order, repeated where the text repeats itself.
    pub fn shingles(&mut self, text: &str, out: &mut Vec<u64>) {
        out.clear();
        lowercase_into(text, &mut self.lower);
        self.window.reset();
        let (window, seed) = (&mut self.window, self.seed);
        match self.unit {
            Unit::Words => each_word(&self.lower, |word| window.push(hash_word(word, seed), out)),
            Unit::Uax29 => {
                each_token(&self.lower, |token| {
                    if token.chars().any(char::is_alphanumeric) {
                        window.push(hash_word(token.as_bytes(), seed), out);
                    }
                });
            }
            Unit::Chars => {
                let mut blank = false;
                for unit in self.lower.chars() {
                    let unit = if unit.is_whitespace() { ' ' } else { unit };
                    if unit != ' ' || !blank {
                        window.push(scramble(seed ^ u64::from(unit)), out);
                    }
                    blank = unit == ' ';
                }
            }
        }
        window.finish(out);
    }

    /// The set of `text`'s shingles: sorted, each once.
    pub fn set(&mut self, text: &str, out: &mut Vec<u64>) {
        self.shingles(text, out);
        out.sort_unstable();
        out.dedup();
    }
}

/// The Jaccard similarity of two sorted sets; 0 if both are empty.
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let shared = intersection(a, b);
    let union = a.len() + b.len() - shared;
    if union == 0 { 0.0 } else { shared as f64 / union as f64 }
}

/// The share of the smaller set that is in the larger one; 0 if it is empty.
pub fn containment(a: &[u64], b: &[u64]) -> f64 {
    let smaller = a.len().min(b.len());
    if smaller == 0 { 0.0 } else { intersection(a, b) as f64 / smaller as f64 }
}

/// How many values two sorted sets share.
fn intersection(mut a: &[u64], mut b: &[u64]) -> usize {
    let mut shared = 0;
    while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b) {
        // Branch-free: which side moves is a coin toss for similar sets.
        shared += usize::from(x == y);
        if x <= y {
            a = rest_a;
        }
        if y <= x {
            b = rest_b;
        }
    }
    shared
}

#[inline]
fn hash_word(word: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(word, seed)
}

/// A bijection of 64 bits whose every output bit depends on every input bit (the finaliser of MurmurHash3).
#[inline]
pub(crate) fn scramble(mut x: u64) -> u64 {
    x = (x ^ x >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    x = (x ^ x >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    x ^ x >> 33
}

/// The last n unit hashes and the polynomial over them.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    ring: Vec<u64>,
    at: usize,
    seen: usize,
    sum: u64,
    /// The factor of the unit that leaves: `FACTOR` to the n.
    leaving: u64,
}

/// The polynomial's base: odd, so that multiplication loses nothing (2^64 divided by the golden ratio).
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

impl Window {
    pub(crate) fn new(ngram: usize) -> Self {
        let leaving = (0..ngram).fold(1_u64, |power, _| power.wrapping_mul(FACTOR));
        Self { ring: vec![0; ngram], at: 0, seen: 0, sum: 0, leaving }
    }

    pub(crate) fn reset(&mut self) {
        self.ring.fill(0);
        (self.at, self.seen, self.sum) = (0, 0, 0);
    }

    #[inline]
    pub(crate) fn push(&mut self, unit: u64, out: &mut Vec<u64>) {
        let left = std::mem::replace(&mut self.ring[self.at], unit);
        self.at = if self.at + 1 == self.ring.len() { 0 } else { self.at + 1 };
        self.sum =
            self.sum.wrapping_mul(FACTOR).wrapping_add(unit).wrapping_sub(left.wrapping_mul(self.leaving));
        self.seen += 1;
        if self.seen >= self.ring.len() {
            out.push(scramble(self.sum));
        }
    }

    /// Units pushed since the last reset.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// The one window of a text that is shorter than a window.
    pub(crate) fn finish(&self, out: &mut Vec<u64>) {
        if self.seen > 0 && self.seen < self.ring.len() {
            out.push(scramble(self.sum));
        }
    }
}

/// `text.to_lowercase()` into a buffer that is used again.
fn lowercase_into(text: &str, lower: &mut String) {
    lower.clear();
    // A capital sigma's lower case depends on what stands around it: leave that to the standard library.
    if !text.is_ascii() && text.contains('Σ') {
        lower.push_str(&text.to_lowercase());
        return;
    }
    let mut rest = text;
    loop {
        let ascii = rest.bytes().position(|b| !b.is_ascii()).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(ascii);
        let start = lower.len();
        lower.push_str(head);
        if let Some(head) = lower.get_mut(start..) {
            head.make_ascii_lowercase();
        }
        let mut chars = tail.chars();
        for c in chars.by_ref() {
            lower.extend(c.to_lowercase());
            if c.is_ascii() {
                break;
            }
        }
        rest = chars.as_str();
        if rest.is_empty() {
            return;
        }
    }
}

/// For a byte: nothing of a word, a word's ASCII character, or part of a longer character.
const CLASS: [u8; 256] = {
    let mut class = [2; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        class[byte] = (b.is_ascii_alphanumeric() || b == b'_') as u8;
        byte += 1;
    }
    class
};

/// Calls `take` with every maximal run of word characters.
fn each_word(text: &str, mut take: impl FnMut(&[u8])) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut start = None;
    while let Some(&byte) = bytes.get(at) {
        let (is_word, width) = match CLASS[byte as usize] {
            2 => {
                let c = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
                (is_word_char(c), c.len_utf8())
            }
            class => (class == 1, 1),
        };
        match (is_word, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                take(&bytes[from..at]);
                start = None;
            }
            _ => {}
        }
        at += width;
    }
    if let Some(from) = start {
        take(&bytes[from..]);
    }
}

/// Whether Python's `\w` matches: general category L or N, or an underscore.
pub fn is_word_char(c: char) -> bool {
    static BITS: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let mut bits = vec![0_u64; 0x11_0000 / 64];
        // The table is the regex engine's; the pattern is a constant, so that it always parses.
        if let Ok(regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class))) =
            regex_syntax::parse(r"[\p{L}\p{N}_]").map(regex_syntax::hir::Hir::into_kind)
        {
            for range in class.ranges() {
                for c in range.start()..=range.end() {
                    bits[c as usize / 64] |= 1 << (c as u32 % 64);
                }
            }
        }
        bits
    });
    BITS.get(c as usize / 64).is_some_and(|word| word >> (c as u32 % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut lower = String::new();
        lowercase_into(text, &mut lower);
        let mut words = Vec::new();
        each_word(&lower, |word| words.push(String::from_utf8_lossy(word).into_owned()));
        words
    }

    #[test]
    fn words_are_those_of_python() {
        // Expected: re.findall(r"\w+", text.lower()) in Python 3.11.
        for (text, expected) in [
            ("", &[][..]),
            ("Hello, World_1!", &["hello", "world_1"]),
            ("don't", &["don", "t"]),
            ("naïve ÉTÉ", &["naïve", "été"]),
            ("e\u{301}te\u{301}", &["e", "te"]),
            ("हिन्दी", &["ह", "न", "द"]),
            ("今日は、良い天気", &["今日は", "良い天気"]),
            ("x² ½ Ⅷ ①", &["x²", "½", "ⅷ", "①"]),
            ("ⓐ a", &["a"]),
            ("İstanbul", &["i", "stanbul"]),
            ("ΟΔΟΣ ΣΑΣ", &["οδος", "σας"]),
            ("a\u{200d}b", &["a", "b"]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    fn count(unit: Unit, ngram: usize, text: &str) -> usize {
        let mut out = Vec::new();
        Shingler::new(unit, ngram, 1).shingles(text, &mut out);
        out.len()
    }

    #[test]
    fn short_texts_are_one_shingle_and_empty_ones_none() {
        for (unit, ngram, text, expected) in [
            (Unit::Words, 5, "", 0),
            (Unit::Words, 5, " - ! ", 0),
            (Unit::Words, 5, "one", 1),
            (Unit::Words, 5, "one two three four", 1),
            (Unit::Words, 5, "a b c d e", 1),
            (Unit::Words, 5, "a b c d e f", 2),
            (Unit::Words, 1, "a b c", 3),
            (Unit::Uax29, 2, "can't stop, 3.14", 2),
            (Unit::Chars, 3, "ab \n\t c", 2),
            (Unit::Chars, 5, "今日", 1),
        ] {
            assert_eq!(count(unit, ngram, text), expected, "{unit:?} {ngram} {text:?}");
        }
    }

    #[test]
    fn similarity_of_sets() {
        for (a, b, expected) in [
            (&[][..], &[][..], (0.0, 0.0)),
            (&[1], &[], (0.0, 0.0)),
            (&[1, 2, 3], &[2, 3, 4], (0.5, 2.0 / 3.0)),
            (&[1, 2], &[1, 2, 3, 4], (0.5, 1.0)),
        ] {
            assert_eq!((jaccard(a, b), containment(a, b)), expected);
        }
    }

    proptest! {
        #[test]
        fn lower_case_is_the_standard_library_s(text in "\\PC{0,40}|[ΣσςaΑ. İßǅ]{0,12}") {
            let mut lower = String::new();
            lowercase_into(&text, &mut lower);
            prop_assert_eq!(lower, text.to_lowercase());
        }

        #[test]
        fn uax29_units_are_unicode_words(text in "[ab1'., \n\u{300}é今ท]{0,20}|\\PC{0,20}") {
            prop_assert_eq!(count(Unit::Uax29, 1, &text), text.to_lowercase().unicode_words().count());
        }

        #[test]
        fn a_window_s_hash_depends_on_its_words_alone(words in proptest::collection::vec("[a-c]{1,2}", 0..30), n in 1_usize..7) {
            let mut shingler = Shingler::new(Unit::Words, n, 9);
            let (mut whole, mut one) = (Vec::new(), Vec::new());
            shingler.shingles(&words.join(" "), &mut whole);
            let expected: Vec<u64> = if words.is_empty() { vec![] } else if words.len() < n {
                whole.clone()
            } else {
                words.windows(n).map(|w| { shingler.shingles(&w.join("  "), &mut one); one[0] }).collect()
            };
            prop_assert_eq!(whole, expected);
        }
    }
}
