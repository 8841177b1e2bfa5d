//! From the documents that meet to the documents that go: joins pairs into components, chooses the survivor of each by its rank,
//! and writes one drop list over all shards.

use super::guard::Held;
use super::signed::RanksOf;
use super::{Attempt, SORT_MEMORY, guard, keep};
use crate::ranged::RangedReader;
use crate::{TaskError, files};
use gristmill_dedup::components;
use gristmill_dedup::droplist;
use gristmill_dedup::edges::Edges;
use gristmill_dedup::sort::{Plain, Sorter};
use gristmill_dedup::stream::{Merge, Stream};
use gristmill_dedup::survivor::{self, Chosen, Limits};
use gristmill_job::{FileEntry, FileRole, Joined, TaskRecord};
use gristmill_pipeline::step::{Signer, SourceGuard};
use std::collections::BTreeMap;

/// Up to here components are found in memory, beyond it by rounds on the scratch disk. Both give the same answer.
const MEMORY: u64 = 128 << 20;

pub(super) fn run(attempt: &Attempt, step: usize) -> Result<TaskRecord, TaskError> {
    let files = edge_files(attempt)?;
    let shards = attempt.shards()?;
    let path = attempt.path("drops");
    let mut out = attempt.create_hashed(&path);
    let mut drops = droplist::Writer::new(&mut out, 0, shards);
    let barrier = attempt.barrier(step)?;
    let mut chosen = None;
    match barrier.signer {
        Signer::Exact(_) => write_all(attempt, &mut open_edges(attempt, &files)?, &mut drops)?,
        Signer::Fuzzy(fuzzy) => {
            let limits = (barrier.max_component, fuzzy.guard);
            let count: u64 = files.iter().map(|file| file.rows).sum();
            if components::memory_needed(count) <= MEMORY {
                let mut failed = None;
                let labels = components::in_memory(count, || {
                    open_edges(attempt, &files).map_err(|error| keep(&mut failed, error))
                });
                let mut labels = labels.map_err(|error| failed.take().unwrap_or_else(|| error.into()))?;
                chosen = Some(choose(attempt, &mut labels, limits, &mut drops)?);
            } else {
                let mut edges = open_edges(attempt, &files)?;
                let (mut labels, rounds) =
                    components::by_rounds(&mut edges, 2 * SORT_MEMORY, attempt.scratch())?;
                tracing::debug!(rounds, edges = count, "found components on disk");
                chosen = Some(choose(attempt, &mut labels, limits, &mut drops)?);
            }
        }
    }
    let summary = drops.finish()?;
    let file = files::finish(out, path, summary.entries)?;
    let joined = chosen.map(|(chosen, held)| {
        Box::new(Joined {
            step,
            components: chosen.components,
            duplicates: chosen.duplicates - held.documents,
            largest: chosen.largest,
            held_components: chosen.held_components,
            held_documents: chosen.held_documents,
            held_sources: held.sources,
            sources: held.named,
        })
    });
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Drops, vec![file])]), joined, ..attempt.record() })
}

pub(super) fn edge_files(attempt: &Attempt) -> Result<Vec<FileEntry>, TaskError> {
    let mut files = Vec::new();
    for record in attempt.records(attempt.stage - 1) {
        let mut record = record?;
        let edges = record.files.remove(&FileRole::Edges);
        let none = || TaskError::fatal(format!("task {} of the stage before left no pairs", record.task));
        files.extend(edges.ok_or_else(none)?);
    }
    Ok(files)
}

pub(super) fn open_edges(
    attempt: &Attempt,
    files: &[FileEntry],
) -> Result<Merge<Edges<RangedReader>>, TaskError> {
    let open = |file: &FileEntry| {
        let reader = RangedReader::new(attempt, file, 0..file.bytes, files.len());
        Ok(Edges::open(&file.path, reader, file.bytes)?)
    };
    Ok(Merge::new(files.iter().map(open).collect::<Result<_, TaskError>>()?))
}

/// Pairs (document to drop, survivor) that come in order.
pub(super) fn write_all<S: Stream<Key = u64>>(
    attempt: &Attempt,
    rows: &mut S,
    drops: &mut droplist::Writer<impl std::io::Write>,
) -> Result<(), TaskError> {
    while let Some((dropped, survivor)) = rows.row() {
        attempt.check_stopped()?;
        drops.push(dropped, survivor)?;
        rows.advance()?;
    }
    Ok(())
}

fn choose<L: Stream<Key = u64>>(
    attempt: &Attempt,
    labels: &mut L,
    (max_component, guard): (Option<usize>, Option<SourceGuard>),
    drops: &mut droplist::Writer<impl std::io::Write>,
) -> Result<(Chosen, Held), TaskError> {
    let mut ranks = RanksOf::new(attempt, FileRole::Ranks);
    let mut failed = None;
    let mut sorter = Sorter::<u64, Plain, _, _>::new(SORT_MEMORY, attempt.scratch());
    let chosen = survivor::choose(
        labels,
        |node, out| {
            ranks.at(node).map(|rank| out.extend_from_slice(rank)).map_err(|error| keep(&mut failed, error))
        },
        Limits { memory_bytes: SORT_MEMORY, max_component },
        attempt.scratch(),
        |survivor, duplicate| sorter.push(duplicate, survivor, &[]),
    );
    let chosen = chosen.map_err(|error| failed.unwrap_or_else(|| error.into()))?;
    if chosen.held_components > 0 {
        tracing::warn!(
            "{} components of {} documents are larger than max_component and were left alone; the largest has {}",
            chosen.held_components,
            chosen.held_documents,
            chosen.largest
        );
    }
    let mut sorted = sorter.finish()?;
    let Some(guard) = guard else {
        write_all(attempt, &mut sorted, drops)?;
        return Ok((chosen, Held::default()));
    };
    let held = guard::write(attempt, guard, &mut sorted, drops)?;
    if held.sources > 0 {
        tracing::warn!(
            "{} sources would have lost more than max_drop_share_per_source allows and keep all their documents",
            held.sources
        );
    }
    Ok((chosen, held))
}
