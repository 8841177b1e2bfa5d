//! Driving one job from its plan to its dataset.
//!
//! A reconciler: each round looks at what is committed, hands the queue what is missing, and waits a moment for news.
//! News are hints; the records in the object store are the truth, and a task counts only when its record was read. So any
//! number of drivers may work on one job, in one process or in several, and any of them may be killed.

use crate::engine::{Engine, News, Seat};
use crate::now_ms;
use crate::publish::{self, PublishError};
use crate::stage_run::StageRun;
use crate::view::{FAILURES_MAX, JobView, RUNNING_MAX, Rates, RunningView, StageView};
use gristmill_job::{
    AttemptFailure, FailedTask, Job, JobError, JobState, Manifest, Plan, StageRecord, TaskRef, TaskTrace,
};
use gristmill_pipeline::stage::Stage;
use gristmill_pipeline::{Recipe, Tally};
use gristmill_queue::{Priority, Task, TaskId};
use gristmill_storage::{Created, Stores, Uri};
use gristmill_telemetry::{Place, traces};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// Tasks handed to the queue at once.
const BATCH: usize = 256;
/// How long a round waits for news.
const NEWS_WAIT: Duration = Duration::from_millis(250);
/// How often queue and objects are compared although nothing seems to be missed.
const COMPARE_EVERY: Duration = Duration::from_mins(1);
/// How often the view is renewed, and how often the attempts in it while somebody watches, and while nobody does.
const VIEW_EVERY: Duration = Duration::from_millis(250);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const IDLE_LOOK_EVERY: Duration = Duration::from_secs(15);
/// A job with more failed tasks than this is given up at once: it is not the data.
const FAILED_MAX: usize = 100;
/// Attempts asked about at once.
const ASKED_MAX: usize = 10_000;
/// What rates are measured over.
const RATE_OVER: Duration = Duration::from_secs(90);

/// Drives one job.
pub struct Driver {
    pub job: Job,
    pub plan: Arc<Plan>,
    pub recipe: Recipe,
    pub stores: Stores,
    pub engine: Arc<Engine>,
    pub priority: Priority,
    pub output: Uri,
    /// Keep the files that passes exchange, for debugging.
    pub keep_intermediate: bool,
    /// Where the job stands, for those who watch.
    pub view: watch::Sender<Arc<JobView>>,
}

/// How driving ended.
#[derive(Debug)]
pub enum End {
    /// The dataset is published.
    Done(Box<Manifest>),
    /// Tasks are out of attempts, and all others are done.
    Failed(String),
    /// The job is to be driven no more: it was cancelled.
    Left,
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
    #[error("stage {stage} does not add up: {why}")]
    Imbalance { stage: usize, why: String },
}

impl DriveError {
    /// Whether driving on later may help: the store or the queue does not answer now.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Job(error) => error.is_retryable(),
            Self::Queue(error) => error.is_retryable(),
            Self::Publish(error) => error.is_retryable(),
            Self::Imbalance { .. } => false,
        }
    }
}

/// How a stage ended.
enum StageEnd {
    Committed(StageRecord),
    Failed(String),
    Left,
}

impl Driver {
    /// Drives the job to its end. `state` is what its log says; while it says paused, no task is handed out.
    pub async fn run(&self, mut state: watch::Receiver<JobState>) -> Result<End, DriveError> {
        let mut seat = self.engine.seat(&self.job.id, self.priority);
        let mut stages = Vec::new();
        self.show_plan();
        for stage in 0..self.plan.stages.len() {
            let record = match self.job.stage(stage).await? {
                Some(record) => record,
                None => match self.run_stage(stage, &stages, &mut seat, &mut state).await? {
                    StageEnd::Committed(record) => record,
                    StageEnd::Failed(reason) => return Ok(End::Failed(reason)),
                    StageEnd::Left => return Ok(End::Left),
                },
            };
            stages.push(record);
            self.show_stages(&stages);
            // What an index keeps of a dedup must be there before the dedup's files go.
            publish::index::keep(self, stage).await?;
            self.collect_garbage(stage).await?;
        }
        drop(seat);
        let began = SystemTime::now();
        let manifest = publish::publish(self, stages).await?;
        self.trace("publish", began, None, Vec::new());
        Ok(End::Done(Box::new(manifest)))
    }

