//! A lane: claim, hold, work, commit, tell.

use crate::hand::{Hand, Held, Order};
use crate::isolated::{self, Spec};
use crate::open_job::Jobs;
use crate::task::{Attempt, TaskRef, add_poison};
use crate::watch::{Abandoned, Ended, on_thread};
use crate::{OpenJob, STOP_WITHIN, TaskError, TaskErrorKind, Worker};
use gristmill_job::{AttemptFailure, Checkpoint, Job, JobError, Place, Poison};
use gristmill_pipeline::stage::Stage;
use gristmill_queue::{Failure, Hold, Lease};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long one claim waits before the lane looks at `stop` again.
const CLAIM_WAIT: Duration = Duration::from_secs(2);
/// How long to wait after the queue failed to answer.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
/// How long to try to tell the queue or the store how an attempt ended. Neither must know.
const TELL_WITHIN: Duration = Duration::from_secs(4);
/// A task with more poison than this is not a sound task with a few bad documents.
const POISON_MAX: usize = 100;

/// What the lanes of a worker share.
pub(crate) struct Shared {
    pub(crate) worker: Worker,
    jobs: Jobs,
    abandoned: Abandoned,
}

impl Shared {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { jobs: Jobs::new(&worker), abandoned: Abandoned::default(), worker }
    }

    /// Whether a fresh process would do better.
    fn is_worn(&self) -> bool {
        let renew = self.worker.isolation.as_ref().is_some_and(|isolation| isolation.renew);
        renew && self.abandoned.load(Ordering::Relaxed) > 0
    }
}

pub(crate) async fn run(number: usize, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() && !shared.is_worn() {
        let claimed = tokio::select! {
            claimed = shared.worker.consumer.claim(CLAIM_WAIT) => claimed,
            Ok(()) = stop.changed() => continue,
        };
        match claimed {
            Ok(Some(lease)) => work(number, &shared, lease, stop.clone()).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!("cannot claim a task: {error}");
                tokio::time::sleep(QUEUE_PAUSE).await;
            }
        }
    }
}

async fn work(number: usize, shared: &Shared, lease: Lease, stop: watch::Receiver<bool>) {
    let notes = shared.worker.isolation.as_ref().and_then(|isolation| isolation.notes.as_deref());
    if let Some(notes) = notes {
        notes.begin(number, lease.task.id.as_str());
    }
    let result = hold(shared, &lease, stop).await;
    if let Some(notes) = notes {
        notes.end(number);
    }
    let id = lease.task.id.clone();
    let told = tokio::time::timeout(TELL_WITHIN, tell(&shared.worker, lease, result)).await;
    match told {
        Ok(Ok(())) => {}
        // The record is what counts; the queue will learn of it when the lease runs out.
        Ok(Err(error)) => tracing::warn!("cannot tell the queue about task {id}: {error}"),
        Err(_) => tracing::warn!("cannot tell the queue about task {id}: it does not answer"),
    }
}

async fn tell(worker: &Worker, lease: Lease, result: Result<(), TaskError>) -> gristmill_queue::Result<()> {
    match result {
        Ok(()) => worker.consumer.finish(lease, bytes::Bytes::new()).await.map(|_| ()),
        Err(error) if error.kind == TaskErrorKind::Stopped => {
            worker.consumer.release(lease).await.map(|_| ())
        }
        Err(error) => {
            tracing::warn!(attempt = lease.attempt, "task {} failed: {error}", lease.task.id);
            if let Err(error) = note_failure(worker, &lease, &error).await {
                tracing::warn!("cannot note the failure of task {}: {error}", lease.task.id);
            }
            let failure = Failure { message: error.message, retryable: error.kind == TaskErrorKind::Retry };
            worker.consumer.fail(lease, failure).await.map(|_| ())
        }
    }
}

