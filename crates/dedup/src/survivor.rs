//! Which document of a component stays.
//!
//! A [`Policy`] turns what is known of a document into rank bytes; the smallest rank of a component survives, and
//! equal ranks are decided by the node. Ranks order all documents totally and hang on nothing but the documents, so
//! the survivor is the same whatever the number of tasks or their order.
//!
//! [`choose`] sorts the members of all components by (label, rank, node) on disk, so that it needs no memory per
//! component or document beyond its budget.

use std::io;

use crate::Error;
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
}

/// What [`choose`] decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

/// How components are reduced.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes for sorting.
    pub memory_bytes: usize,
    /// Components with more members are left alone and counted: so large a one is a template or a chain of loose
    /// matches more often than one text. Costs 8 bytes of memory a member allowed. `None`: no limit, no memory.
    pub max_component: Option<usize>,
}

/// Reads labels in node order, asks `rank` for each node's rank (in that order, so that the caller can stream its
/// record lists beside), and calls `emit(survivor, duplicate)` for every document that goes.
pub fn choose<L, S, F>(
    labels: &mut L,
    mut rank: impl FnMut(u64, &mut Vec<u8>) -> Result<(), Error>,
    limits: Limits,
    scratch: F,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<Chosen, Error>
where
    L: Stream<Key = u64>,
    S: Scratch,
    F: FnMut() -> io::Result<S>,
{
    let mut sorter = Sorter::<u64, Noted, S, F>::new(limits.memory_bytes, scratch);
    let mut bytes = Vec::new();
    while let Some((node, label)) = labels.row() {
        bytes.clear();
        rank(node, &mut bytes)?;
        sorter.push(label, node, &bytes)?;
        labels.advance()?;
    }
    let mut members = sorter.finish()?;
    let mut chosen = Chosen::default();
    let mut waiting: Vec<u64> = Vec::new();
    while let Some((label, survivor)) = members.row() {
        members.advance()?;
        let mut size = 1;
        while let Some((same, node)) = members.row().filter(|row| row.0 == label) {
            debug_assert_eq!(same, label);
            size += 1;
            match limits.max_component {
                None => emit(survivor, node)?,
                Some(most) if size <= most => waiting.push(node),
                Some(_) => waiting.clear(),
            }
            members.advance()?;
        }
        let members = size as u64;
        chosen.largest = chosen.largest.max(members);
        if limits.max_component.is_some_and(|most| size > most) {
            chosen.held_components += 1;
            chosen.held_documents += members;
        } else if size > 1 {
            chosen.components += 1;
            chosen.duplicates += members - 1;
        }
        for node in waiting.drain(..) {
            emit(survivor, node)?;
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
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

    fn run(labels: &[(u64, u64)], max_component: Option<usize>) -> (Vec<(u64, u64)>, Chosen) {
        let mut got = Vec::new();
        let limits = Limits { memory_bytes: 0, max_component };
        let chosen = choose(
            &mut Rows::new(labels.to_vec()),
            // The greatest node has the smallest rank.
            |node, out| {
                out.extend_from_slice(&(!node).to_be_bytes());
                Ok(())
            },
            limits,
            || Ok(Cursor::new(Vec::new())),
            |survivor, duplicate| {
                got.push((survivor, duplicate));
                Ok(())
            },
        )
        .expect("memory");
        (got, chosen)
    }

    #[test]
    fn one_survivor_per_component_and_large_ones_are_held_back() {
        let labels = [(1, 1), (2, 2), (3, 1), (4, 2), (5, 2), (6, 6), (7, 6)];
        let (got, chosen) = run(&labels, None);
        assert_eq!(got, [(3, 1), (5, 4), (5, 2), (7, 6)]);
        assert_eq!(chosen, Chosen { components: 3, duplicates: 4, largest: 3, ..Chosen::default() });
        assert_eq!(run(&labels, Some(3)), (got, chosen));
        let (got, chosen) = run(&labels, Some(2));
        assert_eq!(got, [(3, 1), (7, 6)]);
        let held = Chosen { components: 2, duplicates: 2, largest: 3, held_components: 1, held_documents: 3 };
        assert_eq!(chosen, held);
    }
}
