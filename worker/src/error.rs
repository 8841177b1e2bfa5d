//! Why an attempt failed, and whether another may do better.

use gristmill_job::{FilterError, JobError};
use gristmill_pipeline::BuildError;
use gristmill_pipeline::step::StepError;
use gristmill_storage::{Kind, ReadError, StoreError, WriteError};
use serde::{Deserialize, Serialize};
use std::io;

/// Why an attempt at a task failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct TaskError {
    pub kind: TaskErrorKind,
    pub message: String,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskErrorKind {
    /// Another attempt may succeed.
    Retry,
    /// No attempt can: the input, the recipe or the program is wrong.
    Fatal,
    /// The lease was lost or the worker stops; nobody is to blame.
    Stopped,
}

impl TaskError {
    pub(crate) fn fatal(message: impl Into<String>) -> Self {
        Self { kind: TaskErrorKind::Fatal, message: message.into() }
    }

    pub(crate) fn retry(message: impl Into<String>) -> Self {
        Self { kind: TaskErrorKind::Retry, message: message.into() }
    }

    pub(crate) fn stopped() -> Self {
        Self { kind: TaskErrorKind::Stopped, message: "stopped".to_owned() }
    }

    /// Says what was being done.
    pub(crate) fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            Kind::Retry | Kind::Corrupt => TaskErrorKind::Retry,
            Kind::NotFound | Kind::Denied | Kind::Invalid => TaskErrorKind::Fatal,
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<ReadError> for TaskError {
    fn from(error: ReadError) -> Self {
        error.0.into()
    }
}

impl From<io::Error> for TaskError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<StoreError>() {
            Ok(error) => error.into(),
            // The scratch disk, or a file of ours that is cut short: a retry reads or writes it anew.
            Err(error) => Self { kind: TaskErrorKind::Retry, message: error.to_string() },
        }
    }
}

impl From<StepError> for TaskError {
    fn from(error: StepError) -> Self {
        Self::fatal(error.to_string())
    }
}

impl From<WriteError> for TaskError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => error.into(),
            WriteError::Row { .. } | WriteError::Unsupported => Self::fatal(error.to_string()),
        }
    }
}

impl From<gristmill_dedup::Error> for TaskError {
    fn from(error: gristmill_dedup::Error) -> Self {
        match error {
            gristmill_dedup::Error::Io(error) => error.into(),
            gristmill_dedup::Error::Corrupt { .. } => {
                Self { kind: TaskErrorKind::Retry, message: error.to_string() }
            }
            gristmill_dedup::Error::Invalid(message) => Self::fatal(message),
        }
    }
}

impl From<JobError> for TaskError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Store(error) => error.into(),
            error => Self::fatal(error.to_string()),
        }
    }
}

impl From<BuildError> for TaskError {
    fn from(error: BuildError) -> Self {
        Self::fatal(error.to_string())
    }
}

impl From<FilterError> for TaskError {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Job(error) => error.into(),
            error => Self::fatal(error.to_string()),
        }
    }
}
