//! Which candidates are near-duplicates in truth.
//!
//! Documents that share a band key are sent to one of them ([`bucket::meetings`](crate::bucket::meetings)). There a pair
//! becomes an edge only if the similarity of its [shingle sets](crate::sets) reaches the threshold.
//!
//! No document is fetched per pair. Rows (member, place) are sorted by member and joined with the sets in document order;
//! each takes the member's set along to the place, by an external sort, and is joined with the sets again. Sets are
//! read in order twice ([`attach`], [`compare`]), and memory is the sort's budget and what is held at a place. Both halves
//! can run as tasks: `attach` over the shards of the members, `compare` over those of the places.
//!
//! At its place every set meets the place's own and those that came before. What is joined already is not compared
//! again, so that copies of one text cost a comparison or two each; what the edges connect is the same.
//!
//! What this guarantees: of documents that share a key with fewer than a run of others (32), all that are similar come to be in
//! one component, as if all pairs were compared, so that the S-curve holds for them. Where more share a key, that holds within
//! each run, and runs are linked through the group's first document and one that they have in common: copies of one text, which
//! large groups nearly always are, all come together. What may be missed is a pair that has nothing but such large keys in
//! common, lies in different runs of each, and resembles none of the links.

use std::collections::VecDeque;
use std::mem;

use crate::Error;
use crate::sets::{Measure, Set};
use crate::stream::Stream;

/// What is held at a place: so many documents, of so many shingles together (eight bytes each). The oldest makes room.
const HELD: usize = 1024;
const HELD_SHINGLES: usize = 2 << 20;

/// What verification found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs compared.
    pub pairs: u64,
    /// Pairs at or above the threshold.
    pub joined: u64,
}

