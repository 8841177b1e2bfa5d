//! From a bucket's merged rows to edges.
//!
//! Rows with equal keys follow one another, so a group is a run of the stream and is never held: its first row
//! becomes the centre of a star, every other row an edge to it. Ten million documents with one key cost the
//! memory of one row.
//!
//! Rows are ordered by key, then note, then node. Without notes the centre is the group's smallest node. With
//! the record id as note (exact dedup) it is the document with the smallest record id, which is the survivor
//! whatever the shards' order: the edges are then `(survivor, duplicate)` and need no components.

use crate::Error;
use crate::stream::Stream;

/// What a bucket held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows read.
    pub rows: u64,
    /// Distinct keys.
    pub keys: u64,
    /// Keys that more than one row has.
    pub groups: u64,
    /// Edges emitted: rows less keys.
    pub edges: u64,
    /// Rows of the largest group.
    pub largest: u64,
}

/// Reads all of `rows` and calls `emit(first, other)` for every row after the first of its group.
pub fn edges<S: Stream>(
    rows: &mut S,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut group: Option<(S::Key, u64)> = None;
    let mut size = 0;
    while let Some((key, node)) = rows.row() {
        counts.rows += 1;
        match group {
            Some((current, first)) if current == key => {
                size += 1;
                counts.groups += u64::from(size == 2);
                // A document that has a key twice is not its own duplicate.
                if node != first {
                    counts.edges += 1;
                    emit(first, node)?;
                }
            }
            _ => {
                counts.keys += 1;
                size = 1;
                group = Some((key, node));
            }
        }
        counts.largest = counts.largest.max(size);
        rows.advance()?;
    }
    Ok(counts)
}

/// The same against documents that stay in any case: where a key is among `known` too, each of `rows` with it goes in favour of
/// the oldest of those ([`Oldest`]).
pub fn edges_to<T: Stream, S: Stream<Key = T::Key>>(
    known: &mut Oldest<T, impl Fn(u64) -> u64>,
    rows: &mut S,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    members(known, rows, |node, first, _| if node == first { Ok(()) } else { emit(first, node) })
}

