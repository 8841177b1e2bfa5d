//! What the pass before a dedup wrote beside its documents.

use super::Attempt;
use crate::TaskError;
use gristmill_job::{FileEntry, FileRole, PAGE_TASKS, TaskRecord};

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
