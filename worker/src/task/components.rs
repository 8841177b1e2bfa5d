//! From the documents that meet to the documents that go: joins pairs into components, chooses the survivor of each,
//! and writes one drop list over all shards.

use super::{Attempt, SORT_MEMORY};
use crate::identities::IdentityReader;
use crate::ranged::RangedReader;
use crate::{TaskError, files};
use gristmill_dedup::droplist;
use gristmill_dedup::edges::Edges;
use gristmill_dedup::keyfile::shard_and_ordinal;
use gristmill_dedup::sort::{Plain, Sorter};
use gristmill_dedup::stream::{Merge, Stream};
use gristmill_dedup::survivor::{self, Limits, Policy};
use gristmill_dedup::{Error, components};
use gristmill_job::{FileEntry, FileRole, PAGE_TASKS, TaskRecord};
use gristmill_pipeline::step::Signer;
use std::collections::BTreeMap;
use std::io::Read;

/// Up to here components are found in memory, beyond it by rounds on the scratch disk. Both give the same answer.
const MEMORY: u64 = 128 << 20;

pub(super) fn run(attempt: &Attempt, barrier: usize) -> Result<TaskRecord, TaskError> {
    let files = edge_files(attempt)?;
    let (_, shards) = attempt.signing_stage()?;
    let shards = u32::try_from(shards).map_err(|_| TaskError::fatal("more than 2^32 tasks"))?;
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
    let buckets = attempt.stage - 1;
    let mut files = Vec::new();
    for record in attempt.records(buckets) {
        let mut record = record?;
        let edges = record.files.remove(&FileRole::Edges);
        files.extend(edges.ok_or_else(|| TaskError::fatal(format!("bucket {} left no edges", record.task)))?);
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
    let mut identities = Identities { attempt, page: None, open: None };
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

/// Lets an error of ours through a function that knows only its own.
fn keep(slot: &mut Option<TaskError>, error: TaskError) -> Error {
    let message = error.to_string();
    *slot = Some(error);
    Error::Invalid(message)
}

/// The identities of documents, asked for in node order: one shard's list is open at a time.
struct Identities<'a> {
    attempt: &'a Attempt,
    page: Option<(u64, Vec<TaskRecord>)>,
    open: Option<(u32, IdentityReader<Box<dyn Read + Send>>)>,
}

impl Identities<'_> {
    fn of(&mut self, node: u64) -> Result<&[u8], TaskError> {
        let (shard, ordinal) = shard_and_ordinal(node);
        if self.open.as_ref().is_none_or(|(open, _)| *open != shard) {
            let record = self.record(u64::from(shard))?;
            let file = record.files.get(&FileRole::Identities).and_then(|files| files.first());
            let file = file.ok_or_else(|| TaskError::fatal(format!("task {shard} left no identities")))?;
            self.open = Some((shard, IdentityReader::new(self.attempt.read(file))?));
        }
        match &mut self.open {
            Some((_, reader)) => Ok(reader.at(ordinal)?),
            None => Err(TaskError::fatal("no identities are open")),
        }
    }

    fn record(&mut self, task: u64) -> Result<TaskRecord, TaskError> {
        let number = task / PAGE_TASKS;
        let page = match self.page.take().filter(|(present, _)| *present == number) {
            Some((_, page)) => page,
            None => self.attempt.page(self.attempt.signing_stage()?.0, number)?,
        };
        let record = page.get((task % PAGE_TASKS) as usize).cloned();
        self.page = Some((number, page));
        record.ok_or_else(|| TaskError::fatal(format!("there is no task {task} in the stage that signed")))
    }
}
