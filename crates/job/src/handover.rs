//! What coordinator and worker tell each other through the queue: which task it is, and how it went.

use serde::{Deserialize, Serialize};

/// The payload of a task: which one of its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    pub stage: usize,
    pub task: u64,
    /// Of a task that is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TaskTrace>,
}

/// How a task belongs to its job's trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTrace {
    /// W3C's `traceparent` of the task.
    pub parent: String,
    /// When it was enqueued, in milliseconds since 1970.
    pub enqueued_ms: u64,
}

/// The note that comes with a finished task. Whoever reads it must do without: a task is done by its record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskNote {
    /// From claim to commit.
    pub seconds: f64,
}
