//! The account of a stage that runs: which tasks are done, failed, or with the queue, and what the done ones came to.
//!
//! Memory: a bit for each task, the records of the pages that are being filled (at most [`CACHED_PAGES`] of them), and
//! the tasks with the queue.

use crate::bits::Bits;
use futures::stream::{self, StreamExt, TryStreamExt};
use gristmill_job::{FailedTask, Job, JobError, PAGE_TASKS, StageRecord, TaskRecord, pages, tasks_of_page};
use gristmill_pipeline::Tally;
use std::collections::{BTreeMap, BTreeSet};

/// Objects read or written at once.
const REQUESTS: usize = 64;
/// Pages read at once.
const PAGES_AT_ONCE: usize = 16;
/// Pages whose records are kept in memory while they fill; of more, the records are read again when they are full.
const CACHED_PAGES: usize = 32;

pub(crate) struct StageRun {
    pub(crate) stage: usize,
    pub(crate) tasks: u64,
    pub(crate) tally: Tally,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) failed: BTreeMap<u64, String>,
    /// Tasks that the queue was given and has not settled.
    pub(crate) enqueued: BTreeSet<u64>,
    done: Bits,
    written: Bits,
    filling: BTreeMap<u64, Vec<TaskRecord>>,
    /// Tasks that are done, of the pages that are not full.
    counts: BTreeMap<u64, u64>,
    /// Full pages that are not written yet.
    full: BTreeSet<u64>,
    /// All tasks below this one were enqueued, are done, or failed.
    next: u64,
    /// Tasks below `next` that must be enqueued again.
    again: BTreeSet<u64>,
}

impl StageRun {
    /// Where the stage stands, by its objects.
    pub(crate) async fn load(job: &Job, stage: usize, tasks: u64) -> Result<Self, JobError> {
        let mut run = Self {
            stage,
            tasks,
            tally: Tally::default(),
            read_bytes: 0,
            written_bytes: 0,
            failed: BTreeMap::new(),
            enqueued: BTreeSet::new(),
            done: Bits::default(),
            written: Bits::default(),
            filling: BTreeMap::new(),
            counts: BTreeMap::new(),
            full: BTreeSet::new(),
            next: 0,
            again: BTreeSet::new(),
        };
        let written = job.written_pages(stage).await?;
        let mut records = stream::iter(written)
            .map(|page| async move { Ok::<_, JobError>((page, job.must_page(stage, page).await?)) })
            .buffer_unordered(PAGES_AT_ONCE);
        while let Some((page, records)) = records.try_next().await? {
            for record in &records {
                run.done.insert(record.task);
                run.add(record);
            }
            run.written.insert(page);
        }
        for task in job.failed_tasks(stage).await? {
            let reason = job.failed_task(stage, task).await?.map(|f| f.reason).unwrap_or_default();
            run.failed.insert(task, reason);
        }
        // Of the pages that are not full, names tell which tasks are done; a page that nobody began is not listed.
        let mut page = 0;
        while page < pages(tasks) {
            if !run.written.contains(page) {
                let done = job.done_tasks(stage, page).await?;
                if done.is_empty() && !run.is_begun_after(job, page).await? {
                    break;
                }
                run.take(job, &done).await?;
            }
            page += 1;
        }
        Ok(run)
    }

