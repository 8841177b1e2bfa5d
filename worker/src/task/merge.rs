//! Merging one range of keys from the sorted files of all tasks of a stage.
//!
//! Memory does not depend on how many rows there are, nor on how many files: more than [`FAN_IN`] are merged in groups on
//! the scratch disk first.

use super::Attempt;
use crate::TaskError;
use crate::files::Located;
use crate::indexed::Segments;
use crate::ranged::RangedReader;
use gristmill_dedup::block::Reader;
use gristmill_dedup::keyfile::{self, FOOTER_BYTES, Footer};
use gristmill_dedup::stream::{Key, Merge};
use gristmill_job::{FileEntry, FileRole, TaskRecord};
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
    /// Whether their rows hold nodes; else they hold ordinals of the task's own documents.
    pub(super) nodes: bool,
    pub(super) part: Part,
}

/// One of so many ranges of keys.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) range: usize,
    pub(super) ranges: usize,
    /// Whether rows have notes.
    pub(super) notes: bool,
}

/// All rows of the range, in order.
pub(super) fn merge<K: Key>(
    attempt: &Attempt,
    sources: &Sources<impl Fn(&TaskRecord) -> Option<FileEntry>>,
) -> Result<Merge<Run<K>>, TaskError> {
    let known = if sources.nodes { 0 } else { attempt.known_shards() };
    let files = attempt.records(sources.stage).map(|record| {
        let record = record?;
        let task = record.task;
        let shard = if sources.nodes { Some(0) } else { u32::try_from(task).ok() };
        let shard = shard.and_then(|shard| known.checked_add(shard));
        let shard = shard.ok_or_else(|| TaskError::fatal("more than 2^32 tasks"))?;
        let file = (sources.file)(&record).ok_or_else(|| {
            TaskError::fatal(format!("task {task} of stage {} left no such file", sources.stage))
        })?;
        Ok((shard, attempt.locate(file)))
    });
    merge_files(attempt, files, sources.part)
}

/// The same of the keys of an index.
pub(super) fn merge_known<K: Key>(attempt: &Attempt, part: Part) -> Result<Merge<Run<K>>, TaskError> {
    let mut segments = attempt.index().map(|index| Segments::of(attempt, index));
    let files = (0..attempt.known_shards()).map(|segment| match &mut segments {
        Some(segments) => Ok((segment, segments.file(segment, FileRole::Keys)?)),
        None => Err(TaskError::fatal("there is no index")),
    });
    merge_files(attempt, files, part)
}

fn merge_files<K: Key>(
    attempt: &Attempt,
    files: impl Iterator<Item = Result<(u32, Located), TaskError>>,
    part: Part,
) -> Result<Merge<Run<K>>, TaskError> {
    let mut level: Vec<Run<K>> = Vec::new();
    let mut group: Vec<(u32, Located)> = Vec::new();
    for file in files {
        attempt.check_stopped()?;
        if group.len() == FAN_IN {
            level.push(merge_group(attempt, open_group(attempt, &group, part)?, part.notes)?);
            group.clear();
        }
        group.push(file?);
    }
    level.extend(open_group(attempt, &group, part)?);
    // Groups of groups, for more than FAN_IN² files.
    while level.len() > FAN_IN {
        let rest = level.split_off(FAN_IN);
        let merged = merge_group(attempt, level, part.notes)?;
        level = rest;
        level.push(merged);
    }
    Ok(Merge::new(level))
}

fn open_group<K: Key>(
    attempt: &Attempt,
    group: &[(u32, Located)],
    Part { range, ranges, .. }: Part,
) -> Result<Vec<Run<K>>, TaskError> {
    let mut runs = Vec::with_capacity(group.len());
    for (shard, located) in group {
        let bytes = located.file.bytes;
        let tail = located.read_at(&attempt.handle, bytes.saturating_sub(FOOTER_BYTES as u64)..bytes)?;
        let footer = Footer::<K>::parse(&located.name(), &tail)?;
        let (offset, length) = footer.byte_range(range, ranges);
        let reader = RangedReader::new(&attempt.handle, located, offset..offset + length, group.len());
        let reader = Box::new(reader) as Box<dyn Read + Send>;
        runs.push(footer.bucket(range, ranges, *shard, reader)?);
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
