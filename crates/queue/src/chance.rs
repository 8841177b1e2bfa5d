//! Chance as an argument: jitter that a seed repeats.

use std::time::Duration;

use crate::Settings;

/// A seeded generator for jitter (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014). Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How long a task waits after its `failures`-th failure (1 is the first): the base, doubled for each
    /// further failure up to the maximum, of which at least half is kept and the rest left to chance.
    ///
    /// The kept half makes sure that a struggling store gets its pause; the other half spreads tasks that
    /// failed together, so that they do not come back together.
    pub fn backoff(&mut self, settings: &Settings, failures: u32) -> Duration {
        backoff_between(settings.backoff_base, settings.backoff_max, failures, self.next_u64())
    }

    /// The same curve for other waits, such as reconnecting.
    #[cfg(feature = "redis")]
    pub(crate) fn backoff_between(&mut self, base: Duration, most: Duration, failures: u32) -> Duration {
        backoff_between(base, most, failures, self.next_u64())
    }
}

fn backoff_between(base: Duration, most: Duration, failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = base.saturating_mul(1_u32 << doublings).min(most);
    let half = full / 2;
    let half_micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(random % half_micros.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_stays_between_half_and_full_and_repeats_by_seed() {
        let settings = Settings::default();
        for (failures, full_ms) in
            [(1, 1_000), (2, 2_000), (3, 4_000), (9, 256_000), (10, 300_000), (u32::MAX, 300_000)]
        {
            let mut chance = Chance::new(7);
            for _ in 0..100 {
                let delay = chance.backoff(&settings, failures).as_millis();
                assert!((full_ms / 2..=full_ms).contains(&delay), "failure {failures}: {delay} ms");
            }
        }
        let [one, two] = [Chance::new(3), Chance::new(3)].map(|mut c| c.backoff(&settings, 5));
        assert_eq!(one, two);
        assert_ne!(Chance::new(3).next_u64(), Chance::new(4).next_u64());
    }
}
