//! Chance that is the same in every run.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Whether a record belongs to a sample of the given share: a coin that its id and a seed make.
#[must_use]
pub fn is_sampled(id: &str, seed: u64, probability: f64) -> bool {
    // 53 bits fill a double's mantissa, so that the quotient is exact and below 1.
    let coin = (xxh3_64_with_seed(id.as_bytes(), seed) >> 11) as f64 / (1_u64 << 53) as f64;
    coin < probability
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_their_share() {
        for probability in [0.0, 0.1, 0.5, 1.0] {
            let kept = (0..10_000).filter(|id| is_sampled(&id.to_string(), 7, probability)).count();
            assert!((kept as f64 - probability * 10_000.0).abs() < 150.0, "{probability}: {kept}");
        }
        let both = (0..10_000).filter(|id| (7..9).all(|seed| is_sampled(&id.to_string(), seed, 0.5))).count();
        assert!((2300..2700).contains(&both), "{both}");
    }
}
