//! The k best, in the order in which C++ finds them.
//!
//! fastText keeps its predictions in a `std::vector` with `std::push_heap`, `pop_heap` and `sort_heap`, and compares scores alone. Which of
//! two labels with equal scores survives, and which comes first, therefore follows from how libstdc++ moves
//! elements. Labels do tie (a text of unknown words, labels that training never touched), so the moves are the same here.

/// A label with its score, the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) score: f32,
    pub(crate) label: u32,
}

/// A heap whose front is the lowest score, of at most `k` entries.
pub(crate) struct Best<'h> {
    entries: &'h mut Vec<Scored>,
    k: usize,
}

impl<'h> Best<'h> {
    /// `k` must be 1 or more.
    pub(crate) fn new(entries: &'h mut Vec<Scored>, k: usize) -> Self {
        entries.clear();
        Self { entries, k }
    }

    /// Whether `score` is too low to come in. An equal score does come in.
    #[inline]
    pub(crate) fn refuses(&self, score: f32) -> bool {
        self.entries.len() == self.k && self.entries.first().is_some_and(|lowest| score < lowest.score)
    }

    pub(crate) fn push(&mut self, entry: Scored) {
        self.entries.push(entry);
        let last = self.entries.len() - 1;
        sift_up(self.entries, last, entry);
        if self.entries.len() > self.k {
            pop(self.entries);
            self.entries.pop();
        }
    }

    /// Highest score first.
    pub(crate) fn sort(self) {
        for length in (2..=self.entries.len()).rev() {
            if let Some(heap) = self.entries.get_mut(..length) {
                pop(heap);
            }
        }
    }
}

/// Puts `entry` in the hole at `hole`, or above it past all that have higher scores.
#[allow(clippy::indexing_slicing, reason = "`hole` is below the length, and its parent below it")]
fn sift_up(heap: &mut [Scored], mut hole: usize, entry: Scored) {
    while hole > 0 && heap[(hole - 1) / 2].score > entry.score {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = entry;
}

/// Moves the front to the end and makes a heap of the rest: the hole sinks to the bottom along the lower scores, and what
/// was last rises from there.
#[allow(clippy::indexing_slicing, reason = "children are tested against the length before they are read")]
fn pop(heap: &mut [Scored]) {
    let [front, .., last] = heap else { return };
    let entry = *last;
    *last = *front;
    let length = heap.len() - 1;
    let mut hole = 0;
    loop {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        if left >= length {
            break;
        }
        let child = if right >= length || heap[right].score > heap[left].score { left } else { right };
        heap[hole] = heap[child];
        hole = child;
    }
    sift_up(&mut heap[..length], hole, entry);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best(scores: &[f32], k: usize) -> Vec<(f32, u32)> {
        let mut entries = Vec::new();
        let mut best = Best::new(&mut entries, k);
        for (label, score) in (0..).zip(scores) {
            if !best.refuses(*score) {
                best.push(Scored { score: *score, label });
            }
        }
        best.sort();
        entries.iter().map(|entry| (entry.score, entry.label)).collect()
    }

    #[test]
    fn of_equal_scores_the_last_is_best_when_one_is_asked_for() {
        assert_eq!(best(&[1.0, 1.0, 1.0], 1), [(1.0, 2)]);
        assert_eq!(best(&[1.0, 2.0, 1.0], 1), [(2.0, 1)]);
        assert_eq!(best(&[], 1), []);
    }

    proptest! {
        #[test]
        fn keeps_the_highest_in_order(scores in prop::collection::vec(0_u8..20, 0..60), k in 1_usize..30) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let got: Vec<f32> = best(&scores, k).into_iter().map(|(score, _)| score).collect();
            let mut expected = scores;
            expected.sort_by(|a, b| b.total_cmp(a));
            expected.truncate(k);
            prop_assert_eq!(got, expected);
        }
    }
}
