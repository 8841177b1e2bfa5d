//! A Bloom filter of 512-bit blocks: one cache line per question.
//!
//! A hash of 64 bits picks a block by its upper bits (`hash × blocks >> 64`) and then `k` bits in it, nine bits of
//! SplitMix64 output each, seven to an output. All bits of an item lie in one block, so a question costs one miss of
//! the cache instead of `k`; in exchange the filter is some 10 % larger at a false-positive rate of 0.01, and more at
//! tiny rates, because blocks fill unevenly. [`Size::for_items`] accounts for that: it sums over the Poisson distribution
//! of items per block.
//!
//! Stored form, little-endian: 8 bytes magic | u32 version | u32 k | u64 blocks | u64 items | u64 seed | 64 bytes of what the items
//! are, in words, and zeros | u64 xxh3 of the bits | u64 xxh3 of the header so far | the blocks, 8 × u64 each. Two filters of the
//! same size, `k`, seed and kind of items merge by OR.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::Error;

const MAGIC: &[u8; 8] = b"gmbloom\n";
const VERSION: u32 = 2;
/// Bytes of the words that say what the items are.
const KIND: usize = 64;
const HEADER: usize = 56 + KIND;
const BLOCK_BITS: u64 = 512;
const BLOCK_BYTES: u64 = BLOCK_BITS / 8;
/// More bits per item than any sensible rate needs.
const MAX_K: u32 = 64;

/// How large a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Blocks of 64 bytes.
    pub blocks: u64,
    /// Bits set per item.
    pub k: u32,
}

impl Size {
    /// The smallest filter that answers wrongly for at most `rate` of unknown items once it holds `items`.
    pub fn for_items(items: u64, rate: f64) -> Result<Self, Error> {
        if !(rate > 1e-15 && rate < 1.0) {
            return Err(Error::Invalid(format!(
                "a false-positive rate of {rate}: take one between 1e-15 and 1"
            )));
        }
        let items = items.max(1);
        // Never more than one block an item: 512 bits each give 1e-15 with room to spare.
        let (mut low, mut high) = (1, items.max(2));
        while low < high {
            let middle = low + (high - low) / 2;
            if best_k(middle, items).1 <= rate { high = middle } else { low = middle + 1 }
        }
        Ok(Self { blocks: high, k: best_k(high, items).0 })
    }

    /// Memory and, but for the header, disk that the filter takes.
    pub fn bytes(self) -> u64 {
        self.blocks.saturating_mul(BLOCK_BYTES)
    }

    /// The expected rate of false positives with `items` items.
    pub fn false_positive_rate(self, items: u64) -> f64 {
        rate(items as f64 / self.blocks as f64, self.k)
    }
}

/// Bytes of memory for a filter of `items` at a false-positive rate of `rate`.
pub fn memory_needed(items: u64, rate: f64) -> Result<u64, Error> {
    Size::for_items(items, rate).map(Size::bytes)
}

/// The `k` with the lowest rate, and that rate.
fn best_k(blocks: u64, items: u64) -> (u32, f64) {
    let load = items as f64 / blocks as f64;
    let mut best = (1, rate(load, 1));
    for k in 2..=MAX_K {
        let here = rate(load, k);
        // The rate falls to one minimum and rises.
        if here > best.1 {
            break;
        }
        best = (k, here);
    }
    best
}

/// False positives where blocks hold `load` items on average: the mean over Poisson-many items of (share of bits set)^k.
fn rate(load: f64, k: u32) -> f64 {
    // Every bit is set long before that.
    if load > 1e4 {
        return 1.0;
    }
    let k = f64::from(k);
    let last = (load + 12.0 * load.sqrt() + 40.0) as u32;
    let mut log_weight = -load;
    let mut sum = 0.0;
    for items in 1..=last {
        log_weight += load.ln() - f64::from(items).ln();
        let clear = (f64::from(items) * k * (-1.0 / BLOCK_BITS as f64).ln_1p()).exp();
        sum += (log_weight + k * (1.0 - clear).ln()).exp();
    }
    sum
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
struct Block([u64; 8]);

impl Block {
    const EMPTY: Self = Self([0; 8]);

    /// Whether all bits of `mask` are set.
    #[inline]
    fn covers(&self, mask: &Self) -> bool {
        self.0.iter().zip(&mask.0).fold(0, |missing, (have, want)| missing | (want & !have)) == 0
    }

    #[inline]
    fn add(&mut self, mask: &Self) {
        for (have, want) in self.0.iter_mut().zip(&mask.0) {
            *have |= want;
        }
    }
}

/// What the head of a stored filter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: Size,
    pub items: u64,
    pub seed: u64,
    pub kind: String,
    bits_checksum: u64,
}

impl Head {
    /// Length of the head, which comes first.
    pub const BYTES: u64 = HEADER as u64;

