//! Sorted rows as streams, and the merge of many of them.
//!
//! Everything that deduplication exchanges between tasks is rows `(key, node)`, for some with a note of a few
//! bytes: band keys (key, document), edges (document, document), exact keys (key, document, record id). Rows
//! are ordered by key, then note, then node, and each is there once, so that the first row of a run of equal
//! keys is the one that survives, whoever wrote it and whenever.

use std::cmp::Ordering;

use crate::Error;

/// What rows are sorted by: 64 bits for band keys and nodes, 128 for exact keys.
///
/// Sealed: `u64` and `u128`.
pub trait Key: Copy + Ord + Default + std::fmt::Debug + Send + Sync + 'static + sealed::Key {
    /// Width in bits.
    const BITS: u32;
    /// The key as the low bits of 128.
    fn widen(self) -> u128;
    /// The low bits of 128 as a key.
    fn narrow(wide: u128) -> Self;
}

mod sealed {
    pub trait Key {}
    impl Key for u64 {}
    impl Key for u128 {}
}

impl Key for u64 {
    const BITS: u32 = 64;
    #[inline]
    fn widen(self) -> u128 {
        u128::from(self)
    }
    #[inline]
    fn narrow(wide: u128) -> Self {
        wide as Self
    }
}

impl Key for u128 {
    const BITS: u32 = 128;
    #[inline]
    fn widen(self) -> u128 {
        self
    }
    #[inline]
    fn narrow(wide: u128) -> Self {
        wide
    }
}

/// Rows in order, one under the head at a time. A new stream already stands on its first row.
pub trait Stream {
    /// The type of the rows' keys.
    type Key: Key;
    /// The row under the head; `None` at the end.
    fn row(&self) -> Option<(Self::Key, u64)>;
    /// Its note; empty where rows carry none.
    fn note(&self) -> &[u8];
    /// Moves to the next row.
    fn advance(&mut self) -> Result<(), Error>;
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    type Key = S::Key;
    fn row(&self) -> Option<(Self::Key, u64)> {
        (**self).row()
    }
    fn note(&self) -> &[u8] {
        (**self).note()
    }
    fn advance(&mut self) -> Result<(), Error> {
        (**self).advance()
    }
}

/// Many sorted streams as one. Rows that several streams hold come out once.
///
/// A loser tree: each row costs log2(streams) comparisons. Ties are broken by the stream's place in the list,
/// which does not show in the output.
pub struct Merge<S> {
    streams: Vec<S>,
    /// `tree[0]` is the winner, `tree[i]` the loser of the match at inner node `i`.
    tree: Vec<u32>,
}

impl<S: Stream> Merge<S> {
    /// Merges `streams`, in any number.
    pub fn new(streams: Vec<S>) -> Self {
        let mut merge = Self { tree: vec![0; streams.len()], streams };
        merge.build();
        merge
    }

    /// How many streams are merged.
    pub fn width(&self) -> usize {
        self.streams.len()
    }

    /// What was merged.
    pub(crate) fn into_streams(self) -> Vec<S> {
        self.streams
    }

    fn build(&mut self) {
        let count = self.streams.len();
        // winners[i] for inner nodes 1..count, then the leaves count..2*count.
        let mut winners: Vec<u32> = vec![0; 2 * count];
        for (leaf, slot) in winners.iter_mut().skip(count).enumerate() {
            *slot = leaf as u32;
        }
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if self.before(right, left) { (right, left) } else { (left, right) };
            winners[node] = winner;
            self.tree[node] = loser;
        }
        if count > 0 {
            self.tree[0] = if count == 1 { 0 } else { winners[1] };
        }
    }

    /// Whether stream `a`'s head goes before stream `b`'s; ended streams go last.
    #[inline]
    fn before(&self, a: u32, b: u32) -> bool {
        let (left, right) = (&self.streams[a as usize], &self.streams[b as usize]);
        match (left.row(), right.row()) {
            (Some(x), Some(y)) => {
                let ordering = if x.0 == y.0 {
                    left.note().cmp(right.note()).then_with(|| x.1.cmp(&y.1))
                } else {
                    x.0.cmp(&y.0)
                };
                ordering.then_with(|| a.cmp(&b)) == Ordering::Less
            }
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => a < b,
        }
    }

    /// Moves the winner on and plays its matches again, from its leaf to the root.
    #[inline]
    fn step(&mut self) -> Result<(), Error> {
        let mut winner = self.tree[0];
        self.streams[winner as usize].advance()?;
        // Leaf i is node i + streams.len(); a parent is at half its child's place.
        let mut node = usize::midpoint(winner as usize, self.streams.len());
        while node > 0 {
            let loser = self.tree[node];
            if self.before(loser, winner) {
                self.tree[node] = winner;
                winner = loser;
            }
            node /= 2;
        }
        self.tree[0] = winner;
        Ok(())
    }
}

