//! What the pass before a dedup wrote beside its documents.

use super::Attempt;
use crate::TaskError;
use crate::ranks::RankReader;
use gristmill_dedup::keyfile::shard_and_ordinal;
use gristmill_job::{FileEntry, FileRole, PAGE_TASKS, TaskRecord};
use std::io::Read;

/// The records of that pass, asked for in the order of shards: a page of them in memory.
pub(super) struct Signed<'a> {
    pub(super) attempt: &'a Attempt,
    page: Option<(u64, Vec<TaskRecord>)>,
}

impl<'a> Signed<'a> {
    pub(super) fn of(attempt: &'a Attempt) -> Self {
        Self { attempt, page: None }
    }

    /// The shard's one file of the kind.
    pub(super) fn file(&mut self, shard: u32, role: FileRole) -> Result<FileEntry, TaskError> {
        let task = u64::from(shard);
        let number = task / PAGE_TASKS;
        let page = match self.page.take().filter(|(present, _)| *present == number) {
            Some(page) => page,
            None => (number, self.attempt.page(self.attempt.signing_stage()?.0, number)?),
        };
        let (_, records) = self.page.insert(page);
        let record = records.get((task % PAGE_TASKS) as usize);
        let record = record
            .ok_or_else(|| TaskError::fatal(format!("there is no task {task} in the stage that signed")))?;
        let file = record.files.get(&role).and_then(|files| files.first()).cloned();
        file.ok_or_else(|| TaskError::fatal(format!("task {task} left no file of its {role:?}")))
    }
}

/// The ranks of documents, or their sources, asked for in node order: one shard's are open at a time.
pub(super) struct RanksOf<'a> {
    signed: Signed<'a>,
    role: FileRole,
    open: Option<(u32, RankReader<Box<dyn Read + Send>>)>,
}

impl<'a> RanksOf<'a> {
    pub(super) fn new(attempt: &'a Attempt, role: FileRole) -> Self {
        Self { signed: Signed::of(attempt), role, open: None }
    }

    pub(super) fn at(&mut self, node: u64) -> Result<&[u8], TaskError> {
        let (shard, ordinal) = shard_and_ordinal(node);
        let open = match self.open.take().filter(|(open, _)| *open == shard) {
            Some(open) => open,
            None => {
                let file = self.signed.file(shard, self.role)?;
                (shard, RankReader::new(self.signed.attempt.read(&file))?)
            }
        };
        Ok(self.open.insert(open).1.at(ordinal)?)
    }
}
