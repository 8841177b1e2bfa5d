//! What stands between the two passes of a dedup of spans: which anchors occur more than once, the windows around those, and
//! which of them go ([`gristmill_dedup::substring`] says why that finds all).

use super::Attempt;
use super::components::{left, open_edges, write_all};
use super::merge::{Part, Run, Sources, merge};
use crate::TaskError;
use crate::files;
use crate::frames::FrameReader;
use gristmill_dedup::edges::Edges;
use gristmill_dedup::sort::Noted;
use gristmill_dedup::stream::{Key, Merge};
use gristmill_dedup::{bucket, droplist, edges, keyfile, pieces, substring};
use gristmill_job::{FileRole, TaskRecord};
use std::collections::BTreeMap;

/// One range of anchors: lists all those that are not alone.
pub(super) fn anchors(attempt: &Attempt, buckets: u64) -> Result<TaskRecord, TaskError> {
    let mut writer = edges::Writer::new(attempt.sort_memory(), attempt.scratch());
    let mut rows = rows::<u64>(attempt, attempt.signing_stage()?.0, buckets, false)?;
    let mut last = None;
    bucket::edges(&mut rows, |first, other| {
        if last.replace(first) != Some(first) {
            writer.push(first, first)?;
        }
        writer.push(other, first)
    })?;
    attempt.leave(FileRole::Edges, |out| writer.finish(out))
}

/// The documents of one task of the pass: keys of the windows around those anchors.
pub(super) fn windows(attempt: &Attempt, step: usize) -> Result<TaskRecord, TaskError> {
    let mut finder = attempt.spans(step)?.finder()?;
    let mut anchors = attempt.drop_list()?;
    let mut writer = keyfile::Writer::<u128, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let record = attempt.earlier(attempt.signing_stage()?.0, attempt.task)?;
    let mut rank = Vec::new();
    // Units up to here.
    let mut first = 0_u32;
    let mut next = anchors.next().transpose()?.map(|(unit, _)| unit);
    for file in record.files.get(&FileRole::Documents).into_iter().flatten() {
        let mut frames = FrameReader::new(attempt.read(file))?;
        let corrupt = |e| TaskError::from(e).during(&file.path);
        // A document without such an anchor is not even unpacked.
        let place = |unit: Option<u32>, first: u32, units: u32| {
            unit?.checked_sub(first).filter(|place| *place < units)
        };
        while let Some((doc, units)) =
            frames.next_if(|units| place(next, first, units).is_some()).map_err(corrupt)?
        {
            attempt.check_stopped()?;
            if let Some(doc) = doc {
                let mut repeated = Vec::new();
                while let Some(place) = place(next, first, units) {
                    repeated.push(place as usize);
                    next = anchors.next().transpose()?.map(|(unit, _)| unit);
                }
                let text = doc.text.as_ref().map_or("", |text| text.as_str());
                let mut failed = None;
                let repeats = |place: usize| repeated.binary_search(&place).is_ok();
                finder.windows(text, repeats, |place, key| {
                    // No place is beyond the document's units.
                    pieces::rank(doc.id.as_bytes(), place as u32, &mut rank);
                    if let Err(error) = writer.push(key, first + place as u32, &rank) {
                        failed.get_or_insert(error);
                    }
                });
                failed.map_or(Ok(()), Err)?;
            }
            first += units;
        }
    }
    attempt.leave(FileRole::Keys, |out| writer.finish(out))
}

/// One range of windows: lists those that go.
pub(super) fn repeats(attempt: &Attempt, step: usize, buckets: u64) -> Result<TaskRecord, TaskError> {
    let length = attempt.spans(step)?.length;
    let mut writer = edges::Writer::new(attempt.sort_memory(), attempt.scratch());
    let mut rows = rows::<u128>(attempt, attempt.stage - 1, buckets, true)?;
    bucket::edges(&mut rows, |first, other| {
        if substring::overlap(first, other, length) { Ok(()) } else { writer.push(other, first) }
    })?;
    attempt.leave(FileRole::Edges, |out| writer.finish(out))
}

/// Lists what the stage before found, shard by shard.
pub(super) fn list(attempt: &Attempt) -> Result<TaskRecord, TaskError> {
    let edges = left(attempt, FileRole::Edges)?;
    let path = attempt.path("drops");
    let mut out = attempt.create_hashed(&path);
    let mut drops = droplist::Writer::new(&mut out, 0, attempt.shards()?, false);
    write_all(attempt, &mut open_edges(attempt, &edges, Edges::open)?, &mut drops)?;
    let listed = drops.finish()?.entries;
    let file = files::finish(out, path, listed)?;
    Ok(TaskRecord { files: BTreeMap::from([(FileRole::Drops, vec![file])]), ..attempt.record() })
}

/// The rows of the task's range of keys.
fn rows<K: Key>(
    attempt: &Attempt,
    stage: usize,
    buckets: u64,
    notes: bool,
) -> Result<Merge<Run<K>>, TaskError> {
    merge::<K>(
        attempt,
        &Sources {
            stage,
            file: |record: &TaskRecord| record.files.get(&FileRole::Keys)?.first().cloned(),
            nodes: false,
            part: Part { range: attempt.task as usize, ranges: buckets as usize, notes },
        },
    )
}
