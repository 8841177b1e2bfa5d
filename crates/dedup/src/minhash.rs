//! MinHash signatures and the band keys of locality-sensitive hashing.
//!
//! For each of bands × rows hash functions the signature holds the least value over a document's shingles. Two
//! documents agree in one place with probability J, the Jaccard similarity of their shingle sets; a band is
//! `rows` places hashed together, and two documents meet in at least one band with probability
//! 1 - (1 - J^rows)^bands ([`probability`]).
//!
//! **Hash functions.** From a shingle's 64-bit hash, in halves lo and hi: h_i = a_i·lo + (hi xor b_i) mod 2^32, with
//! a_i odd and b_i drawn by SplitMix64 from the seed. 32 bits suffice: with n shingles two documents share a least
//! value by accident with probability about n/2^32 per place, and a band needs `rows` of them. Multiplying in 32-bit
//! lanes is what makes it fast: the loop holds a strip of minima in vector registers while all shingles pass, with
//! AVX-512, AVX2 or whatever the target has, chosen at run time; all ways compute the same integers.
//!
//! **Band keys** are 64 bits of xxh3 over the band's rows, seeded by the band's number, so that all bands share one
//! key space and one file. Among K keys about K²/2^65 pairs collide by accident: for a billion documents in 14 bands
//! 5, for the whole DCLM pool (200 billion) 200 thousand, one document in a million; with verification none of
//! them joins. Doubling the width would double what is stored, sorted and merged.
//!
//! Sources: Broder, "On the resemblance and containment of documents" (1997); the presets are those of DCLM
//! (arXiv 2406.11794, 93×15), RefinedWeb (arXiv 2306.01116, 450×20), FineWeb (datatrove, 14×8) and OLMo (26×11).

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Error;
use crate::shingle::{Shingler, Unit, scramble};

/// The parameters of a MinHash job. Two signatures compare only if all are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Units per shingle.
    pub ngram: usize,
    /// What a unit is.
    pub unit: Unit,
    /// Bands: each gives a key.
    pub bands: usize,
    /// Rows per band.
    pub rows: usize,
    /// Seed of every hash.
    pub seed: u64,
}

/// bands × rows that others published under.
pub const PRESETS: [(&str, usize, usize); 4] =
    [("dclm", 93, 15), ("refinedweb", 450, 20), ("fineweb", 14, 8), ("olmo", 26, 11)];

impl Params {
    /// A preset by name, with 5-word shingles and seed 1; `None` for a name not in [`PRESETS`].
    pub fn preset(name: &str) -> Option<Self> {
        let &(_, bands, rows) = PRESETS.iter().find(|preset| preset.0 == name)?;
        Some(Self { ngram: 5, unit: Unit::Words, bands, rows, seed: 1 })
    }

    fn check(&self) -> Result<(), Error> {
        let limits = [
            ("ngram", self.ngram, 1000),
            ("bands", self.bands, 10_000),
            ("rows", self.rows, 1000),
            ("bands × rows", self.bands.saturating_mul(self.rows), 100_000),
        ];
        for (name, value, most) in limits {
            if value == 0 || value > most {
                return Err(Error::Invalid(format!("{name} is {value}: take 1 to {most}")));
            }
        }
        Ok(())
    }
}

/// The S-curve: how likely two documents of similarity `jaccard` share at least one band.
pub fn probability(jaccard: f64, bands: usize, rows: usize) -> f64 {
    1.0 - (1.0 - jaccard.powf(rows as f64)).powf(bands as f64)
}

/// Signs documents; holds buffers, one per thread.
#[derive(Clone, Debug)]
pub struct Signer {
    params: Params,
    shingler: Shingler,
    shingles: Vec<u64>,
    strips: Vec<Strip>,
    signature: Vec<u32>,
    row_bytes: Vec<u8>,
    width: Width,
}

