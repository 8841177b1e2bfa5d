//! MurmurHash64A by Austin Appleby (public domain): KenLM knows words by this hash alone.

const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// The hash with seed 0.
pub(super) fn hash(word: &[u8]) -> u64 {
    let mut hash = (word.len() as u64).wrapping_mul(MULTIPLIER);
    let (chunks, tail) = word.as_chunks::<8>();
    for chunk in chunks {
        let mut bits = u64::from_le_bytes(*chunk).wrapping_mul(MULTIPLIER);
        bits ^= bits >> SHIFT;
        hash = (hash ^ bits.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let bits = tail.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        hash = (hash ^ bits).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}
