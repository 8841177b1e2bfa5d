//! Which rows of the input matrix a text stands for: its words, their character n-grams and the n-grams of its words.
//!
//! Rules from fastText's `src/dictionary.cc` (`computeSubwords`, `addSubwords`, `addWordNgrams`, `pushHash`), in its order, since sums of floats
//! depend on the order:
//! - for each word its own row, if it is in the dictionary, then its character n-grams of `minn` to `maxn` code points, taken
//!   from `<word>`; a lone `<` or `>` is none, and the end-of-line word has none;
//! - then, from each word on, the n-grams of 2 to `wordNgrams` words, hashed from the words' hashes. The end-of-line word
//!   counts, known or not; labels and what looks like one (an unknown word that starts with `__label__`) do not.
//!
//! An n-gram's hash, modulo `bucket`, is its row behind those of the words; a pruned model keeps few of them and has a map.
//! No string is built. Rows are handed on in blocks, so that memory does not grow with `maxn` times the text.

use crate::ModelError;
use crate::cache::{Cached, WordCache};
use crate::dictionary::Dictionary;
use crate::matrix::Adder;
use crate::reader::Reader;
use crate::tokens::{EMPTY_HASH, Token, step};

/// What an unknown word must start with to be taken for a label. Models do not store the prefix they were trained with,
/// so fastText too uses its default.
pub(crate) const LABEL_PREFIX: &[u8] = b"__label__";
/// The factor between the words of an n-gram.
const NGRAM_FACTOR: u64 = 116_049_371;
/// Longer n-grams than any model has: time grows with them.
const MAX_N: u32 = 255;
/// Rows that are summed in one go: few enough for the first-level cache, many enough to wait for memory together.
const BLOCK: usize = 32;
/// Words that are looked at together.
const AHEAD: usize = 16;
/// Buckets of n-grams that are looked up together.
const WAITING: usize = 64;
/// A scratch buffer beyond this many words is given back after the text that needed it.
const KEPT_WORDS: usize = 1 << 20;

/// How n-grams become rows.
pub(crate) struct Hashing {
    pub(crate) minn: u32,
    pub(crate) maxn: u32,
    pub(crate) word_ngrams: u32,
    pub(crate) bucket: Modulus,
}

impl Hashing {
    pub(crate) fn check(&self, reader: &Reader<'_>) -> Result<(), ModelError> {
        const SECTION: &str = "the header";
        for (name, value) in [("maxn", self.maxn), ("wordNgrams", self.word_ngrams)] {
            if value > MAX_N {
                return Err(reader.corrupt(SECTION, format!("{name} is {value}, more than {MAX_N}")));
            }
        }
        if self.uses_buckets() && self.bucket.divisor == 0 {
            return Err(reader.corrupt(SECTION, "the model has n-grams and no buckets for them".into()));
        }
        Ok(())
    }

    pub(crate) fn uses_buckets(&self) -> bool {
        self.maxn > 0 || self.word_ngrams > 1
    }
}

/// The remainder by a divisor known at run time, without a division.
#[derive(Clone, Copy)]
pub(crate) struct Modulus {
    pub(crate) divisor: u32,
    /// 2^64 / divisor, rounded down.
    reciprocal: u64,
}

impl Modulus {
    pub(crate) fn new(divisor: u32) -> Self {
        let reciprocal = (1_u128 << 64) / u128::from(divisor.max(1));
        Self { divisor, reciprocal: u64::try_from(reciprocal).unwrap_or(u64::MAX) }
    }

    #[inline]
    pub(crate) fn of(self, value: u64) -> u32 {
        // The estimate of the quotient is at most 2 too low: one for the rounded reciprocal, one for the dropped half.
        let divisor = u64::from(self.divisor);
        let quotient = ((u128::from(value) * u128::from(self.reciprocal)) >> 64) as u64;
        let mut rest = value.wrapping_sub(quotient.wrapping_mul(divisor));
        if rest >= divisor {
            rest -= divisor;
        }
        if rest >= divisor {
            rest -= divisor;
        }
        rest as u32
    }
}