impl Signer {
    /// A signer for `params`, which may be impossible ([`Error::Invalid`]).
    pub fn new(params: &Params) -> Result<Self, Error> {
        params.check()?;
        let mut state = params.seed;
        let mut draw = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            split_mix(state)
        };
        let count = params.bands * params.rows;
        let mut strips = vec![Strip::default(); count.div_ceil(LANES)];
        for place in 0..count {
            let strip = &mut strips[place / LANES];
            let random = draw();
            strip.factor[place % LANES] = random as u32 | 1;
            strip.mask[place % LANES] = (random >> 32) as u32;
        }
        Ok(Self {
            params: params.clone(),
            shingler: Shingler::new(params.unit, params.ngram, params.seed),
            shingles: Vec::new(),
            strips,
            signature: Vec::with_capacity(count),
            row_bytes: Vec::with_capacity(4 * params.rows),
            width: Width::detect(),
        })
    }

    /// Writes `text`'s band keys into `out`: one per band in band order, or none if the text has no shingles (count
    /// such documents as unsigned: they are kept). Returns the number of shingles, with repetitions.
    pub fn band_keys(&mut self, text: &str, out: &mut Vec<u64>) -> usize {
        out.clear();
        let shingles = self.sign(text);
        if shingles == 0 {
            return 0;
        }
        for (band, rows) in self.signature.chunks_exact(self.params.rows).enumerate() {
            self.row_bytes.clear();
            for value in rows {
                self.row_bytes.extend_from_slice(&value.to_le_bytes());
            }
            out.push(xxh3_64_with_seed(&self.row_bytes, scramble(self.params.seed ^ (band as u64 + 1))));
        }
        shingles
    }

    /// The signature of `text`: bands × rows least values; `None` if it has no shingles.
    pub fn signature(&mut self, text: &str) -> Option<&[u32]> {
        (self.sign(text) > 0).then_some(&self.signature[..])
    }

    /// The sorted set of shingle hashes of the text signed last, for exact comparison; sorts in place.
    pub fn shingle_set(&mut self) -> &[u64] {
        self.shingles.sort_unstable();
        self.shingles.dedup();
        &self.shingles
    }

    fn sign(&mut self, text: &str) -> usize {
        self.shingler.shingles(text, &mut self.shingles);
        self.signature.clear();
        if self.shingles.is_empty() {
            return 0;
        }
        let mut left = self.params.bands * self.params.rows;
        for strip in &self.strips {
            let minima = self.width.minima(strip, &self.shingles);
            let take = left.min(LANES);
            self.signature.extend_from_slice(&minima[..take]);
            left -= take;
        }
        self.shingles.len()
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// Hash functions computed at a time: their minima fit in the registers of every vector unit.
const LANES: usize = 32;

/// The constants of [`LANES`] hash functions.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Strip {
    factor: [u32; LANES],
    mask: [u32; LANES],
}

