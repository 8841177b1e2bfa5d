//! A set of task numbers: a bit each, so that ten million tasks take a megabyte.

#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    pub(crate) fn contains(&self, n: u64) -> bool {
        self.words.get((n / 64) as usize).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Whether it was not there before.
    pub(crate) fn insert(&mut self, n: u64) -> bool {
        let place = (n / 64) as usize;
        if self.words.len() <= place {
            self.words.resize(place + 1, 0);
        }
        let Some(word) = self.words.get_mut(place) else { return false };
        let fresh = *word >> (n % 64) & 1 == 0;
        *word |= 1 << (n % 64);
        self.count += u64::from(fresh);
        fresh
    }

    pub(crate) fn len(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_once() {
        let mut bits = Bits::default();
        let fresh: Vec<bool> = [0, 63, 64, 1000, 64].into_iter().map(|n| bits.insert(n)).collect();
        assert_eq!(fresh, [true, true, true, true, false]);
        assert_eq!(bits.len(), 4);
        assert!(bits.contains(63) && !bits.contains(62) && !bits.contains(u64::MAX));
    }
}
