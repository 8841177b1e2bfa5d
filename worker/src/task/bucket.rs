//! One range of keys of a global dedup: merges it from the key files of all tasks, and writes which documents meet.
//!
//! Memory does not depend on how many documents share a key.

use super::Attempt;
use super::merge::{Part, Run, Sources, merge, merge_known};
use crate::TaskError;
use gristmill_dedup::bucket::{self, Oldest};
use gristmill_dedup::edges;
use gristmill_dedup::keyfile::{self, Spread};
use gristmill_dedup::sort::{Noted, Plain, Sorter};
use gristmill_dedup::stream::{Key, Merge};
use gristmill_job::{FileRole, TaskRecord};
use gristmill_pipeline::step::Signer;

/// So many documents that share a key are all compared with each other; more are compared in runs of so many.
const RUN: usize = 32;

pub(super) fn run(attempt: &Attempt, barrier: usize, buckets: u64) -> Result<TaskRecord, TaskError> {
    let barrier = attempt.barrier(barrier)?;
    let part = |notes| Part { range: attempt.task as usize, ranges: buckets as usize, notes };
    match barrier.signer {
        // Where whole documents are told of, the ranks go along: they hold record ids.
        Signer::Exact(_) if barrier.report.is_any() => {
            let mut sorter = Sorter::<u64, Noted, _, _>::new(attempt.sort_memory(), attempt.scratch());
            let mut rows = own_rows::<u128>(attempt, part(true))?;
            let known = merge_known::<u128>(attempt, part(true))?;
            let mut known = Oldest::of_each(known, |node| attempt.age(node));
            bucket::members(&mut known, &mut rows, |node, survivor, rank| sorter.push(node, survivor, rank))?;
            let mut sorted = sorter.finish()?;
            attempt.leave(FileRole::Edges, |out| edges::write_noted(&mut sorted, out))
        }
        // The rank is the note, by which a survivor is known: with one key a unit there is nothing left to join.
        Signer::Exact(_) => {
            let mut writer = edges::Writer::new(attempt.sort_memory(), attempt.scratch());
            let mut rows = own_rows::<u128>(attempt, part(true))?;
            let known = merge_known::<u128>(attempt, part(true))?;
            let mut known = Oldest::of_each(known, |node| attempt.age(node));
            bucket::edges_to(&mut known, &mut rows, |survivor, other| writer.push(other, survivor))?;
            attempt.leave(FileRole::Edges, |out| writer.finish(out))
        }
        Signer::Fuzzy(fuzzy) if fuzzy.verify.is_none() => {
            let mut writer = edges::Writer::new(attempt.sort_memory(), attempt.scratch());
            let mut rows = all_rows(attempt, part(false))?;
            bucket::edges(&mut rows, |first, other| {
                if attempt.is_known(other) { Ok(()) } else { writer.push(first, other) }
            })?;
            attempt.leave(FileRole::Edges, |out| writer.finish(out))
        }
        Signer::Fuzzy(_) => {
            let spread = Spread::over(attempt.all_shards()?);
            let mut writer =
                keyfile::Writer::<u64, Plain, _, _>::new(attempt.sort_memory(), attempt.scratch());
            let mut rows = all_rows(attempt, part(false))?;
            bucket::meetings(&mut rows, RUN, |member, place| {
                if attempt.is_known(place) {
                    Ok(())
                } else {
                    writer.push_node(spread.key(member), place, &[])
                }
            })?;
            attempt.leave(FileRole::Pairs, |out| writer.finish(out))
        }
    }
}

/// The job's rows of a range of keys.
fn own_rows<K: Key>(attempt: &Attempt, part: Part) -> Result<Merge<Run<K>>, TaskError> {
    merge::<K>(
        attempt,
        &Sources {
            stage: attempt.signing_stage()?.0,
            file: |record: &TaskRecord| record.files.get(&FileRole::Keys)?.first().cloned(),
            nodes: false,
            part,
        },
    )
}

/// Those and the index's, which are the smaller nodes. Where only documents of the index meet, nothing new is to be learned.
fn all_rows(attempt: &Attempt, part: Part) -> Result<Merge<Merge<Run<u64>>>, TaskError> {
    Ok(Merge::new(vec![merge_known(attempt, part)?, own_rows(attempt, part)?]))
}
