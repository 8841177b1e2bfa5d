//! N-grams in a trie of packed bits (lm/search_trie.cc, lm/trie.cc): those of one length stand in one array, in the order of their words from
//! the last to the first, and each knows where those begin that are a word longer.

use super::binary::Header;
use super::bytes::{bits_at, bits_for, f32_at, u64_at};
use super::{Gram, LoadError, Search};

pub(super) struct Trie {
    unigrams: usize,
    /// From two words on.
    middles: Vec<Middle>,
    longest: Packed,
    longest_values: Values,
    end: usize,
}

/// Entries of equally many bits: a word's number, its values, and for all but the longest n-grams a pointer.
struct Packed {
    start: usize,
    entries: u64,
    word_bits: u32,
    total_bits: u32,
}

struct Middle {
    packed: Packed,
    values: Values,
    pointers: Pointers,
}

#[derive(Clone, Copy)]
enum Values {
    /// A probability without its sign, and a backoff.
    Plain,
    /// Numbers of bins, whose values stand in tables (lm/quantize.hh).
    Binned { probs: usize, prob_bits: u32, backoffs: usize, backoff_bits: u32 },
}

/// Where in the next array something begins.
enum Pointers {
    Inline {
        bits: u32,
    },
    /// The lower bits stand in the entry; the upper ones are the place in a list that says at which entry each first occurs (lm/bhiksha.cc).
    Listed {
        bits: u32,
        list: usize,
        length: u64,
    },
}

/// Entries of the next array.
#[derive(Clone, Copy)]
pub(super) struct Range {
    begin: u64,
    end: u64,
}

const UNIGRAM_BYTES: usize = 16;
/// A probability without sign, and a backoff.
const PLAIN_BITS: u32 = 31 + 32;

impl Trie {
    pub(super) fn lay_out(
        file: &[u8],
        header: &Header,
        start: usize,
        quantised: bool,
        compressed: bool,
    ) -> Result<Self, LoadError> {
        let counts = &header.counts;
        let words = counts.first().copied().unwrap_or_default();
        let mut at = start;
        let bins = if quantised { Some(Bins::read(file, &mut at)?) } else { None };
        if let Some(bins) = &bins {
            at += bins.bytes(counts.len());
        }
        let unigrams = at;
        at += (words as usize + 2) * UNIGRAM_BYTES;
        let chop = if compressed && counts.len() > 2 { Some(chop_limit(file, at)?) } else { None };
        let mut middles = Vec::new();
        let mut longest = None;
        for (length, &entries) in counts.iter().enumerate().skip(1) {
            let values = bins.as_ref().map_or(Values::Plain, |bins| bins.of(length - 1));
            let word_bits = bits_for(words);
            match counts.get(length + 1) {
                Some(&next) => {
                    let pointers = Pointers::lay_out(&mut at, entries, next, chop);
                    let total_bits = word_bits + values.bits() + pointers.bits();
                    let packed = Packed::lay_out(&mut at, entries, word_bits, total_bits);
                    middles.push(Middle { packed, values, pointers });
                }
                None => {
                    let total_bits = word_bits + values.prob_bits();
                    longest = Some((Packed::lay_out(&mut at, entries, word_bits, total_bits), values));
                }
            }
        }
        let (longest, longest_values) =
            longest.ok_or_else(|| LoadError::Damaged("it has single words only".to_owned()))?;
        Ok(Self { unigrams, middles, longest, longest_values, end: at })
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }
}

/// The tables of a quantised model: for each length one of probabilities and one of backoffs, for the longest only probabilities.
struct Bins {
    start: usize,
    prob_bits: u32,
    backoff_bits: u32,
}

impl Bins {
    fn read(file: &[u8], at: &mut usize) -> Result<Self, LoadError> {
        let [version, prob_bits, backoff_bits, ..] = u64_at(file, *at).to_le_bytes();
        if version != 2 {
            return Err(LoadError::Unsupported(format!("its quantisation has version {version}")));
        }
        if !(1..=25).contains(&prob_bits) || !(1..=25).contains(&backoff_bits) {
            let problem = format!("it quantises to {prob_bits} and {backoff_bits} bits, not 1 to 25");
            return Err(LoadError::Damaged(problem));
        }
        *at += 8;
        Ok(Self { start: *at, prob_bits: prob_bits.into(), backoff_bits: backoff_bits.into() })
    }

    fn of_one_length(&self) -> usize {
        (4 << self.prob_bits) + (4 << self.backoff_bits)
    }

    fn bytes(&self, order: usize) -> usize {
        (order - 2) * self.of_one_length() + (4 << self.prob_bits)
    }

    fn of(&self, middle: usize) -> Values {
        let probs = self.start + middle * self.of_one_length();
        Values::Binned {
            probs,
            prob_bits: self.prob_bits,
            backoffs: probs + (4 << self.prob_bits),
            backoff_bits: self.backoff_bits,
        }
    }
}

impl Values {
    /// With a backoff.
    fn bits(self) -> u32 {
        match self {
            Self::Plain => PLAIN_BITS,
            Self::Binned { prob_bits, backoff_bits, .. } => prob_bits + backoff_bits,
        }
    }

    /// Without.
    fn prob_bits(self) -> u32 {
        match self {
            Self::Plain => 31,
            Self::Binned { prob_bits, .. } => prob_bits,
        }
    }

