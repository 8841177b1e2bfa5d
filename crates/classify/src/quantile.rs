//! The exact k-th best score of a corpus that no machine sees whole.
//!
//! All records stand in one order: by score, and where scores are equal by a hash of the record's id ([`Rank`]). So there is one
//! k-th best, whatever the number of tasks and whatever their order, and keeping a tenth keeps a tenth to the record, even if a
//! million pages have the same score.
//!
//! **Protocol.** In each round all tasks count their records into a [`Histogram`] of the same [`Round`]; histograms are merged in any order and
//! grouping; [`Histogram::find`] gives the k-th best, or the next round, whose span is that of the one bucket that holds
//! it. Each round is a pass over scores alone. Two or three do for a billion scores that spread; none but [`MAX_ROUNDS`] at worst.
//!
//! **Failure.** A histogram of another round, and a place that the round cannot hold (since records changed between rounds), are a
//! [`QuantileError`]. A score that is no number has no rank; it is the caller's to drop.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// A round has up to `2^BUCKET_BITS` buckets.
const BUCKET_BITS: u32 = 12;
/// No search takes more rounds: each shortens the span, 2^128 at first, by 2^12.
pub const MAX_ROUNDS: usize = 11;

/// A record's place among all records. Greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank {
    /// The score's bits, turned so that they are ordered as scores are.
    score: u64,
    tie: u64,
}

const SIGN: u64 = 1 << 63;

impl Rank {
    /// The place of the record with this id and score. None if the score is no number.
    #[must_use]
    pub fn new(score: f64, record: &str) -> Option<Self> {
        Self::with_tie(score, xxh3_64(record.as_bytes()))
    }

    fn with_tie(score: f64, tie: u64) -> Option<Self> {
        if score.is_nan() {
            return None;
        }
        // Adding zero makes -0 a 0. Negative numbers grow with their bits towards less.
        let bits = (score + 0.0).to_bits();
        let score = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        Some(Self { score, tie })
    }

    /// The score, to be shown and kept.
    #[must_use]
    pub fn score(self) -> f64 {
        f64::from_bits(if self.score & SIGN == 0 { !self.score } else { self.score & !SIGN })
    }

    /// What decides between equal scores: 64 bits of xxh3 of the record's id.
    #[must_use]
    pub fn tie(self) -> u64 {
        self.tie
    }

    fn to_number(self) -> u128 {
        u128::from(self.score) << 64 | u128::from(self.tie)
    }
}

/// A share of all records, exact: a tenth of ten is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Billionths.
    billionths: u64,
}

/// A share that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no share: write a percentage between 0% and 100% with up to seven decimals, such as 10% or 2.5%"
)]
pub struct ShareError(String);

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let share = || {
            let (whole, decimals) = match text.strip_suffix('%')?.split_once('.') {
                Some((whole, decimals)) => (whole, decimals),
                None => (text.strip_suffix('%')?, "0"),
            };
            let is_number =
                |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(whole) || !is_number(decimals) || decimals.len() > 7 {
                return None;
            }
            let billionths = format!("{whole}{decimals:0<7}").parse().ok()?;
            (billionths <= 1_000_000_000).then_some(Self { billionths })
        };
        share().ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl Share {
    /// How many of `total` records that is, rounded up: of a few records the best are kept, and not none.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        (u128::from(total) * u128::from(self.billionths)).div_ceil(1_000_000_000) as u64
    }
}

/// The span of ranks that is looked at, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    low: Rank,
    high: Rank,
}

impl Round {
    /// All ranks.
    #[must_use]
    pub fn first() -> Self {
        Self { low: Rank { score: 0, tie: 0 }, high: Rank { score: u64::MAX, tie: u64::MAX } }
    }

    /// An empty histogram for this round.
    #[must_use]
    pub fn histogram(self) -> Histogram {
        Histogram { round: self, above: 0, below: 0, buckets: BTreeMap::new() }
    }

    /// The bucket of a rank within the span.
    fn bucket(self, rank: Rank) -> u32 {
        let span = self.high.to_number() - self.low.to_number();
        let shift = (u128::BITS - span.leading_zeros()).saturating_sub(BUCKET_BITS);
        ((rank.to_number() - self.low.to_number()) >> shift) as u32
    }
}

