//! One range of keys of a global dedup: merges it from the key files of all tasks, and writes which documents meet.
//!
//! Memory does not depend on how many documents share a key, nor on how many files there are: more than
//! [`FAN_IN`] files are merged in groups on the scratch disk first.

use super::{Attempt, SORT_MEMORY};
use crate::ranged::RangedReader;
use crate::{TaskError, files};
use gristmill_dedup::block::Reader;
use gristmill_dedup::keyfile::{self, FOOTER_BYTES, Footer};
use gristmill_dedup::stream::{Key, Merge};
use gristmill_dedup::{bucket, edges};
use gristmill_job::{FileEntry, FileRole, TaskRecord};
use gristmill_pipeline::step::Signer;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};

/// Files merged at once.
const FAN_IN: usize = 256;

pub(super) fn run(attempt: &Attempt, barrier: usize, buckets: u64) -> Result<TaskRecord, TaskError> {
    match attempt.barrier(barrier)?.signer {
        Signer::One(_) => merge::<u128>(attempt, buckets, Shape::Survivors),
        Signer::Many(_) => merge::<u64>(attempt, buckets, Shape::Edges),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Pairs (document to drop, its survivor): with one key a document there is nothing left to join.
    Survivors,
    /// Pairs of documents that share a key.
    Edges,
}

fn merge<K: Key>(attempt: &Attempt, buckets: u64, shape: Shape) -> Result<TaskRecord, TaskError> {
    let (stage, tasks) = attempt.signing_stage()?;
    let (bucket, buckets) = (attempt.task as usize, buckets as usize);
    let mut level: Vec<Run<K>> = Vec::new();
    let mut group: Vec<(u32, FileEntry)> = Vec::new();
    for record in attempt.records(stage) {
        attempt.check_stopped()?;
        let record = record?;
        let task = record.task;
        let shard = u32::try_from(task).map_err(|_| TaskError::fatal("more than 2^32 tasks"))?;
        let keys = record.files.get(&FileRole::Keys).and_then(|files| files.first());
        let keys =
            keys.ok_or_else(|| TaskError::fatal(format!("task {task} of stage {stage} left no keys")))?;
        group.push((shard, keys.clone()));
        if group.len() == FAN_IN && task + 1 < tasks {
            let merged = merge_group(attempt, open_group(attempt, &group, bucket, buckets)?, shape)?;
            level.push(merged);
            group.clear();
        }
    }
    level.extend(open_group(attempt, &group, bucket, buckets)?);
    // Groups of groups, for jobs of more than FAN_IN² tasks.
    while level.len() > FAN_IN {
        let rest = level.split_off(FAN_IN);
        let merged = merge_group(attempt, level, shape)?;
        level = rest;
        level.push(merged);
    }
    let path = attempt.path("edges");
    let mut out = attempt.create_hashed(&path);
    let mut writer = edges::Writer::new(SORT_MEMORY, attempt.scratch());
    let mut rows = Merge::new(level);
    bucket::edges(&mut rows, |first, other| match shape {
        Shape::Survivors => writer.push(other, first),
        Shape::Edges => writer.push(first, other),
    })?;
    let summary = writer.finish(&mut out)?;
    let file = files::finish(out, path, summary.entries)?;
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Edges, vec![file])]), ..attempt.record() })
}

type Run<K> = Reader<K, Box<dyn Read + Send>>;

fn open_group<K: Key>(
    attempt: &Attempt,
    group: &[(u32, FileEntry)],
    bucket: usize,
    buckets: usize,
) -> Result<Vec<Run<K>>, TaskError> {
    let mut runs = Vec::with_capacity(group.len());
    for (shard, file) in group {
        let tail = file.bytes.saturating_sub(FOOTER_BYTES as u64)..file.bytes;
        let footer = Footer::<K>::parse(&file.path, &attempt.read_at(file, tail)?)?;
        let (offset, length) = footer.byte_range(bucket, buckets);
        let reader = RangedReader::new(attempt, file, offset..offset + length, group.len());
        runs.push(footer.bucket(bucket, buckets, *shard, Box::new(reader) as Box<dyn Read + Send>)?);
    }
    Ok(runs)
}

/// Merges runs into one on the scratch disk.
fn merge_group<K: Key>(attempt: &Attempt, runs: Vec<Run<K>>, shape: Shape) -> Result<Run<K>, TaskError> {
    let mut file: File = attempt.scratch()()?;
    let summary = keyfile::merge_into(runs, shape == Shape::Survivors, BufWriter::new(&mut file))?;
    let mut tail = vec![0; FOOTER_BYTES];
    file.seek(SeekFrom::Start(summary.bytes - FOOTER_BYTES as u64))?;
    file.read_exact(&mut tail)?;
    file.seek(SeekFrom::Start(0))?;
    let footer = Footer::<K>::parse("a merged key file", &tail)?;
    Ok(footer.all(0, Box::new(BufReader::new(file)) as Box<dyn Read + Send>)?)
}