/// What quantising with a cutoff has left of the n-grams.
pub(crate) enum Pruned {
    /// All are there.
    No,
    /// None are.
    All,
    /// These are.
    To(Kept),
}

/// A table from bucket to row, open-addressed, at most half full, and a bit for each of sixteen times as many places, which
/// says of most buckets that are not there that they are not.
pub(crate) struct Kept {
    slots: Box<[(u32, u32)]>,
    bits: Box<[u64]>,
    /// How far a spread bucket is shifted to give a slot.
    shift: u32,
    /// One more than the highest row.
    rows: u32,
}

const FREE: u32 = u32::MAX;
const SPREAD: u32 = 0x9e37_79b9;

impl Pruned {
    /// `size` pairs of bucket and row; a negative size stands for a model that was not pruned.
    pub(crate) fn read(reader: &mut Reader<'_>, size: i64) -> Result<Self, ModelError> {
        const SECTION: &str = "the list of kept n-grams";
        let Ok(size) = u64::try_from(size) else { return Ok(Self::No) };
        let pairs = reader.take(SECTION, size.saturating_mul(8))?.as_chunks::<8>().0;
        if pairs.is_empty() {
            return Ok(Self::All);
        }
        let slots = (size * 2).next_power_of_two().max(64);
        let mut kept = Kept {
            slots: vec![(FREE, 0); slots as usize].into_boxed_slice(),
            bits: vec![0; slots as usize / 8].into_boxed_slice(),
            shift: 32_u32.saturating_sub(slots.ilog2()),
            rows: 0,
        };
        for pair in pairs {
            let pair = u64::from_le_bytes(*pair);
            let (bucket, row) = (pair as i32, (pair >> 32) as i32);
            let (Ok(bucket), Ok(row)) = (u32::try_from(bucket), u32::try_from(row)) else {
                return Err(reader.corrupt(SECTION, format!("n-gram {bucket} has row {row}")));
            };
            kept.insert(bucket, row);
        }
        Ok(Self::To(kept))
    }

    /// Rows that n-grams can have, given the number of buckets.
    pub(crate) fn rows(&self, buckets: u32) -> u32 {
        match self {
            Self::No => buckets,
            Self::All => 0,
            Self::To(kept) => kept.rows,
        }
    }

    pub(crate) fn is_pruned(&self) -> bool {
        !matches!(self, Self::No)
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::To(kept) => size_of_val(&*kept.slots) + size_of_val(&*kept.bits),
            _ => 0,
        }
    }
}