/// How records spread over the span of a round. Its size does not depend on their number: some 4,000 buckets of 40 bytes at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    round: Round,
    above: u64,
    below: u64,
    /// Those that have records.
    buckets: BTreeMap<u32, Bucket>,
}

/// The records of a bucket: how many, the worst and the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    count: u64,
    low: Rank,
    high: Rank,
}

/// What is known after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The k-th best is this one: keep what is not below it.
    Exactly(Rank),
    /// It lies in this span.
    Within(Round),
}

/// Histograms that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantileError {
    /// A histogram of another round.
    #[error("histograms of different rounds cannot be merged; count all records for the same round")]
    OtherRound,
    /// The k-th best is not where an earlier round saw it, or there are fewer than `k` records.
    #[error(
        "of {total} records {above} rank above the span of this round and {below} below, so number {k} is not in it; count the same records in each round"
    )]
    NotInRound {
        /// The place that was asked for.
        k: u64,
        /// All records.
        total: u64,
        /// Those above.
        above: u64,
        /// Those below.
        below: u64,
    },
}

impl Histogram {
    /// Counts a record.
    pub fn add(&mut self, rank: Rank) {
        if rank > self.round.high {
            self.above += 1;
        } else if rank < self.round.low {
            self.below += 1;
        } else {
            self.add_bucket(self.round.bucket(rank), Bucket { count: 1, low: rank, high: rank });
        }
    }

    fn add_bucket(&mut self, at: u32, new: Bucket) {
        let bucket = self.buckets.entry(at).or_insert(Bucket { count: 0, ..new });
        bucket.count += new.count;
        bucket.low = bucket.low.min(new.low);
        bucket.high = bucket.high.max(new.high);
    }

    /// Takes in the records that another task counted in the same round.
    pub fn merge(&mut self, other: &Self) -> Result<(), QuantileError> {
        if self.round != other.round {
            return Err(QuantileError::OtherRound);
        }
        self.above += other.above;
        self.below += other.below;
        for (at, bucket) in &other.buckets {
            self.add_bucket(*at, *bucket);
        }
        Ok(())
    }

