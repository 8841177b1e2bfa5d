//! From the documents that meet to the documents that go: joins pairs into components, chooses the survivor of each,
//! and writes one drop list over all shards.

use super::signed::Signed;
use super::{Attempt, SORT_MEMORY, keep};
use crate::identities::IdentityReader;
use crate::ranged::RangedReader;
use crate::{TaskError, files};
use gristmill_dedup::components;
use gristmill_dedup::droplist;
use gristmill_dedup::edges::Edges;
use gristmill_dedup::keyfile::shard_and_ordinal;
use gristmill_dedup::sort::{Plain, Sorter};
use gristmill_dedup::stream::{Merge, Stream};
use gristmill_dedup::survivor::{self, Limits, Policy};
use gristmill_job::{FileEntry, FileRole, TaskRecord};
use gristmill_pipeline::step::Signer;
use std::collections::BTreeMap;
use std::io::Read;

/// Up to here components are found in memory, beyond it by rounds on the scratch disk. Both give the same answer.
const MEMORY: u64 = 128 << 20;

pub(super) fn run(attempt: &Attempt, barrier: usize) -> Result<TaskRecord, TaskError> {
    let files = edge_files(attempt)?;
    let shards = attempt.shards()?;
    let path = attempt.path("drops");
    let mut out = attempt.create_hashed(&path);
    let mut drops = droplist::Writer::new(&mut out, 0, shards);
    let barrier = attempt.barrier(barrier)?;
    match barrier.signer {
        Signer::Exact(_) => write_all(attempt, &mut open_edges(attempt, &files)?, &mut drops)?,
        Signer::Fuzzy(_) => {
            let count: u64 = files.iter().map(|file| file.rows).sum();
            if components::memory_needed(count) <= MEMORY {
                let mut failed = None;
                let labels = components::in_memory(count, || {
                    open_edges(attempt, &files).map_err(|error| keep(&mut failed, error))
                });
                let mut labels = labels.map_err(|error| failed.take().unwrap_or_else(|| error.into()))?;
                choose(attempt, &mut labels, barrier.max_component, &mut drops)?;
            } else {
                let mut edges = open_edges(attempt, &files)?;
                let (mut labels, rounds) =
                    components::by_rounds(&mut edges, 2 * SORT_MEMORY, attempt.scratch())?;
                tracing::debug!(rounds, edges = count, "found components on disk");
                choose(attempt, &mut labels, barrier.max_component, &mut drops)?;
            }
        }
    }
    let summary = drops.finish()?;
    let file = files::finish(out, path, summary.entries)?;
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Drops, vec![file])]), ..attempt.record() })
}

fn edge_files(attempt: &Attempt) -> Result<Vec<FileEntry>, TaskError> {
    let mut files = Vec::new();
    for record in attempt.records(attempt.stage - 1) {
        let mut record = record?;
        let edges = record.files.remove(&FileRole::Edges);
        let none = || TaskError::fatal(format!("task {} of the stage before left no pairs", record.task));
        files.extend(edges.ok_or_else(none)?);
    }
    Ok(files)
}

fn open_edges(attempt: &Attempt, files: &[FileEntry]) -> Result<Merge<Edges<RangedReader>>, TaskError> {
    let open = |file: &FileEntry| {
        let reader = RangedReader::new(attempt, file, 0..file.bytes, files.len());
        Ok(Edges::open(&file.path, reader, file.bytes)?)
    };
    Ok(Merge::new(files.iter().map(open).collect::<Result<_, TaskError>>()?))
}

/// Pairs (document to drop, survivor) that come in order.
fn write_all<S: Stream<Key = u64>>(
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
    max_component: Option<usize>,
    drops: &mut droplist::Writer<impl std::io::Write>,
) -> Result<(), TaskError> {
    let mut identities = Identities { signed: Signed::of(attempt), open: None };
    let mut failed = None;
    let mut sorter = Sorter::<u64, Plain, _, _>::new(SORT_MEMORY, attempt.scratch());
    let chosen = survivor::choose(
        labels,
        |node, rank| match identities.of(node) {
            Ok(id) => {
                Policy::FirstId.rank(0, None, id, rank);
                Ok(())
            }
            Err(error) => Err(keep(&mut failed, error)),
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
    write_all(attempt, &mut sorter.finish()?, drops)
}

/// The identities of documents, asked for in node order: one shard's list is open at a time.
struct Identities<'a> {
    signed: Signed<'a>,
    open: Option<(u32, IdentityReader<Box<dyn Read + Send>>)>,
}

impl Identities<'_> {
    fn of(&mut self, node: u64) -> Result<&[u8], TaskError> {
        let (shard, ordinal) = shard_and_ordinal(node);
        let open = match self.open.take().filter(|(open, _)| *open == shard) {
            Some(open) => open,
            None => {
                let file = self.signed.file(shard, FileRole::Identities)?;
                (shard, IdentityReader::new(self.signed.attempt.read(&file))?)
            }
        };
        Ok(self.open.insert(open).1.at(ordinal)?)
    }
}
