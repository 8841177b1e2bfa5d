//! A uniform sample of a corpus that no machine sees whole, the same whoever draws it.
//!
//! Each record draws a lot: 128 bits of xxh3 of its id under the sample's seed. The `size` lowest lots are the sample. So it depends on
//! the seed and the records and on nothing else: shards may be read in any order, cut in any way and on any number of
//! machines, and their samples merged. Memory is that of `size` records.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The records drawn so far, and how many were offered.
#[derive(Clone, Debug)]
pub struct Sample<T> {
    seed: u64,
    size: usize,
    seen: u64,
    drawn: BTreeMap<u128, T>,
}

/// Samples that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("samples of different seed or size cannot be merged; draw both with the same")]
pub struct OtherSample;

impl<T> Sample<T> {
    /// A sample of up to `size` records.
    #[must_use]
    pub fn new(seed: u64, size: usize) -> Self {
        Self { seed, size, seen: 0, drawn: BTreeMap::new() }
    }

    /// Offers a record, which is made only if it is drawn, for now. An id counts once: of records with the same id the
    /// first is drawn.
    pub fn offer(&mut self, id: &str, make: impl FnOnce() -> T) {
        self.seen += 1;
        let lot = xxh3_128_with_seed(id.as_bytes(), self.seed);
        if self.drawn.len() >= self.size
            && self.drawn.last_key_value().is_none_or(|(highest, _)| lot >= *highest)
        {
            return;
        }
        if let Entry::Vacant(place) = self.drawn.entry(lot) {
            place.insert(make());
            self.shrink();
        }
    }

    /// Takes in what was drawn elsewhere.
    pub fn merge(&mut self, other: Self) -> Result<(), OtherSample> {
        if (self.seed, self.size) != (other.seed, other.size) {
            return Err(OtherSample);
        }
        self.seen += other.seen;
        for (lot, record) in other.drawn {
            self.drawn.entry(lot).or_insert(record);
            self.shrink();
        }
        Ok(())
    }

    fn shrink(&mut self) {
        if self.drawn.len() > self.size {
            self.drawn.pop_last();
        }
    }

    /// How many records were offered.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many are drawn.
    #[must_use]
    pub fn len(&self) -> usize {
        self.drawn.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }
}

/// The records of several samples in one random order, whatever the share of its records that each has drawn. The first few are a fair
/// part of each sample, to be held out say.
pub fn mix<T>(samples: impl IntoIterator<Item = Sample<T>>) -> Vec<T> {
    let mut all: Vec<(u128, T)> = Vec::new();
    for sample in samples {
        // Lots themselves do not do: the smaller the share, the lower they all are.
        let order = |lot: u128| xxh3_128_with_seed(&lot.to_le_bytes(), sample.seed);
        all.extend(sample.drawn.into_iter().map(|(lot, record)| (order(lot), record)));
    }
    // Stable, so that an id that two samples have keeps the order of the samples.
    all.sort_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, record)| record).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(seed: u64, size: usize, ids: impl IntoIterator<Item = u32>) -> Sample<u32> {
        let mut sample = Sample::new(seed, size);
        for id in ids {
            sample.offer(&format!("record-{id}"), || id);
        }
        sample
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn order_and_shards_do_not_matter(seed: u64, size in 0_usize..40, count in 0_u32..120, shards in 1_usize..9, turn in 0_usize..100) {
            let whole = draw(seed, size, 0..count);
            let mut ids: Vec<u32> = (0..count).collect();
            ids.rotate_left(turn.min(count as usize));
            ids.reverse();
            let mut merged = Sample::new(seed, size);
            for shard in ids.chunks((count as usize).div_ceil(shards).max(1)) {
                merged.merge(draw(seed, size, shard.iter().copied())).unwrap();
            }
            prop_assert_eq!(merged.seen(), u64::from(count));
            prop_assert_eq!(merged.len(), size.min(count as usize));
            prop_assert_eq!(mix([merged]), mix([whole]));
        }
    }

    #[test]
    fn every_record_has_the_same_chance() {
        let mut drawn = [0_u32; 100];
        for seed in 0..2_000 {
            for id in mix([draw(seed, 10, 0..100)]) {
                drawn[id as usize] += 1;
            }
        }
        // 200 each are expected, with a standard deviation of 13.4.
        let (fewest, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*fewest > 140 && *most < 260, "{fewest} to {most}");
    }

    #[test]
    fn a_record_is_made_only_if_it_is_drawn_and_counts_once() {
        let mut made = 0;
        let mut sample = Sample::new(1, 5);
        for _ in 0..2 {
            for id in 0..1_000 {
                sample.offer(&id.to_string(), || made += 1);
            }
        }
        assert_eq!((sample.seen(), sample.len()), (2_000, 5));
        assert!(made < 60, "{made} made");
        assert_eq!(sample.merge(Sample::new(2, 5)), Err(OtherSample));
    }

    #[test]
    fn samples_are_mixed_thoroughly() {
        // One sample is a twentieth of its records, one is all of them.
        let mixed = mix([draw(3, 100, 0..2_000), draw(3, 100, 2_000..2_100)]);
        for part in mixed.chunks(40) {
            let first = part.iter().filter(|id| **id < 2_000).count();
            assert!((10..=30).contains(&first), "{first} of 40 come from one of two samples");
        }
    }
}
