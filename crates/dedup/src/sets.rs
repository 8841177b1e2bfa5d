//! Documents' shingle sets, stored beside their band keys so that candidates can be compared without their texts.
//!
//! A set is the sorted distinct shingle hashes, cut to their upper 40 bits: among n shingles of two documents about
//! n²/2^40 coincide by accident, a hundredth of one for 100,000, so that the similarity is exact for every purpose.
//! Sorted hashes are as good as evenly spread, so that gaps are coded with Rice codes: about 42 - log2 n bits a shingle,
//! 4.1 bytes for a page of 500 words.
//!
//! Memory per document is bounded: of a document with more than [`MOST`] distinct shingles only the hashes below
//! 2^40 / 2^s are kept, s the smallest that fits. A pair is compared on the range that both have, which is an
//! unbiased sample of well over 50,000 shingles.
//!
//! The file holds one row per document that has shingles, in document order, in the form of
//! [`rowfile`]: key ordinal, node s, note the coded set.

use std::io::{Read, Write};

use crate::Error;
use crate::block::{get_varint, put_varint};
use crate::keyfile::{Summary, node};
use crate::rowfile::{self, FileRows, Format};
use crate::shingle;
use crate::stream::Stream;

/// Shingles kept of a document at most.
pub const MOST: usize = 200_000;
/// Bits of a stored hash.
const BITS: u32 = 40;

const FORMAT: Format = Format { magic: b"gmsets\r\n", name: "set file", notes: true };

/// A shingle set as it is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Sorted, distinct, below `2^(40 - shift)`.
    hashes: Vec<u64>,
    shift: u32,
}

/// How similar two sets are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Measure {
    /// Shared by all.
    #[default]
    Jaccard,
    /// Shared by the smaller set's. Zero if the smaller set has less than this share of the larger one's hashes: what is small
    /// beside the other is not the same text, wherever it stands.
    Containment { min_size_share: f64 },
}

impl Set {
    /// The set of `shingles` (64-bit hashes, sorted), replacing what was there.
    pub fn assign(&mut self, shingles: &[u64]) {
        self.shift = 0;
        self.hashes.clear();
        self.hashes.extend(shingles.iter().map(|hash| hash >> (64 - BITS)));
        self.hashes.dedup();
        while self.hashes.len() > MOST {
            self.shift += 1;
            self.hashes.truncate(self.below(self.shift));
        }
    }

    /// How many hashes it holds.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    fn below(&self, shift: u32) -> usize {
        self.hashes.partition_point(|&hash| hash < 1 << (BITS - shift))
    }

    /// The similarity of two sets, 0 to 1.
    pub fn similarity(&self, other: &Self, measure: Measure) -> f64 {
        let shift = self.shift.max(other.shift);
        let part = |set: &'_ Self| set.below(shift);
        let left = self.hashes.get(..part(self)).unwrap_or(&[]);
        let right = other.hashes.get(..part(other)).unwrap_or(&[]);
        match measure {
            Measure::Jaccard => shingle::jaccard(left, right),
            Measure::Containment { min_size_share } => {
                let (smaller, larger) = (left.len().min(right.len()), left.len().max(right.len()));
                if (smaller as f64) < min_size_share * larger as f64 {
                    return 0.0;
                }
                shingle::containment(left, right)
            }
        }
    }

    /// Appends the coded set: varint shift, varint count, then a Rice code per gap.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.shift));
        put_varint(out, self.hashes.len() as u64);
        let width = rice_width(self.hashes.len(), self.shift);
        let (mut buffer, mut filled) = (0_u128, 0);
        let mut next = 0;
        for &hash in &self.hashes {
            let gap = hash - next;
            next = hash + 1;
            // The gap's upper part in ones, a zero, its lower part.
            let (mut ones, low) = (gap >> width, gap & ((1 << width) - 1));
            loop {
                let step = ones.min(32);
                buffer |= ((1 << step) - 1) << filled;
                filled += step as u32;
                ones -= step;
                if ones == 0 {
                    filled += 1;
                    buffer |= u128::from(low) << filled;
                    filled += width;
                }
                while filled >= 8 {
                    out.push(buffer as u8);
                    buffer >>= 8;
                    filled -= 8;
                }
                if ones == 0 {
                    break;
                }
            }
        }
        if filled > 0 {
            out.push(buffer as u8);
        }
    }

    /// Decodes what [`encode`](Self::encode) wrote; `None` if `bytes` are not that.
    pub fn decode(&mut self, bytes: &[u8]) -> Option<()> {
        self.hashes.clear();
        let mut at = 0;
        self.shift = u32::try_from(get_varint(bytes, &mut at)?).ok().filter(|&shift| shift < BITS)?;
        let count = usize::try_from(get_varint(bytes, &mut at)?).ok().filter(|&count| count <= MOST)?;
        let width = rice_width(count, self.shift);
        let mut bits = Bits { rest: bytes.get(at..)?, buffer: 0, filled: 0 };
        let mut next = 0_u64;
        for _ in 0..count {
            let high = bits.ones()?;
            let low = bits.take(width)?;
            let hash = next.checked_add(high.checked_mul(1 << width)?.checked_add(low)?)?;
            if hash >> (BITS - self.shift) != 0 {
                return None;
            }
            self.hashes.push(hash);
            next = hash + 1;
        }
        Some(())
    }
}

