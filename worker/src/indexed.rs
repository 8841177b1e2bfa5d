//! The index that a dedup is run against, as its tasks read it: the generation that the plan is pinned to.

use crate::TaskError;
use crate::files::Located;
use crate::task::Attempt;
use gristmill_job::index::{Generation, Index, Segment};
use gristmill_job::{FileEntry, FileRole, IndexError, PAGE_TASKS, PlannedIndex};
use gristmill_storage::{Stores, Uri};
use std::sync::Arc;

/// An index that is open.
pub(crate) struct OpenIndex {
    index: Index,
    generation: Generation,
}

impl From<IndexError> for TaskError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Job(error) => error.into(),
            error => Self::fatal(error.to_string()),
        }
    }
}

impl OpenIndex {
    pub(crate) async fn open(stores: &Stores, planned: &PlannedIndex) -> Result<Self, TaskError> {
        let at: Uri = planned.at.parse().map_err(|error| TaskError::fatal(format!("{error}")))?;
        let index = Index::open(stores, &at)?;
        let generation = match planned.generation {
            0 => Generation::default(),
            number => {
                let generation = index.generation(number).await?;
                if generation.sha256() != planned.sha256 {
                    return Err(TaskError::fatal(format!(
                        "generation {number} of the index {at} is not the one that the job was planned with"
                    )));
                }
                generation
            }
        };
        Ok(Self { index, generation })
    }

    /// Segments, which a job knows as its first shards.
    pub(crate) fn segments(&self) -> u32 {
        self.generation.segments()
    }

    /// The number of the generation that a segment came with.
    pub(crate) fn came_with(&self, segment: u32) -> u64 {
        self.generation.part_of(segment).map_or(u64::MAX, |part| part.generation)
    }

    fn located(&self, file: FileEntry) -> Located {
        Located { store: Arc::clone(self.index.store()), key: self.index.key(&file.path), file }
    }

    /// For each part the first of its segments, their number, and its drop list.
    pub(crate) fn drops(&self) -> impl DoubleEndedIterator<Item = (u32, u32, Located)> {
        let parts = self.generation.parts.iter();
        parts.map(|part| (part.first_segment, part.segments, self.located(part.drops.clone())))
    }
}

/// The segments of an index, asked for in order: a page of them in memory.
pub(crate) struct Segments<'a> {
    attempt: &'a Attempt,
    index: &'a Arc<OpenIndex>,
    /// The first segment of the page.
    page: Option<(u32, Vec<Segment>)>,
}

impl<'a> Segments<'a> {
    pub(crate) fn of(attempt: &'a Attempt, index: &'a Arc<OpenIndex>) -> Self {
        Self { attempt, index, page: None }
    }

    /// A segment's file of the kind.
    pub(crate) fn file(&mut self, segment: u32, role: FileRole) -> Result<Located, TaskError> {
        let within = |(first, page): &(u32, Vec<Segment>)| {
            segment >= *first && ((segment - first) as usize) < page.len()
        };
        let page = match self.page.take().filter(within) {
            Some(page) => page,
            None => self.read_page(segment)?,
        };
        let (first, page) = self.page.insert(page);
        let found = page.get((segment - *first) as usize).and_then(|segment| match role {
            FileRole::Keys => Some(&segment.keys),
            FileRole::Sets => segment.sets.as_ref(),
            FileRole::Ids => Some(&segment.ids),
            _ => None,
        });
        let none = || TaskError::fatal(format!("segment {segment} of the index has no file of its {role:?}"));
        Ok(self.index.located(found.ok_or_else(none)?.clone()))
    }

    fn read_page(&self, segment: u32) -> Result<(u32, Vec<Segment>), TaskError> {
        let index = Arc::clone(self.index);
        self.attempt.wait(async move {
            let part = index.generation.part_of(segment);
            let part = part.ok_or_else(|| TaskError::fatal(format!("the index has no segment {segment}")))?;
            let page = u64::from(segment - part.first_segment) / PAGE_TASKS;
            let first = part.first_segment + (page * PAGE_TASKS) as u32;
            Ok((first, index.index.page(part, page).await?))
        })?
    }
}
