//! One range of keys of a global dedup: merges it from the key files of all tasks, and writes which documents meet.
//!
//! Memory does not depend on how many documents share a key.

use super::merge::{Sources, merge};
use super::{Attempt, SORT_MEMORY};
use crate::{TaskError, files};
use gristmill_dedup::stream::Key;
use gristmill_dedup::{bucket, edges};
use gristmill_job::{FileRole, TaskRecord};
use gristmill_pipeline::step::Signer;
use std::collections::BTreeMap;

pub(super) fn run(attempt: &Attempt, barrier: usize, buckets: u64) -> Result<TaskRecord, TaskError> {
    match attempt.barrier(barrier)?.signer {
        Signer::Exact(_) => write_edges::<u128>(attempt, buckets, Shape::Survivors),
        Signer::Fuzzy(_) => write_edges::<u64>(attempt, buckets, Shape::Edges),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Pairs (unit to drop, its survivor): with one key a unit there is nothing left to join.
    Survivors,
    /// Pairs of documents that share a key.
    Edges,
}

fn write_edges<K: Key>(attempt: &Attempt, buckets: u64, shape: Shape) -> Result<TaskRecord, TaskError> {
    let mut rows = merge::<K>(
        attempt,
        &Sources {
            stage: attempt.signing_stage()?.0,
            file: |record: &TaskRecord| record.files.get(&FileRole::Keys)?.first().cloned(),
            // The rank, by which a survivor is known.
            notes: shape == Shape::Survivors,
            range: attempt.task as usize,
            ranges: buckets as usize,
        },
    )?;
    let path = attempt.path("edges");
    let mut out = attempt.create_hashed(&path);
    let mut writer = edges::Writer::new(SORT_MEMORY, attempt.scratch());
    bucket::edges(&mut rows, |first, other| match shape {
        Shape::Survivors => writer.push(other, first),
        Shape::Edges => writer.push(first, other),
    })?;
    let summary = writer.finish(&mut out)?;
    let file = files::finish(out, path, summary.entries)?;
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Edges, vec![file])]), ..attempt.record() })
}
