//! The life of a job, as one pure function over the events of its log.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a job is. Only the arrows below exist.
///
/// ```text
///   submit
///     │           pause                        a task is out of attempts, or the job cannot be planned
///     ▼      ┌────────────▶ Paused ─┐ fail   ┌───────────────────────────────────────────────┐
///   Active ──┘                │     └────────▶                                               ▼
///     ▲ │ ▲ ◀─────────────────┘             ───────────────────────────────────────────▶  Failed
///     │ │ │       resume                                                                     │
///     │ │ └──────────────────────────────────────────────────────────────────────────────────┘
///     │ │                                  retry
///     │ └──▶ Done       the dataset is published
///     └──▶ Cancelled    from Active, Paused and Failed; final, as Done is
/// ```
///
/// An active job is being planned until its plan is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    #[default]
    Active,
    Paused,
    Failed,
    Done,
    Cancelled,
}

/// What happens to a job: one entry of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum JobEvent {
    Paused,
    Resumed,
    Failed {
        reason: String,
    },
    /// Failed tasks get a new budget of attempts.
    Retried,
    Done,
    Cancelled {
        reason: String,
    },
}

/// An arrow that the drawing does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot be {event}")]
pub struct IllegalJobEvent {
    pub state: JobState,
    pub event: &'static str,
}

/// Where `event` takes a job that is in `state`.
pub fn apply(state: JobState, event: &JobEvent) -> Result<JobState, IllegalJobEvent> {
    use JobState::{Active, Cancelled, Done, Failed, Paused};
    match (state, event) {
        (Active, JobEvent::Paused) => Ok(Paused),
        (Paused, JobEvent::Resumed) => Ok(Active),
        (Active | Paused, JobEvent::Failed { .. }) => Ok(Failed),
        (Failed, JobEvent::Retried) => Ok(Active),
        // The tasks in hand when it was paused may have been the last.
        (Active | Paused, JobEvent::Done) => Ok(Done),
        (Active | Paused | Failed, JobEvent::Cancelled { .. }) => Ok(Cancelled),
        (state, event) => Err(IllegalJobEvent { state, event: event.name() }),
    }
}

impl JobState {
    /// Whether nothing can happen to the job any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl JobEvent {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Failed { .. } => "failed",
            Self::Retried => "retried",
            Self::Done => "done",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `events` from the beginning; the answer is the state, or what was refused.
    fn check(events: &[JobEvent], expected: &str) {
        let end = events.iter().try_fold(JobState::Active, apply);
        let said = end.map_or_else(|illegal| illegal.to_string(), |state| state.to_string());
        assert_eq!(said, expected, "{events:?}");
    }

    #[test]
    fn the_drawing_holds() {
        use JobEvent::{Done, Paused, Resumed, Retried};
        let failed = || JobEvent::Failed { reason: "x".to_owned() };
        let cancelled = || JobEvent::Cancelled { reason: String::new() };
        check(&[], "active");
        check(&[Paused], "paused");
        check(&[Paused, Resumed], "active");
        check(&[failed()], "failed");
        check(&[Paused, failed()], "failed");
        check(&[failed(), Retried], "active");
        check(&[failed(), Retried, failed(), cancelled()], "cancelled");
        check(&[Done], "done");
        check(&[Paused, Done], "done");
        check(&[cancelled()], "cancelled");
        check(&[Paused, Paused], "a job that is paused cannot be paused");
        check(&[Resumed], "a job that is active cannot be resumed");
        check(&[Retried], "a job that is active cannot be retried");
        check(&[failed(), Paused], "a job that is failed cannot be paused");
        check(&[failed(), Done], "a job that is failed cannot be done");
        check(&[Done, cancelled()], "a job that is done cannot be cancelled");
        check(&[cancelled(), Retried], "a job that is cancelled cannot be retried");
    }
}
