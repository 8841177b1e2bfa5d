//! An attempt on a thread of its own, watched.
//!
//! A thread that hangs in a document cannot be killed. It is left behind: told to drop everything should it ever come
//! back, and counted, since it burns a core. What it had in hand is poison, and the attempt begins again without it.

use crate::hand::{Doing, Hand, Held, Order};
use crate::task::{self, Attempt};
use crate::{STOP_WITHIN, TaskError};
use gristmill_job::{Poison, TaskRecord};
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How an attempt ended.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each attempt")]
pub(crate) enum Ended {
    Done(TaskRecord),
    Failed(TaskError),
    /// Something in the input is what no attempt survives.
    Poisoned(Poison),
}

/// Threads that were left behind and still run.
pub(crate) type Abandoned = Gauge;

/// Makes the attempt on a new thread. `looked` is called now and then with what is in hand.
pub(crate) async fn on_thread(
    attempt: Arc<Attempt>,
    mut orders: watch::Receiver<Order>,
    abandoned: &Abandoned,
    looked: impl Fn(&Held),
) -> Ended {
    let hand = Arc::clone(&attempt.hand);
    let limit = Duration::from_secs(u64::from(attempt.open.recipe.head.limits.document_time));
    let (send, mut done) = oneshot::channel();
    let span = tracing::Span::current();
    let spawned = std::thread::Builder::new().name("attempt".to_owned()).spawn(move || {
        let _in_span = span.enter();
        attempt.hand.enter();
        let _ = send.send(task::run(&attempt));
    });
    if let Err(error) = spawned {
        return Ended::Failed(error.into());
    }
    let _left = Left(Arc::clone(&hand));
    let leave = |done: oneshot::Receiver<_>| {
        abandoned.inc();
        let abandoned = abandoned.clone();
        tokio::spawn(async move {
            let _: Result<Result<TaskRecord, TaskError>, _> = done.await;
            abandoned.dec();
        });
    };
    let mut timer = Timer::new(limit);
    let mut tick =
        tokio::time::interval((limit / 8).clamp(Duration::from_millis(50), Duration::from_secs(1)));
    let mut patience = None;
    if *orders.borrow_and_update() != Order::GoOn {
        orders.mark_changed();
    }
    loop {
        tokio::select! {
            ended = &mut done => {
                looked(&hand.look());
                return match ended {
                    Ok(Ok(record)) => Ended::Done(record),
                    Ok(Err(error)) => Ended::Failed(error),
                    Err(_) => {
                        Ended::Failed(TaskError::fatal("the program panicked outside any step; please report this"))
                    }
                };
            }
            Ok(()) = orders.changed() => {
                hand.tell(*orders.borrow_and_update());
                patience.get_or_insert_with(|| Instant::now() + STOP_WITHIN);
            }
            _ = tick.tick() => {
                let held = hand.look();
                looked(&held);
                if patience.is_some_and(|until| Instant::now() >= until) {
                    tracing::warn!("a document does not come to its end; its thread is left behind");
                    leave(done);
                    return Ended::Failed(TaskError::stopped());
                }
                if let Some(place) = held.place
                    && let Some(why) = timer.over(&held, hand.thread())
                {
                    tracing::warn!(id = held.id, "a document {why}; its thread is left behind");
                    leave(done);
                    return Ended::Poisoned(Poison { place, id: held.id, why });
                }
            }
        }
    }
}

/// Nobody waits for the thread any more: should it still run, it must write nothing.
struct Left(Arc<Hand>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.tell(Order::Drop);
    }
}

/// The wall clock is the backstop: it allows so many times more than the processor's.
const WALL_FACTOR: u32 = 10;

/// How long the document in hand has been there.
struct Timer {
    limit: Duration,
    turn: u64,
    since: Instant,
    used_before: Option<Duration>,
}

impl Timer {
    fn new(limit: Duration) -> Self {
        Self { limit, turn: 0, since: Instant::now(), used_before: None }
    }

    /// What to say of a document that took too long. Time is counted from the first look at it, so never too early.
    fn over(&mut self, held: &Held, thread: Option<u32>) -> Option<String> {
        let used = thread.and_then(processor_time);
        if held.turn != self.turn || held.doing == Doing::Other {
            (self.turn, self.since, self.used_before) = (held.turn, Instant::now(), used);
            return None;
        }
        let limit = self.limit.as_secs();
        let over = match (used, self.used_before) {
            (Some(used), Some(before)) => used.saturating_sub(before) >= self.limit,
            // Where the processor's time cannot be had, the wall clock must do; but not for reading, which waits.
            _ => held.doing == Doing::Steps && self.since.elapsed() >= self.limit,
        };
        if over {
            return Some(format!("took more than {limit} s"));
        }
        let wall = self.limit * WALL_FACTOR;
        let over = held.doing == Doing::Steps && self.since.elapsed() >= wall;
        over.then(|| format!("took more than {} s of waiting", wall.as_secs()))
    }
}

/// The processor time that a thread of ours has used.
fn processor_time(thread: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let nanoseconds: u64 = stat.split(' ').next()?.parse().ok()?;
    // A kernel that does not keep the count says 0 of a thread that has run.
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_job::Place;

    #[test]
    fn a_document_is_over_its_limit_only_when_it_is() {
        let mut timer = Timer::new(Duration::ZERO);
        let held =
            |turn, doing| Held { turn, doing, place: Some(Place::Document { number: 0 }), ..Held::default() };
        assert_eq!(timer.over(&held(1, Doing::Steps), None), None, "seen for the first time");
        assert!(timer.over(&held(1, Doing::Steps), None).is_some());
        assert_eq!(timer.over(&held(2, Doing::Steps), None), None, "the next document");
        assert_eq!(timer.over(&held(2, Doing::Other), None), None, "the store may take its time");
        assert_eq!(timer.over(&held(3, Doing::Reading), None), None);
        assert_eq!(timer.over(&held(3, Doing::Reading), None), None, "reading waits for bytes");
    }
}