    fn prob_and_backoff(self, file: &[u8], start: usize, bit: u64) -> (f32, f32) {
        match self {
            Self::Plain => {
                let backoff = bits_at(file, start, bit + 31, 32) as u32;
                (self.prob(file, start, bit), f32::from_bits(backoff))
            }
            Self::Binned { backoffs, backoff_bits, .. } => {
                let bin = bits_at(file, start, bit, backoff_bits) as usize;
                let prob = self.prob(file, start, bit + u64::from(backoff_bits));
                (prob, f32_at(file, backoffs + 4 * bin))
            }
        }
    }

    fn prob(self, file: &[u8], start: usize, bit: u64) -> f32 {
        match self {
            Self::Plain => -f32::from_bits(bits_at(file, start, bit, 31) as u32),
            Self::Binned { probs, prob_bits, .. } => {
                let bin = bits_at(file, start, bit, prob_bits) as usize;
                f32_at(file, probs + 4 * bin)
            }
        }
    }
}

impl Packed {
    fn lay_out(at: &mut usize, entries: u64, word_bits: u32, total_bits: u32) -> Self {
        let start = *at;
        // One more entry for the last pointer, and eight bytes so that the last bits can be read like all others.
        *at += ((1 + entries) * u64::from(total_bits)).div_ceil(8) as usize + 8;
        Self { start, entries, word_bits, total_bits }
    }

    /// The entry of a word among those of a range, and the bit behind the word.
    fn find(&self, file: &[u8], word: u32, range: Range) -> Option<(u64, u64)> {
        let mut high = range.end.min(self.entries);
        let mut low = range.begin.min(high);
        while low < high {
            let middle = low + (high - low) / 2;
            let bit = middle * u64::from(self.total_bits);
            match bits_at(file, self.start, bit, self.word_bits).cmp(&u64::from(word)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some((middle, bit + u64::from(self.word_bits))),
            }
        }
        None
    }
}

impl Pointers {
    fn lay_out(at: &mut usize, entries: u64, next: u64, chop: Option<u32>) -> Self {
        let bits = bits_for(next);
        let Some(limit) = chop else { return Self::Inline { bits } };
        let chopped = chopped_bits(entries + 1, next, limit);
        let length = next.checked_shr(bits - chopped).unwrap_or_default() + 1;
        // The list is aligned within the file.
        let list = at.next_multiple_of(8) + 8;
        *at += 8 * (1 + length as usize) + 7;
        Self::Listed { bits: bits - chopped, list, length }
    }

    /// Of the entry.
    fn bits(&self) -> u32 {
        match self {
            Self::Inline { bits } | Self::Listed { bits, .. } => *bits,
        }
    }

    /// What belongs to an entry: from its own pointer to that of the next one.
    fn range(&self, file: &[u8], packed: &Packed, entry: u64, bit: u64) -> Range {
        let bits = self.bits();
        let begin = bits_at(file, packed.start, bit, bits);
        let end = bits_at(file, packed.start, bit + u64::from(packed.total_bits), bits);
        match *self {
            Self::Inline { .. } => Range { begin, end },
            Self::Listed { list, length, .. } => {
                let upper = |entry: u64| last_up_to(file, list, length, entry) << bits;
                Range { begin: upper(entry) | begin, end: upper(entry + 1) | end }
            }
        }
    }
}

/// The place of the last number of a sorted list that is not above `bound`; 0 if there is none.
fn last_up_to(file: &[u8], list: usize, length: u64, bound: u64) -> u64 {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if u64_at(file, list + 8 * middle as usize) <= bound {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.saturating_sub(1)
}

/// The most bits that pointers may lose to lists, as it was chosen when the model was built. It stands before the first list.
fn chop_limit(file: &[u8], at: usize) -> Result<u32, LoadError> {
    match u64_at(file, at).to_le_bytes() {
        [0, limit, ..] => Ok(limit.into()),
        [version, ..] => {
            Err(LoadError::Unsupported(format!("its compression of pointers has version {version}")))
        }
    }
}

/// How many bits to move into the list so that list and entries together take least.
fn chopped_bits(entries: u64, next: u64, limit: u32) -> u32 {
    let bits = bits_for(next);
    let cost = |chopped: u32| {
        let list = next.checked_shr(bits - chopped).unwrap_or_default() as i64 * 64;
        list - entries as i64 * i64::from(chopped)
    };
    // The first of equals.
    (0..=bits.min(limit)).min_by_key(|chopped| cost(*chopped)).unwrap_or_default()
}

impl Search for Trie {
    type Node = Range;

    fn unigram(&self, file: &[u8], word: u32) -> (Gram, Range) {
        let at = self.unigrams + word as usize * UNIGRAM_BYTES;
        let node = Range { begin: u64_at(file, at + 8), end: u64_at(file, at + UNIGRAM_BYTES + 8) };
        let longest_match = node.begin == node.end;
        (Gram { prob: f32_at(file, at), backoff: f32_at(file, at + 4), longest_match }, node)
    }

    fn middle(&self, file: &[u8], middle: usize, context: u32, node: &mut Range) -> Option<Gram> {
        let Middle { packed, values, pointers } = self.middles.get(middle)?;
        let (entry, bit) = packed.find(file, context, *node)?;
        *node = pointers.range(file, packed, entry, bit + u64::from(values.bits()));
        let (prob, backoff) = values.prob_and_backoff(file, packed.start, bit);
        Some(Gram { prob, backoff, longest_match: node.begin == node.end })
    }

    fn longest(&self, file: &[u8], context: u32, node: &Range) -> Option<f32> {
        let (_, bit) = self.longest.find(file, context, *node)?;
        Some(self.longest_values.prob(file, self.longest.start, bit))
    }
}
