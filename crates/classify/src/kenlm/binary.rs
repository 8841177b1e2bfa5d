//! The header of a binary file (lm/binary_format.cc): numbers whose bytes show the machine that wrote it, the kind of model, and how many
//! n-grams of each length it has.

use super::bytes::{f32_at, u32_at, u64_at};
use super::{LoadError, MAX_ORDER};

const MAGIC: &[u8] = b"mmap lm http://kheafield.com/code format version 5\n";
const MAGIC_OF_ANY_VERSION: &[u8] = b"mmap lm http://kheafield.com/code format version";
const MAGIC_OF_HALF_A_FILE: &[u8] = b"mmap lm http://kheafield.com/code incomplete";
/// The magic with zeros behind it, and the test numbers.
const SANITY_BYTES: usize = 88;
/// Order, multiplier, kind, whether the words are there, version; each at a multiple of four.
const FIXED_BYTES: usize = 20;

#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Buckets of a hash table for each n-gram in it.
    pub(super) probing_multiplier: f32,
    /// Whether the words stand at the end of the file.
    pub(super) has_words: bool,
    /// How many n-grams of each length, from one word on.
    pub(super) counts: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Hash tables. With `rest`, each value also has a score for chart decoders.
    Probing { rest: bool },
    /// A trie, its values perhaps in bins, its pointers perhaps compressed.
    Trie { quantised: bool, compressed: bool },
}

impl Kind {
    fn of(number: u32) -> Result<Self, LoadError> {
        match number {
            0 => Ok(Self::Probing { rest: false }),
            1 => Ok(Self::Probing { rest: true }),
            2..=5 => Ok(Self::Trie { quantised: number % 2 == 1, compressed: number > 3 }),
            _ => Err(LoadError::Unsupported(format!(
                "its kind has the number {number}, which KenLM 5 has not"
            ))),
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Probing { rest } => u32::from(rest),
            Self::Trie { quantised, compressed } => 2 + u32::from(quantised) + 2 * u32::from(compressed),
        }
    }

    /// The version of its layout.
    fn version(self) -> u32 {
        match self {
            Self::Probing { .. } => 0,
            Self::Trie { .. } => 1,
        }
    }
}

impl Header {
    /// The header of a binary file; none if the file is no binary.
    pub(super) fn read(file: &[u8]) -> Result<Option<Self>, LoadError> {
        if file.starts_with(MAGIC_OF_HALF_A_FILE) {
            return Err(LoadError::Damaged("build_binary did not finish it".to_owned()));
        }
        if !file.starts_with(MAGIC_OF_ANY_VERSION) {
            return Ok(None);
        }
        if !file.starts_with(MAGIC) {
            let problem = "it is a binary of another version of KenLM; build it again from the ARPA file";
            return Err(LoadError::Unsupported(problem.to_owned()));
        }
        if !file.starts_with(&sanity()) {
            let problem =
                "it was built on another kind of machine, or is damaged; build it again from the ARPA file";
            return Err(LoadError::Unsupported(problem.to_owned()));
        }
        let cut_off = || LoadError::Damaged("its header is cut off".to_owned());
        let fixed = file.get(SANITY_BYTES..SANITY_BYTES + FIXED_BYTES).ok_or_else(cut_off)?;
        let order = usize::from(fixed.first().copied().unwrap_or_default());
        if !(2..=MAX_ORDER).contains(&order) {
            let problem = format!("its n-grams have up to {order} words; from 2 to {MAX_ORDER} are possible");
            return Err(LoadError::Unsupported(problem));
        }
        let probing_multiplier = f32_at(fixed, 4);
        if probing_multiplier.is_nan() || probing_multiplier < 1.0 {
            return Err(LoadError::Damaged(format!("its multiplier is {probing_multiplier}, not 1 or more")));
        }
        let kind = Kind::of(u32_at(fixed, 8))?;
        let version = u32_at(fixed, 16);
        if version != kind.version() {
            let problem = format!("its layout has version {version}; build it again from the ARPA file");
            return Err(LoadError::Unsupported(problem));
        }
        let has_words = fixed.get(12).is_some_and(|flag| *flag != 0);
        let counts = SANITY_BYTES + FIXED_BYTES;
        if file.len() < header_bytes(order) {
            return Err(cut_off());
        }
        let counts: Vec<u64> = (0..order).map(|at| u64_at(file, counts + 8 * at)).collect();
        // No n-gram takes less than a bit, so all sums of sizes stay far from overflowing.
        if counts.iter().any(|count| count / 8 > file.len() as u64) {
            return Err(LoadError::Damaged("it has more n-grams than would fit".to_owned()));
        }
        Ok(Some(Self { kind, probing_multiplier, has_words, counts }))
    }

    /// Bytes of the header in the file.
    pub(super) fn bytes(&self) -> usize {
        header_bytes(self.counts.len())
    }

    /// The header as it stands in a file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = sanity().to_vec();
        out.extend((self.counts.len() as u32).to_le_bytes());
        out.extend(self.probing_multiplier.to_le_bytes());
        out.extend(self.kind.number().to_le_bytes());
        out.extend(u32::from(self.has_words).to_le_bytes());
        out.extend(self.kind.version().to_le_bytes());
        out.extend(self.counts.iter().flat_map(|count| count.to_le_bytes()));
        out.resize(self.bytes(), 0);
        out
    }
}

fn header_bytes(order: usize) -> usize {
    (SANITY_BYTES + FIXED_BYTES + 8 * order).next_multiple_of(8)
}

/// The first bytes of every file that this kind of machine, 64 bits and little-endian, writes.
fn sanity() -> [u8; SANITY_BYTES] {
    let mut sanity = [0; SANITY_BYTES];
    let numbers = [0_f32.to_bits(), 1_f32.to_bits(), (-0.5_f32).to_bits(), 1, u32::MAX, 0, 1, 0];
    let tail = numbers.iter().flat_map(|number| number.to_le_bytes());
    for (to, from) in sanity.iter_mut().zip(MAGIC) {
        *to = *from;
    }
    for (to, from) in sanity.iter_mut().skip(56).zip(tail) {
        *to = from;
    }
    sanity
}
