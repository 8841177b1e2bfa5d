//! Connected components: from edges to one label per document.
//!
//! A component's label is its smallest node. The result is a [`Stream`] of `(node, label)` in node order, of every
//! node that has an edge. Two ways lead to it, with the same answer:
//!
//! - [`in_memory`]: union-find over the nodes that occur, compacted to 32-bit indices. Needs [`memory_needed`] bytes.
//! - [`by_rounds`]: alternating [`large_star`] and [`small_star`] rounds over sorted pairs (Kiveris, Lattanzi,
//!   Mirrokni, Rastogi, Vassilvitskii, "Connected Components in MapReduce and Beyond", SoCC 2014). A round reads
//!   and writes all pairs once and holds one; the number of rounds grows like the logarithm of the longest path.
//!   The two round functions are public: partitioned by node they run as tasks, since each looks at one node's
//!   neighbours at a time and emits pairs for any node.

use std::io;

use crate::Error;
use crate::sort::{Plain, Scratch, Sorted, Sorter};
use crate::stream::Stream;

/// Bytes that [`in_memory`] needs at most for a graph of `edges` edges: two nodes an edge, each with its name
/// (8 bytes) and its parent (4 bytes).
pub fn memory_needed(edges: u64) -> u64 {
    edges.saturating_mul(2 * (8 + 4))
}

/// Labels by union-find.
///
/// `open` gives the edge stream, and is called twice: once to learn the nodes, once to join them. `edges` is the number
/// of edges from the files' footers; more than that in the stream is an error, because the memory would not hold.
pub fn in_memory<S: Stream<Key = u64>>(
    edges: u64,
    mut open: impl FnMut() -> Result<S, Error>,
) -> Result<Labels, Error> {
    let most = usize::try_from(edges)
        .ok()
        .and_then(|edges| edges.checked_mul(2))
        .ok_or_else(|| Error::Invalid(format!("{edges} edges do not fit in memory: use rounds")))?;
    let mut nodes: Vec<u64> = Vec::with_capacity(most);
    let mut stream = open()?;
    while let Some((from, to)) = stream.row() {
        if nodes.len() + 2 > most {
            return Err(Error::Invalid(format!("there are more edges than the {edges} promised")));
        }
        nodes.push(from);
        nodes.push(to);
        stream.advance()?;
    }
    nodes.sort_unstable();
    nodes.dedup();
    let count = u32::try_from(nodes.len())
        .map_err(|_| Error::Invalid(format!("{} nodes are more than 2^32: use rounds", nodes.len())))?;
    let mut forest = Forest { parents: (0..count).collect() };
    let mut stream = open()?;
    while let Some((from, to)) = stream.row() {
        match (nodes.binary_search(&from), nodes.binary_search(&to)) {
            (Ok(from), Ok(to)) => forest.join(from as u32, to as u32),
            _ => {
                return Err(Error::Invalid(
                    "the second reading of the edges differs from the first".to_owned(),
                ));
            }
        }
        stream.advance()?;
    }
    Ok(Labels { nodes, forest, at: 0 })
}

/// Disjoint sets of indices; a set's root is its smallest member.
struct Forest {
    parents: Vec<u32>,
}

impl Forest {
    /// The root of `index`, halving the path to it.
    fn root(&mut self, mut index: u32) -> u32 {
        loop {
            let parent = self.parents[index as usize];
            let above = self.parents[parent as usize];
            if parent == above {
                return parent;
            }
            self.parents[index as usize] = above;
            index = above;
        }
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parents[high as usize] = low;
    }
}

/// `(node, label)` rows of [`in_memory`].
pub struct Labels {
    nodes: Vec<u64>,
    forest: Forest,
    at: usize,
}

impl Stream for Labels {
    type Key = u64;

    fn row(&self) -> Option<(u64, u64)> {
        let node = *self.nodes.get(self.at)?;
        // Parents are smaller than their children and were asked before, so they point at their roots by now.
        let mut root = self.at;
        while self.forest.parents[root] as usize != root {
            root = self.forest.parents[root] as usize;
        }
        Some((node, *self.nodes.get(root)?))
    }

    fn note(&self) -> &[u8] {
        &[]
    }

    fn advance(&mut self) -> Result<(), Error> {
        if self.at < self.nodes.len() {
            let root = self.forest.root(self.at as u32);
            self.forest.parents[self.at] = root;
            self.at += 1;
        }
        Ok(())
    }
}

/// One large-star round. `rows` has each edge in both directions, sorted; `emit` gets pairs `(node, smaller node)`.
/// Returns how many pairs changed.
///
/// For every node u, its larger neighbours are joined to the smallest of u and its neighbours.
pub fn large_star<S: Stream<Key = u64>>(
    rows: &mut S,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut changes = 0;
    let mut current: Option<(u64, u64)> = None;
    while let Some((node, neighbour)) = rows.row() {
        let least = match current {
            Some((same, least)) if same == node => least,
            _ => node.min(neighbour),
        };
        current = Some((node, least));
        if neighbour > node {
            changes += u64::from(least != node);
            emit(neighbour, least)?;
        }
        rows.advance()?;
    }
    Ok(changes)
}

