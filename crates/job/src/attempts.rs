//! What is remembered of attempts that did not come to their end, and of tasks that are out of attempts.
//!
//! ```text
//! WORKSPACE/jobs/JOB/attempts/STAGE/00000000/NAME.json   one failed attempt
//!                   /failed/STAGE/00000000.json          the task is out of attempts
//! ```
//!
//! For people, and for the coordinator that finds Redis wiped: a task that is out of attempts is not enqueued again.

use crate::{Job, JobError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An attempt that failed or was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailure {
    pub stage: usize,
    pub task: u64,
    /// Which try it was, 1 for the first.
    pub attempt: u32,
    /// The name of the worker.
    #[serde(default)]
    pub worker: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub error: String,
}

/// A task that is out of attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTask {
    pub stage: usize,
    pub task: u64,
    pub reason: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

impl Job {
    /// Notes a failed attempt. `name` is unique among attempts.
    pub async fn note_failure(&self, name: &str, failure: &AttemptFailure) -> Result<(), JobError> {
        let path = format!("attempts/{}/{:08}/{name}.json", failure.stage, failure.task);
        self.put(&path, failure).await
    }

    /// The failed attempts of a task, oldest first.
    pub async fn failures(&self, stage: usize, task: u64) -> Result<Vec<AttemptFailure>, JobError> {
        let mut failures: Vec<AttemptFailure> = Vec::new();
        for path in self.paths(&format!("attempts/{stage}/{task:08}/")).await? {
            failures.extend(self.read::<AttemptFailure>(&path).await?);
        }
        failures.sort_by_key(|f| (f.at_ms, f.attempt));
        Ok(failures)
    }

    /// The failed attempts of a stage that are not among `known`, which they join; of many, `limit` are read.
    pub async fn new_failures(
        &self,
        stage: usize,
        known: &mut BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<AttemptFailure>, JobError> {
        let mut failures = Vec::new();
        for path in self.paths(&format!("attempts/{stage}/")).await? {
            if !known.contains(&path) {
                if failures.len() < limit {
                    failures.extend(self.read::<AttemptFailure>(&path).await?);
                }
                known.insert(path);
            }
        }
        Ok(failures)
    }

    /// Notes that a task is out of attempts.
    pub async fn note_failed(&self, failed: &FailedTask) -> Result<(), JobError> {
        self.put(&failed_path(failed.stage, failed.task), failed).await
    }

    pub async fn failed_task(&self, stage: usize, task: u64) -> Result<Option<FailedTask>, JobError> {
        self.read(&failed_path(stage, task)).await
    }

    /// The tasks of a stage that are out of attempts, ascending.
    pub async fn failed_tasks(&self, stage: usize) -> Result<Vec<u64>, JobError> {
        let paths = self.paths(&format!("failed/{stage}/")).await?;
        let number = |path: &String| path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok();
        let mut tasks: Vec<u64> = paths.iter().filter_map(number).collect();
        tasks.sort_unstable();
        Ok(tasks)
    }

    /// Forgets that tasks of a stage are out of attempts.
    pub async fn forget_failed(&self, stage: usize) -> Result<(), JobError> {
        self.delete_below(&format!("failed/{stage}/")).await
    }
}

fn failed_path(stage: usize, task: u64) -> String {
    format!("failed/{stage}/{task:08}.json")
}