/// Calls `emit(node, first, note)` for every document of a group of more than one, its first one included: the oldest of those of
/// `known` that have the key, or the first of `rows`.
pub fn members<T: Stream, S: Stream<Key = T::Key>>(
    known: &mut Oldest<T, impl Fn(u64) -> u64>,
    rows: &mut S,
    mut emit: impl FnMut(u64, u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut note = Vec::new();
    while let Some((key, first)) = rows.row() {
        let first = if let Some((oldest, note)) = known.of(key)? {
            emit(oldest, oldest, note)?;
            oldest
        } else {
            note.clear();
            note.extend_from_slice(rows.note());
            rows.advance()?;
            if rows.row().is_some_and(|row| row.0 == key) {
                emit(first, first, &note)?;
            }
            first
        };
        while let Some((_, node)) = rows.row().filter(|row| row.0 == key) {
            emit(node, first, rows.note())?;
            rows.advance()?;
        }
    }
    Ok(())
}

/// Of the rows with a key the first of the least age, by what tells a document's age. Keys are asked for in order.
pub struct Oldest<S, F> {
    rows: S,
    age: F,
    note: Vec<u8>,
}

impl<S: Stream, F: Fn(u64) -> u64> Oldest<S, F> {
    pub fn of_each(rows: S, age: F) -> Self {
        Self { rows, age, note: Vec::new() }
    }

    /// The document and its note.
    fn of(&mut self, key: S::Key) -> Result<Option<(u64, &[u8])>, Error> {
        let mut oldest: Option<(u64, u64)> = None;
        while let Some((here, node)) = self.rows.row().filter(|row| row.0 <= key) {
            let age = (self.age)(node);
            if here == key && oldest.is_none_or(|(least, _)| age < least) {
                oldest = Some((age, node));
                self.note.clear();
                self.note.extend_from_slice(self.rows.note());
            }
            self.rows.advance()?;
        }
        Ok(oldest.map(|(_, node)| (node, self.note.as_slice())))
    }
}

/// Reads all of `rows` and sends documents that share a key to where they are compared with each other
/// ([verification](crate::verify)): calls `emit(member, place)` for each of them but the place, which is the last of them.
///
/// Which of them are joined is not known yet, so that a star around one is not enough: it may be the one that does not
/// belong. At one place all are compared; a group of up to `run` rows is sent to one. A larger group is cut into runs
/// that overlap: each begins with the group's first row and with the last one of the run before. So a key that N
/// documents share costs N (1 + 2/run) rows, and no list longer than `run` is held. Where keys agree on who comes last
/// their rows are the same, and merge into one.
///
/// `run` is 3 or more. Rows have no notes, so that they come in the order of nodes. Counts' `edges` are the rows emitted.
pub fn meetings<S: Stream>(
    rows: &mut S,
    run: usize,
    mut emit: impl FnMut(u64, u64) -> Result<(), Error>,
) -> Result<Counts, Error> {
    let mut send = |members: &[u64]| -> Result<u64, Error> {
        let Some((&place, others)) = members.split_last() else { return Ok(0) };
        others.iter().try_for_each(|&member| emit(member, place))?;
        Ok(others.len() as u64)
    };
    let run = run.max(3);
    let mut counts = Counts::default();
    let mut members: Vec<u64> = Vec::with_capacity(run);
    while let Some((key, first)) = rows.row() {
        rows.advance()?;
        let (mut size, mut previous) = (1, first);
        members.clear();
        members.push(first);
        while let Some((_, node)) = rows.row().filter(|row| row.0 == key) {
            rows.advance()?;
            size += 1;
            if members.len() == run {
                counts.edges += send(&members)?;
                members.clear();
                members.extend([first, previous]);
            }
            members.push(node);
            previous = node;
        }
        counts.edges += send(&members)?;
        counts.rows += size;
        counts.keys += 1;
        counts.groups += u64::from(size > 1);
        counts.largest = counts.largest.max(size);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::keyfile::{FOOTER_BYTES, Footer, Writer, node};
    use crate::sort::Noted;
    use crate::stream::{Merge, Rows};

    #[test]
    fn groups_become_stars_around_their_first_row() {
        let mut rows = Rows::new(vec![(1_u64, 5), (1, 2), (1, 9), (2, 4), (3, 1), (3, 7)]);
        let mut got = Vec::new();
        let counts = edges(&mut rows, |a, b| {
            got.push((a, b));
            Ok(())
        })
        .expect("memory");
        assert_eq!(got, [(2, 5), (2, 9), (1, 7)]);
        assert_eq!(counts, Counts { rows: 6, keys: 3, groups: 2, edges: 3, largest: 3 });
    }

    #[test]
    fn groups_meet_at_their_last_member_and_large_ones_in_runs_that_overlap() {
        let group = |size: u64| (1..=size).map(|node| (7_u64, node));
        let sent = |size: u64, run: usize| {
            let mut got = Vec::new();
            let mut rows = Rows::new(group(size).chain([(8, 1), (9, 2), (9, 3)]).collect());
            let counts = meetings(&mut rows, run, |member, place| {
                got.push((member, place));
                Ok(())
            })
            .expect("memory");
            assert_eq!(got.split_off(got.len() - 1), [(2, 3)]);
            let edges = got.len() as u64 + 1;
            assert_eq!(counts, Counts { rows: size + 3, keys: 3, groups: 2, edges, largest: size });
            got
        };
        for run in [5, 100] {
            assert_eq!(sent(5, run), [(1, 5), (2, 5), (3, 5), (4, 5)], "{run}");
        }
        assert_eq!(sent(5, 4), [(1, 4), (2, 4), (3, 4), (1, 5), (4, 5)]);
        assert_eq!(sent(5, 0), [(1, 3), (2, 3), (1, 4), (3, 4), (1, 5), (4, 5)]);
        // A row for each member, and two for each further run.
        assert_eq!(sent(10_000, 32).len(), 9_999 + 9_968_usize.div_ceil(30));
    }

    #[test]
    fn what_is_known_stays_the_oldest_of_it_first() {
        // Nodes below 10 are known; of those the even ones are older.
        let known = Rows::new(vec![(1_u64, 1), (3, 1), (3, 2), (3, 4), (4, 5), (7, 6)]);
        let mut rows = Rows::new(vec![(2_u64, 11), (3, 12), (3, 13), (5, 14), (5, 15), (7, 16), (8, 17)]);
        let mut got = Vec::new();
        edges_to(&mut Oldest::of_each(known, |node| node % 2), &mut rows, |survivor, duplicate| {
            got.push((survivor, duplicate));
            Ok(())
        })
        .expect("memory");
        assert_eq!(got, [(2, 12), (2, 13), (14, 15), (6, 16)]);
    }

    #[test]
    fn the_smallest_record_id_survives_whatever_the_shard() {
        let file = |rows: &[(u128, u32, &str)]| {
            let mut writer = Writer::<u128, Noted, _, _>::new(1 << 16, || Ok(Cursor::new(Vec::new())));
            for &(key, ordinal, id) in rows {
                writer.push(key, ordinal, id.as_bytes()).expect("memory");
            }
            let mut out = Vec::new();
            writer.finish(&mut out).expect("memory");
            out
        };
        let shards = [file(&[(9, 0, "m"), (9, 1, "z")]), file(&[(9, 0, "b"), (8, 1, "c")])];
        let open = || {
            let streams = shards.iter().zip(0..).map(|(bytes, shard)| {
                let footer = Footer::<u128>::parse("f", &bytes[bytes.len() - FOOTER_BYTES..]).expect("sound");
                footer.all(shard, &bytes[..]).expect("sound")
            });
            streams.collect()
        };
        let mut got = Vec::new();
        edges(&mut Merge::new(open()), |survivor, duplicate| {
            got.push((survivor, duplicate));
            Ok(())
        })
        .expect("sound");
        assert_eq!(got, [(node(1, 0), node(0, 0)), (node(1, 0), node(0, 1))]);
        let mut got = Vec::new();
        let mut none = Oldest::of_each(Rows::new(Vec::new()), |_| 0);
        members(&mut none, &mut Merge::new(open()), |node, survivor, id| {
            got.push((node, survivor, String::from_utf8_lossy(id).into_owned()));
            Ok(())
        })
        .expect("sound");
        let first = node(1, 0);
        let named = |node: u64, id: &str| (node, first, id.to_owned());
        assert_eq!(got, [named(first, "b"), named(node(0, 0), "m"), named(node(0, 1), "z")]);
    }
}
