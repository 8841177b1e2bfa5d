//! Driving a job from its plan to its dataset.
//!
//! A reconciler: each round looks at what is committed, enqueues what is missing (a bounded window of it), hands back
//! stale leases, and waits a moment for news. News are hints; the records in the object store are the truth. So any
//! number of drivers may work on one job, and any of them may be killed.

use crate::publish::{self, PublishError};
use futures::stream::{self, StreamExt, TryStreamExt};
use gristmill_job::{FileRole, Job, JobError, Manifest, Plan, StageRecord, TaskRecord};
use gristmill_pipeline::stage::Stage;
use gristmill_pipeline::{Recipe, Tally};
use gristmill_queue::{Cursor, Outcome, Priority, Producer, Task, TaskId};
use gristmill_storage::{Stores, Uri};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Tasks of a job that the queue holds at once.
const WINDOW: usize = 256;
/// How long a round waits for news.
const NEWS_WAIT: Duration = Duration::from_millis(200);
/// How often stale leases are looked for, and how often the records are listed although no news came.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
const LIST_EVERY: Duration = Duration::from_mins(1);
/// Records read at once.
const READS: usize = 16;

/// A job being driven.
pub struct Drive {
    pub job: Job,
    pub plan: Plan,
    pub recipe: Recipe,
    pub stores: Stores,
    pub producer: Arc<dyn Producer>,
    pub output: Uri,
    /// Keep the files that passes exchange, for debugging.
    pub keep_intermediate: bool,
    /// Where the job stands, for those who watch.
    pub view: watch::Sender<View>,
}

/// Where a job stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The stage that runs.
    pub stage: usize,
    pub stages: usize,
    pub title: String,
    pub tasks: u64,
    pub tasks_done: u64,
    /// Tasks that were done before this driver started.
    pub tasks_found_done: u64,
    /// Documents of the tasks that are done, in this stage.
    pub tally: Tally,
}

/// Why a job did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Queue(#[from] gristmill_queue::Error),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("task {task} failed for good: {reason}")]
    TaskFailed { task: String, reason: String },
    #[error("stage {stage} does not add up: {why}")]
    Imbalance { stage: usize, why: String },
}

impl Drive {
    /// Drives the job to its end and gives its manifest.
    pub async fn run(&self) -> Result<Manifest, DriveError> {
        let mut stages = Vec::new();
        for stage in 0..self.plan.stages.len() {
            let record = match self.job.stage(stage).await? {
                Some(record) => record,
                None => self.run_stage(stage).await?,
            };
            stages.push(record);
            self.collect_garbage(stage).await?;
        }
        let manifest = publish::publish(self, stages).await?;
        self.job.set_done().await?;
        if !self.keep_intermediate {
            self.job.clear_data().await?;
        }
        Ok(manifest)
    }

    async fn run_stage(&self, stage: usize) -> Result<StageRecord, DriveError> {
        let tasks = self.plan.stages.get(stage).map_or(0, |s| s.tasks);
        let mut progress = StageRun { done: BTreeSet::new(), tally: Tally::default() };
        let mut cursor: Option<Cursor> = None;
        let (mut next_expire, mut next_list) = (Instant::now(), Instant::now());
        let mut found_done = None;
        loop {
            let now = Instant::now();
            if now >= next_list {
                let done = self.job.done_tasks(stage).await?;
                self.take_records(stage, &mut progress, &done).await?;
                next_list = now + LIST_EVERY;
            }
            let found_done = *found_done.get_or_insert(progress.done.len() as u64);
            self.view.send_replace(View {
                stage,
                stages: self.plan.stages.len(),
                title: self.plan.title(stage, &self.recipe.steps),
                tasks,
                tasks_done: progress.done.len() as u64,
                tasks_found_done: found_done,
                tally: progress.tally.clone(),
            });
            if progress.done.len() as u64 >= tasks {
                break;
            }
            if now >= next_expire {
                self.producer.expire(WINDOW).await?;
                next_expire = now + EXPIRE_EVERY;
            }
            self.enqueue(stage, tasks, &progress).await?;
            let news = self.producer.settled(cursor.as_ref(), WINDOW, NEWS_WAIT).await?;
            cursor = Some(news.cursor);
            if news.missed {
                next_list = now;
            }
            let mut ended = Vec::new();
            for notice in news.notices.into_iter().filter(|n| n.job == self.job.id) {
                let Some(task) = parse_task(&notice.id, &self.job.id, stage) else { continue };
                match notice.outcome {
                    Outcome::Done(_) => ended.push(task),
                    // Of an earlier run of this job there may be old news: what is done counts more.
                    Outcome::Dead(reason) if self.job.record(stage, task).await?.is_none() => {
                        return Err(DriveError::TaskFailed { task: notice.id.to_string(), reason });
                    }
                    Outcome::Dead(_) => ended.push(task),
                }
            }
            self.take_records(stage, &mut progress, &ended).await?;
        }
        progress.tally.balance().map_err(|e| DriveError::Imbalance { stage, why: e.to_string() })?;
        let title = self.plan.title(stage, &self.recipe.steps);
        let record = StageRecord { stage, title, tasks, tally: progress.tally };
        self.job.commit_stage(&record).await?;
        Ok(record)
    }