impl Kept {
    fn insert(&mut self, bucket: u32, row: u32) {
        self.rows = self.rows.max(row + 1);
        let (word, bit) = self.bit(bucket);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
        let mut at = self.slot(bucket);
        // A bucket that is listed twice has its last row, as in a map that is assigned to.
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.0 == FREE || slot.0 == bucket {
                *slot = (bucket, row);
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    fn slot(&self, bucket: u32) -> usize {
        (u64::from(bucket.wrapping_mul(SPREAD)) >> self.shift) as usize
    }

    /// Eight bits for each slot.
    #[inline]
    fn bit(&self, bucket: u32) -> (usize, u64) {
        let spread = u64::from(bucket.wrapping_mul(SPREAD)) << 3 >> self.shift;
        ((spread / 64) as usize, 1 << (spread % 64))
    }

    #[inline]
    fn may_have(&self, bucket: u32) -> bool {
        let (word, bit) = self.bit(bucket);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    #[inline]
    fn row(&self, bucket: u32) -> Option<u32> {
        let mut at = self.slot(bucket);
        loop {
            let (key, row) = *self.slots.get(at)?;
            if key == bucket {
                return Some(row);
            }
            if key == FREE {
                return None;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// Buffers that one text after the other uses.
#[derive(Default)]
pub(crate) struct Buffers {
    /// Hashes of the words of the text, for its word n-grams.
    hashes: Vec<u32>,
    rows: Vec<u32>,
    /// `<word>`.
    bracketed: Vec<u8>,
    cache: WordCache,
}

impl Buffers {
    /// To be called when another model than before uses the buffers.
    pub(crate) fn forget(&mut self) {
        self.cache.clear();
    }
}

/// Walks over the words of a text and adds up their rows, in order. Returns how many there were.
pub(crate) fn rows<'t>(
    hashing: &Hashing,
    dictionary: &Dictionary,
    entries: &[u8],
    tokens: impl IntoIterator<Item = Token<'t>>,
    buffers: &mut Buffers,
    adder: &Adder<'_>,
    sum: &mut [f32],
) -> u64 {
    let Buffers { hashes, rows, bracketed, cache } = buffers;
    hashes.clear();
    rows.clear();
    let mut out = Blocks { rows, adder, sum, count: 0 };
    let keep_hashes = hashing.word_ngrams > 1;
    let mut tokens = tokens.into_iter();
    let mut ended = false;
    while !ended {
        // Some words are looked at together, so that their places in the table are on the way when they are looked up.
        let mut ahead = [Token { bytes: &[], hash: 0 }; AHEAD];
        let mut filled = 0;
        for place in &mut ahead {
            let Some(token) = tokens.next() else {
                ended = true;
                break;
            };
            *place = token;
            filled += 1;
            if hashing.maxn == 0 {
                dictionary.expect(token);
            }
            if token.is_eos() {
                ended = true;
                break;
            }
        }
        for token in ahead.into_iter().take(filled) {
            let is_word = if hashing.maxn == 0 {
                match dictionary.find(entries, token) {
                    Some(entry) if entry < dictionary.words => {
                        out.push(entry);
                        true
                    }
                    Some(_) => false,
                    None => !token.bytes.starts_with(LABEL_PREFIX),
                }
            } else if let Some(cached) = cache.find(token) {
                out.extend(cached.rows);
                cached.is_word
            } else {
                let before = out.begin_word();
                let is_word = word(hashing, dictionary, entries, token, bracketed, &mut out);
                if let Some(rows) = out.since(before) {
                    cache.put(token, Cached { is_word, rows });
                }
                is_word
            };
            if is_word && keep_hashes {
                hashes.push(token.hash);
            }
        }
    }
    if keep_hashes {
        let mut grams = Grams::new(dictionary);
        for (at, first) in hashes.iter().enumerate() {
            let mut hash = signed(*first);
            for next in hashes.iter().skip(at + 1).take(hashing.word_ngrams as usize - 1) {
                hash = hash.wrapping_mul(NGRAM_FACTOR).wrapping_add(signed(*next));
                grams.push(hashing.bucket.of(hash), &mut out);
            }
        }
        grams.finish(&mut out);
    }
    let count = out.finish();
    if hashes.capacity() > KEPT_WORDS {
        hashes.clear();
        hashes.shrink_to(KEPT_WORDS);
    }
    count
}

/// Hashes are kept as 32-bit signed integers in C++ and widened as such.
#[inline]
fn signed(hash: u32) -> u64 {
    i64::from(hash as i32) as u64
}

/// Adds the rows of one word of a model with character n-grams; says whether it is a word and no label.
fn word(
    hashing: &Hashing,
    dictionary: &Dictionary,
    entries: &[u8],
    token: Token<'_>,
    bracketed: &mut Vec<u8>,
    out: &mut Blocks<'_>,
) -> bool {
    match dictionary.find(entries, token) {
        Some(entry) if entry < dictionary.words => out.push(entry),
        Some(_) => return false,
        None if token.bytes.starts_with(LABEL_PREFIX) => return false,
        None => {}
    }
    if token.is_eos() {
        return true;
    }
    bracketed.clear();
    bracketed.push(b'<');
    bracketed.extend_from_slice(token.bytes);
    bracketed.push(b'>');
    let mut grams = Grams::new(dictionary);
    let mut left = &bracketed[..];
    let mut is_first = true;
    while let [head, rest @ ..] = left {
        // An n-gram starts at a code point.
        if !continues(*head) {
            let mut hash = EMPTY_HASH;
            let mut after = left.iter();
            let mut n = 1;
            while n <= hashing.maxn {
                let Some(byte) = after.next() else { break };
                hash = step(hash, *byte);
                while let Some(byte) = after.as_slice().first().copied().filter(|byte| continues(*byte)) {
                    hash = step(hash, byte);
                    after.next();
                }
                let lone_bracket = n == 1 && (is_first || after.as_slice().is_empty());
                if n >= hashing.minn && !lone_bracket {
                    grams.push(hashing.bucket.of(u64::from(hash)), out);
                }
                n += 1;
            }
        }
        is_first = false;
        left = rest;
    }
    grams.finish(out);
    if bracketed.capacity() > KEPT_WORDS {
        bracketed.clear();
        bracketed.shrink_to(KEPT_WORDS);
    }
    true
}

/// The buckets of n-grams on their way to rows. In a pruned model most have none, which no branch can foresee: so those that may have one
/// are collected without a branch, and looked up together.
struct Grams<'d> {
    dictionary: &'d Dictionary,
    waiting: [u32; WAITING],
    filled: usize,
}

impl<'d> Grams<'d> {
    fn new(dictionary: &'d Dictionary) -> Self {
        Self { dictionary, waiting: [0; WAITING], filled: 0 }
    }

    #[inline]
    fn push(&mut self, bucket: u32, out: &mut Blocks<'_>) {
        match &self.dictionary.pruned {
            Pruned::No => out.push(self.dictionary.words + bucket),
            Pruned::All => {}
            Pruned::To(kept) => {
                if let Some(place) = self.waiting.get_mut(self.filled) {
                    *place = bucket;
                }
                self.filled += usize::from(kept.may_have(bucket));
                if self.filled == WAITING {
                    self.look_up(kept, out);
                }
            }
        }
    }

    fn look_up(&mut self, kept: &Kept, out: &mut Blocks<'_>) {
        for bucket in self.waiting.iter().take(self.filled) {
            if let Some(row) = kept.row(*bucket) {
                out.push(self.dictionary.words + row);
            }
        }
        self.filled = 0;
    }

    fn finish(mut self, out: &mut Blocks<'_>) {
        if let Pruned::To(kept) = &self.dictionary.pruned {
            self.look_up(kept, out);
        }
    }
}

/// Whether a byte goes on with a UTF-8 sequence.
#[inline]
fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Collects rows into blocks.
struct Blocks<'b> {
    rows: &'b mut Vec<u32>,
    adder: &'b Adder<'b>,
    sum: &'b mut [f32],
    count: u64,
}

impl Blocks<'_> {
    #[inline]
    fn push(&mut self, row: u32) {
        self.adder.expect(row);
        self.rows.push(row);
        self.count += 1;
        if self.rows.len() >= 2 * BLOCK {
            self.flush();
        }
    }

    fn extend(&mut self, rows: &[u32]) {
        self.rows.extend_from_slice(rows);
        self.count += rows.len() as u64;
        if self.rows.len() >= BLOCK {
            self.flush();
        }
    }

    /// Makes room, so that the rows of a usual word stay together, and remembers where they start.
    fn begin_word(&mut self) -> (usize, u64) {
        if self.rows.len() >= BLOCK {
            self.flush();
        }
        (self.rows.len(), self.count)
    }

    /// The rows since `begin_word`, unless they were flushed meanwhile.
    fn since(&self, (start, count): (usize, u64)) -> Option<&[u32]> {
        let rows = self.rows.get(start..)?;
        (rows.len() as u64 == self.count - count).then_some(rows)
    }

    fn flush(&mut self) {
        self.adder.add(self.rows, self.sum);
        self.rows.clear();
    }

    fn finish(mut self) -> u64 {
        self.flush();
        self.count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn modulus_is_the_remainder(value: u64, divisor in 1_u32..=i32::MAX as u32, small in 1_u32..100) {
            for divisor in [divisor, small, 1 << (small % 31)] {
                let modulus = Modulus::new(divisor);
                for value in [value, u64::MAX - value % 3, value >> 32, u64::from(divisor) * 7 - 1] {
                    prop_assert_eq!(u64::from(modulus.of(value)), value % u64::from(divisor));
                }
            }
        }
    }
}
