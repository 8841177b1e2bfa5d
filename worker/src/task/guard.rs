//! Sources that a dedup would nearly wipe out keep their documents.
//!
//! What each source has and would lose is counted shard by shard, sorted by source on the scratch disk and summed up. In memory
//! are one shard's sources, and eight bytes twice for every source that is held back.

use super::Attempt;
use super::signed::{RanksOf, Signed};
use crate::TaskError;
use gristmill_dedup::keyfile::node;
use gristmill_dedup::sort::{Noted, Sorted, Sorter};
use gristmill_dedup::stream::Stream;
use gristmill_job::{FileRole, HeldSource};
use gristmill_pipeline::step::SourceGuard;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use xxhash_rust::xxh3::xxh3_128;

/// Of what is held back, so much is named.
pub(super) const NAMED: usize = 100;

/// What was held back.
#[derive(Default)]
pub(super) struct Held {
    pub(super) sources: u64,
    /// Documents that stay because of it.
    pub(super) documents: u64,
    /// Of those, duplicates of documents of an index.
    pub(super) of_index: u64,
    /// Those that would have lost most, the first of them first.
    pub(super) named: Vec<HeldSource>,
}

/// Whose documents stay.
pub(super) struct Guard<'a> {
    keys: HashSet<u128>,
    sources: RanksOf<'a>,
}

impl Guard<'_> {
    /// Whether a document stays because of its source. Ask in the order of nodes.
    pub(super) fn holds(&mut self, node: u64) -> Result<bool, TaskError> {
        Ok(!self.keys.is_empty() && self.keys.contains(&xxh3_128(self.sources.at(node)?)))
    }
}

/// Finds the sources that are held back. Rows are (document, survivor) in order; survivors may be among them.
pub(super) fn judge<'a>(
    attempt: &'a Attempt,
    guard: SourceGuard,
    rows: &mut impl Stream<Key = u64>,
) -> Result<(Held, Guard<'a>), TaskError> {
    let (held, keys) = hold(guard, count(attempt, rows)?)?;
    Ok((held, Guard { keys, sources: RanksOf::new(attempt, FileRole::Sources) }))
}

/// For each source of each shard: its documents and those to drop, sorted by source.
fn count(
    attempt: &Attempt,
    rows: &mut impl Stream<Key = u64>,
) -> Result<Sorted<u128, Noted, File>, TaskError> {
    let mut counts = Sorter::<u128, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let mut signed = Signed::of(attempt);
    let mut sources = RanksOf::new(attempt, FileRole::Sources);
    let mut note = Vec::new();
    for shard in attempt.known_shards()..attempt.all_shards()? {
        attempt.check_stopped()?;
        let documents = signed.file(shard, FileRole::Sources)?.file.rows;
        let documents = u32::try_from(documents).map_err(|_| TaskError::fatal("more than 2^32 documents"))?;
        let mut of_shard: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        for ordinal in 0..documents {
            let node = node(shard, ordinal);
            let source = sources.at(node)?;
            if !of_shard.contains_key(source) {
                of_shard.insert(source.to_vec(), (0, 0));
            }
            let Some((all, gone)) = of_shard.get_mut(source) else { continue };
            *all += 1;
            if let Some((_, survivor)) = rows.row().filter(|row| row.0 == node) {
                *gone += u64::from(survivor != node);
                rows.advance()?;
            }
        }
        for (source, (all, gone)) in of_shard {
            note.clear();
            note.extend_from_slice(&all.to_le_bytes());
            note.extend_from_slice(&gone.to_le_bytes());
            note.extend_from_slice(&source);
            counts.push(xxh3_128(&source), u64::from(shard), &note)?;
        }
    }
    Ok(counts.finish()?)
}

/// Sums up, and gives the keys of the sources that are held back.
fn hold(guard: SourceGuard, mut counts: impl Stream<Key = u128>) -> Result<(Held, HashSet<u128>), TaskError> {
    let (mut held, mut keys) = (Held::default(), HashSet::new());
    // The least of those named comes last, and makes room for the next.
    let mut named: BTreeSet<(Reverse<u64>, String, u64)> = BTreeSet::new();
    while let Some((key, _)) = counts.row() {
        let (mut documents, mut duplicates, mut name) = (0, 0, Vec::new());
        while counts.row().is_some_and(|(same, _)| same == key) {
            let short = || TaskError::fatal("a source's counts are cut short");
            let (all, rest) = counts.note().split_first_chunk::<8>().ok_or_else(short)?;
            let (gone, source) = rest.split_first_chunk::<8>().ok_or_else(short)?;
            documents += u64::from_le_bytes(*all);
            duplicates += u64::from_le_bytes(*gone);
            source.clone_into(&mut name);
            counts.advance()?;
        }
        let too_many = duplicates as f64 > guard.share * documents as f64;
        if name.is_empty() || documents < guard.min_documents || !too_many {
            continue;
        }
        keys.insert(key);
        held.sources += 1;
        held.documents += duplicates;
        named.insert((Reverse(duplicates), String::from_utf8_lossy(&name).into_owned(), documents));
        if named.len() > NAMED {
            named.pop_last();
        }
    }
    held.named = named
        .into_iter()
        .map(|(Reverse(duplicates), source, documents)| HeldSource { duplicates, documents, source })
        .collect();
    Ok((held, keys))
}