impl<S: Stream> Stream for Merge<S> {
    type Key = S::Key;

    #[inline]
    fn row(&self) -> Option<(S::Key, u64)> {
        self.streams.get(*self.tree.first()? as usize)?.row()
    }

    #[inline]
    fn note(&self) -> &[u8] {
        self.tree.first().and_then(|&at| self.streams.get(at as usize)).map_or(&[], Stream::note)
    }

    fn advance(&mut self) -> Result<(), Error> {
        let Some(row) = self.row() else { return Ok(()) };
        // Other streams may hold the same row: key and node say that it is the same, since a node has one note.
        loop {
            self.step()?;
            if self.row() != Some(row) {
                return Ok(());
            }
        }
    }
}

/// Of each key the first row.
pub struct Firsts<S>(S);

impl<S: Stream> Firsts<S> {
    /// The first rows of `rows`.
    pub fn of(rows: S) -> Self {
        Self(rows)
    }
}

impl<S: Stream> Stream for Firsts<S> {
    type Key = S::Key;

    fn row(&self) -> Option<(S::Key, u64)> {
        self.0.row()
    }

    fn note(&self) -> &[u8] {
        self.0.note()
    }

    fn advance(&mut self) -> Result<(), Error> {
        let Some((key, _)) = self.0.row() else { return Ok(()) };
        while self.0.row().is_some_and(|(next, _)| next == key) {
            self.0.advance()?;
        }
        Ok(())
    }
}

/// Rows from memory, for tests and small inputs: sorted and made distinct here.
pub struct Rows<K> {
    rows: Vec<(K, u64)>,
    at: usize,
}

impl<K: Key> Rows<K> {
    /// The rows of `rows` in order.
    pub fn new(mut rows: Vec<(K, u64)>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self { rows, at: 0 }
    }
}

impl<K: Key> Stream for Rows<K> {
    type Key = K;
    fn row(&self) -> Option<(K, u64)> {
        self.rows.get(self.at).copied()
    }
    fn note(&self) -> &[u8] {
        &[]
    }
    fn advance(&mut self) -> Result<(), Error> {
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(mut stream: impl Stream<Key = u64>) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        while let Some(row) = stream.row() {
            out.push(row);
            stream.advance().expect("memory cannot fail");
        }
        out
    }

    #[test]
    fn firsts_are_one_row_a_key() {
        let rows = Rows::new(vec![(1_u64, 5), (1, 2), (3, 0), (3, 9), (4, 4)]);
        assert_eq!(drain(Firsts::of(rows)), [(1, 2), (3, 0), (4, 4)]);
    }

    #[test]
    fn merges_any_number_of_streams_and_keeps_each_row_once() {
        for count in 0..9_u64 {
            let rows: Vec<Vec<(u64, u64)>> =
                (0..count).map(|s| (0..20).map(|i| (i * 7 % 11, (i + s) % 5)).collect()).collect();
            let mut expected: Vec<(u64, u64)> = rows.iter().flatten().copied().collect();
            expected.sort_unstable();
            expected.dedup();
            let merged = Merge::new(rows.into_iter().map(Rows::new).collect());
            assert_eq!(drain(merged), expected, "{count} streams");
        }
    }
}
