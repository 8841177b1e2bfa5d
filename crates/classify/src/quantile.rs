//! Where a score stands among all scores of a corpus that no machine sees whole, exactly.
//!
//! All records of a group stand in one order, the best first: by score, and where scores are equal by a hash of the record's id
//! ([`Rank`]). So there is one best tenth, whatever the number of tasks and whatever their order, and it is a tenth to the record, even
//! if a million pages have the same score.
//!
//! **Protocol.** The order is cut into [`SLOTS`] slots by score alone ([`Rank::slot`]). Tasks say what each slot of each group weighs;
//! [`locate`] says in which slots the bounds of some shares lie, and how far in; a [`Scan`] of the ranks of those slots, in order,
//! finds them. Slots follow the scale of scores, not their spread, so that nothing has to be known before: a slot is an eighth of an
//! octave, on both sides of 0.5 for scores that are probabilities.
//!
//! **Failure.** A score that is no number has no rank; it is the caller's to say what becomes of its record.

mod share;

pub use share::{Share, ShareError};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Slots that the order of scores is cut into.
pub const SLOTS: usize = 1024;

/// A record's place among all records: the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    bits: u64,
    tie: u64,
}

const SIGN: u64 = 1 << 63;
/// Slots of each of the four parts of the scale: below 0, up to 0.5, up to 1, above.
const PART: u64 = SLOTS as u64 / 4;
/// The bits of a number that tell it from others of its eighth of an octave.
const EIGHTH: u32 = 49;

impl Rank {
    /// The place of the record with this id and score; the higher score is the better one. None if the score is no number.
    #[must_use]
    pub fn new(score: f64, record: &str) -> Option<Self> {
        (!score.is_nan()).then(|| Self::from_parts(best_first(score), xxh3_64(record.as_bytes())))
    }

    /// The rank of which these are [`bits`](Self::bits) and [`tie`](Self::tie).
    #[must_use]
    pub fn from_parts(bits: u64, tie: u64) -> Self {
        Self { bits, tie }
    }

    /// The score's bits, turned so that the least are the best.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.bits
    }

    /// What decides between equal scores: 64 bits of xxh3 of the record's id.
    #[must_use]
    pub fn tie(self) -> u64 {
        self.tie
    }

    #[must_use]
    pub fn score(self) -> f64 {
        let ordered = !self.bits;
        f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN })
    }

    /// The slot that it lies in: the best scores have the least.
    #[must_use]
    pub fn slot(self) -> usize {
        let score = self.score();
        // So many eighths of an octave from one number to a greater one, both of them positive.
        let eighths =
            |from: f64, to: f64| (to.to_bits().saturating_sub(from.to_bits()) >> EIGHTH).min(PART - 1);
        let least_negative = 2_f64.powi(-16);
        let place = if score >= 1.0 {
            3 * PART + eighths(1.0, score)
        } else if score >= 0.5 {
            2 * PART + eighths(1.0 - score, 0.5)
        } else if score >= 0.0 {
            2 * PART - 1 - eighths(score, 0.5)
        } else {
            PART - 1 - eighths(least_negative, -score)
        };
        SLOTS - 1 - place as usize
    }
}

/// Bits that are ordered as the numbers are, the greatest first. Zero has one sign.
fn best_first(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits & SIGN == 0 { !(bits | SIGN) } else { bits }
}

/// What becomes of records with the same score of which some are within a share and some are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// A hash of the record's id decides, so that the share is exact.
    #[default]
    Split,
    /// All of them are within it: it may be larger than asked for.
    Keep,
    /// None of them is: it may be smaller.
    Drop,
}

/// What a slot of a group holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    pub slot: usize,
    pub records: u64,
    pub weight: u64,
}

/// The slot in which a share's bound lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which of the shares.
    pub share: usize,
    pub slot: usize,
    /// Of the slot's weight, what is within the share: the record that completes it is the last. `u64::MAX`: the last there is.
    pub rest: u64,
    /// Records of better slots.
    pub before: u64,
}

