//! What a selection found, told to the pass after it: within how many shares the scores of each document are.
//!
//! A task's scores are put in the order of groups, which is that of the bounds, and what is found in the order of its documents.
//! Memory depends neither on how many groups there are nor on how many documents the task has.

use super::Attempt;
use super::merge::Run;
use super::selection::{ScoreRow, group_key, rank_note, read_rank};
use crate::TaskError;
use gristmill_dedup::keyfile::{FOOTER_BYTES, Footer};
use gristmill_dedup::sort::{Noted, Plain, Sorted, Sorter};
use gristmill_dedup::stream::{Key, Stream};
use gristmill_job::FileRole;
use std::fs::File;

/// For each score of each document of a task the number of shares that it is within, in the order of the documents.
pub(super) struct Levels {
    rows: Sorted<u64, Plain, File>,
}

/// For each of two sorts.
const LEVELS_MEMORY: usize = 8 << 20;

impl Levels {
    /// Of the documents that `attempt` reads.
    pub(super) fn open(attempt: &Attempt) -> Result<Self, TaskError> {
        let mut by_group = Sorter::<u64, Noted, _, _>::new(LEVELS_MEMORY, attempt.scratch());
        let (stage, _) = attempt.signing_stage()?;
        let mut scores = rows::<u128>(attempt, stage, attempt.task, FileRole::Keys)?;
        let mut note = Vec::new();
        while let Some((key, document)) = scores.row() {
            if let ScoreRow::Score { group, rank, key, .. } = ScoreRow::read(key, scores.note())? {
                note.clear();
                note.extend_from_slice(&rank_note(rank));
                note.push(key);
                by_group.push(group_key(group), document, &note)?;
            }
            scores.advance()?;
        }
        let mut by_group = by_group.finish()?;
        let mut bounds = rows::<u64>(attempt, attempt.stage - 1, 0, FileRole::Bounds)?;
        let mut levels = Sorter::<u64, Plain, _, _>::new(LEVELS_MEMORY, attempt.scratch());
        let mut of_group = Vec::new();
        while let Some((group, _)) = by_group.row() {
            attempt.check_stopped()?;
            of_group.clear();
            while let Some((bound, _)) = bounds.row()
                && bound <= group
            {
                if bound == group {
                    of_group.push(read_rank(bounds.note())?.0);
                }
                bounds.advance()?;
            }
            while let Some((same, document)) = by_group.row()
                && same == group
            {
                let (rank, rest) = read_rank(by_group.note())?;
                let level = of_group.iter().filter(|bound| rank <= **bound).count() as u64;
                let key = rest.first().copied().unwrap_or_default();
                levels.push(document, u64::from(key) << 32 | level, &[])?;
                by_group.advance()?;
            }
        }
        Ok(Self { rows: levels.finish()? })
    }

    /// The levels of a document's scores; none for one that it lacks. Ask in ascending order.
    pub(super) fn at(&mut self, document: u32, levels: &mut [Option<u32>]) -> Result<(), TaskError> {
        levels.fill(None);
        while let Some((at, row)) = self.rows.row()
            && at <= u64::from(document)
        {
            if at == u64::from(document)
                && let Some(level) = levels.get_mut((row >> 32) as usize)
            {
                *level = Some(row as u32);
            }
            self.rows.advance()?;
        }
        Ok(())
    }
}

/// All rows of the one file of a kind that a task left.
fn rows<K: Key>(attempt: &Attempt, stage: usize, task: u64, role: FileRole) -> Result<Run<K>, TaskError> {
    let record = attempt.earlier(stage, task)?;
    let file = record.files.get(&role).and_then(|files| files.first());
    let file = file.ok_or_else(|| {
        TaskError::fatal(format!("task {task} of stage {stage} left no file of its {role:?}"))
    })?;
    let tail = file.bytes.saturating_sub(FOOTER_BYTES as u64)..file.bytes;
    let footer = Footer::<K>::parse(&file.path, &attempt.read_at(file, tail)?)?;
    Ok(footer.all(0, attempt.read_range(file, 0..footer.data_bytes))?)
}
