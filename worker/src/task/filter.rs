//! One group of a dedup by Bloom filters: holds its documents against one filter, in the order of the input.
//!
//! The only work of a job that must be done document by document, and so as little as can be: texts were cut and hashed by the
//! pass before, and are edited by the one after. The filter's size follows from the n-grams that were counted there.
//!
//! Memory is the filter, which waits until there is room for it beside those of other tasks. It is part of the checkpoints
//! ([`log`]), so that a killed attempt costs what was done since the last.

mod kept;
mod log;

use self::kept::Kept;
use self::log::Log;
use super::Attempt;
use crate::{TaskError, files};
use gristmill_dedup::bff::Deduper;
use gristmill_dedup::bloom::{Filter, Size};
use gristmill_dedup::sections::{self, Writer};
use gristmill_job::{FileEntry, FileRole, Filtered, Place, TaskRecord};
use gristmill_pipeline::step::Bloom;
use std::collections::BTreeMap;

pub(super) fn run(attempt: &Attempt, step: usize) -> Result<TaskRecord, TaskError> {
    let bloom = attempt.bloom(step)?;
    let loaded = bloom.load.as_ref().map(|folder| Kept::open(attempt, step, &bloom, folder)).transpose()?;
    if let Some(folder) = &bloom.save {
        kept::claim(attempt, step, folder)?;
    }
    let size = size(attempt, &bloom, loaded.as_ref())?;
    let _room = attempt.filter_memory.take(size.bytes(), || attempt.check_stopped())?;
    let (shards, group) = (attempt.shards()?, attempt.shard()?);
    let mut deduper = Deduper::new(bloom.params, bloom.update)?;
    let path = attempt.path("found");
    let mut out = attempt.create_hashed(&path);
    let mut found = Writer::new(&mut out, shards);
    let begun = Filtered { step, filters: 1, filter_bytes: size.bytes(), ..Filtered::default() };
    let (mut log, filter) = Log::open(attempt, size, begun, &mut found)?;
    let mut filter = match (filter, loaded) {
        (Some(filter), _) => filter,
        (None, Some(kept)) => kept.read(attempt)?,
        (None, None) => Filter::new(size, bloom.seed).of(&bloom.params.kind()),
    };
    let Place::Signed { task: first, number: done } = log.rest() else {
        return Err(TaskError::fatal("a checkpoint of another kind of task"));
    };
    let found_done = log.documents();
    let mut row = Vec::new();
    for record in attempt.records(attempt.signing_stage()?.0) {
        let record = record?;
        if record.task < first {
            continue;
        }
        let shard = u32::try_from(record.task).map_err(|_| TaskError::fatal("more than 2^32 tasks"))?;
        let mut number = 0;
        found.go_to(shard)?;
        let mut rows = attempt.section(&grams(&record)?, bloom.groups, group, 1)?;
        loop {
            if record.task == first && number < done {
                // An attempt before this one came so far.
                attempt.check_stopped()?;
                if !deduper.skip(&mut rows)? {
                    return Err(TaskError::fatal("a checkpoint lies behind the documents of its task"));
                }
                number += 1;
                continue;
            }
            log.between(attempt, Place::Signed { task: record.task, number }, &filter)?;
            let Some(what) = deduper.read(&mut rows, &mut filter)? else { break };
            row.clear();
            what.encode(&mut row);
            found.push(&row)?;
            log.keep(attempt, shard, &row)?;
            log.filtered.ngrams += what.ngrams;
            log.filtered.contained += what.contained;
            number += 1;
        }
    }
    found.finish()?;
    if let Some(folder) = &bloom.save {
        kept::save(attempt, &bloom, folder, &filter)?;
    }
    let file = files::finish(out, path, log.documents())?;
    let (documents, ngrams) = (log.documents(), log.filtered.ngrams);
    tracing::info!(group, documents, found_done, ngrams, "held against a filter");
    let filtered = Some(Box::new(log.filtered));
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Found, vec![file])]), filtered, ..attempt.record() })
}

fn grams(record: &TaskRecord) -> Result<FileEntry, TaskError> {
    let file = record.files.get(&FileRole::Grams).and_then(|files| files.first()).cloned();
    file.ok_or_else(|| TaskError::fatal(format!("task {} left no n-grams", record.task)))
}

/// How large a filter the group needs. One that is larger than what may be had is refused, and so is one of an earlier job that
/// has no room for the group.
fn size(attempt: &Attempt, bloom: &Bloom, loaded: Option<&Kept>) -> Result<Size, TaskError> {
    let mut ngrams = vec![0_u64; bloom.groups as usize];
    for record in attempt.records(attempt.signing_stage()?.0) {
        attempt.check_stopped()?;
        ngrams.iter_mut().zip(record?.ngrams).for_each(|(sum, of_task)| *sum += of_task);
    }
    let of = |ngrams: u64| Size::for_items(ngrams.max(bloom.expected_ngrams), bloom.fp_rate);
    let mine = ngrams.get(attempt.task as usize).copied().unwrap_or_default();
    let size = match loaded {
        Some(kept) => {
            if bloom.update {
                kept.has_room(mine, bloom.fp_rate)?;
            }
            kept.size()
        }
        None => of(mine)?,
    };
    let (asked, room) = (attempt.open.recipe.head.tasks.memory, attempt.filter_memory.allowed());
    let asked = asked.filter(|memory| memory.0 <= room);
    let allowed = asked.map_or(room, |memory| memory.0);
    if size.bytes() <= allowed {
        return Ok(size);
    }
    let all: u64 = ngrams.iter().sum();
    let shards = (of(all)?.bytes()).div_ceil(allowed.max(1)).saturating_mul(21).div_ceil(20);
    let whose = if asked.is_some() { "tasks.memory allows" } else { "this worker's --filter-memory is" };
    let why = format!(
        "a Bloom filter for {mine} n-grams at an fp_rate of {} takes {} bytes, and {whose} {allowed}; allow more, or set `shards` to {shards} or more",
        bloom.fp_rate,
        size.bytes()
    );
    // Another worker may have more.
    Err(if asked.is_some() { TaskError::fatal(why) } else { TaskError::retry(why) })
}

impl Attempt {
    /// A section of a file in sections; `beside`: how many are read at once.
    pub(super) fn section(
        &self,
        file: &FileEntry,
        sections: u32,
        section: u32,
        beside: usize,
    ) -> Result<sections::Reader<crate::ranged::RangedReader>, TaskError> {
        let located = self.locate(file.clone());
        let bounds = located.read_at(&self.handle, sections::index_range(file.bytes, sections, section))?;
        let range = sections::byte_range(&file.path, &bounds)?;
        let reader = crate::ranged::RangedReader::new(&self.handle, &located, range.clone(), beside);
        Ok(sections::Reader::new(&file.path, section, range.start, reader))
    }
}
