//! The life of a task in the queue, as one pure function.
//!
//! The memory queue moves tasks by [`apply`] itself. The Redis queue moves them in scripts (`redis/scripts/*.lua`),
//! and the conformance suite holds every move it sees against [`apply`].

use std::fmt;

/// How often a task was handed out, and how often that went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Times the task was claimed. Every claim takes the next number, so a late holder is told apart.
    pub deliveries: u32,
    /// Deliveries that ended by an error or by a lease that ran out: the spent part of the budget.
    pub failures: u32,
}

/// Where a task is. Only the arrows below exist.
///
/// ```text
///   enqueue (coordinator)
///      │          claim (worker)
///      ▼     ┌───────────────────────┐
///    Ready ──┘  release (worker)     ▼      finish (worker)
///    ▲ ▲ ▲ ◀──────────────────── Leased ────────────────────▶ Absent, and a "done" notice
///    │ │ └──────────────────────  │ │ │
///    │ │   lease ran out,         │ │ └─ error that cannot be retried, or the budget is spent:
///    │ │   budget left            │ │      error or lease ran out (worker; coordinator)
///    │ │   (coordinator)          │ │                          │
///    │ │                          │ └──────────────────────────▼
///    │ └──────── Delayed ◀────────┘                          Dead, and a "dead" notice
///    │   due     error, budget left (worker)                    │
///    └──────────────────────────────────────────────────────────┘
///                            revive (coordinator)
///
///   withdraw (pause):  Ready, Delayed               → Absent
///   forget (cancel):   Ready, Delayed, Leased, Dead → Absent; a holder is told "cancelled"
/// ```
///
/// `Absent` is both "never seen" and "over": the queue keeps no memory of what is over, the object store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The queue does not know the task.
    Absent,
    /// Waits for a worker.
    Ready(Tries),
    /// A worker has it.
    Leased(Tries),
    /// Failed and waits for its next try.
    Delayed(Tries),
    /// Out of tries. Kept with its reason until it is revived or forgotten.
    Dead(Tries),
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The coordinator put it in.
    Enqueued,
    /// A worker took it.
    Claimed,
    /// Its holder is done with it.
    Finished,
    /// Its holder gives it back unharmed.
    Released,
    /// Its holder met an error.
    Failed {
        /// Whether another try may end differently.
        retryable: bool,
        /// Failures that a task may have before it is dead.
        limit: u32,
    },
    /// Its holder was not heard of for the length of a lease.
    Expired {
        /// Failures that a task may have before it is dead.
        limit: u32,
    },
    /// Its delay is over.
    Due,
    /// The coordinator gives a dead task a new budget.
    Revived,
    /// The coordinator takes back what nobody holds (a paused job).
    Withdrawn,
    /// The coordinator wants nothing more of it (a cancelled job).
    Forgotten,
}

/// An arrow that the drawing does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state} cannot be {event}: this is a bug in the queue, please report it")]
pub struct Illegal {
    /// Where the task was.
    pub state: State,
    /// What was about to happen to it.
    pub event: Event,
}

/// Where `event` takes a task that is in `state`.
pub fn apply(state: State, event: Event) -> Result<State, Illegal> {
    match (state, event) {
        (State::Absent, Event::Enqueued) => Ok(State::Ready(Tries::default())),
        (State::Ready(tries), Event::Claimed) => Ok(State::Leased(tries.delivered())),
        (State::Leased(_), Event::Finished) => Ok(State::Absent),
        (State::Leased(tries), Event::Released) => Ok(State::Ready(tries)),
        (State::Leased(tries), Event::Failed { retryable, limit }) => {
            let tries = tries.failed();
            Ok(if retryable && tries.failures < limit { State::Delayed(tries) } else { State::Dead(tries) })
        }
        (State::Leased(tries), Event::Expired { limit }) => {
            let tries = tries.failed();
            Ok(if tries.failures < limit { State::Ready(tries) } else { State::Dead(tries) })
        }
        (State::Delayed(tries), Event::Due) => Ok(State::Ready(tries)),
        (State::Dead(tries), Event::Revived) => Ok(State::Ready(Tries { failures: 0, ..tries })),
        (State::Ready(_) | State::Delayed(_), Event::Withdrawn) => Ok(State::Absent),
        (State::Ready(_) | State::Delayed(_) | State::Leased(_) | State::Dead(_), Event::Forgotten) => {
            Ok(State::Absent)
        }
        (state, event) => Err(Illegal { state, event }),
    }
}

impl Tries {
    fn delivered(self) -> Self {
        Self { deliveries: self.deliveries.saturating_add(1), ..self }
    }

