//! A job's log: what happened to it, one object an event.
//!
//! `WORKSPACE/jobs/JOB/log/000000.json` is created only if absent, so that of two coordinators that would add the same
//! entry one does, and the other sees what it added. The state is the fold of [`crate::lifecycle::apply`] over it.

use crate::lifecycle::{IllegalJobEvent, JobEvent, JobState, apply};
use crate::{Job, JobError};
use gristmill_storage::Created;
use serde::{Deserialize, Serialize};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    #[serde(flatten)]
    pub event: JobEvent,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The name of the token that asked for it; empty for what the coordinator found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// All events of a job, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobLog {
    pub state: JobState,
    pub entries: Vec<LogEntry>,
}

/// Why an event was not added.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Illegal(#[from] IllegalJobEvent),
    #[error(transparent)]
    Job(#[from] JobError),
}

impl JobLog {
    fn push(&mut self, entry: LogEntry) -> Result<(), IllegalJobEvent> {
        self.state = apply(self.state, &entry.event)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Why the job is where it is: of a failure or a cancellation.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self.entries.last().map(|entry| &entry.event) {
            Some(JobEvent::Failed { reason } | JobEvent::Cancelled { reason }) => reason,
            _ => "",
        }
    }

    /// When the job came to where it is.
    #[must_use]
    pub fn since_ms(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.at_ms)
    }
}

impl Job {
    /// The whole log.
    pub async fn log(&self) -> Result<JobLog, JobError> {
        let mut log = JobLog::default();
        self.refresh(&mut log).await?;
        Ok(log)
    }

    /// Reads on where `log` ends: one request if nothing happened.
    pub async fn refresh(&self, log: &mut JobLog) -> Result<(), JobError> {
        loop {
            let path = path(log.entries.len());
            let Some(entry) = self.read::<LogEntry>(&path).await? else { return Ok(()) };
            log.push(entry).map_err(|e| JobError::Unreadable {
                uri: self.store().uri(&self.key(&path)),
                why: e.to_string(),
            })?;
        }
    }

    /// Adds an event, if the job's state allows it. If another process is quicker, its event comes first.
    pub async fn append(&self, log: &mut JobLog, entry: LogEntry) -> Result<(), AppendError> {
        loop {
            self.refresh(log).await?;
            let next = apply(log.state, &entry.event)?;
            if self.create_new(&path(log.entries.len()), &entry).await? == Created::New {
                log.state = next;
                log.entries.push(entry);
                return Ok(());
            }
        }
    }
}

fn path(number: usize) -> String {
    format!("log/{number:06}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_storage::{Settings, Stores};

    fn entry(event: JobEvent, by: &str) -> LogEntry {
        LogEntry { event, at_ms: 7, by: by.to_owned() }
    }

    #[tokio::test]
    async fn of_two_coordinators_one_adds_and_the_other_sees_it() {
        let stores = Stores::new(Settings::default());
        let job = Job::open(&stores, &"memory://log/ws".parse().expect("URI"), "j").expect("job");
        let (mut one, mut two) = (JobLog::default(), JobLog::default());
        job.append(&mut one, entry(JobEvent::Paused, "one")).await.expect("appends");
        let refused = job.append(&mut two, entry(JobEvent::Paused, "two")).await;
        assert!(matches!(refused, Err(AppendError::Illegal(_))));
        assert_eq!(one, two);
        job.append(&mut two, entry(JobEvent::Resumed, "two")).await.expect("appends");
        job.append(&mut one, entry(JobEvent::Failed { reason: "r".to_owned() }, "")).await.expect("appends");
        let log = job.log().await.expect("reads");
        assert_eq!((log.state, log.reason(), log.since_ms()), (JobState::Failed, "r", Some(7)));
        let names: Vec<_> = log.entries.iter().map(|e| (e.event.name(), e.by.as_str())).collect();
        assert_eq!(names, [("paused", "one"), ("resumed", "two"), ("failed", "")]);
    }
}
