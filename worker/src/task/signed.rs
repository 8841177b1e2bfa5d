//! What the pass before a dedup wrote beside its documents.

use super::Attempt;
use crate::TaskError;
use crate::files::Located;
use crate::indexed::Segments;
use crate::ranks::RankReader;
use gristmill_dedup::keyfile::shard_and_ordinal;
use gristmill_job::{FileRole, PAGE_TASKS, TaskRecord};
use std::io::Read;

/// The files of shards, asked for in the order of shards: those of the index first, then those of that pass. A page of
/// segments or records is in memory.
pub(super) struct Signed<'a> {
    pub(super) attempt: &'a Attempt,
    known: Option<Segments<'a>>,
    page: Option<(u64, Vec<TaskRecord>)>,
}

impl<'a> Signed<'a> {
    pub(super) fn of(attempt: &'a Attempt) -> Self {
        Self { attempt, known: attempt.index().map(|index| Segments::of(attempt, index)), page: None }
    }

    /// The shard's one file of the kind.
    pub(super) fn file(&mut self, shard: u32, role: FileRole) -> Result<Located, TaskError> {
        let own = shard.checked_sub(self.attempt.known_shards());
        match (own, &mut self.known) {
            (Some(task), _) => self.own_file(u64::from(task), role),
            (None, Some(known)) => known.file(shard, role),
            (None, None) => Err(TaskError::fatal("a document of an index that there is not")),
        }
    }

    fn own_file(&mut self, task: u64, role: FileRole) -> Result<Located, TaskError> {
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
        let none = || TaskError::fatal(format!("task {task} left no file of its {role:?}"));
        Ok(self.attempt.locate(file.ok_or_else(none)?))
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
                (shard, RankReader::new(file.read_all(&self.signed.attempt.handle))?)
            }
        };
        Ok(self.open.insert(open).1.at(ordinal)?)
    }
}
