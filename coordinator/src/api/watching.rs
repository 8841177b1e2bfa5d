//! A job as a stream of messages: now, then whenever it changes, at most once an interval, until it has ended.
//!
//! What changes in between is skipped, so a slow reader costs one view, never a queue of them. The end of the job is told
//! at once. When the coordinator stops, the stream ends with UNAVAILABLE: the job goes on, and so should the client, elsewhere.

use super::status::refuse;
use crate::service::ServiceError;
use crate::view::JobView;
use futures::stream::{Stream, unfold};
use gristmill_job::JobState;
use gristmill_proto::v1;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};

const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_mins(1);

/// As often as asked for, within reason.
pub(super) fn interval(asked_ms: u32) -> Duration {
    match asked_ms {
        0 => INTERVAL_DEFAULT,
        ms => Duration::from_millis(ms.into()).clamp(INTERVAL_MIN, INTERVAL_MAX),
    }
}

struct Watching {
    view: watch::Receiver<Arc<JobView>>,
    stop: watch::Receiver<bool>,
    interval: Duration,
    /// When the next message may be sent; none before the first.
    due: Option<Instant>,
    over: bool,
}

/// The messages of a watched job.
pub(super) fn messages(
    view: watch::Receiver<Arc<JobView>>,
    stop: watch::Receiver<bool>,
    interval: Duration,
) -> impl Stream<Item = Result<v1::WatchJobResponse, Status>> {
    let watching = Watching { view, stop, interval, due: None, over: false };
    unfold(watching, async |mut watching| {
        if watching.over {
            return None;
        }
        let message = watching.next().await;
        watching.over |= message.is_err();
        Some((message, watching))
    })
}

impl Watching {
    async fn next(&mut self) -> Result<v1::WatchJobResponse, Status> {
        let Self { view, stop, due, .. } = self;
        let news = async {
            let Some(due) = *due else { return Ok(()) };
            view.changed().await?;
            if has_ended(&view.borrow()) {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep_until(due) => Ok(()),
                ended = view.wait_for(|view| has_ended(view)) => ended.map(drop),
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Err(ServiceError::Stopping.into()),
            news = news => {
                let _: () = news.map_err(|_: watch::error::RecvError| {
                    refuse(Code::Unavailable, "STOPPING", "this coordinator does not watch the job any more; ask again")
                })?;
            }
        }
        self.due = Some(Instant::now() + self.interval);
        let view = Arc::clone(&self.view.borrow_and_update());
        self.over = has_ended(&view);
        Ok(v1::WatchJobResponse { job: Some(view.as_ref().into()) })
    }
}

/// Whether the job has ended, be it for now: a failed one may be retried.
fn has_ended(view: &JobView) -> bool {
    view.state.is_final() || view.state == JobState::Failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;

    struct Case {
        view: watch::Sender<Arc<JobView>>,
        stop: watch::Sender<bool>,
    }

    impl Case {
        fn new() -> Self {
            let view = watch::Sender::new(Arc::new(JobView::new("j", "n", "/out")));
            Self { view, stop: watch::Sender::new(false) }
        }

        fn watch(
            &self,
            interval: Duration,
        ) -> impl Stream<Item = Result<v1::WatchJobResponse, Status>> + Unpin {
            Box::pin(messages(self.view.subscribe(), self.stop.subscribe(), interval))
        }

        fn set(&self, files: u64, state: JobState) {
            self.view.send_modify(|view| {
                let view = Arc::make_mut(view);
                (view.input_files, view.state) = (files, state);
            });
        }
    }

    fn files(message: Option<Result<v1::WatchJobResponse, Status>>) -> Result<u64, Option<Code>> {
        match message {
            Some(Ok(message)) => Ok(message.job.map_or(0, |job| job.input_files)),
            Some(Err(status)) => Err(Some(status.code())),
            None => Err(None),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_at_most_once_an_interval_and_the_end_at_once() {
        let (case, began) = (Case::new(), Instant::now());
        let mut stream = case.watch(Duration::from_secs(10));
        assert_eq!(files(stream.next().await), Ok(0));
        assert_eq!(began.elapsed(), Duration::ZERO);
        case.set(1, JobState::Active);
        case.set(2, JobState::Active);
        assert_eq!(files(stream.next().await), Ok(2));
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        case.set(3, JobState::Active);
        let mut next = Box::pin(stream.next());
        assert!(futures::poll!(&mut next).is_pending());
        case.set(4, JobState::Failed);
        assert_eq!(files(next.await), Ok(4));
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        assert_eq!(files(stream.next().await), Err(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_has_ended_is_told_once() {
        let case = Case::new();
        case.set(5, JobState::Done);
        let mut stream = case.watch(INTERVAL_MIN);
        assert_eq!(files(stream.next().await), Ok(5));
        assert_eq!(files(stream.next().await), Err(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_coordinator_that_stops_says_so() {
        let case = Case::new();
        let mut stream = case.watch(INTERVAL_MIN);
        assert_eq!(files(stream.next().await), Ok(0));
        let mut next = Box::pin(stream.next());
        assert!(futures::poll!(&mut next).is_pending());
        case.stop.send_replace(true);
        assert_eq!(files(next.await), Err(Some(Code::Unavailable)));
        assert_eq!(files(stream.next().await), Err(None));
    }

    #[test]
    fn intervals_have_their_bounds() {
        for (asked, ms) in [(0, 1000), (1, 100), (250, 250), (u32::MAX, 60_000)] {
            assert_eq!(interval(asked), Duration::from_millis(ms));
        }
    }
}