/// More than any records weigh: where sums grow too large they stop before it.
const ALL: u64 = u64::MAX;

/// Where the bounds of some shares of a group lie, by what its slots hold, the best first. A share that holds nothing has none.
#[must_use]
pub fn locate(slots: &[Slot], shares: &[Share]) -> Vec<Target> {
    let total = slots.iter().fold(0, |total, slot| add(total, slot.weight));
    let bound = |(share, wanted): (usize, &Share)| {
        if wanted.is_whole() {
            // Also what weighs nothing, to the last record.
            let (last, better) = slots.split_last()?;
            let before = better.iter().map(|slot| slot.records).sum();
            return Some(Target { share, slot: last.slot, rest: ALL, before });
        }
        let mut rest = wanted.of(total);
        let mut before = 0;
        for slot in slots {
            if rest > 0 && rest <= slot.weight {
                return Some(Target { share, slot: slot.slot, rest, before });
            }
            rest = rest.checked_sub(slot.weight)?;
            before += slot.records;
        }
        None
    };
    shares.iter().enumerate().filter_map(bound).collect()
}

/// The weight of both. Weights are numbers that documents bring, and may be of any size.
fn add(weight: u64, more: u64) -> u64 {
    weight.saturating_add(more).min(ALL - 1)
}

/// The last record of a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Which of the shares.
    pub share: usize,
    /// Records up to this rank are within it.
    pub rank: Rank,
    /// How many those are.
    pub records: u64,
    /// The score at which the share ends.
    pub score: f64,
    /// Records that have that score,
    pub tied: u64,
    /// and those of them that are within.
    pub tied_within: u64,
}

/// Finds the bounds that lie in one slot of a group, of whose ranks it is told in order.
#[derive(Debug)]
pub struct Scan {
    ties: Ties,
    /// The nearest last.
    targets: Vec<Target>,
    /// Records and their weight up to here.
    records: u64,
    weight: u64,
    /// The score that is being told, and the records before it.
    run: Option<(u64, u64)>,
    /// The bounds met at that score, and the records up to each.
    met: Vec<(Target, Rank, u64)>,
    last: Option<Rank>,
    found: Vec<Bound>,
}

impl Scan {
    /// For the bounds that [`locate`] puts into a slot.
    #[must_use]
    pub fn new(mut targets: Vec<Target>, ties: Ties) -> Self {
        targets.sort_by_key(|target| std::cmp::Reverse(target.rest));
        Self {
            ties,
            targets,
            records: 0,
            weight: 0,
            run: None,
            met: Vec::new(),
            last: None,
            found: Vec::new(),
        }
    }

    /// The next record. Records of the same rank stand together.
    pub fn record(&mut self, rank: Rank, weight: u64) {
        if self.run.is_none_or(|(bits, _)| bits != rank.bits) {
            self.end_run();
            self.run = Some((rank.bits, self.records));
        }
        self.records += 1;
        self.weight = add(self.weight, weight);
        for (_, bound, records) in &mut self.met {
            if *bound == rank {
                *records = self.records;
            }
        }
        while let Some(target) = self.targets.pop_if(|target| target.rest <= self.weight) {
            self.met.push((target, rank, self.records));
        }
        self.last = Some(rank);
    }

    /// The bounds, once all records of the slot have been told.
    #[must_use]
    pub fn finish(mut self) -> Vec<Bound> {
        // What is not reached ends with the last record.
        if let Some(last) = self.last {
            self.met.extend(self.targets.drain(..).map(|target| (target, last, self.records)));
        }
        self.end_run();
        self.found
    }

