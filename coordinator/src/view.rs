//! Where jobs stand, as those who watch see it. The wire's messages and the display of `run` are made of these.

use gristmill_job::{AttemptFailure, JobState, StageRecord, Urgency};
use gristmill_pipeline::Tally;
use std::collections::BTreeMap;

/// A job, now.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    pub id: String,
    pub name: String,
    pub state: JobState,
    /// Planned yet: an active job without its plan is being planned.
    pub planned: bool,
    /// Why it failed or was cancelled; empty otherwise.
    pub reason: String,
    pub priority: Urgency,
    pub labels: BTreeMap<String, String>,
    pub output: String,
    /// In milliseconds since 1970.
    pub submitted_ms: u64,
    pub submitted_by: String,
    pub ended_ms: Option<u64>,
    pub input_files: u64,
    pub input_bytes: u64,
    /// The names of the recipe's steps; empty while the job is not planned.
    pub steps: Vec<&'static str>,
    pub stages: Vec<StageView>,
    /// Of the stages that are committed and the tasks done since.
    pub tally: Tally,
    pub rates: Rates,
    /// The longest first, at most [`RUNNING_MAX`].
    pub running: Vec<RunningView>,
    /// The latest first, at most [`FAILURES_MAX`].
    pub recent_failures: Vec<AttemptFailure>,
    /// Where the manifest lies, once the job is done.
    pub manifest: Option<String>,
}

impl JobView {
    /// An active job of which nothing else is known yet.
    #[must_use]
    pub fn new(id: &str, name: &str, output: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            state: JobState::Active,
            planned: false,
            reason: String::new(),
            priority: Urgency::Normal,
            labels: BTreeMap::new(),
            output: output.to_owned(),
            submitted_ms: crate::now_ms(),
            submitted_by: String::new(),
            ended_ms: None,
            input_files: 0,
            input_bytes: 0,
            steps: Vec::new(),
            stages: Vec::new(),
            tally: Tally::default(),
            rates: Rates::default(),
            running: Vec::new(),
            recent_failures: Vec::new(),
            manifest: None,
        }
    }
}

/// Running attempts that a view shows.
pub const RUNNING_MAX: usize = 100;
/// Failed attempts that a view shows.
pub const FAILURES_MAX: usize = 20;

/// A stage of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageView {
    pub title: String,
    /// [`gristmill_pipeline::stage::Stage::kind`]
    pub kind: &'static str,
    pub tasks: u64,
    pub tasks_done: u64,
    /// As the queue said when it was asked last.
    pub tasks_running: u64,
    /// Tasks out of attempts.
    pub tasks_failed: u64,
    pub committed: bool,
    pub tally: Tally,
    /// Stored bytes of what done tasks read, and of the files that they left.
    pub read_bytes: u64,
    pub written_bytes: u64,
}

impl StageView {
    /// All of it is done.
    pub(crate) fn commit(&mut self, record: &StageRecord) {
        self.committed = true;
        (self.tasks_done, self.tasks_running) = (record.tasks, 0);
        self.tally = record.tally.clone();
        (self.read_bytes, self.written_bytes) = (record.read_bytes, record.written_bytes);
    }
}

/// How fast the stage that runs is going.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub documents_per_second: f64,
    pub tasks_per_second: f64,
    pub stage_seconds_left: Option<f64>,
}

/// An attempt that runs now.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningView {
    pub stage: usize,
    pub task: u64,
    pub attempt: u32,
    pub worker: String,
    pub running_seconds: f64,
    pub idle_seconds: f64,
    pub seen: u64,
    pub kept: u64,
}

/// A task with its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    pub stage: usize,
    pub task: u64,
    pub state: TaskState,
    pub running: Option<RunningView>,
    /// Why it is not tried again; empty unless it failed.
    pub reason: String,
    /// Oldest first.
    pub failures: Vec<AttemptFailure>,
    /// Of a task that is done.
    pub tally: Option<Tally>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Waiting,
    Running,
    Done,
    Failed,
}