/// Notes a failed attempt for people to read.
async fn note_failure(worker: &Worker, lease: &Lease, error: &TaskError) -> Result<(), TaskError> {
    let TaskRef { stage, task } = parse(lease)?;
    let job = Job::open(&worker.stores, &worker.workspace, &lease.task.job)?;
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let failure = AttemptFailure {
        stage,
        task,
        attempt: lease.attempt,
        worker: worker.name.clone(),
        at_ms: since_1970.as_millis() as u64,
        error: error.message.clone(),
    };
    let noted = tokio::time::timeout(TELL_WITHIN / 2, job.note_failure(&lease.token, &failure)).await;
    Ok(noted.map_err(|_| TaskError::retry("the store does not answer"))??)
}

fn parse(lease: &Lease) -> Result<TaskRef, TaskError> {
    serde_json::from_slice(&lease.task.payload)
        .map_err(|e| TaskError::fatal(format!("the payload of task {} is not ours: {e}", lease.task.id)))
}

/// How far the attempt is, for heartbeats.
#[derive(Default)]
struct Progress {
    seen: AtomicU64,
    kept: AtomicU64,
    /// There is a checkpoint to be deleted at the end.
    checkpoint: AtomicBool,
}

impl Progress {
    fn at(&self, held: &Held) {
        self.seen.store(held.seen, Ordering::Relaxed);
        self.kept.store(held.kept, Ordering::Relaxed);
        self.checkpoint.fetch_or(held.checkpoint, Ordering::Relaxed);
    }

    fn json(&self) -> bytes::Bytes {
        let (seen, kept) = (self.seen.load(Ordering::Relaxed), self.kept.load(Ordering::Relaxed));
        format!(r#"{{"seen":{seen},"kept":{kept}}}"#).into()
    }
}

/// Works on a task while its lease holds. A lost lease or a stop is passed on to the attempt.
async fn hold(shared: &Shared, lease: &Lease, mut stop: watch::Receiver<bool>) -> Result<(), TaskError> {
    let stopping = *stop.borrow_and_update();
    let (order, orders) = watch::channel(if stopping { Order::Stop } else { Order::GoOn });
    let progress = Progress::default();
    let attempts = attempts(shared, lease, orders, &progress);
    // Beside the attempt, so that a queue that does not answer holds nothing up.
    let lost = keep(&shared.worker, lease, &progress);
    tokio::pin!(attempts, lost);
    let mut deadline = stopping.then(ending);
    let mut held = true;
    loop {
        tokio::select! {
            result = &mut attempts => return result,
            () = &mut lost, if held => {
                held = false;
                order.send_replace(Order::Drop);
            }
            Ok(()) = stop.changed() => order.send_modify(|order| *order = Order::Stop.max(*order)),
            // The store does not answer, or a process does not die. Nothing is committed: that would have come after.
            () = at(deadline) => return Err(TaskError::stopped()),
        }
        deadline.get_or_insert_with(ending);
    }
}

/// Says that the holder is alive, until the lease is lost.
async fn keep(worker: &Worker, lease: &Lease, progress: &Progress) {
    let mut beat = tokio::time::interval(worker.heartbeat);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        match worker.consumer.heartbeat(lease, Some(progress.json())).await {
            Ok(Hold::Held) => {}
            Ok(Hold::Lost | Hold::Cancelled) => return,
            Err(error) => tracing::warn!("cannot keep task {}: {error}", lease.task.id),
        }
    }
}