/// Bits of a byte string, lowest first.
struct Bits<'a> {
    rest: &'a [u8],
    buffer: u128,
    /// Bits in the buffer: at most 120, so that no shift is by the whole width.
    filled: u32,
}

impl Bits<'_> {
    #[inline]
    fn fill(&mut self) {
        if self.filled <= 56
            && let Some((eight, rest)) = self.rest.split_first_chunk::<8>()
        {
            self.buffer |= u128::from(u64::from_le_bytes(*eight)) << self.filled;
            (self.filled, self.rest) = (self.filled + 64, rest);
        }
        while self.filled <= 56
            && let Some((&byte, rest)) = self.rest.split_first()
        {
            self.buffer |= u128::from(byte) << self.filled;
            (self.filled, self.rest) = (self.filled + 8, rest);
        }
    }

    /// Counts ones up to a zero, and passes the zero.
    #[inline]
    fn ones(&mut self) -> Option<u64> {
        let mut sum = 0;
        loop {
            self.fill();
            let ones = self.buffer.trailing_ones().min(self.filled);
            sum += u64::from(ones);
            if ones < self.filled {
                self.buffer >>= ones + 1;
                self.filled -= ones + 1;
                return Some(sum);
            }
            // Nothing but ones, or nothing at all.
            if self.rest.is_empty() {
                return None;
            }
            (self.buffer, self.filled) = (0, 0);
        }
    }

    /// The next `width` bits (at most 40).
    #[inline]
    fn take(&mut self, width: u32) -> Option<u64> {
        self.fill();
        if self.filled < width {
            return None;
        }
        let low = self.buffer as u64 & ((1 << width) - 1);
        self.buffer >>= width;
        self.filled -= width;
        Some(low)
    }
}

/// Bits of a gap's lower part: of about the mean gap.
fn rice_width(count: usize, shift: u32) -> u32 {
    ((1_u64 << (BITS - shift)) / (count as u64 + 1)).max(1).ilog2()
}

/// Writes the sets of a task's documents in document order.
pub struct Writer<W: Write> {
    blocks: crate::block::Writer<W>,
    set: Set,
    bytes: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer into `out`.
    pub fn new(out: W) -> Self {
        Self { blocks: rowfile::blocks(&FORMAT, out), set: Set::default(), bytes: Vec::new() }
    }

    /// Adds the sorted shingle hashes of the document at `ordinal`
    /// ([`Signer::shingle_set`](crate::minhash::Signer::shingle_set)). Documents come in order; those without shingles may be left out.
    pub fn push(&mut self, ordinal: u32, shingles: &[u64]) -> Result<(), Error> {
        self.set.assign(shingles);
        self.bytes.clear();
        self.set.encode(&mut self.bytes);
        self.blocks.push(u64::from(ordinal), u64::from(self.set.shift), &self.bytes)
    }

    /// Ends the file, and gives back what it was written to.
    pub fn finish(self) -> Result<(Summary, W), Error> {
        rowfile::finish(&FORMAT, self.blocks)
    }
}

/// The sets of a file, one at a time in document order.
pub struct Sets<R> {
    rows: FileRows<R>,
    file: String,
    shard: u32,
}

impl<R: Read> Sets<R> {
    /// Reads `input`, the whole of a file of `file_bytes` bytes with `shard`'s sets.
    pub fn open(file: &str, input: R, file_bytes: u64, shard: u32) -> Result<Self, Error> {
        let rows = FileRows::open(&FORMAT, file, input, file_bytes)?;
        Ok(Self { rows, file: file.to_owned(), shard })
    }

    /// The next document's node and coded set ([`Set::decode`]), which is good until the stream moves on; `None` at the
    /// end.
    pub fn peek(&self) -> Option<(u64, &[u8])> {
        let (ordinal, _) = self.rows.row()?;
        Some((node(self.shard, 0) | ordinal, self.rows.note()))
    }

    /// Moves to the next document.
    pub fn advance(&mut self) -> Result<(), Error> {
        self.rows.advance()
    }

    /// Moves to `node` and returns its coded set; ask in ascending order. A node that the file does not have is
    /// corruption: it had a band key and so has a set.
    pub fn seek(&mut self, node: u64) -> Result<&[u8], Error> {
        while self.peek().is_some_and(|(here, _)| here < node) {
            self.advance()?;
        }
        match self.peek() {
            Some((here, coded)) if here == node => Ok(coded),
            _ => Err(Error::corrupt(&self.file, 0, format!("document {} has no set here", node as u32))),
        }
    }
}