    /// All records that were counted: the same in each round.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.above + self.below + self.buckets.values().map(|bucket| bucket.count).sum::<u64>()
    }

    /// Looks for the `k`-th best record; the best is number 1.
    pub fn find(&self, k: u64) -> Result<Found, QuantileError> {
        let mut better = self.above;
        for bucket in self.buckets.values().rev() {
            if k <= better {
                break;
            }
            let place = k - better;
            if place == 1 {
                return Ok(Found::Exactly(bucket.high));
            }
            if place == bucket.count || (place < bucket.count && bucket.low == bucket.high) {
                return Ok(Found::Exactly(bucket.low));
            }
            if place < bucket.count {
                return Ok(Found::Within(Round { low: bucket.low, high: bucket.high }));
            }
            better += bucket.count;
        }
        Err(QuantileError::NotInRound { k, total: self.total(), above: self.above, below: self.below })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts in as many tasks as asked for, round after round, each task's histogram taking the way over JSON.
    fn search(ranks: &[Rank], tasks: usize, k: u64) -> (Rank, usize) {
        let mut round = Round::first();
        for rounds in 1..=MAX_ROUNDS {
            let mut all = round.histogram();
            for task in ranks.chunks(ranks.len().div_ceil(tasks)).rev() {
                let mut histogram = round.histogram();
                for rank in task {
                    histogram.add(*rank);
                }
                let json = serde_json::to_string(&histogram).unwrap();
                all.merge(&serde_json::from_str(&json).unwrap()).unwrap();
            }
            assert_eq!(all.total(), ranks.len() as u64);
            match all.find(k).unwrap() {
                Found::Exactly(rank) => return (rank, rounds),
                Found::Within(narrower) => round = narrower,
            }
        }
        panic!("not found in {MAX_ROUNDS} rounds");
    }

    fn scores() -> impl Strategy<Value = f64> {
        prop_oneof![
            // Ties, skew, what a classifier gives, and everything else.
            (0_u8..4).prop_map(|step| f64::from(step) / 4.0),
            (0_f64..1.0).prop_map(|x| x.powi(9)),
            (0_f32..1.0).prop_map(f64::from),
            any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_search_ends_where_sorting_does(
            records in prop::collection::vec((scores(), 0_u64..50), 1..400),
            tasks in 1_usize..20,
            place in any::<prop::sample::Index>(),
        ) {
            let mut ranks: Vec<Rank> = records.iter().map(|(score, tie)| Rank::with_tie(*score, *tie).unwrap()).collect();
            let k = place.index(ranks.len());
            let (found, _) = search(&ranks, tasks, k as u64 + 1);
            ranks.sort_by(|a, b| b.score().total_cmp(&a.score()).then(b.tie().cmp(&a.tie())));
            prop_assert_eq!(found, ranks[k]);
        }

        #[test]
        fn ranks_are_ordered_as_scores_are(a in scores(), b in scores()) {
            let (first, second) = (Rank::with_tie(a, 7).unwrap(), Rank::with_tie(b, 7).unwrap());
            prop_assert_eq!(Some(first.cmp(&second)), a.partial_cmp(&b));
            prop_assert_eq!(first.score().to_bits(), (a + 0.0).to_bits());
        }
    }

    #[test]
    fn few_rounds_do() {
        let spread = |count: u64, score: &dyn Fn(f64) -> f64| -> Vec<Rank> {
            let place = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (0..count)
                .map(|at| Rank::with_tie(score(place(at) as f64 / 2_f64.powi(64)), place(at ^ 0xff)).unwrap())
                .collect()
        };
        for (name, ranks) in [
            ("spread", spread(50_000, &|x| x)),
            ("skewed", spread(50_000, &|x| f64::from(x.powi(20) as f32))),
            ("equal", spread(50_000, &|_| 0.25)),
            ("two", spread(50_000, &|x| f64::from(u8::from(x < 0.3)))),
        ] {
            let (_, rounds) = search(&ranks, 3, "10%".parse::<Share>().unwrap().of(50_000));
            assert!(rounds <= 4, "{name}: {rounds} rounds");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rank = |score| Rank::with_tie(score, 1).unwrap();
        assert_eq!(Rank::with_tie(f64::NAN, 1), None);
        let mut histogram = Round::first().histogram();
        assert!(matches!(histogram.find(1), Err(QuantileError::NotInRound { total: 0, .. })));
        for score in [0.1, 0.2, 0.2, 0.3] {
            histogram.add(rank(score));
        }
        assert_eq!(histogram.find(1), Ok(Found::Exactly(rank(0.3))));
        assert_eq!(histogram.find(4), Ok(Found::Exactly(rank(0.1))));
        assert!(histogram.find(0).is_err());
        assert!(histogram.find(5).is_err());
        let narrow = Round { low: rank(0.2), high: rank(0.2) };
        assert_eq!(histogram.merge(&narrow.histogram()), Err(QuantileError::OtherRound));
        let mut histogram = narrow.histogram();
        for score in [0.1, 0.2, 0.2, 0.3] {
            histogram.add(rank(score));
        }
        assert_eq!(histogram.find(3), Ok(Found::Exactly(rank(0.2))));
        let message = histogram.find(1).unwrap_err().to_string();
        assert!(
            message.starts_with("of 4 records 1 rank above the span of this round and 1 below"),
            "{message}"
        );
    }

    #[test]
    fn shares_are_exact() {
        let check = |text: &str, total: u64, expected: u64| {
            assert_eq!(text.parse::<Share>().unwrap().of(total), expected, "{text} of {total}");
        };
        check("10%", 10, 1);
        check("10%", 11, 2);
        check("7%", 100, 7);
        check("0.0000001%", 3_000_000_000, 3);
        check("100%", u64::MAX, u64::MAX);
        check("0%", 5, 0);
        check("2.50%", 1000, 25);
        for wrong in
            ["", "%", "10", "-1%", "101%", "100.0000001%", "1.%", ".5%", "1,5%", "1e1%", "0.00000001%"]
        {
            assert!(wrong.parse::<Share>().is_err(), "{wrong:?}");
        }
    }
}
