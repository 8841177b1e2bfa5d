//! Watching a job for as long as it takes, through restarts of the coordinator.

use super::{CALL_WAIT, CallError, Client, Service};
use crate::display::words::has_ended;
use gristmill_proto::v1;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;

/// At most one message in so many milliseconds.
const INTERVAL_MS: u32 = 500;
/// How long after a failure the coordinator is asked again: at first, and at most.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What is new.
#[derive(Debug)]
pub(crate) enum Update {
    Job(Box<v1::Job>),
    /// The coordinator does not answer. It is asked again and again.
    Lost(CallError),
}

impl Client {
    /// The job now, then whenever it changes, until it has ended. An error is the end, too: the coordinator answers,
    /// but not this.
    pub(crate) fn follow(&self, id: &str) -> mpsc::Receiver<Result<Update, CallError>> {
        // One message waits while another is drawn; the coordinator merges the rest.
        let (send, updates) = mpsc::channel(1);
        let (client, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            let mut wait = WAIT_MIN;
            loop {
                let error = match client.watch_once(&id, &send, &mut wait).await {
                    Ok(()) => return,
                    Err(status) => client.error(status),
                };
                if error.is_refusal() {
                    let _ = send.send(Err(error)).await;
                    return;
                }
                if send.send(Ok(Update::Lost(error))).await.is_err() {
                    return;
                }
                tokio::time::sleep(wait.mul_f64(chance())).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
        });
        updates
    }

    /// Follows one stream; fine if the job has ended, or nobody listens any more.
    async fn watch_once(
        &self,
        id: &str,
        send: &mpsc::Sender<Result<Update, CallError>>,
        wait: &mut Duration,
    ) -> Result<(), Status> {
        let mut service: Service = self.service.clone();
        let request = v1::WatchJobRequest { id: id.to_owned(), interval_ms: INTERVAL_MS };
        let late = |_| Status::deadline_exceeded("it does not begin to tell");
        let answer = tokio::time::timeout(CALL_WAIT, service.watch_job(request)).await.map_err(late)?;
        let mut stream = answer?.into_inner();
        loop {
            let message = tokio::select! {
                message = stream.message() => message?,
                () = send.closed() => return Ok(()),
            };
            let Some(v1::WatchJobResponse { job: Some(job) }) = message else {
                return Err(Status::unavailable("it stopped telling"));
            };
            *wait = WAIT_MIN;
            let ended = has_ended(&job);
            if send.send(Ok(Update::Job(Box::new(job)))).await.is_err() || ended {
                return Ok(());
            }
        }
    }
}

/// Between a half and one, so that many who lost the same coordinator do not all come back at once.
fn chance() -> f64 {
    let drawn = getrandom::u32().unwrap_or(u32::MAX);
    0.5 + 0.5 * f64::from(drawn) / f64::from(u32::MAX)
}