    /// Whether a page after `page` may hold tasks that are done. Tasks are enqueued in order, so that after some pages
    /// without any there are none.
    async fn is_begun_after(&self, job: &Job, page: u64) -> Result<bool, JobError> {
        const AHEAD: u64 = 32;
        let ahead = page + 1..pages(self.tasks).min(page + 1 + AHEAD);
        for page in ahead {
            if self.written.contains(page) || !job.done_tasks(self.stage, page).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn tasks_done(&self) -> u64 {
        self.done.len()
    }

    pub(crate) fn is_done(&self, task: u64) -> bool {
        self.done.contains(task)
    }

    /// Whether all tasks are done and all pages written.
    pub(crate) fn is_complete(&self) -> bool {
        self.done.len() >= self.tasks && self.written.len() >= pages(self.tasks)
    }

    /// Whether all that can be done is done: what is left has failed.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.failed.is_empty()
            && self.enqueued.is_empty()
            && self.done.len() + self.failed.len() as u64 >= self.tasks
    }

    /// Counts tasks whose records are there. A task without one is enqueued again.
    pub(crate) async fn take(&mut self, job: &Job, tasks: &[u64]) -> Result<(), JobError> {
        let fresh: BTreeSet<u64> =
            tasks.iter().copied().filter(|task| *task < self.tasks && !self.done.contains(*task)).collect();
        let stage = self.stage;
        let mut records = stream::iter(fresh)
            .map(|task| async move { Ok::<_, JobError>((task, job.record(stage, task).await?)) })
            .buffer_unordered(REQUESTS);
        while let Some((task, record)) = records.try_next().await? {
            match record {
                Some(record) => self.count(record),
                None => self.enqueue_again(task),
            }
        }
        Ok(())
    }

    fn count(&mut self, record: TaskRecord) {
        let task = record.task;
        if !self.done.insert(task) {
            return;
        }
        self.enqueued.remove(&task);
        self.again.remove(&task);
        self.failed.remove(&task);
        self.add(&record);
        let page = task / PAGE_TASKS;
        if self.filling.contains_key(&page) || self.filling.len() < CACHED_PAGES {
            self.filling.entry(page).or_default().push(record);
        }
        let tasks = tasks_of_page(page, self.tasks);
        let count = self.counts.entry(page).or_default();
        *count += 1;
        if *count == tasks.end - tasks.start {
            self.counts.remove(&page);
            self.full.insert(page);
        }
    }

    fn add(&mut self, record: &TaskRecord) {
        self.tally.add(&record.tally);
        self.read_bytes += record.read_bytes;
        self.written_bytes += record.written_bytes();
    }

    /// Writes the pages that are full, and deletes what losing attempts left among their files.
    pub(crate) async fn write_pages(&mut self, job: &Job) -> Result<(), JobError> {
        while let Some(page) = self.full.first().copied() {
            let stage = self.stage;
            let tasks = tasks_of_page(page, self.tasks);
            let mut records = self.filling.remove(&page).unwrap_or_default();
            if records.len() as u64 != tasks.end - tasks.start {
                let read = |task| async move { job.must_record(stage, task).await };
                records = stream::iter(tasks).map(read).buffered(REQUESTS).try_collect().await?;
            }
            records.sort_unstable_by_key(|record| record.task);
            job.write_page(stage, page, &records).await?;
            let orphans = job.collect_orphans(stage, page, &records).await?;
            if orphans > 0 {
                tracing::debug!(job = job.id, stage, page, orphans, "deleted files of attempts that lost");
            }
            self.written.insert(page);
            self.full.remove(&page);
        }
        Ok(())
    }

    /// The next tasks for the queue, so that it holds `share` of them. They count as enqueued.
    pub(crate) fn take_next(&mut self, share: usize) -> Vec<u64> {
        let mut room = share.saturating_sub(self.enqueued.len());
        let mut tasks = Vec::new();
        while room > 0 {
            let task = match self.again.pop_first() {
                Some(task) => task,
                None if self.next < self.tasks => {
                    self.next += 1;
                    self.next - 1
                }
                None => break,
            };
            if !self.done.contains(task) && !self.failed.contains_key(&task) && self.enqueued.insert(task) {
                tasks.push(task);
                room -= 1;
            }
        }
        tasks
    }

    pub(crate) fn enqueue_again(&mut self, task: u64) {
        self.enqueued.remove(&task);
        if task < self.next && !self.failed.contains_key(&task) {
            self.again.insert(task);
        }
    }

    /// Forgets what the queue was given: after a pause, all of it is enqueued anew. The queue leaves alone what it
    /// knows.
    pub(crate) fn forget_enqueued(&mut self) {
        self.again.extend(std::mem::take(&mut self.enqueued));
    }

    pub(crate) fn fail(&mut self, failed: FailedTask) {
        self.enqueued.remove(&failed.task);
        self.failed.insert(failed.task, failed.reason);
    }

    pub(crate) fn record(&self, title: String) -> StageRecord {
        StageRecord {
            stage: self.stage,
            title,
            tasks: self.tasks,
            tally: self.tally.clone(),
            read_bytes: self.read_bytes,
            written_bytes: self.written_bytes,
        }
    }
}