/// First half: gives every row `(member, place)` of `rows`, sorted, the set of the member, and calls
/// `emit(place, member, set)`. What it emits is to be sorted for [`compare`].
///
/// `set_of` writes a node's coded set ([`Sets::seek`](crate::sets::Sets::seek)) and is asked in ascending order, once per node.
pub fn attach<P: Stream<Key = u64>>(
    rows: &mut P,
    mut set_of: impl FnMut(u64, &mut Vec<u8>) -> Result<(), Error>,
    mut emit: impl FnMut(u64, u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut current = None;
    let mut set = Vec::new();
    while let Some((member, place)) = rows.row() {
        if current != Some(member) {
            set.clear();
            set_of(member, &mut set)?;
            current = Some(member);
        }
        emit(place, member, &set)?;
        rows.advance()?;
    }
    Ok(())
}

/// Second half: compares what [`attach`] emitted, and calls `emit(a, b, similarity)` for pairs at or above `threshold`, as
/// many as connect what is similar at each place.
///
/// `rows` are `(place, member)` with the coded set of the member; `set_of` is asked for places in ascending order, once per
/// node.
pub fn compare<R: Stream<Key = u64>>(
    rows: &mut R,
    mut set_of: impl FnMut(u64, &mut Vec<u8>) -> Result<(), Error>,
    measure: Measure,
    threshold: f64,
    mut emit: impl FnMut(u64, u64, f64) -> Result<(), Error>,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut here = Place::default();
    let mut bytes = Vec::new();
    while let Some((place, member)) = rows.row() {
        if here.node != Some(place) {
            bytes.clear();
            set_of(place, &mut bytes)?;
            here.begin(place, &bytes)?;
        }
        here.add(
            member,
            rows.note(),
            |set, other| {
                let similarity = set.similarity(other, measure);
                counts.pairs += 1;
                let joined = similarity >= threshold;
                counts.joined += u64::from(joined);
                joined.then_some(similarity)
            },
            &mut emit,
        )?;
        rows.advance()?;
    }
    Ok(counts)
}

/// Where documents meet, and those that came so far.
#[derive(Default)]
struct Place {
    node: Option<u64>,
    held: VecDeque<Held>,
    /// Of all of `held`.
    shingles: usize,
    /// Of everyone who came, by number: one before them in their component, or themselves.
    joined: Vec<u32>,
    /// A set whose buffer is used again.
    spare: Set,
}

struct Held {
    node: u64,
    number: u32,
    set: Set,
}

impl Place {
    /// Begins with the document that is the place.
    fn begin(&mut self, node: u64, set: &[u8]) -> Result<(), Error> {
        self.node = Some(node);
        self.joined.clear();
        while self.drop_oldest() {}
        let own = self.arrive(node, set)?;
        self.hold(own);
        Ok(())
    }

    /// Compares a document with those that came before, and holds it for those that come after.
    fn add(
        &mut self,
        node: u64,
        set: &[u8],
        mut compare: impl FnMut(&Set, &Set) -> Option<f64>,
        mut emit: impl FnMut(u64, u64, f64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let new = self.arrive(node, set)?;
        for other in &self.held {
            let (mine, theirs) = (root(&mut self.joined, new.number), root(&mut self.joined, other.number));
            if mine != theirs
                && let Some(similarity) = compare(&new.set, &other.set)
            {
                emit(other.node, node, similarity)?;
                if let Some(joined) = self.joined.get_mut(mine.max(theirs) as usize) {
                    *joined = mine.min(theirs);
                }
            }
        }
        while self.held.len() >= HELD || self.shingles + new.set.len() > HELD_SHINGLES {
            if !self.drop_oldest() {
                break;
            }
        }
        self.hold(new);
        Ok(())
    }

    fn arrive(&mut self, node: u64, bytes: &[u8]) -> Result<Held, Error> {
        let mut set = mem::take(&mut self.spare);
        set.decode(bytes).ok_or_else(|| {
            Error::Invalid(format!("the set of node {node:#x} does not decode: sign its shard again"))
        })?;
        let number = self.joined.len() as u32;
        self.joined.push(number);
        Ok(Held { node, number, set })
    }

    fn hold(&mut self, new: Held) {
        self.shingles += new.set.len();
        self.held.push_back(new);
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.held.pop_front() else { return false };
        self.shingles -= oldest.set.len();
        self.spare = oldest.set;
        true
    }
}

/// The least number of a component, halving the way to it.
fn root(joined: &mut [u32], mut number: u32) -> u32 {
    let at = |joined: &[u32], number: u32| joined.get(number as usize).copied().unwrap_or(number);
    loop {
        let before = at(joined, number);
        let above = at(joined, before);
        if before == above {
            return before;
        }
        if let Some(joined) = joined.get_mut(number as usize) {
            *joined = above;
        }
        number = above;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use super::*;
    use crate::components;
    use crate::shingle::scramble;
    use crate::sort::{Noted, Sorter};
    use crate::stream::Rows;

    fn set(hashes: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut hashes: Vec<u64> = hashes.into_iter().map(scramble).collect();
        hashes.sort_unstable();
        let (mut set, mut out) = (Set::default(), Vec::new());
        set.assign(&hashes);
        set.encode(&mut out);
        out
    }

    /// Node n has the shingles n*10 .. n*10 + 100: neighbours share 90 of 110, the next but one 80 of 120.
    #[allow(clippy::unnecessary_wraps, reason = "as those that read")]
    fn drifting(node: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend(set(node * 10..node * 10 + 100));
        Ok(())
    }

    type Edges = Vec<(u64, u64)>;

    fn edges(
        rows: Edges,
        set_of: impl Fn(u64, &mut Vec<u8>) -> Result<(), Error>,
        measure: Measure,
        threshold: f64,
    ) -> (Edges, Counts) {
        let mut sorter = Sorter::<u64, Noted, _, _>::new(0, || Ok(Cursor::new(Vec::new())));
        attach(&mut Rows::new(rows), &set_of, |b, a, set| sorter.push(b, a, set)).expect("memory");
        let mut got = Vec::new();
        let mut attached = sorter.finish().expect("memory");
        let counts = compare(&mut attached, &set_of, measure, threshold, |a, b, _| {
            got.push((a.min(b), a.max(b)));
            Ok(())
        });
        (got, counts.expect("memory"))
    }

    fn labels(edges: &Edges) -> BTreeMap<u64, u64> {
        let open = || Ok(Rows::new(edges.clone()));
        let mut labels = components::in_memory(edges.len() as u64, open).expect("memory");
        let mut all = BTreeMap::new();
        while let Some((node, label)) = labels.row() {
            all.insert(node, label);
            labels.advance().expect("memory");
        }
        all
    }

    #[test]
    fn only_what_is_similar_is_joined_and_all_of_it() {
        // Wherever they meet: all at the last, or each with each.
        let last: Edges = (0..49).map(|a| (a, 49)).collect();
        let each: Edges = (0..50).flat_map(|a| (a + 1..50).map(move |b| (a, b))).collect();
        for rows in [last, each] {
            for (measure, threshold, span) in [
                (Measure::Jaccard, 0.8, 1),
                (Measure::Jaccard, 90.0 / 110.0, 1),
                (Measure::Jaccard, 0.83, 0),
                (Measure::Jaccard, 0.6, 2),
                (Measure::Containment { min_size_share: 0.0 }, 0.8, 2),
            ] {
                let (got, counts) = edges(rows.clone(), drifting, measure, threshold);
                assert!(got.iter().all(|(a, b)| b - a <= span), "{measure:?} {threshold}");
                let expected = if span == 0 { BTreeMap::new() } else { (0..50).map(|n| (n, 0)).collect() };
                assert_eq!(labels(&got), expected, "{measure:?} {threshold}");
                assert_eq!(counts.joined, got.len() as u64);
            }
        }
    }

    #[test]
    fn copies_are_compared_once_and_strangers_with_each_other() {
        // One text, or three in turn; where they meet is another.
        for texts in [1, 3] {
            let text = |node: u64, out: &mut Vec<u8>| {
                let which = if node == 300 { 9 } else { node % texts };
                out.extend(set((0..100).map(|at| which << 32 | at)));
                Ok(())
            };
            let (got, counts) = edges((0..300).map(|a| (a, 300)).collect(), text, Measure::Jaccard, 0.8);
            let labels = labels(&got);
            assert_eq!(labels.len(), 300);
            assert!(labels.iter().all(|(node, label)| *label == node % texts));
            assert_eq!(got.len() as u64, 300 - texts, "a forest");
            // Each with the place, and with one of its own.
            assert!(texts > 1 || counts.pairs == 300 + 299, "{} pairs", counts.pairs);
        }
    }

    #[test]
    fn more_than_fit_are_compared_with_the_latest() {
        let count = HELD as u64 + 500;
        let rows: Edges = (0..count).map(|a| (a, count)).collect();
        // Each shares 8 of 12 with its neighbours, and 6 of 14 with those behind them.
        let small = |node: u64, out: &mut Vec<u8>| {
            out.extend(set(node * 2..node * 2 + 10));
            Ok(())
        };
        let (got, _) = edges(rows, small, Measure::Jaccard, 0.6);
        assert!(got.iter().all(|(a, b)| b - a == 1));
        // Rows at a place come in the order of their sets' bytes, so that neighbours may have missed each other.
        assert!(got.len() > 500, "{}", got.len());
    }
}
