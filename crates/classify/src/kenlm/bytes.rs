//! Numbers at any byte or bit of a file. Behind its end everything is zero: sizes were checked when the file was opened, so that only what a
//! damaged file points to can lie there.

pub(super) fn u64_at(file: &[u8], at: usize) -> u64 {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

pub(super) fn u32_at(file: &[u8], at: usize) -> u32 {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn f32_at(file: &[u8], at: usize) -> f32 {
    f32::from_bits(u32_at(file, at))
}

/// `count` bits, 57 at most, from bit number `bit` behind byte `start` on (util/bit_packing.hh).
pub(super) fn bits_at(file: &[u8], start: usize, bit: u64, count: u32) -> u64 {
    let at = start.saturating_add((bit / 8) as usize);
    u64_at(file, at) >> (bit % 8) & ((1 << count) - 1)
}

/// Bits that the numbers up to `max` need.
pub(super) fn bits_for(max: u64) -> u32 {
    u64::BITS - max.leading_zeros()
}
