//! The two roles, and the words they speak.
//!
//! A [`Producer`] is what the coordinator may do, a [`Consumer`] what a worker may do. Every call of either may be
//! repeated after an error: what it did the first time is then reported as already done (`enqueue` says "not new",
//! the others say "lost").

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, Result, Settings};

/// What the coordinator may do. All of it is idempotent, and any number of coordinators may do it at once.
#[async_trait]
pub trait Producer: Send + Sync {
    /// Puts tasks at the end of the line of their priority. A task that the queue knows already is left as it is.
    /// Answers which were new, in the order given.
    ///
    /// Lines are first come, first served: fairness among jobs of one priority is the order of enqueueing, so
    /// interleave jobs and keep the window of enqueued tasks small against the work at hand.
    async fn enqueue(&self, tasks: Vec<Task>) -> Result<Vec<TaskId>>;

    /// How much there is, by priority.
    async fn depth(&self) -> Result<Depth>;

    /// Takes back up to `limit` tasks whose holders were not heard of for a lease: each has spent an attempt and
    /// is ready again, or dead. Also makes delayed tasks ready whose time has come. Call it every few seconds.
    async fn expire(&self, limit: usize) -> Result<Vec<Expired>>;

    /// Up to `limit` tasks that ended since `after`, oldest first; waits up to `wait` for the first, unless some
    /// were missed.
    ///
    /// Hints, not records: a notice may come twice, and [`Settled::missed`] says when some can not come any more
    /// (then list the object store). Start with `None`, go on with [`Settled::cursor`].
    async fn settled(&self, after: Option<&Cursor>, limit: usize, wait: Duration) -> Result<Settled>;

    /// Up to `limit` dead tasks of a job with their reasons, by id, beginning after `after`.
    async fn dead_letters(&self, job: &str, after: Option<&TaskId>, limit: usize) -> Result<DeadPage>;

    /// Makes dead tasks ready, with a new budget. Answers which were dead.
    async fn revive(&self, ids: &[TaskId]) -> Result<Vec<TaskId>>;

    /// Takes back the tasks of a job that nobody holds: ready and delayed ones. Holders go on and finish; dead
    /// letters stay. This is how a job is paused: stop enqueueing it, then withdraw; to resume, enqueue again.
    /// Withdrawn tasks start again with a full budget. Answers how many there were.
    async fn withdraw_job(&self, job: &str) -> Result<u64>;

    /// Forgets all tasks of a job (cancel): holders see [`Hold::Cancelled`], dead letters go. Answers how many
    /// there were.
    async fn forget_job(&self, job: &str) -> Result<u64>;

    /// Where each of these tasks is, in the order given; `None`: the queue does not know it. After Redis was
    /// wiped this is how to find what must be enqueued again.
    async fn live(&self, ids: &[TaskId]) -> Result<Vec<Option<Phase>>>;

    /// Up to `limit` attempts that run now, of one job or of all.
    async fn running(&self, job: Option<&str>, limit: usize) -> Result<Vec<Running>>;
}

/// What a worker may do.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Takes the next task, waiting up to `wait` for one. While the queue cannot be reached this waits as well, and
    /// at the end says so. May be dropped at any moment: what was delivered is found by the next claim.
    ///
    /// By priority, with a small share for lower ones (every 8th claim begins with `Normal`, every 32nd with
    /// `Low`), so that nothing starves; within a priority first come, first served.
    async fn claim(&self, wait: Duration) -> Result<Option<Lease>>;

    /// Says that the holder is alive, and how far it is. Call it every [`Settings::heartbeat_every`].
    async fn heartbeat(&self, lease: &Lease, progress: Option<Bytes>) -> Result<Hold>;

    /// The task is done; `note` travels with the notice. `Lost` means that the queue no longer counts this
    /// attempt: what it committed stays committed.
    async fn finish(&self, lease: Lease, note: Bytes) -> Result<Hold>;

    /// Gives the task back at once, unharmed: it goes to the end of its line and no attempt is spent.
    async fn release(&self, lease: Lease) -> Result<Hold>;

    /// The attempt met an error: the task is tried again later, or is dead.
    async fn fail(&self, lease: Lease, failure: Failure) -> Result<Failed>;
}

/// A task's name, unique within a queue: `job/stage/000042`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// Refuses empty and overlong ids and control characters.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        check_name("task id", &id)?;
        Ok(Self(id))
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which line a task stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others.
    High,
    /// The usual.
    #[default]
    Normal,
    /// When there is nothing else to do.
    Low,
}

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The name in keys, metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// Its place in [`Priority::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

/// A durable piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// The job it belongs to.
    pub job: String,
    /// Which line it stands in.
    pub priority: Priority,
    /// What the worker needs to know; opaque here. At most [`Settings::PAYLOAD_MAX`] bytes.
    pub payload: Bytes,
}

impl Task {
    pub(crate) fn validate(&self) -> Result<()> {
        check_name("job id", &self.job)?;
        check_size("payload", self.id.as_str(), self.payload.len(), Settings::PAYLOAD_MAX)
    }
}