    /// Parses and checks it. `file` is the name for error messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |offset: u64, what: &str| Error::corrupt(file, offset, what);
        let Some(head) = bytes.first_chunk::<HEADER>() else {
            return Err(corrupt(0, "the filter is cut short"));
        };
        let number = |at: usize| crate::block::le_u64(head, at);
        if head.first_chunk::<8>() != Some(MAGIC) || crate::block::le_u32(head, 8) != VERSION {
            return Err(corrupt(0, "it does not begin like a Bloom filter of this version"));
        }
        if xxh3_64(&head[..HEADER - 8]) != number(HEADER - 8) {
            return Err(corrupt(HEADER as u64 - 8, "the header's checksum does not match"));
        }
        let kind = head[40..40 + KIND].split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self {
            size: Size { blocks: number(16).max(1), k: crate::block::le_u32(head, 12).clamp(1, MAX_K) },
            items: number(24),
            seed: number(32),
            kind: String::from_utf8_lossy(kind).into_owned(),
            bits_checksum: number(HEADER - 16),
        })
    }
}

/// The filter.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    blocks: Vec<Block>,
    k: u32,
    items: u64,
    seed: u64,
    kind: String,
}

impl Filter {
    /// An empty filter. `seed` is only kept: callers hash with it, and filters of different seeds do not merge.
    pub fn new(size: Size, seed: u64) -> Self {
        Self {
            blocks: vec![Block::EMPTY; size.blocks.max(1) as usize],
            k: size.k.clamp(1, MAX_K),
            items: 0,
            seed,
            kind: String::new(),
        }
    }

    /// Says what the items are, in a few ASCII words: filters of different kinds do not merge, and one should not be asked for
    /// the other's.
    #[must_use]
    pub fn of(self, kind: &str) -> Self {
        Self { kind: kind.chars().filter(|c| matches!(c, ' '..='~')).take(KIND).collect(), ..self }
    }

    /// What the items are.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Blocks and bits per item.
    pub fn size(&self) -> Size {
        Size { blocks: self.blocks.len() as u64, k: self.k }
    }

    /// The seed that items must be hashed with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Insertions so far, repeated ones included.
    pub fn items(&self) -> u64 {
        self.items
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.blocks.len() as u128) >> 64) as usize
    }

    /// The bits of an item inside its block.
    #[inline]
    fn mask(&self, hash: u64) -> Block {
        let mut mask = Block::EMPTY;
        let mut state = hash;
        let mut left = self.k;
        while left > 0 {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut random = crate::minhash::split_mix(state);
            for _ in 0..left.min(7) {
                mask.0[(random >> 6) as usize & 7] |= 1 << (random & 63);
                random >>= 9;
            }
            left = left.saturating_sub(7);
        }
        mask
    }

    /// Whether `hash` was inserted, or looks so.
    #[inline]
    pub fn contains(&self, hash: u64) -> bool {
        let mask = self.mask(hash);
        self.blocks.get(self.place(hash)).is_some_and(|block| block.covers(&mask))
    }

    /// Inserts `hash`.
    #[inline]
    pub fn insert(&mut self, hash: u64) {
        let mask = self.mask(hash);
        let place = self.place(hash);
        if let Some(block) = self.blocks.get_mut(place) {
            block.add(&mask);
        }
        self.items += 1;
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.size() != other.size() || self.seed != other.seed || self.kind != other.kind {
            return Err(Error::Invalid(format!(
                "filters of {:?} with seed {} and {:?} with seed {} do not merge: make them with the same parameters",
                self.size(),
                self.seed,
                other.size(),
                other.seed
            )));
        }
        for (block, more) in self.blocks.iter_mut().zip(&other.blocks) {
            block.add(more);
        }
        self.items += other.items;
        Ok(())
    }

    /// Writes the stored form.
    pub fn save(&self, mut out: impl Write) -> Result<(), Error> {
        let mut hasher = Xxh3::new();
        let mut bytes = Vec::with_capacity(64 << 10);
        for part in self.blocks.chunks(1 << 10) {
            encode(part, &mut bytes);
            hasher.update(&bytes);
        }
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&self.k.to_le_bytes());
        header.extend_from_slice(&(self.blocks.len() as u64).to_le_bytes());
        header.extend_from_slice(&self.items.to_le_bytes());
        header.extend_from_slice(&self.seed.to_le_bytes());
        header.extend_from_slice(self.kind.as_bytes());
        header.resize(HEADER - 16, 0);
        header.extend_from_slice(&hasher.digest().to_le_bytes());
        header.extend_from_slice(&xxh3_64(&header).to_le_bytes());
        out.write_all(&header)?;
        for part in self.blocks.chunks(1 << 10) {
            encode(part, &mut bytes);
            out.write_all(&bytes)?;
        }
        out.flush()?;
        Ok(())
    }

    /// Reads the stored form. A filter larger than `memory_bytes` is refused. `file` is the name for error messages.
    pub fn load(file: &str, mut input: impl Read, memory_bytes: u64) -> Result<Self, Error> {
        let corrupt = |offset: u64, what: &str| Error::corrupt(file, offset, what);
        let short = |offset: u64| {
            move |error: io::Error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Error::corrupt(file, offset, "the filter is cut short"),
                _ => error.into(),
            }
        };
        let mut head = [0_u8; HEADER];
        input.read_exact(&mut head).map_err(short(0))?;
        let Head { size, items, seed, kind, bits_checksum } = Head::parse(file, &head)?;
        if size.bytes() > memory_bytes {
            return Err(Error::Invalid(format!(
                "{file} needs {} bytes of memory and {memory_bytes} are allowed: raise the limit",
                size.bytes()
            )));
        }
        let mut filter = Self { items, ..Self::new(size, seed).of(&kind) };
        let mut hasher = Xxh3::new();
        let mut bytes = vec![0_u8; 64 << 10];
        let mut offset = HEADER as u64;
        for part in filter.blocks.chunks_mut(1 << 10) {
            let bytes = &mut bytes[..part.len() * BLOCK_BYTES as usize];
            input.read_exact(bytes).map_err(short(offset))?;
            hasher.update(bytes);
            offset += bytes.len() as u64;
            for (block, bytes) in part.iter_mut().zip(bytes.chunks_exact(BLOCK_BYTES as usize)) {
                for (at, word) in block.0.iter_mut().enumerate() {
                    *word = crate::block::le_u64(bytes, 8 * at);
                }
            }
        }
        if hasher.digest() != bits_checksum {
            return Err(corrupt(HEADER as u64, "the checksum of the bits does not match"));
        }
        Ok(filter)
    }
}

