//! Which document of a component stays.
//!
//! A [`Policy`] turns what is known of a document into rank bytes; the smallest rank of a component survives, and
//! equal ranks are decided by the node. Ranks order all documents totally and hang on nothing but the documents, so
//! the survivor is the same whatever the number of tasks or their order.
//!
//! [`choose`] sorts the members of all components by (label, rank, node) on disk, so that it needs no memory per
//! component or document beyond its budget. They are read twice: to count, and to name the survivor and the size to each.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io;

use crate::Error;
use crate::finding::push_id;
use crate::order::ordered;
use crate::sort::{Noted, Scratch, Sorter};
use crate::stream::Stream;

/// The rule by which documents of a component are ranked. Ties go to the smaller record id, then the smaller node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The smallest record id, compared as bytes.
    #[default]
    FirstId,
    /// The greatest value: longest text, newest date, best score. Documents without a value come last.
    Highest,
    /// The least value. Documents without a value come last.
    Lowest,
}

impl Policy {
    /// Writes the rank of a document into `out`.
    ///
    /// `value` is the number that `Highest` and `Lowest` look at; `preference` is the place of the document's source
    /// in the list of preferred sources (the length of the list if it is not there; 0 if there is no list) and
    /// decides before everything else.
    pub fn rank(self, preference: u32, value: Option<f64>, id: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&preference.to_be_bytes());
        if self != Self::FirstId {
            // NaN is no value.
            let order = value.filter(|value| !value.is_nan()).map_or(u64::MAX, |value| {
                let ascending = ordered(value);
                if self == Self::Highest { !ascending } else { ascending }
            });
            out.extend_from_slice(&order.to_be_bytes());
        }
        out.extend_from_slice(id);
    }

    /// The id that a rank was made of.
    #[must_use]
    pub fn id(self, rank: &[u8]) -> &[u8] {
        rank.get(if self == Self::FirstId { 4 } else { 12 }..).unwrap_or_default()
    }
}

/// What [`choose`] decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Components with more than one member that were reduced to their survivor.
    pub components: u64,
    /// Documents to drop.
    pub duplicates: u64,
    /// Members of the largest component, held back or not.
    pub largest: u64,
    /// Components larger than `max_component`, all of whose members stay.
    pub held_components: u64,
    /// Their members.
    pub held_documents: u64,
    /// The largest of them, the first of them first: its members, and the rank of the one that would have stayed.
    pub held: Vec<(u64, Vec<u8>)>,
}

/// How components are reduced.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes for sorting.
    pub memory_bytes: usize,
    /// Components with more members are left alone and counted: so large a one is a template or a chain of loose
    /// matches more often than one text. `None`: no limit.
    pub max_component: Option<u64>,
    /// Of others of a component, so many are named to its survivor.
    pub listed: usize,
    /// Of components that are left alone, so many are named.
    pub named: usize,
}

/// What others that are named to a survivor may take, in bytes.
const LISTED_BYTES: usize = 64 << 10;

/// A document of a component that is reduced.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The document.
    pub node: u64,
    /// The one that stays, which may be the same.
    pub survivor: u64,
    /// The rank of that one.
    pub rank: &'a [u8],
    /// Documents of the component.
    pub size: u64,
    /// Of the survivor: the ranks of the first others ([`ids`](crate::finding::ids)).
    pub others: &'a [u8],
}

/// Reads labels in node order, asks `rank(node, note, out)` for each node's rank (in that order, so that the caller can
/// stream its record lists beside), and calls `emit` for every document of a component that is reduced, component by component,
/// its survivor first.
pub fn choose<L, S, F>(
    mut labels: L,
    mut rank: impl FnMut(u64, &[u8], &mut Vec<u8>) -> Result<(), Error>,
    limits: Limits,
    mut scratch: F,
    mut emit: impl FnMut(&Member) -> Result<(), Error>,
) -> Result<Chosen, Error>
where
    L: Stream<Key = u64>,
    S: Scratch,
    F: FnMut() -> io::Result<S>,
{
    let mut sorter = Sorter::<u64, Noted, S, _>::new(limits.memory_bytes, &mut scratch);
    let mut bytes = Vec::new();
    while let Some((node, label)) = labels.row() {
        bytes.clear();
        rank(node, labels.note(), &mut bytes)?;
        sorter.push(label, node, &bytes)?;
        labels.advance()?;
    }
    drop(labels);
    let mut members = sorter.finish()?;
    let mut sizes = Sorter::<u64, Noted, S, _>::new(limits.memory_bytes / 4, &mut scratch);
    let chosen = count(&mut members, limits, |label, size, others| sizes.push(label, size, others))?;
    let mut sizes = sizes.finish()?;
    let mut members = members.again()?;
    while let Some((label, size)) = sizes.row() {
        while members.row().is_some_and(|(other, _)| other < label) {
            members.advance()?;
        }
        let Some((_, survivor)) = members.row() else { break };
        bytes.clear();
        bytes.extend_from_slice(members.note());
        let mut others = sizes.note();
        while let Some((_, node)) = members.row().filter(|row| row.0 == label) {
            emit(&Member { node, survivor, rank: &bytes, size, others })?;
            others = &[];
            members.advance()?;
        }
        sizes.advance()?;
    }
    Ok(chosen)
}