/// The right to work on a task, kept by heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The task.
    pub task: Task,
    /// How often the task was handed out, this time included: 1 for the first.
    pub attempt: u32,
    /// How many of the attempts before this one failed or were lost. A task that kills its workers shows here.
    pub failures: u32,
    /// Names this delivery, and no other one ever, even after the queue was wiped. Letters, digits, `-`, `_`, `.`.
    pub token: String,
}

/// Whether a lease still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The holder has it, or had it until this call settled it.
    Held,
    /// The lease ran out and the task is ready, somebody else's, or over; or this call was a repetition.
    Lost,
    /// The job was cancelled: stop.
    Cancelled,
}

/// What a failed attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Another try, not before this time has passed.
    Retry {
        /// The backoff with its jitter.
        after: Duration,
    },
    /// No more tries.
    Dead,
    /// As [`Hold::Lost`]: the failure is not counted.
    Lost,
    /// As [`Hold::Cancelled`]: the failure is not counted.
    Cancelled,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For people. Cut at [`Settings::MESSAGE_MAX`] bytes.
    pub message: String,
    /// Whether another try may end differently.
    pub retryable: bool,
}

/// Where a known task is: [`crate::lifecycle::State`] without its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a worker.
    Ready,
    /// A worker has it.
    Leased,
    /// Waits for its next try.
    Delayed,
    /// Out of tries.
    Dead,
}

/// How much there is, by priority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// In the order of [`Priority::ALL`].
    pub classes: [ClassDepth; 3],
}

impl Depth {
    /// Tasks that the queue knows, in any phase.
    pub fn known(&self) -> u64 {
        self.classes.iter().map(|c| c.ready + c.leased + c.delayed + c.dead).sum()
    }

    /// Tasks that wait or are worked on: what workers are needed for.
    pub fn unfinished(&self) -> u64 {
        self.classes.iter().map(|c| c.ready + c.leased + c.delayed).sum()
    }
}

/// How much there is of one priority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassDepth {
    /// Tasks that wait for a worker.
    pub ready: u64,
    /// Tasks that a worker has.
    pub leased: u64,
    /// Tasks that wait for their next try.
    pub delayed: u64,
    /// Tasks out of tries.
    pub dead: u64,
    /// How long the first in the line has been ready.
    pub oldest: Option<Duration>,
}

/// A lease that ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The task.
    pub id: TaskId,
    /// Its job.
    pub job: String,
    /// The attempt that was lost.
    pub attempt: u32,
    /// What becomes of the task.
    pub fate: Fate,
}

/// What becomes of a task whose lease ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Ready for another try.
    Ready,
    /// Out of tries.
    Dead,
}

/// Where a reader of notices stands. Opaque; good for this queue only, and only until Redis is wiped (which it
/// notices).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Which life of the queue.
    pub(crate) born: String,
    /// The last notice read.
    pub(crate) seq: u64,
}

/// Some notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Oldest first.
    pub notices: Vec<Notice>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Notices may have been there that will not come: it is the first call, the reader was slow, or the queue
    /// was wiped. List the object store.
    pub missed: bool,
}

/// A task that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The task.
    pub id: TaskId,
    /// Its job.
    pub job: String,
    /// The attempt that ended it.
    pub attempt: u32,
    /// How.
    pub outcome: Outcome,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Finished, with the worker's note.
    Done(Bytes),
    /// Dead, with the reason.
    Dead(String),
}

/// Some dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadPage {
    /// By id.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins, if there may be one.
    pub next: Option<TaskId>,
}

/// A task out of tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The task, as it was enqueued.
    pub task: Task,
    /// How often it was handed out.
    pub attempts: u32,
    /// How many of those failed or were lost.
    pub failures: u32,
    /// What the last failure said.
    pub reason: String,
}

/// An attempt that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The task.
    pub id: TaskId,
    /// Its job.
    pub job: String,
    /// The attempt, 1 for the first.
    pub attempt: u32,
    /// The consumer that holds it.
    pub holder: String,
    /// Since it was claimed.
    pub held: Duration,
    /// Since its last heartbeat.
    pub idle: Duration,
    /// What the last heartbeat with progress said.
    pub progress: Option<Bytes>,
}

/// Job and task ids become parts of keys and messages: short, and without control characters.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > Settings::ID_MAX || name.chars().any(char::is_control) {
        let most = Settings::ID_MAX;
        return Err(Error::Invalid(format!(
            "{what} {name:.40?} must be 1 to {most} bytes without control characters"
        )));
    }
    Ok(())
}

pub(crate) fn check_size(what: &str, id: &str, size: usize, most: usize) -> Result<()> {
    if size > most {
        return Err(Error::Invalid(format!(
            "{what} of task {id} has {size} bytes, at most {most} are allowed: put data into the object store and its key here"
        )));
    }
    Ok(())
}

/// A failure message that fits: cut between characters.
pub(crate) fn cut_message(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(Settings::MESSAGE_MAX));
    message
}

/// What a dead letter says whose last holder went silent.
pub(crate) const LOST_REASON: &str =
    "the worker was not heard of for the length of a lease: it was killed, hung, or cut off";