    /// Adds the records of tasks that are done and not yet counted. A task that is said to be done but left no
    /// record is enqueued again.
    async fn take_records(
        &self,
        stage: usize,
        progress: &mut StageRun,
        tasks: &[u64],
    ) -> Result<(), DriveError> {
        let fresh: BTreeSet<u64> =
            tasks.iter().copied().filter(|task| !progress.done.contains(task)).collect();
        let mut records = stream::iter(fresh)
            .map(|task| async move { self.job.record(stage, task).await })
            .buffer_unordered(READS);
        while let Some(record) = records.try_next().await? {
            if let Some(record) = record
                && progress.done.insert(record.task)
            {
                progress.tally.add(&record.tally);
            }
        }
        Ok(())
    }

    /// Fills the window with the first tasks that are not done. The queue leaves alone what it knows.
    async fn enqueue(&self, stage: usize, tasks: u64, progress: &StageRun) -> Result<(), DriveError> {
        let missing: Vec<u64> =
            (0..tasks).filter(|task| !progress.done.contains(task)).take(WINDOW).collect();
        let mut enqueued = Vec::with_capacity(missing.len());
        for task in missing {
            let payload = serde_json::json!({ "stage": stage, "task": task }).to_string();
            enqueued.push(Task {
                id: TaskId::new(format!("{}/{stage}/{task:08}", self.job.id))?,
                job: self.job.id.clone(),
                priority: Priority::Normal,
                payload: payload.into(),
            });
        }
        self.producer.enqueue(enqueued).await?;
        Ok(())
    }

    /// Deletes what no later stage reads: the files of stages before the pass that `stage` completes.
    async fn collect_garbage(&self, stage: usize) -> Result<(), DriveError> {
        let is_pass = matches!(self.plan.stages.get(stage).map(|s| &s.stage), Some(Stage::Map(_)));
        if self.keep_intermediate || !is_pass {
            return Ok(());
        }
        for before in 0..stage {
            self.job.delete_below(&format!("data/{before}/")).await?;
        }
        Ok(())
    }

    /// The records of the last pass, in order: a page at a time.
    pub(crate) async fn last_records(&self, page: std::ops::Range<u64>) -> Result<Vec<TaskRecord>, JobError> {
        let last = self.plan.stages.len().saturating_sub(1);
        let read = |task| async move { self.job.must_record(last, task).await };
        stream::iter(page).map(read).buffered(READS).try_collect().await
    }
}

struct StageRun {
    done: BTreeSet<u64>,
    tally: Tally,
}

fn parse_task(id: &TaskId, job: &str, stage: usize) -> Option<u64> {
    let rest = id.as_str().strip_prefix(job)?.strip_prefix('/')?;
    let (of, task) = rest.split_once('/')?;
    (of.parse() == Ok(stage)).then(|| task.parse().ok()).flatten()
}

/// The files of the dataset among a record's.
pub(crate) fn data_files(record: TaskRecord) -> Vec<gristmill_job::FileEntry> {
    let mut files: BTreeMap<FileRole, _> = record.files;
    files.remove(&FileRole::Data).unwrap_or_default()
}