    async fn run_stage(
        &self,
        stage: usize,
        before: &[StageRecord],
        seat: &mut Seat,
        state: &mut watch::Receiver<JobState>,
    ) -> Result<StageEnd, DriveError> {
        let tasks = self.plan.stages.get(stage).map_or(0, |s| s.tasks);
        let began = SystemTime::now();
        let mut run = StageRun::load(&self.job, stage, tasks).await?;
        let mut observer = Observer::new(self, stage, &run);
        let mut next_compare = Instant::now();
        let mut paused = false;
        loop {
            run.write_pages(&self.job).await?;
            observer.observe(self, before, &run).await?;
            if run.is_complete() {
                break;
            }
            let now = *state.borrow_and_update();
            match now {
                JobState::Active => {
                    if std::mem::take(&mut paused) {
                        seat.set_active(true);
                        run.forget_enqueued();
                    }
                }
                JobState::Paused => {
                    // Another coordinator that enqueues still does the same once it has read the log.
                    if !std::mem::replace(&mut paused, true) {
                        seat.set_active(false);
                        self.engine.producer().withdraw_job(&self.job.id).await?;
                    }
                }
                JobState::Failed | JobState::Cancelled | JobState::Done => return Ok(StageEnd::Left),
            }
            if run.is_stuck() || run.failed.len() > FAILED_MAX {
                self.engine.producer().withdraw_job(&self.job.id).await?;
                return Ok(StageEnd::Failed(why_failed(&run)));
            }
            if seat.take_missed() || Instant::now() >= next_compare {
                self.compare(&mut run).await?;
                next_compare = Instant::now() + COMPARE_EVERY;
            }
            if !paused {
                let next = run.take_next(seat.share());
                self.enqueue(&mut run, seat.priority(), &next).await?;
            }
            let news = tokio::select! {
                news = seat.news(NEWS_WAIT) => news,
                _ = state.changed() => Vec::new(),
            };
            self.hear(&mut run, news).await?;
        }
        run.tally.balance().map_err(|e| DriveError::Imbalance { stage, why: e.to_string() })?;
        let record = run.record(self.plan.title(stage, &self.recipe.steps));
        if self.job.commit_stage(&record).await? == Created::New {
            let attributes = vec![("title", record.title.clone()), ("tasks", record.tasks.to_string())];
            self.trace("stage", began, Some(Place::stage(&self.job.id, stage)), attributes);
        }
        Ok(StageEnd::Committed(record))
    }

    async fn hear(&self, run: &mut StageRun, news: Vec<News>) -> Result<(), DriveError> {
        let mut ended = Vec::new();
        for news in news {
            match news {
                News::Done(id) => ended.extend(self.parse(&id, run.stage)),
                News::Dead(id, reason) => {
                    let Some(task) = self.parse(&id, run.stage) else { continue };
                    self.dead(run, task, reason).await?;
                }
                News::Lost { task: id, attempt, last } => {
                    let Some(task) = self.parse(&id, run.stage) else { continue };
                    let failure = AttemptFailure {
                        stage: run.stage,
                        task,
                        attempt,
                        worker: String::new(),
                        at_ms: now_ms(),
                        error: "the worker was not heard of for the length of a lease".to_owned(),
                    };
                    self.job.note_failure(&format!("lost-{attempt}-{}", failure.at_ms), &failure).await?;
                    if last {
                        self.dead(run, task, failure.error).await?;
                    }
                }
            }
        }
        run.take(&self.job, &ended).await?;
        Ok(())
    }

