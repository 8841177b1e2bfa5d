//! A lane: claim, hold, work, commit, tell.

use crate::open_job::Jobs;
use crate::task::{self, Attempt, TaskRef};
use crate::{TaskError, TaskErrorKind, Worker};
use gristmill_queue::{Failure, Hold, Lease};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long one claim waits before the lane looks at `stop` again.
const CLAIM_WAIT: Duration = Duration::from_secs(2);
/// How long to wait after the queue failed to answer.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn run(worker: Arc<Worker>, jobs: Arc<Jobs>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let claimed = tokio::select! {
            claimed = worker.consumer.claim(CLAIM_WAIT) => claimed,
            _ = stop.changed() => return,
        };
        match claimed {
            Ok(Some(lease)) => work(&worker, &jobs, lease, stop.clone()).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!("cannot claim a task: {error}");
                tokio::time::sleep(QUEUE_PAUSE).await;
            }
        }
    }
}

async fn work(worker: &Arc<Worker>, jobs: &Jobs, lease: Lease, stop: watch::Receiver<bool>) {
    let result = hold(worker, jobs, &lease, stop).await;
    let id = lease.task.id.clone();
    let told = match result {
        Ok(()) => worker.consumer.finish(lease, bytes::Bytes::new()).await.map(|_| ()),
        Err(error) if error.kind == TaskErrorKind::Stopped => {
            worker.consumer.release(lease).await.map(|_| ())
        }
        Err(error) => {
            tracing::warn!(attempt = lease.attempt, "task {id} failed: {error}");
            let failure = Failure { message: error.message, retryable: error.kind == TaskErrorKind::Retry };
            worker.consumer.fail(lease, failure).await.map(|_| ())
        }
    };
    if let Err(error) = told {
        // The record is what counts; the queue will learn of it when the lease runs out.
        tracing::warn!("cannot tell the queue about task {id}: {error}");
    }
}

/// Works on a task while its lease holds. A lost lease or a stop is passed on to the thread that works.
async fn hold(
    worker: &Arc<Worker>,
    jobs: &Jobs,
    lease: &Lease,
    mut stop: watch::Receiver<bool>,
) -> Result<(), TaskError> {
    let stopped = Arc::new(AtomicBool::new(*stop.borrow()));
    let attempt = attempt(worker, jobs, lease, Arc::clone(&stopped));
    tokio::pin!(attempt);
    let mut beat = tokio::time::interval(worker.heartbeat);
    loop {
        tokio::select! {
            result = &mut attempt => return result,
            _ = beat.tick() => match worker.consumer.heartbeat(lease, None).await {
                Ok(Hold::Held) => {}
                Ok(Hold::Lost | Hold::Cancelled) => stopped.store(true, Ordering::Relaxed),
                Err(error) => tracing::warn!("cannot keep task {}: {error}", lease.task.id),
            },
            Ok(()) = stop.changed() => stopped.store(true, Ordering::Relaxed),
        }
    }
}

async fn attempt(
    worker: &Arc<Worker>,
    jobs: &Jobs,
    lease: &Lease,
    stopped: Arc<AtomicBool>,
) -> Result<(), TaskError> {
    let TaskRef { stage, task } = serde_json::from_slice(&lease.task.payload)
        .map_err(|e| TaskError::fatal(format!("the payload of task {} is not ours: {e}", lease.task.id)))?;
    let open = jobs.get(&lease.task.job).await?;
    if open.job.record(stage, task).await?.is_some() {
        // An attempt before this one committed and could not say so.
        return Ok(());
    }
    let attempt = Attempt {
        open: Arc::clone(&open),
        stage,
        task,
        name: lease.token.clone(),
        handle: tokio::runtime::Handle::current(),
        scratch: worker.scratch.clone(),
        progress: Arc::clone(&worker.progress),
        stopped,
    };
    let inputs = if stage == 0 { open.job.inputs(task).await? } else { Vec::new() };
    let worked = tokio::task::spawn_blocking(move || task::run(&attempt, inputs)).await;
    let record =
        worked.map_err(|e| TaskError::fatal(format!("the program panicked outside any step: {e}")))??;
    record.tally.balance().map_err(|e| TaskError::fatal(e.to_string()))?;
    open.job.commit(&record).await?;
    Ok(())
}