/// Writes the sets of a file anew, without those of the documents for whose ordinals `gone` says yes.
pub fn without(
    file: &str,
    input: impl Read,
    file_bytes: u64,
    out: impl Write,
    gone: impl Fn(u32) -> bool,
) -> Result<Summary, Error> {
    let mut rows = FileRows::open(&FORMAT, file, input, file_bytes)?;
    let mut blocks = rowfile::blocks(&FORMAT, out);
    while let Some((ordinal, shift)) = rows.row() {
        if !gone(ordinal as u32) {
            blocks.push(ordinal, shift, rows.note())?;
        }
        rows.advance()?;
    }
    Ok(rowfile::finish(&FORMAT, blocks)?.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shingle::scramble;

    fn set(hashes: impl IntoIterator<Item = u64>) -> Set {
        let mut hashes: Vec<u64> = hashes.into_iter().collect();
        hashes.sort_unstable();
        let mut set = Set::default();
        set.assign(&hashes);
        set
    }

    fn round_trip(set: &Set) -> usize {
        let mut bytes = Vec::new();
        set.encode(&mut bytes);
        let mut back = Set::default();
        assert_eq!(back.decode(&bytes), Some(()));
        assert_eq!(&back, set);
        bytes.len()
    }

    #[test]
    fn sets_come_back_at_four_bytes_a_shingle() {
        for (count, most_bytes) in
            [(0, 2.0), (1, 9.0), (500, 4.2 * 500.0), (100_000, 3.3 * 1e5), (900_000, 3.2 * 2e5)]
        {
            let size = round_trip(&set((0..count).map(scramble)));
            assert!(size as f64 <= most_bytes, "{count}: {size} bytes");
        }
        // Not evenly spread at all: the largest and the smallest hashes.
        round_trip(&set((0..5000).map(|i| u64::MAX - (i << 24))));
        round_trip(&set((0..5000).map(|i| i << 24)));
        round_trip(&set([0, u64::MAX]));
    }

    #[test]
    fn similarities_are_those_of_the_whole_sets() {
        for (size, shared) in [(100, 80), (100_000, 90_000), (600_000, 540_000)] {
            let a = set((0..size).map(scramble));
            let b = set((size - shared..2 * size - shared).map(scramble));
            let (union, shared) = ((2 * size - shared) as f64, shared as f64);
            for (measure, expected) in [
                (Measure::Jaccard, shared / union),
                (Measure::Containment { min_size_share: 0.9 }, shared / size as f64),
            ] {
                let got = a.similarity(&b, measure);
                let allowed = if size as usize > MOST { 0.005 } else { 1e-5 };
                assert!((got - expected).abs() < allowed, "{size} {measure:?}: {got} for {expected}");
            }
        }
        let (excerpt, whole) = (set((0..50).map(scramble)), set((0..100).map(scramble)));
        for (min_size_share, expected) in [(0.0, 1.0), (0.5, 1.0), (0.51, 0.0)] {
            let got = excerpt.similarity(&whole, Measure::Containment { min_size_share });
            assert!((got - expected).abs() < 1e-9, "{min_size_share}: {got}");
        }
        // A sampled set against a whole one.
        let (large, small) = (set((0..300_000).map(scramble)), set((0..150_000).map(scramble)));
        assert!((large.similarity(&small, Measure::Jaccard) - 0.5).abs() < 0.005);
    }

    #[test]
    fn a_file_gives_the_sets_that_are_asked_for() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        for ordinal in (0..400).filter(|ordinal| ordinal % 3 != 1) {
            let mut hashes: Vec<u64> = (0..u64::from(ordinal)).map(|i| scramble(i + 7)).collect();
            hashes.sort_unstable();
            writer.push(ordinal, &hashes).expect("in order");
        }
        writer.finish().expect("memory");
        let mut sets = Sets::open("sets", &bytes[..], bytes.len() as u64, 2).expect("sound");
        let mut got = Set::default();
        for ordinal in [0, 2, 30, 30, 399] {
            got.decode(sets.seek(node(2, ordinal)).expect("there")).expect("sound");
            assert_eq!(got, set((0..u64::from(ordinal)).map(|i| scramble(i + 7))), "{ordinal}");
        }
        let mut sets = Sets::open("sets", &bytes[..], bytes.len() as u64, 2).expect("sound");
        assert!(matches!(sets.seek(node(2, 31)), Err(Error::Corrupt { .. })));
    }

    proptest! {
        #[test]
        fn any_set_comes_back(hashes in proptest::collection::vec(any::<u64>(), 0..300), squeeze in 0_u32..50) {
            round_trip(&set(hashes.into_iter().map(|hash| hash >> squeeze)));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Set::default().decode(&bytes);
        }
    }

    #[test]
    fn sets_of_documents_that_go_are_left_out() {
        let write = |ordinals: &[u32]| {
            let mut writer = Writer::new(Vec::new());
            for &ordinal in ordinals {
                let mut hashes: Vec<u64> = (0..50 + u64::from(ordinal)).map(scramble).collect();
                hashes.sort_unstable();
                writer.push(ordinal, &hashes).expect("memory");
            }
            writer.finish().expect("memory").1
        };
        let all = write(&[0, 2, 3, 9]);
        let mut left = Vec::new();
        let length = all.len() as u64;
        without("sets", &all[..], length, &mut left, |ordinal| ordinal % 3 == 0).expect("sound");
        assert_eq!(left, write(&[2]));
        assert!(without("sets", &all[..all.len() - 1], length, Vec::new(), |_| false).is_err());
    }
}
