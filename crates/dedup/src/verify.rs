//! Which candidates are near-duplicates in truth.
//!
//! Candidates are pairs that share a band key ([`bucket::candidates`](crate::bucket::candidates)). A pair becomes an
//! edge only if the similarity of its [shingle sets](crate::sets) reaches the threshold.
//!
//! No document is fetched per pair. Pairs are sorted by their first node and joined with the sets in document order;
//! each pair takes the first set along to its second node, by an external sort, and is joined with the sets again.
//! Sets are read in order twice ([`attach`], [`compare`]), and memory is the sort's budget. Both halves can run as
//! tasks: `attach` over the shards of the first nodes, `compare` over those of the second.
//!
//! What travels is a set per pair, so that it pays to leave out pairs whose documents are joined already: verify stars
//! first, label the components, and then only those pairs whose labels differ ([`unjoined`]). The components are the same.

use std::io;

use crate::Error;
use crate::sets::{Measure, Set};
use crate::sort::{Noted, Scratch, Sorter};
use crate::stream::Stream;

/// What verification found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs compared.
    pub pairs: u64,
    /// Pairs at or above the threshold.
    pub joined: u64,
}

/// First half: gives every pair `(a, b)` of `pairs`, sorted, the set of `a`, and calls `emit(b, a, set)`. What it emits is to
/// be sorted for [`compare`].
///
/// `set_of` writes a node's coded set ([`Sets::seek`](crate::sets::Sets::seek)) and is asked in ascending order, once per node.
pub fn attach<P: Stream<Key = u64>>(
    pairs: &mut P,
    mut set_of: impl FnMut(u64, &mut Vec<u8>) -> Result<(), Error>,
    mut emit: impl FnMut(u64, u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut current = None;
    let mut set = Vec::new();
    while let Some((a, b)) = pairs.row() {
        if current != Some(a) {
            set.clear();
            set_of(a, &mut set)?;
            current = Some(a);
        }
        emit(b, a, &set)?;
        pairs.advance()?;
    }
    Ok(())
}

/// Second half: compares what [`attach`] emitted, and calls `emit(a, b, similarity)` for pairs at or above `threshold`.
///
/// `rows` are `(b, a)` with the coded set of `a`; `set_of` is asked for `b`s in ascending order, once per node.
pub fn compare<R: Stream<Key = u64>>(
    rows: &mut R,
    mut set_of: impl FnMut(u64, &mut Vec<u8>) -> Result<(), Error>,
    measure: Measure,
    threshold: f64,
    mut emit: impl FnMut(u64, u64, f64) -> Result<(), Error>,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut current = None;
    let (mut left, mut right) = (Set::default(), Set::default());
    let mut bytes = Vec::new();
    let bad = |node: u64| {
        Error::Invalid(format!("the set of node {node:#x} does not decode: sign its shard again"))
    };
    while let Some((b, a)) = rows.row() {
        if current != Some(b) {
            bytes.clear();
            set_of(b, &mut bytes)?;
            right.decode(&bytes).ok_or_else(|| bad(b))?;
            current = Some(b);
        }
        left.decode(rows.note()).ok_or_else(|| bad(a))?;
        let similarity = left.similarity(&right, measure);
        counts.pairs += 1;
        if similarity >= threshold {
            counts.joined += 1;
            emit(a, b, similarity)?;
        }
        rows.advance()?;
    }
    Ok(counts)
}

/// Passes on the pairs whose documents are not in one component yet.
///
/// Needs two joins, as verification does: `pairs` sorted by first node against `labels` in node order, then by second
/// node against `relabels`, the same labels from the beginning. Nodes without a label are components of their own.
pub fn unjoined<P, L, S, F>(
    pairs: &mut P,
    labels: &mut L,
    relabels: &mut L,
    memory_bytes: usize,
    scratch: F,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<(), Error>
where
    P: Stream<Key = u64>,
    L: Stream<Key = u64>,
    S: Scratch,
    F: FnMut() -> io::Result<S>,
{
    let mut sorter = Sorter::<u64, Noted, S, F>::new(memory_bytes, scratch);
    while let Some((a, b)) = pairs.row() {
        let label = label_of(labels, a)?;
        sorter.push(b, a, &label.to_be_bytes())?;
        pairs.advance()?;
    }
    let mut by_second = sorter.finish()?;
    while let Some((b, a)) = by_second.row() {
        let label = label_of(relabels, b)?;
        if by_second.note() != label.to_be_bytes() {
            emit(a, b)?;
        }
        by_second.advance()?;
    }
    Ok(())
}

/// The label of `node`, asked in ascending order.
fn label_of<L: Stream<Key = u64>>(labels: &mut L, node: u64) -> Result<u64, Error> {
    loop {
        match labels.row() {
            Some((here, _)) if here < node => labels.advance()?,
            Some((here, label)) if here == node => return Ok(label),
            _ => return Ok(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::shingle::scramble;
    use crate::stream::Rows;

    #[test]
    fn only_pairs_at_the_threshold_are_joined() {
        // Node n has the shingles n*10 .. n*10 + 100: neighbours share 90 of 110, the next but one 80 of 120.
        let coded = |node: u64, out: &mut Vec<u8>| {
            let mut hashes: Vec<u64> = (node * 10..node * 10 + 100).map(scramble).collect();
            hashes.sort_unstable();
            let mut set = Set::default();
            set.assign(&hashes);
            set.encode(out);
            Ok(())
        };
        let pairs: Vec<(u64, u64)> = (0..50).flat_map(|a| (a + 1..50).map(move |b| (a, b))).collect();
        for (measure, threshold, span) in [
            (Measure::Jaccard, 0.8, 1),
            (Measure::Jaccard, 90.0 / 110.0, 1),
            (Measure::Jaccard, 0.83, 0),
            (Measure::Jaccard, 0.6, 2),
            (Measure::Containment, 0.8, 2),
        ] {
            let mut sorter = Sorter::<u64, Noted, _, _>::new(0, || Ok(Cursor::new(Vec::new())));
            attach(&mut Rows::new(pairs.clone()), coded, |b, a, set| sorter.push(b, a, set)).expect("memory");
            let mut got = Vec::new();
            let counts =
                compare(&mut sorter.finish().expect("memory"), coded, measure, threshold, |a, b, _| {
                    got.push((a, b));
                    Ok(())
                })
                .expect("memory");
            got.sort_unstable();
            let expected: Vec<(u64, u64)> = pairs.iter().copied().filter(|(a, b)| b - a <= span).collect();
            assert_eq!(got, expected, "{measure:?} {threshold}");
            assert_eq!(counts, Counts { pairs: pairs.len() as u64, joined: expected.len() as u64 });
        }
    }

    #[test]
    fn pairs_inside_a_component_are_left_out() {
        let labels = || Rows::new(vec![(1, 1), (2, 1), (5, 5), (6, 5)]);
        let pairs = vec![(1, 2), (1, 5), (2, 6), (5, 6), (3, 4), (2, 9)];
        let mut got = Vec::new();
        unjoined(
            &mut Rows::new(pairs),
            &mut labels(),
            &mut labels(),
            0,
            || Ok(Cursor::new(Vec::new())),
            |a, b| {
                got.push((a, b));
                Ok(())
            },
        )
        .expect("memory");
        got.sort_unstable();
        assert_eq!(got, [(1, 5), (2, 6), (2, 9), (3, 4)]);
    }
}