    fn end_run(&mut self) {
        let Some((bits, before)) = self.run.take() else { return };
        let tied = self.records - before;
        let score = Rank::from_parts(bits, 0).score();
        for (target, rank, records) in self.met.drain(..) {
            let (rank, within) = match self.ties {
                Ties::Split => (rank, records - before),
                Ties::Drop if records < self.records => {
                    (Rank::from_parts(bits.saturating_sub(1), u64::MAX), 0)
                }
                Ties::Keep | Ties::Drop => (Rank::from_parts(bits, u64::MAX), tied),
            };
            let records = target.before + before + within;
            self.found.push(Bound { share: target.share, rank, records, score, tied, tied_within: within });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A record of a group, with what it weighs.
    type Record = (f64, u64, u64);

    /// The bounds of a group, through slots whose weights come from so many tasks.
    fn search(records: &[Record], tasks: usize, shares: &[Share], ties: Ties) -> Vec<Bound> {
        let rank = |record: &Record| Rank::from_parts(best_first(record.0), record.1);
        let mut slots: BTreeMap<usize, Slot> = BTreeMap::new();
        for task in records.chunks(records.len().div_ceil(tasks).max(1)).rev() {
            for record in task {
                let at = rank(record).slot();
                let slot = slots.entry(at).or_insert(Slot { slot: at, ..Slot::default() });
                slot.records += 1;
                slot.weight = slot.weight.saturating_add(record.2);
            }
        }
        let slots: Vec<Slot> = slots.into_values().collect();
        let mut targets: BTreeMap<usize, Vec<Target>> = BTreeMap::new();
        for target in locate(&slots, shares) {
            targets.entry(target.slot).or_default().push(target);
        }
        let mut found = Vec::new();
        for (slot, targets) in targets {
            let mut scan = Scan::new(targets, ties);
            let mut ranks: Vec<(Rank, u64)> = records.iter().map(|r| (rank(r), r.2)).collect();
            ranks.sort_unstable();
            for (rank, weight) in ranks.into_iter().filter(|(rank, _)| rank.slot() == slot) {
                scan.record(rank, weight);
            }
            found.extend(scan.finish());
        }
        found.sort_by_key(|bound| bound.share);
        found
    }

    /// The same by one sort: of each share the places of the records within it.
    fn sorted(records: &[Record], share: Share, ties: Ties) -> Vec<bool> {
        let total: u64 = records.iter().map(|record| record.2).sum();
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&records[*a], &records[*b]);
            b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1))
        });
        let mut within = vec![false; records.len()];
        let mut weight = 0;
        for place in &order {
            if !share.is_whole() && weight >= share.of(total) {
                break;
            }
            weight += records[*place].2;
            within[*place] = true;
        }
        let inside = within.clone();
        let equal =
            |a: &Record, b: &Record, ties: bool| best_first(a.0) == best_first(b.0) && (ties || a.1 == b.1);
        for (place, record) in records.iter().enumerate() {
            let any = |of: bool, ties: bool| {
                (0..records.len()).any(|other| inside[other] == of && equal(&records[other], record, ties))
            };
            within[place] = match ties {
                Ties::Split => any(true, false),
                Ties::Keep => any(true, true),
                Ties::Drop => {
                    // Records of one rank are one.
                    let out = |other: usize| {
                        !inside[other]
                            && equal(&records[other], record, true)
                            && !(0..records.len())
                                .any(|o| inside[o] && equal(&records[o], &records[other], false))
                    };
                    inside[place] && !(0..records.len()).any(out)
                        || !inside[place] && any(true, false) && !(0..records.len()).any(out)
                }
            };
        }
        within
    }

    fn scores() -> impl Strategy<Value = f64> {
        prop_oneof![
            // Ties, skew, what a classifier gives, perplexities, and everything else.
            (0_u8..4).prop_map(|step| f64::from(step) / 4.0),
            (0_f64..1.0).prop_map(|x| x.powi(9)),
            (0_f64..1.0).prop_map(|x| 1.0 - x.powi(9)),
            (0_f32..1.0).prop_map(f64::from),
            (0_f64..1e5),
            prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), Just(0.0)],
            any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        ]
    }

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_search_ends_where_sorting_does(
            records in prop::collection::vec((scores(), 0_u64..50, 0_u64..4), 1..120),
            one in any::<bool>(),
            tasks in 1_usize..20,
            wanted in prop::collection::vec(0_u64..=1000, 1..5),
            ties in prop_oneof![Just(Ties::Split), Just(Ties::Keep), Just(Ties::Drop)],
        ) {
            let records: Vec<Record> =
                records.into_iter().map(|(score, tie, weight)| (score, tie, if one { 1 } else { weight })).collect();
            let shares: Vec<Share> = wanted.iter().map(|n| share(&format!("{}.{}%", n / 10, n % 10))).collect();
            let found = search(&records, tasks, &shares, ties);
            for (place, wanted) in shares.iter().enumerate() {
                let bound = found.iter().find(|bound| bound.share == place);
                let rank = |record: &Record| Rank::from_parts(best_first(record.0), record.1);
                let got: Vec<bool> = records.iter().map(|r| bound.is_some_and(|b| rank(r) <= b.rank)).collect();
                prop_assert_eq!(&got, &sorted(&records, *wanted, ties), "{}", wanted);
                let Some(bound) = bound else { continue };
                prop_assert_eq!(bound.records, got.iter().filter(|within| **within).count() as u64);
                let tied = |within: bool| {
                    let same = |(record, got): &(&Record, &bool)| best_first(record.0) == best_first(bound.score) && (**got || !within);
                    records.iter().zip(&got).filter(same).count() as u64
                };
                prop_assert_eq!((bound.tied, bound.tied_within), (tied(false), tied(true)));
            }
        }

        #[test]
        fn ranks_and_slots_are_ordered_as_scores_are(a in scores(), b in scores()) {
            let rank = |score: f64| Rank::new(score, "x").unwrap();
            prop_assert_eq!(Some(rank(b).cmp(&rank(a))), a.partial_cmp(&b));
            prop_assert_eq!(rank(a).score().to_bits(), (a + 0.0).to_bits());
            prop_assert!(rank(a).slot() < SLOTS);
            prop_assert!(a < b || rank(a).slot() <= rank(b).slot());
        }
    }

    #[test]
    fn weights_too_large_to_sum_up_still_have_an_order() {
        let heavy = 10_000_000_000_000_000_000;
        for (scores, weight, wanted, expected) in [
            // Each in a slot of its own, then all in one.
            ([0.9, 0.5, 0.1], heavy, "50%", 1),
            ([0.9, 0.5, 0.1], u64::MAX, "50%", 1),
            ([0.9, 0.5, 0.1], u64::MAX, "100%", 3),
            ([0.5, 0.5, 0.5], heavy, "50%", 1),
            ([0.5, 0.5, 0.5], u64::MAX, "50%", 1),
            ([0.5, 0.5, 0.5], u64::MAX, "100%", 3),
            ([0.5, 0.5, 0.5], u64::MAX, "0%", 0),
        ] {
            let records: Vec<Record> =
                scores.iter().zip(1..).map(|(score, tie)| (*score, tie, weight)).collect();
            let found = search(&records, 2, &[share(wanted)], Ties::Split);
            let kept = found.first().map_or(0, |bound| bound.records);
            assert_eq!(kept, expected, "{wanted} of {scores:?} that weigh {weight} each");
        }
    }

    #[test]
    fn slots_follow_the_scale() {
        let slot = |score: f64| Rank::new(score, "").unwrap().slot();
        for (score, expected) in [
            (f64::INFINITY, 0),
            (1e30, 0),
            (1.125, 254),
            (1.0, 255),
            (0.9375, 256 + 255 - 24),
            (0.5, 511),
            (0.25, 512 + 8),
            (0.0, 767),
            (-1e-30, 768),
            (-1e30, 1023),
            (f64::NEG_INFINITY, 1023),
        ] {
            assert_eq!(slot(score), expected, "{score}");
        }
        assert_eq!(Rank::new(f64::NAN, ""), None);
        // What classifiers say of most pages lies near 0, and no slot has a tenth of it.
        let skewed = (1..=10_000).map(|n| slot((f64::from(n) / 10_000.0).powi(9)));
        let mut counts = BTreeMap::new();
        skewed.for_each(|slot| *counts.entry(slot).or_insert(0) += 1);
        assert!(counts.values().all(|count| *count < 1000), "{counts:?}");
    }
}
