//! A uniform sample of a corpus that no machine sees whole, the same whoever draws it.
//!
//! Each record draws a [`lot`]: 128 bits of xxh3 of its id under a seed. The `size` lowest lots are the sample. So it depends on
//! the seed and the records and on nothing else: shards may be read in any order, cut in any way and by any number of threads. Memory is
//! that of `size` records.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What a record draws under a seed.
#[must_use]
pub fn lot(id: &[u8], seed: u64) -> u128 {
    xxh3_128_with_seed(id, seed)
}

/// The records drawn so far.
#[derive(Clone, Debug)]
pub struct Sample<T> {
    size: usize,
    drawn: BTreeMap<u128, T>,
}

impl<T> Sample<T> {
    /// A sample of up to `size` records.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, drawn: BTreeMap::new() }
    }

    /// Offers a record by its lot, which is made only if it is drawn, for now. A lot counts once: of records with the same the
    /// first is drawn.
    pub fn offer(&mut self, lot: u128, make: impl FnOnce() -> T) {
        if self.size == 0 || self.highest().is_some_and(|highest| lot >= highest) {
            return;
        }
        if let Entry::Vacant(place) = self.drawn.entry(lot) {
            place.insert(make());
            if self.drawn.len() > self.size {
                self.drawn.pop_last();
            }
        }
    }

    /// The highest lot of a sample that is full: records from there on are refused, and the bound only falls.
    #[must_use]
    pub fn highest(&self) -> Option<u128> {
        let (highest, _) = self.drawn.last_key_value().filter(|_| self.drawn.len() == self.size)?;
        Some(*highest)
    }

    /// Takes the records out of both samples, drawn under one seed, that both have, and says how many those are.
    pub fn part(&mut self, other: &mut Self) -> u64 {
        let alone = self.drawn.len();
        self.drawn.retain(|lot, _| other.drawn.remove(lot).is_none());
        (alone - self.drawn.len()) as u64
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
pub fn mix<T>(samples: impl IntoIterator<Item = Sample<T>>, seed: u64) -> Vec<T> {
    // Lots themselves do not do: the smaller the share, the lower they all are.
    let order = |drawn: u128| lot(&drawn.to_le_bytes(), seed);
    let drawn = samples.into_iter().flat_map(|sample| sample.drawn);
    let mut all: Vec<(u128, T)> = drawn.map(|(lot, record)| (order(lot), record)).collect();
    // Stable, so that an id that two samples have keeps the order of the samples.
    all.sort_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, record)| record).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(seed: u64, size: usize, ids: impl IntoIterator<Item = u32>) -> Sample<u32> {
        let mut sample = Sample::new(size);
        for id in ids {
            sample.offer(lot(&id.to_le_bytes(), seed), || id);
        }
        sample
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn order_does_not_matter(seed: u64, size in 0_usize..40, count in 0_u32..120, turn in 0_usize..100) {
            let whole = draw(seed, size, 0..count);
            let mut ids: Vec<u32> = (0..count).collect();
            ids.rotate_left(turn.min(count as usize));
            ids.reverse();
            let other = draw(seed, size, ids);
            prop_assert_eq!(other.len(), size.min(count as usize));
            prop_assert_eq!(mix([other], seed), mix([whole], seed));
        }

        #[test]
        fn parted_samples_have_nothing_in_common(seed: u64, size in 0_usize..60, shared in 0_u32..40) {
            // Records 0 to 39, and from `shared` on to 79.
            let (mut one, mut other) = (draw(seed, size, 0..40), draw(seed, size, shared..80));
            let [first, second] = [&one, &other].map(|sample| mix([sample.clone()], seed));
            let both = first.iter().filter(|id| second.contains(id)).count();
            prop_assert_eq!(one.part(&mut other), both as u64);
            prop_assert_eq!((one.len(), other.len()), (first.len() - both, second.len() - both));
            let [first, second] = [one, other].map(|sample| mix([sample], seed));
            prop_assert!(first.iter().all(|id| !second.contains(id)));
        }
    }

    #[test]
    fn every_record_has_the_same_chance() {
        let mut drawn = [0_u32; 100];
        for seed in 0..2_000 {
            for id in mix([draw(seed, 10, 0..100)], seed) {
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
        let mut sample = Sample::new(5);
        for _ in 0..2 {
            for id in 0..1_000_u32 {
                sample.offer(lot(&id.to_le_bytes(), 1), || made += 1);
            }
        }
        assert_eq!(sample.len(), 5);
        assert!(made < 60, "{made} made");
    }

    #[test]
    fn samples_are_mixed_thoroughly() {
        // One sample is a twentieth of its records, one is all of them.
        let mixed = mix([draw(3, 100, 0..2_000), draw(3, 100, 2_000..2_100)], 3);
        for part in mixed.chunks(40) {
            let first = part.iter().filter(|id| **id < 2_000).count();
            assert!((10..=30).contains(&first), "{first} of 40 come from one of two samples");
        }
    }
}