/// When an attempt that is told to end now is given up: it has its own patience, which is a little shorter.
fn ending() -> Instant {
    Instant::now() + STOP_WITHIN + Duration::from_secs(1)
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Makes attempts until one comes to its end; each knows more poison than the one before it.
async fn attempts(
    shared: &Shared,
    lease: &Lease,
    orders: watch::Receiver<Order>,
    progress: &Progress,
) -> Result<(), TaskError> {
    let worker = &shared.worker;
    let TaskRef { stage, task } = parse(lease)?;
    let open = shared.jobs.get(&lease.task.job).await?;
    if open.job.record(stage, task).await?.is_some() {
        // An attempt before this one committed and could not say so.
        return Ok(());
    }
    let suspect = lease.failures > 0
        || worker.isolation.as_ref().is_some_and(|i| i.suspects.contains(lease.task.id.as_str()));
    let mut poison: Vec<Poison> = Vec::new();
    for tries in 1_u32.. {
        let name = if tries == 1 { lease.token.clone() } else { format!("{}.{tries}", lease.token) };
        let look_back = suspect || lease.attempt > 1 || tries > 1;
        // What hung once hangs again: in a process it can be killed. A filter's memory is planned, and may be more than a
        // lane's share.
        let planned = matches!(open.plan.stages.get(stage).map(|s| &s.stage), Some(Stage::Filter { .. }));
        let isolation = worker.isolation.as_ref().filter(|_| (suspect || tries > 1) && !planned);
        let ended = if let Some(isolation) = isolation {
            let spec = Spec {
                workspace: worker.workspace.to_string(),
                job: open.job.id.clone(),
                stage,
                task,
                name,
                scratch: worker.scratch.clone(),
                checkpoint_ms: worker.checkpoint_every.as_millis() as u64,
                look_back,
                poison: poison.clone(),
                memory: isolated::share_of_memory(worker.lanes),
                allow_external: worker.allow_external,
            };
            isolated::in_child(isolation, &spec, orders.clone(), |held| progress.at(held)).await
        } else {
            let attempt = Attempt {
                open: Arc::clone(&open),
                stage,
                task,
                name,
                handle: tokio::runtime::Handle::current(),
                scratch: worker.scratch.clone(),
                inputs: open.inputs(stage, task).await?,
                checkpoint_every: worker.checkpoint_every,
                look_back,
                poison: poison.clone(),
                hand: Arc::new(Hand::default()),
                allow_external: worker.allow_external,
            };
            on_thread(Arc::new(attempt), orders.clone(), &shared.abandoned, |held| progress.at(held)).await
        };
        match ended {
            Ended::Done(record) => {
                record.tally.balance().map_err(|e| TaskError::fatal(e.to_string()))?;
                open.job.commit(&record).await?;
                if tries > 1 || progress.checkpoint.load(Ordering::Relaxed) {
                    forget_checkpoints(&open.job, stage, task).await;
                }
                return Ok(());
            }
            Ended::Failed(error) => return Err(error),
            Ended::Poisoned(found) => {
                tracing::warn!(id = found.id, place = ?found.place, "task {} goes on without what {}", lease.task.id, found.why);
                add_poison(&mut poison, &[found]);
                let known = remember(&open, stage, task, &poison).await?;
                if known > POISON_MAX {
                    return Err(TaskError::fatal(format!(
                        "more than {POISON_MAX} documents of this task kill or hang the program; the last one {}",
                        poison.last().map_or("", |p| p.why.as_str())
                    )));
                }
            }
        }
    }
    Err(TaskError::fatal("too many tries"))
}

/// Lets later attempts know what is poison, wherever they are made. Gives how much there is.
async fn remember(open: &OpenJob, stage: usize, task: u64, poison: &[Poison]) -> Result<usize, TaskError> {
    let beginning = match open.plan.documents_from(stage) {
        None => Place::Slice { slice: 0, after: None },
        Some(_) => Place::Document { number: 0 },
    };
    let stored = match open.job.checkpoint(stage, task).await {
        Err(JobError::Unreadable { .. }) => None,
        other => other?,
    };
    let mut checkpoint = stored.unwrap_or_else(|| Checkpoint::begin(beginning));
    add_poison(&mut checkpoint.poison, poison);
    open.job.write_checkpoint(stage, task, &checkpoint).await?;
    Ok(checkpoint.poison.len())
}

async fn forget_checkpoints(job: &Job, stage: usize, task: u64) {
    if let Err(error) = job.forget_checkpoints(stage, task).await {
        tracing::warn!("cannot delete the checkpoints of task {task} of stage {stage}: {error}");
    }
}