fn encode(blocks: &[Block], bytes: &mut Vec<u8>) {
    bytes.clear();
    for word in blocks.iter().flat_map(|block| &block.0) {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shingle::scramble;

    #[test]
    fn sizes_are_little_above_a_plain_filter_s() {
        // A plain filter needs 1.44 log2(1/rate) bits an item: 9.6 at 0.01.
        for (rate, at_most) in [(0.1, 5.5), (0.01, 11.0), (0.001, 17.5), (1e-12, 220.0)] {
            let size = Size::for_items(10_000_000, rate).expect("possible");
            let bits = size.bytes() as f64 * 8.0 / 1e7;
            assert!(bits < at_most && bits > 1.44 * (1.0 / rate).log2(), "{rate}: {bits} bits, {size:?}");
            assert!(size.false_positive_rate(10_000_000) <= rate);
            assert!((size.false_positive_rate(u64::MAX) - 1.0).abs() < 1e-9);
        }
        for bad in [0.0, 1.0, -1.0, f64::NAN] {
            assert!(Size::for_items(1, bad).is_err());
        }
        assert!(memory_needed(0, 0.01).expect("possible") > 0);
        assert!(memory_needed(1_000_000_000_000, 0.01).expect("possible") > 1 << 40);
    }

    #[test]
    fn nothing_inserted_is_missed_and_the_rate_holds() {
        let size = Size::for_items(50_000, 0.01).expect("possible");
        let mut filter = Filter::new(size, 1);
        for i in 0..50_000 {
            filter.insert(scramble(i));
        }
        assert!((0..50_000).all(|i| filter.contains(scramble(i))));
        let wrong = (50_000..250_000).filter(|&i| filter.contains(scramble(i))).count();
        assert!((1_600..2_400).contains(&wrong), "{wrong} of 200,000");
    }

    #[test]
    fn a_filter_comes_back_and_merges() {
        let size = Size { blocks: 1500, k: 9 };
        let new = |seed, kind| Filter::new(size, seed).of(kind);
        let (mut a, mut b, mut both) = (new(4, "things"), new(4, "things"), new(4, "things"));
        for i in 0..4000 {
            let one = if i % 2 == 0 { &mut a } else { &mut b };
            one.insert(scramble(i));
            both.insert(scramble(i));
        }
        a.merge(&b).expect("alike");
        assert!(a == both);
        let mut bytes = Vec::new();
        a.save(&mut bytes).expect("memory");
        assert!(Filter::load("f", &bytes[..], 1 << 20).expect("sound") == a);
        assert!(matches!(Filter::load("f", &bytes[..], 1 << 10), Err(Error::Invalid(_))));
        assert_eq!(Filter::load("f", &bytes[..], 1 << 20).expect("sound").kind(), "things");
        for other in [new(5, "things"), new(4, "others")] {
            assert!(matches!(a.merge(&other), Err(Error::Invalid(_))));
        }
        for at in (0..2 * HEADER).chain([bytes.len() - 1]) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(
                matches!(Filter::load("f", &flipped[..], 1 << 20), Err(Error::Corrupt { .. })),
                "byte {at}"
            );
        }
        for end in (0..2 * HEADER).chain([bytes.len() - 1]) {
            assert!(
                matches!(Filter::load("f", &bytes[..end], 1 << 20), Err(Error::Corrupt { .. })),
                "cut at {end}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_of_others_are_errors(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), sealed: bool) {
            // With and without a head that looks right, whatever sizes it names.
            if let (true, Some(head)) = (sealed, bytes.get_mut(..HEADER)) {
                head[..8].copy_from_slice(MAGIC);
                head[8..12].copy_from_slice(&VERSION.to_le_bytes());
                let sum = xxh3_64(&head[..HEADER - 8]);
                head[HEADER - 8..].copy_from_slice(&sum.to_le_bytes());
            }
            proptest::prop_assert!(Filter::load("f", &bytes[..], 1 << 20).is_err());
        }
    }
}
