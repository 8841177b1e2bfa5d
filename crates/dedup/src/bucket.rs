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
        let streams = shards
            .iter()
            .zip(0..)
            .map(|(bytes, shard)| {
                let footer = Footer::<u128>::parse("f", &bytes[bytes.len() - FOOTER_BYTES..]).expect("sound");
                footer.all(shard, &bytes[..]).expect("sound")
            })
            .collect();
        let mut got = Vec::new();
        edges(&mut Merge::new(streams), |survivor, duplicate| {
            got.push((survivor, duplicate));
            Ok(())
        })
        .expect("sound");
        assert_eq!(got, [(node(1, 0), node(0, 0)), (node(1, 0), node(0, 1))]);
    }
}