    /// A task is out of attempts. Of an earlier life of the queue there may be old news: what is done counts more.
    async fn dead(&self, run: &mut StageRun, task: u64, reason: String) -> Result<(), DriveError> {
        if run.is_done(task) || run.failed.contains_key(&task) {
            return Ok(());
        }
        if self.job.record(run.stage, task).await?.is_some() {
            run.take(&self.job, &[task]).await?;
            return Ok(());
        }
        let failed = FailedTask { stage: run.stage, task, reason, at_ms: now_ms() };
        self.job.note_failed(&failed).await?;
        tracing::warn!(job = self.job.id, stage = run.stage, task, "task failed for good: {}", failed.reason);
        run.fail(failed);
        Ok(())
    }

    /// Finds what news did not tell: tasks that are done, that the queue lost, or that are dead.
    async fn compare(&self, run: &mut StageRun) -> Result<(), DriveError> {
        let pages: BTreeSet<u64> = run.enqueued.iter().map(|task| task / gristmill_job::PAGE_TASKS).collect();
        for page in pages {
            let done = self.job.done_tasks(run.stage, page).await?;
            run.take(&self.job, &done).await?;
        }
        let producer = self.engine.producer();
        let enqueued: Vec<u64> = run.enqueued.iter().copied().collect();
        for tasks in enqueued.chunks(BATCH) {
            let ids =
                tasks.iter().map(|task| self.task_id(run.stage, *task)).collect::<Result<Vec<_>, _>>()?;
            for (task, phase) in tasks.iter().zip(producer.live(&ids).await?) {
                if phase.is_none() {
                    // Lost, or done since the records were listed: then enqueueing it again does no harm.
                    run.enqueue_again(*task);
                }
            }
        }
        let mut after = None;
        loop {
            let page = producer.dead_letters(&self.job.id, after.as_ref(), BATCH).await?;
            for letter in page.letters {
                if let Some(task) = self.parse(&letter.task.id, run.stage) {
                    self.dead(run, task, letter.reason).await?;
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn enqueue(&self, run: &mut StageRun, priority: Priority, next: &[u64]) -> Result<(), DriveError> {
        for batch in next.chunks(BATCH) {
            let mut tasks = Vec::with_capacity(batch.len());
            for task in batch {
                let place = Place::task(&self.job.id, run.stage, *task);
                let trace =
                    place.traceparent().map(|parent| TaskTrace { parent, enqueued_ms: crate::now_ms() });
                let which = TaskRef { stage: run.stage, task: *task, trace };
                // A plain struct: this cannot fail.
                let payload = serde_json::to_vec(&which).unwrap_or_default();
                let id = self.task_id(run.stage, *task)?;
                tasks.push(Task { id, job: self.job.id.clone(), priority, payload: payload.into() });
            }
            if let Err(error) = self.engine.producer().enqueue(tasks).await {
                // Some may have arrived; the queue leaves alone what it knows.
                for task in next {
                    run.enqueue_again(*task);
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn task_id(&self, stage: usize, task: u64) -> gristmill_queue::Result<TaskId> {
        TaskId::new(format!("{}/{stage}/{task:08}", self.job.id))
    }

    fn parse(&self, id: &TaskId, stage: usize) -> Option<u64> {
        parse_task(id, &self.job.id).filter(|(of, _)| *of == stage).map(|(_, task)| task)
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

    /// Adds what was done to the job's trace.
    fn trace(
        &self,
        name: &'static str,
        began: SystemTime,
        place: Option<Place>,
        mut attributes: Vec<(&'static str, String)>,
    ) {
        attributes.push(("job", self.job.id.clone()));
        let done = traces::Done { name, began, attributes, error: None };
        traces::record(place, Some(Place::job(&self.job.id)), done);
    }

    fn show_plan(&self) {
        let stages = self.plan.stages.iter().enumerate().map(|(number, planned)| StageView {
            title: self.plan.title(number, &self.recipe.steps),
            kind: planned.stage.kind(),
            tasks: planned.tasks,
            ..StageView::default()
        });
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.planned = true;
            view.input_files = self.plan.input_files;
            view.input_bytes = self.plan.input_bytes;
            view.steps = self.recipe.steps.iter().map(|step| step.def.name).collect();
            view.stages = stages.collect();
        });
    }

    fn show_stages(&self, committed: &[StageRecord]) {
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            for record in committed {
                if let Some(stage) = view.stages.get_mut(record.stage) {
                    stage.commit(record);
                }
            }
            view.tally = job_tally(committed, None);
            view.running.clear();
        });
    }
}

/// Ends the job's trace: all of it, from its submission on. For whoever wrote its end into its log.
pub fn trace_end(view: &JobView, error: Option<&str>) {
    let began = SystemTime::UNIX_EPOCH + Duration::from_millis(view.submitted_ms);
    let attributes =
        vec![("job", view.id.clone()), ("name", view.name.clone()), ("output", view.output.clone())];
    traces::record(Some(Place::job(&view.id)), None, traces::Done { name: "job", began, attributes, error });
}

/// Stage and task of an id of a job's task.
pub(crate) fn parse_task(id: &TaskId, job: &str) -> Option<(usize, u64)> {
    let rest = id.as_str().strip_prefix(job)?.strip_prefix('/')?;
    let (stage, task) = rest.split_once('/')?;
    Some((stage.parse().ok()?, task.parse().ok()?))
}

/// What became of the job's documents so far. Passes follow one another: what the first kept is what the next sees, and
/// what it has not seen yet is still kept.
pub(crate) fn job_tally(committed: &[StageRecord], running: Option<&Tally>) -> Tally {
    let mut tally = Tally::default();
    for stage in committed.iter().map(|record| &record.tally).chain(running) {
        if stage.seen == 0 {
            continue;
        }
        if tally.seen == 0 {
            tally.add(stage);
        } else {
            let kept = tally.kept.saturating_sub(stage.dropped_total() + stage.broken_total());
            tally.then(stage);
            tally.kept = kept;
        }
    }
    tally
}

fn why_failed(run: &StageRun) -> String {
    let first = run.failed.iter().next();
    let (task, reason) = first.map_or((0, "no reason is known"), |(task, reason)| (*task, reason.as_str()));
    let more = match run.failed.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more tasks failed)", n - 1),
    };
    format!("task {task} of stage {} failed for good: {reason}{more}", run.stage)
}

/// What watchers see of a stage that runs.
struct Observer {
    stage: usize,
    /// (when, documents, tasks)
    samples: VecDeque<(Instant, u64, u64)>,
    next_view: Instant,
    next_look: Instant,
    running: Vec<RunningView>,
    /// Of failed attempts, those that were read.
    known_failures: BTreeSet<String>,
}

impl Observer {
    fn new(driver: &Driver, stage: usize, run: &StageRun) -> Self {
        let now = Instant::now();
        driver.view.send_modify(|view| Arc::make_mut(view).rates = Rates::default());
        Self {
            stage,
            samples: [(now, run.tally.seen, run.tasks_done())].into(),
            next_view: now,
            next_look: now,
            running: Vec::new(),
            known_failures: BTreeSet::new(),
        }
    }

    async fn observe(
        &mut self,
        driver: &Driver,
        before: &[StageRecord],
        run: &StageRun,
    ) -> Result<(), DriveError> {
        let now = Instant::now();
        if now < self.next_view && !run.is_complete() && !run.is_stuck() {
            return Ok(());
        }
        self.next_view = now + VIEW_EVERY;
        if now >= self.next_look {
            let watched = driver.view.receiver_count() > 0;
            self.next_look = now + if watched { LOOK_EVERY } else { IDLE_LOOK_EVERY };
            self.look(driver).await?;
        }
        let rates = self.rates(now, run);
        let mut running = self.running.clone();
        let tasks_running = running.len() as u64;
        running.truncate(RUNNING_MAX);
        driver.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.rates = rates;
            view.running = running;
            view.tally = job_tally(before, Some(&run.tally));
            if let Some(stage) = view.stages.get_mut(self.stage) {
                stage.tasks_done = run.tasks_done();
                stage.tasks_failed = run.failed.len() as u64;
                stage.tasks_running = tasks_running;
                stage.tally = run.tally.clone();
                (stage.read_bytes, stage.written_bytes) = (run.read_bytes, run.written_bytes);
            }
        });
        Ok(())
    }

    /// Asks the queue for the attempts that run, and the store for those that failed.
    async fn look(&mut self, driver: &Driver) -> Result<(), DriveError> {
        let running = driver.engine.producer().running(Some(&driver.job.id), ASKED_MAX).await?;
        self.running = running.into_iter().filter_map(|r| running_view(r, &driver.job.id)).collect();
        self.running.retain(|r| r.stage == self.stage);
        self.running.sort_by(|a, b| b.running_seconds.total_cmp(&a.running_seconds));
        let fresh = driver.job.new_failures(self.stage, &mut self.known_failures, FAILURES_MAX).await?;
        if !fresh.is_empty() {
            driver.view.send_modify(|view| {
                let failures = &mut Arc::make_mut(view).recent_failures;
                failures.extend(fresh);
                failures.sort_by_key(|f| std::cmp::Reverse(f.at_ms));
                failures.dedup();
                failures.truncate(FAILURES_MAX);
            });
        }
        Ok(())
    }

    fn rates(&mut self, now: Instant, run: &StageRun) -> Rates {
        let seen = run.tally.seen + self.running.iter().map(|r| r.seen).sum::<u64>();
        self.samples.push_back((now, seen, run.tasks_done()));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|(at, ..)| now - *at > RATE_OVER) {
            self.samples.pop_front();
        }
        let Some((since, seen_then, done_then)) = self.samples.front().copied() else {
            return Rates::default();
        };
        let seconds = (now - since).as_secs_f64();
        if seconds < 0.5 {
            return Rates::default();
        }
        let tasks_per_second = (run.tasks_done() - done_then) as f64 / seconds;
        let left = run.tasks.saturating_sub(run.tasks_done()) as f64;
        Rates {
            documents_per_second: seen.saturating_sub(seen_then) as f64 / seconds,
            tasks_per_second,
            stage_seconds_left: (tasks_per_second > 0.0).then(|| left / tasks_per_second),
        }
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Progress {
    seen: u64,
    kept: u64,
}

/// An attempt as the queue knows it, for people.
pub(crate) fn running_view(running: gristmill_queue::Running, job: &str) -> Option<RunningView> {
    let (stage, task) = parse_task(&running.id, job)?;
    let progress: Progress =
        running.progress.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    Some(RunningView {
        stage,
        task,
        attempt: running.attempt,
        worker: running.holder,
        running_seconds: running.held.as_secs_f64(),
        idle_seconds: running.idle.as_secs_f64(),
        seen: progress.seen,
        kept: progress.kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_a_job_add_up_while_it_runs() {
        let mut first = Tally { seen: 10, kept: 6, ..Tally::default() };
        first.dropped.insert("a: short".to_owned(), 3);
        first.broken.insert("bad".to_owned(), 1);
        let committed = [StageRecord { tally: first, ..StageRecord::default() }, StageRecord::default()];
        let mut running = Tally { seen: 4, kept: 2, ..Tally::default() };
        running.dropped.insert("b: copy".to_owned(), 2);
        let tally = job_tally(&committed, Some(&running));
        assert_eq!((tally.seen, tally.kept), (10, 4));
        assert_eq!(tally.balance(), Ok(()));
    }

    #[test]
    fn ids_of_tasks_are_read_back() {
        let id = TaskId::new("my-job-12/3/00000042").expect("id");
        assert_eq!(parse_task(&id, "my-job-12"), Some((3, 42)));
        assert_eq!(parse_task(&id, "my-job-1"), None);
        assert_eq!(parse_task(&id, "other"), None);
    }
}