    fn failed(self) -> Self {
        Self { failures: self.failures.saturating_add(1), ..self }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Ready(_) => "ready",
            Self::Leased(_) => "leased",
            Self::Delayed(_) => "delayed",
            Self::Dead(_) => "dead",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enqueued => "enqueued",
            Self::Claimed => "claimed",
            Self::Finished => "finished",
            Self::Released => "released",
            Self::Failed { .. } => "failed",
            Self::Expired { .. } => "expired",
            Self::Due => "due",
            Self::Revived => "revived",
            Self::Withdrawn => "withdrawn",
            Self::Forgotten => "forgotten",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 2;

    /// Runs `events` from `Absent`; the answer is `state deliveries/failures`, or what was refused.
    fn check(events: &[Event], expected: &str) {
        let mut state = State::Absent;
        let mut said = String::new();
        for &event in events {
            match apply(state, event) {
                Ok(next) => state = next,
                Err(illegal) => {
                    said = illegal.to_string();
                    break;
                }
            }
        }
        if said.is_empty() {
            said = match state {
                State::Absent => "absent".to_owned(),
                State::Ready(t) | State::Leased(t) | State::Delayed(t) | State::Dead(t) => {
                    format!("{state} {}/{}", t.deliveries, t.failures)
                }
            };
        }
        assert!(said.starts_with(expected), "{events:?}: {said}, expected {expected}");
    }

    #[test]
    fn the_drawing_holds() {
        use Event::{Claimed, Due, Enqueued, Finished, Forgotten, Released, Revived, Withdrawn};
        let error = Event::Failed { retryable: true, limit: LIMIT };
        let fatal = Event::Failed { retryable: false, limit: LIMIT };
        let lost = Event::Expired { limit: LIMIT };
        check(&[Enqueued], "ready 0/0");
        check(&[Enqueued, Claimed], "leased 1/0");
        check(&[Enqueued, Claimed, Finished], "absent");
        check(&[Enqueued, Claimed, Released], "ready 1/0");
        check(&[Enqueued, Claimed, Released, Claimed], "leased 2/0");
        check(&[Enqueued, Claimed, error], "delayed 1/1");
        check(&[Enqueued, Claimed, error, Due, Claimed, error], "dead 2/2");
        check(&[Enqueued, Claimed, fatal], "dead 1/1");
        check(&[Enqueued, Claimed, lost], "ready 1/1");
        check(&[Enqueued, Claimed, lost, Claimed, lost], "dead 2/2");
        check(&[Enqueued, Claimed, fatal, Revived], "ready 1/0");
        check(&[Enqueued, Withdrawn], "absent");
        check(&[Enqueued, Claimed, error, Withdrawn], "absent");
        check(&[Enqueued, Claimed, Forgotten, Enqueued], "ready 0/0");
        check(&[Enqueued, Claimed, fatal, Forgotten], "absent");
        check(&[Finished], "a task that is absent cannot be finished");
        check(&[Enqueued, Enqueued], "a task that is ready cannot be enqueued");
        check(&[Enqueued, Finished], "a task that is ready cannot be finished");
        check(&[Enqueued, Claimed, Claimed], "a task that is leased cannot be claimed");
        check(&[Enqueued, Claimed, Withdrawn], "a task that is leased cannot be withdrawn");
        check(&[Enqueued, Claimed, fatal, Claimed], "a task that is dead cannot be claimed");
        check(&[Enqueued, Due], "a task that is ready cannot be due");
    }

    /// However events come, a task that workers keep failing ends, and it ends within its budget.
    #[test]
    fn failures_never_pass_the_limit() {
        let events = [
            Event::Enqueued,
            Event::Claimed,
            Event::Finished,
            Event::Released,
            Event::Failed { retryable: true, limit: LIMIT },
            Event::Expired { limit: LIMIT },
            Event::Due,
            Event::Revived,
            Event::Withdrawn,
            Event::Forgotten,
        ];
        let mut reached = vec![State::Absent];
        // Breadth first over all states with few deliveries: the whole graph, not a sample.
        let mut next = 0;
        while let Some(&state) = reached.get(next) {
            next += 1;
            for event in events {
                let Ok(to) = apply(state, event) else { continue };
                let (State::Ready(t) | State::Leased(t) | State::Delayed(t) | State::Dead(t)) = to else {
                    continue;
                };
                assert!(t.failures <= LIMIT && t.failures <= t.deliveries, "{state:?} {event:?} {to:?}");
                assert_eq!(matches!(to, State::Dead(_)), t.failures == LIMIT, "{state:?} {event:?} {to:?}");
                if t.deliveries <= 6 && !reached.contains(&to) {
                    reached.push(to);
                }
            }
        }
        assert!(reached.len() > 20, "{}", reached.len());
    }
}
