//! Merging one range of keys from the sorted files of all tasks of a stage.
//!
//! Memory does not depend on how many rows there are, nor on how many files: more than [`FAN_IN`] are merged in groups on
//! the scratch disk first.

use super::Attempt;
use crate::TaskError;
use crate::ranged::RangedReader;
use gristmill_dedup::block::Reader;
use gristmill_dedup::keyfile::{self, FOOTER_BYTES, Footer};
use gristmill_dedup::stream::{Key, Merge};
use gristmill_job::{FileEntry, TaskRecord};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};

/// Files merged at once.
const FAN_IN: usize = 256;

pub(super) type Run<K> = Reader<K, Box<dyn Read + Send>>;

/// Which files, and which part of them.
pub(super) struct Sources<F> {
    /// The stage whose tasks wrote them.
    pub(super) stage: usize,
    /// The file of a task.
    pub(super) file: F,
    /// Whether their rows have notes.
    pub(super) notes: bool,
    /// Whether their rows hold nodes; else they hold ordinals of the task's own documents.
    pub(super) nodes: bool,
    /// One of so many ranges of keys.
    pub(super) range: usize,
    pub(super) ranges: usize,
}

/// All rows of the range, in order.
pub(super) fn merge<K: Key>(
    attempt: &Attempt,
    sources: &Sources<impl Fn(&TaskRecord) -> Option<FileEntry>>,
) -> Result<Merge<Run<K>>, TaskError> {
    let tasks = attempt.open.plan.stages.get(sources.stage).map_or(0, |s| s.tasks);
    let mut level: Vec<Run<K>> = Vec::new();
    let mut group: Vec<(u32, FileEntry)> = Vec::new();
    for record in attempt.records(sources.stage) {
        attempt.check_stopped()?;
        let record = record?;
        let task = record.task;
        let shard = if sources.nodes { Ok(0) } else { u32::try_from(task) };
        let shard = shard.map_err(|_| TaskError::fatal("more than 2^32 tasks"))?;
        let file = (sources.file)(&record).ok_or_else(|| {
            TaskError::fatal(format!("task {task} of stage {} left no such file", sources.stage))
        })?;
        group.push((shard, file));
        if group.len() == FAN_IN && task + 1 < tasks {
            level.push(merge_group(attempt, open_group(attempt, &group, sources)?, sources.notes)?);
            group.clear();
        }
    }
    level.extend(open_group(attempt, &group, sources)?);
    // Groups of groups, for jobs of more than FAN_IN² tasks.
    while level.len() > FAN_IN {
        let rest = level.split_off(FAN_IN);
        let merged = merge_group(attempt, level, sources.notes)?;
        level = rest;
        level.push(merged);
    }
    Ok(Merge::new(level))
}

fn open_group<K: Key, F>(
    attempt: &Attempt,
    group: &[(u32, FileEntry)],
    sources: &Sources<F>,
) -> Result<Vec<Run<K>>, TaskError> {
    let mut runs = Vec::with_capacity(group.len());
    for (shard, file) in group {
        let tail = file.bytes.saturating_sub(FOOTER_BYTES as u64)..file.bytes;
        let footer = Footer::<K>::parse(&file.path, &attempt.read_at(file, tail)?)?;
        let (offset, length) = footer.byte_range(sources.range, sources.ranges);
        let reader = RangedReader::new(attempt, file, offset..offset + length, group.len());
        let reader = Box::new(reader) as Box<dyn Read + Send>;
        runs.push(footer.bucket(sources.range, sources.ranges, *shard, reader)?);
    }
    Ok(runs)
}

/// Merges runs into one on the scratch disk.
fn merge_group<K: Key>(attempt: &Attempt, runs: Vec<Run<K>>, notes: bool) -> Result<Run<K>, TaskError> {
    let mut file: File = attempt.scratch()()?;
    let summary = keyfile::merge_into(runs, notes, BufWriter::new(&mut file))?;
    let mut tail = vec![0; FOOTER_BYTES];
    file.seek(SeekFrom::Start(summary.bytes - FOOTER_BYTES as u64))?;
    file.read_exact(&mut tail)?;
    file.seek(SeekFrom::Start(0))?;
    let footer = Footer::<K>::parse("a merged key file", &tail)?;
    Ok(footer.all(0, Box::new(BufReader::new(file)) as Box<dyn Read + Send>)?)
}