/// The vector unit to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Width {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    #[inline]
    fn minima(self, strip: &Strip, shingles: &[u64]) -> [u32; LANES] {
        match self {
            Self::Portable => minima(strip, shingles),
            // SAFETY: `detect` found the feature, and nothing else makes these variants.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { minima_avx2(strip, shingles) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { minima_avx512(strip, shingles) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn minima_avx2(strip: &Strip, shingles: &[u64]) -> [u32; LANES] {
    minima(strip, shingles)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn minima_avx512(strip: &Strip, shingles: &[u64]) -> [u32; LANES] {
    minima(strip, shingles)
}

/// The loop itself, compiled for each vector unit.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take on its caller's target features")]
fn minima(strip: &Strip, shingles: &[u64]) -> [u32; LANES] {
    let mut least = [u32::MAX; LANES];
    for &shingle in shingles {
        let (low, high) = (shingle as u32, (shingle >> 32) as u32);
        for ((least, factor), mask) in least.iter_mut().zip(&strip.factor).zip(&strip.mask) {
            *least = (*least).min(factor.wrapping_mul(low).wrapping_add(high ^ mask));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_s_curve_is_the_published_one() {
        // DCLM's choice of 93×15 was made to imitate 450×20 and 14×9 is datatrove's older default.
        for (bands, rows, jaccard, expected) in [
            (93, 15, 0.6, 0.043),
            (93, 15, 0.8, 0.964),
            (450, 20, 0.75, 0.761),
            (14, 9, 0.8, 0.867),
            (14, 8, 1.0, 1.0),
            (14, 8, 0.0, 0.0),
        ] {
            let got = probability(jaccard, bands, rows);
            assert!((got - expected).abs() < 6e-4, "{bands}x{rows} at {jaccard}: {got}");
        }
    }

    #[test]
    fn every_vector_unit_computes_the_same() {
        let params = Params { ngram: 1, unit: Unit::Words, bands: 13, rows: 11, seed: 3 };
        let mut signer = Signer::new(&params).expect("possible");
        let text: String = (0..500).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");
        let found = signer.signature(&text).expect("words").to_vec();
        signer.width = Width::Portable;
        assert_eq!(signer.signature(&text).expect("words"), found);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            signer.width = Width::Avx2;
            assert_eq!(signer.signature(&text).expect("words"), found);
        }
    }

    #[test]
    fn signatures_estimate_jaccard_without_bias() {
        // 60 pairs at each similarity, 400 places each: the standard error of the mean is below 0.005.
        let params = Params { ngram: 1, unit: Unit::Words, bands: 20, rows: 20, seed: 5 };
        let mut signer = Signer::new(&params).expect("possible");
        for (size, shared) in [(10, 5), (100, 50), (100, 90), (1000, 800), (1000, 300)] {
            let mut agree = 0;
            for pair in 0..60 {
                let text =
                    |own: &str| -> String {
                        (0..size)
                            .map(|i| {
                                if i < shared { format!("s{pair}_{i} ") } else { format!("{own}{pair}_{i} ") }
                            })
                            .collect()
                    };
                let left = signer.signature(&text("a")).expect("words").to_vec();
                let right = signer.signature(&text("b")).expect("words");
                agree += left.iter().zip(right).filter(|(a, b)| a == b).count();
            }
            let jaccard = f64::from(shared) / f64::from(2 * size - shared);
            let estimate = agree as f64 / (60.0 * 400.0);
            assert!((estimate - jaccard).abs() < 0.02, "{size} {shared}: {estimate} for {jaccard}");
        }
    }

    #[test]
    fn keys_differ_by_band_and_seed_and_agree_for_equal_texts() {
        let mut signer = Signer::new(&Params::preset("fineweb").expect("known")).expect("possible");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert_eq!(signer.band_keys("The quick brown fox jumps over it", &mut a), 3);
        signer.band_keys("the quick, brown fox: jumps over IT!", &mut b);
        assert_eq!(a, b);
        assert_eq!(a.len(), 14);
        b.sort_unstable();
        b.dedup();
        assert_eq!(b.len(), 14);
        assert_eq!(signer.band_keys("…", &mut b), 0);
        assert_eq!(b, []);
        let mut other =
            Signer::new(&Params { seed: 2, ..Params::preset("fineweb").expect("known") }).expect("ok");
        other.band_keys("The quick brown fox jumps over it", &mut b);
        assert!(a.iter().zip(&b).all(|(x, y)| x != y));
    }

    #[test]
    fn impossible_parameters_are_refused() {
        let good = Params::preset("dclm").expect("known");
        assert!(Params::preset("nobody").is_none());
        for bad in [
            Params { bands: 0, ..good.clone() },
            Params { rows: 0, ..good.clone() },
            Params { ngram: 0, ..good.clone() },
            Params { bands: 10_000, rows: 1000, ..good },
        ] {
            assert!(Signer::new(&bad).is_err(), "{bad:?}");
        }
    }
}