/// One small-star round. `rows` has pairs `(node, smaller node)`, sorted; `emit` gets pairs of the same shape.
/// Returns how many pairs changed.
///
/// For every node u, u and its smaller neighbours are joined to the smallest of them.
pub fn small_star<S: Stream<Key = u64>>(
    rows: &mut S,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut changes = 0;
    let mut current: Option<(u64, u64)> = None;
    while let Some((node, neighbour)) = rows.row() {
        match current {
            Some((same, least)) if same == node => {
                if neighbour != least {
                    changes += 1;
                    emit(neighbour, least)?;
                }
            }
            _ => {
                current = Some((node, neighbour));
                emit(node, neighbour)?;
            }
        }
        rows.advance()?;
    }
    Ok(changes)
}

/// Labels by rounds, in about `memory_bytes` whatever the size of the graph. Also returns how many rounds it took.
pub fn by_rounds<S, F, E>(
    edges: &mut E,
    memory_bytes: usize,
    mut scratch: F,
) -> Result<(Sorted<u64, Plain, S>, u32), Error>
where
    S: Scratch,
    F: FnMut() -> io::Result<S>,
    E: Stream<Key = u64>,
{
    // Two sorters are alive at a time: one being read, one being filled.
    let half = memory_bytes / 2;
    let mut pairs = Sorter::<u64, Plain, S, _>::new(half, &mut scratch);
    while let Some((from, to)) = edges.row() {
        if from != to {
            pairs.push(from.max(to), from.min(to), &[])?;
        }
        edges.advance()?;
    }
    let mut pairs = pairs.finish()?;
    let mut rounds = 0;
    loop {
        let mut both = Sorter::<u64, Plain, S, _>::new(half, &mut scratch);
        while let Some((node, smaller)) = pairs.row() {
            both.push(node, smaller, &[])?;
            both.push(smaller, node, &[])?;
            pairs.advance()?;
        }
        drop(pairs);
        let mut both = both.finish()?;
        let mut starred = Sorter::<u64, Plain, S, _>::new(half, &mut scratch);
        let mut changes = large_star(&mut both, |node, least| starred.push(node, least, &[]))?;
        drop(both);
        let mut starred = starred.finish()?;
        let mut next = Sorter::<u64, Plain, S, _>::new(half, &mut scratch);
        changes += small_star(&mut starred, |node, least| next.push(node, least, &[]))?;
        drop(starred);
        pairs = next.finish()?;
        rounds += 1;
        if changes == 0 {
            break;
        }
    }
    let mut labels = Sorter::<u64, Plain, S, _>::new(half, &mut scratch);
    while let Some((node, label)) = pairs.row() {
        labels.push(node, label, &[])?;
        labels.push(label, label, &[])?;
        pairs.advance()?;
    }
    drop(pairs);
    Ok((labels.finish()?, rounds))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::stream::Rows;

    fn drain(mut stream: impl Stream<Key = u64>) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        while let Some(row) = stream.row() {
            out.push(row);
            stream.advance().expect("memory");
        }
        out
    }

    /// Smallest reachable node, by spreading minima until nothing changes.
    fn brute_force(edges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut labels: BTreeMap<u64, u64> = edges.iter().flat_map(|&(a, b)| [(a, a), (b, b)]).collect();
        loop {
            let mut changed = false;
            for (a, b) in edges {
                let least = labels[a].min(labels[b]);
                for node in [a, b] {
                    changed |= labels.insert(*node, least) != Some(least);
                }
            }
            if !changed {
                return labels.into_iter().collect();
            }
        }
    }

    fn check(edges: &[(u64, u64)], memory: usize) -> u32 {
        let open = || Ok(Rows::new(edges.to_vec()));
        let memory_labels = drain(in_memory(edges.len() as u64, open).expect("memory"));
        let (labels, rounds) =
            by_rounds(&mut Rows::new(edges.to_vec()), memory, || Ok(Cursor::new(Vec::new())))
                .expect("memory");
        assert_eq!(drain(labels), memory_labels);
        if edges.len() < 1000 {
            assert_eq!(memory_labels, brute_force(edges));
        }
        rounds
    }

    #[test]
    fn chains_stars_and_pairs() {
        let shuffle = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let chain: Vec<(u64, u64)> = (0..5000).map(|i| (i, i + 1)).collect();
        let knotted: Vec<(u64, u64)> = (0..5000).map(|i| (shuffle(i), shuffle(i + 1))).collect();
        let star: Vec<(u64, u64)> = (0..5000).map(|i| (7, shuffle(i))).collect();
        let pairs: Vec<(u64, u64)> = (0..500).map(|i| (shuffle(2 * i), shuffle(2 * i + 1))).collect();
        for (name, edges, most_rounds) in
            [("chain", chain, 20), ("knotted chain", knotted, 20), ("star", star, 4), ("pairs", pairs, 3)]
        {
            for memory in [0, 1 << 20] {
                let rounds = check(&edges, memory);
                assert!(rounds <= most_rounds, "{name} took {rounds} rounds");
            }
        }
        check(&[], 0);
    }

    #[test]
    fn more_edges_than_promised_are_refused() {
        let open = || Ok(Rows::new(vec![(1, 2), (3, 4)]));
        assert!(matches!(in_memory(1, open), Err(Error::Invalid(_))));
    }

    proptest! {
        #[test]
        fn both_ways_agree(edges in proptest::collection::vec((0_u64..60, 0_u64..60), 0..80)) {
            let edges: Vec<(u64, u64)> = edges.into_iter().filter(|(a, b)| a != b).collect();
            check(&edges, 0);
        }
    }
}