/// Calls `reduce(label, size, others)` for every component that is reduced.
fn count<M: Stream<Key = u64>>(
    members: &mut M,
    limits: Limits,
    mut reduce: impl FnMut(u64, u64, &[u8]) -> Result<(), Error>,
) -> Result<Chosen, Error> {
    let mut chosen = Chosen::default();
    // The least of those named comes last, and makes room for the next.
    let mut held: BTreeSet<(Reverse<u64>, Vec<u8>)> = BTreeSet::new();
    let (mut first, mut others) = (Vec::new(), Vec::new());
    while let Some((label, _)) = members.row() {
        first.clear();
        first.extend_from_slice(members.note());
        others.clear();
        members.advance()?;
        let (mut size, mut listed) = (1, 0);
        while members.row().is_some_and(|row| row.0 == label) {
            size += 1;
            if listed < limits.listed && others.len() + members.note().len() < LISTED_BYTES {
                push_id(&mut others, members.note());
                listed += 1;
            }
            members.advance()?;
        }
        chosen.largest = chosen.largest.max(size);
        if limits.max_component.is_some_and(|most| size > most) {
            chosen.held_components += 1;
            chosen.held_documents += size;
            held.insert((Reverse(size), first.clone()));
            if held.len() > limits.named {
                held.pop_last();
            }
        } else if size > 1 {
            chosen.components += 1;
            chosen.duplicates += size - 1;
            reduce(label, size, &others)?;
        }
    }
    chosen.held = held.into_iter().map(|(Reverse(size), rank)| (size, rank)).collect();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::finding::ids;
    use crate::stream::Rows;

    #[test]
    fn ranks_order_as_the_policy_says() {
        let rank = |policy: Policy, preference, value, id: &str| {
            let mut out = Vec::new();
            policy.rank(preference, value, id.as_bytes(), &mut out);
            out
        };
        type Facts = (u32, Option<f64>, &'static str);
        // Best first.
        let cases: [(Policy, &[Facts]); 3] = [
            (Policy::FirstId, &[(0, None, "a"), (0, Some(9.0), "ab"), (0, None, "b"), (1, None, "a")]),
            (
                Policy::Highest,
                &[
                    (0, Some(f64::INFINITY), "z"),
                    (0, Some(10.0), "y"),
                    (0, Some(9.5), "x"),
                    (0, Some(-0.0), "a"),
                    (0, Some(0.0), "b"),
                    (0, Some(-1.0), "w"),
                    (0, None, "a"),
                    (0, Some(f64::NAN), "b"),
                    (1, Some(99.0), "a"),
                ],
            ),
            (
                Policy::Lowest,
                &[
                    (0, Some(f64::NEG_INFINITY), "z"),
                    (0, Some(-2.0), "y"),
                    (0, Some(-1.0), "x"),
                    (0, Some(0.0), "w"),
                    (0, Some(1e-300), "v"),
                    (0, Some(2.0), "u"),
                    (0, None, "t"),
                ],
            ),
        ];
        for (policy, order) in cases {
            let ranks: Vec<Vec<u8>> = order.iter().map(|&(p, v, id)| rank(policy, p, v, id)).collect();
            assert!(ranks.is_sorted(), "{policy:?}");
        }
    }

    type Found = Vec<(u64, u64, u64, usize)>;

    fn run(labels: &[(u64, u64)], max_component: Option<u64>) -> (Found, Chosen) {
        let mut got = Vec::new();
        let limits = Limits { memory_bytes: 0, max_component, listed: 1, named: 1 };
        let chosen = choose(
            Rows::new(labels.to_vec()),
            // The greatest node has the smallest rank.
            |node, _, out| {
                out.extend_from_slice(&(!node).to_be_bytes());
                Ok(())
            },
            limits,
            || Ok(Cursor::new(Vec::new())),
            |member| {
                assert_eq!(member.rank, (!member.survivor).to_be_bytes());
                got.push((member.survivor, member.node, member.size, ids(member.others).count()));
                Ok(())
            },
        )
        .expect("memory");
        (got, chosen)
    }

    #[test]
    fn one_survivor_per_component_and_large_ones_are_held_back() {
        let labels = [(1, 1), (2, 2), (3, 1), (4, 2), (5, 2), (6, 6), (7, 6), (8, 8)];
        let (got, chosen) = run(&labels, None);
        let all = [
            (3, 3, 2, 1),
            (3, 1, 2, 0),
            (5, 5, 3, 1),
            (5, 4, 3, 0),
            (5, 2, 3, 0),
            (7, 7, 2, 1),
            (7, 6, 2, 0),
        ];
        assert_eq!(got, all);
        assert_eq!(chosen, Chosen { components: 3, duplicates: 4, largest: 3, ..Chosen::default() });
        assert_eq!(run(&labels, Some(3)), (got, chosen));
        let (got, chosen) = run(&labels, Some(2));
        assert_eq!(got, [&all[..2], &all[5..]].concat());
        let held = |components, documents, size, node: u64| Chosen {
            components: 3 - components,
            duplicates: 4 - (documents - components),
            largest: 3,
            held_components: components,
            held_documents: documents,
            held: vec![(size, (!node).to_be_bytes().to_vec())],
        };
        assert_eq!(chosen, held(1, 3, 3, 5));
        // Of those left alone one is named.
        let (got, chosen) = run(&labels, Some(1));
        assert_eq!(got, []);
        assert_eq!(chosen, held(3, 7, 3, 5));
    }

    #[test]
    fn ranks_give_their_ids_back() {
        for (policy, value) in [(Policy::FirstId, None), (Policy::Highest, Some(1.0)), (Policy::Lowest, None)]
        {
            let mut rank = Vec::new();
            policy.rank(7, value, b"an id", &mut rank);
            assert_eq!(policy.id(&rank), b"an id");
        }
        assert_eq!(Policy::Lowest.id(b"short"), b"");
    }
}
