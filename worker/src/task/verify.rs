//! Comparing documents that meet, in two halves, without their texts: what documents consist of lies beside their keys.
//!
//! Both halves take a run of shards. Documents that share a key are sent to one of them: the first half gives every row its
//! document's set; the second half compares those that met, and writes the pairs that are similar enough. Each reads the
//! sets of its shards once, in order.

use super::merge::{Part, Run, Sources, merge};
use super::signed::Signed;
use super::{Attempt, keep};
use crate::{TaskError, files};
use gristmill_dedup::keyfile::{self, Spread, SpreadRows, shard_and_ordinal};
use gristmill_dedup::sets::Sets;
use gristmill_dedup::sort::{Noted, Plain, Sorter};
use gristmill_dedup::stream::{Firsts, Merge};
use gristmill_dedup::{edges, verify};
use gristmill_job::{FileRole, TaskRecord};
use gristmill_pipeline::step::{Signer, Similarity};
use std::io::Read;

/// The first half: rows by the document that is sent in, by the place where it is compared out.
pub(super) fn attach(attempt: &Attempt, ranges: u64) -> Result<TaskRecord, TaskError> {
    let spread = Spread::over(attempt.all_shards()?);
    let mut pairs = rows(attempt, FileRole::Pairs, false, ranges)?;
    let mut writer = keyfile::Writer::<u64, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let (mut sets, mut failed) = (ShardSets::of(attempt), None);
    verify::attach(
        &mut pairs,
        |node, set| sets.read(node, set).map_err(|error| keep(&mut failed, error)),
        |b, a, set| writer.push_node(spread.key(b), a, set),
    )
    .map_err(|error| failed.take().unwrap_or_else(|| error.into()))?;
    attempt.leave(FileRole::Attached, |out| writer.finish(out))
}

/// The second half.
pub(super) fn compare(attempt: &Attempt, barrier: usize, ranges: u64) -> Result<TaskRecord, TaskError> {
    let barrier = attempt.barrier(barrier)?;
    let Similarity { measure, threshold } = match barrier.signer {
        Signer::Fuzzy(fuzzy) => fuzzy.verify,
        Signer::Exact(_) => None,
    }
    .ok_or_else(|| TaskError::fatal("nothing is compared in this dedup"))?;
    let mut attached = rows(attempt, FileRole::Attached, true, ranges)?;
    let mut writer = edges::Writer::new(attempt.sort_memory(), attempt.scratch());
    let sort = || Sorter::<u64, Plain, _, _>::new(attempt.sort_memory(), attempt.scratch());
    let mut similarities = barrier.report.is_any().then(sort);
    let (mut sets, mut failed) = (ShardSets::of(attempt), None);
    let counts = verify::compare(
        &mut attached,
        |node, set| sets.read(node, set).map_err(|error| keep(&mut failed, error)),
        measure,
        threshold,
        |a, b, similarity| {
            if let Some(similarities) = &mut similarities {
                // The greatest comes first, and is all that is kept.
                let place = u64::MAX - similarity.to_bits();
                similarities.push(a, place, &[])?;
                similarities.push(b, place, &[])?;
            }
            if attempt.is_known(a) && attempt.is_known(b) {
                return Ok(());
            }
            writer.push(a.min(b), a.max(b))
        },
    )
    .map_err(|error| failed.take().unwrap_or_else(|| error.into()))?;
    tracing::debug!(pairs = counts.pairs, joined = counts.joined, "compared documents");
    let mut record = attempt.leave(FileRole::Edges, |out| writer.finish(out))?;
    if let Some(similarities) = similarities {
        let path = attempt.path("similarities");
        let mut out = attempt.create_hashed(&path);
        let rows = edges::write_sorted(&mut Firsts::of(similarities.finish()?), &mut out)?.entries;
        record.files.insert(FileRole::Similarities, vec![files::finish(out, path, rows)?]);
    }
    Ok(record)
}

/// What the stage before wrote for the task's shards.
fn rows(
    attempt: &Attempt,
    role: FileRole,
    notes: bool,
    ranges: u64,
) -> Result<SpreadRows<Merge<Run<u64>>>, TaskError> {
    let sources = Sources {
        stage: attempt.stage - 1,
        file: |record: &TaskRecord| record.files.get(&role)?.first().cloned(),
        nodes: true,
        part: Part { range: attempt.task as usize, ranges: ranges as usize, notes },
    };
    Ok(Spread::over(attempt.all_shards()?).nodes(merge(attempt, &sources)?))
}

/// The sets of documents, asked for in node order: one shard's are open at a time.
struct ShardSets<'a> {
    signed: Signed<'a>,
    open: Option<(u32, Sets<Box<dyn Read + Send>>)>,
}

impl<'a> ShardSets<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        Self { signed: Signed::of(attempt), open: None }
    }

    fn read(&mut self, node: u64, set: &mut Vec<u8>) -> Result<(), TaskError> {
        self.signed.attempt.check_stopped()?;
        let (shard, _) = shard_and_ordinal(node);
        let open = match self.open.take().filter(|(open, _)| *open == shard) {
            Some(open) => open,
            None => {
                let file = self.signed.file(shard, FileRole::Sets)?;
                let input = file.read_all(&self.signed.attempt.handle);
                (shard, Sets::open(&file.name(), input, file.file.bytes, shard)?)
            }
        };
        set.extend_from_slice(self.open.insert(open).1.seek(node)?);
        Ok(())
    }
}
