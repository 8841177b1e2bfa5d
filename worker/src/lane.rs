//! A lane: claim, hold, work, commit, tell.

use crate::filter_memory::FilterMemory;
use crate::hand::{Hand, Held, Order};
use crate::isolated::{self, Spec};
use crate::metrics::{Busy, Outcome};
use crate::open_job::Jobs;
use crate::task::{Attempt, add_poison};
use crate::watch::{Abandoned, Ended, on_thread};
use crate::{OpenJob, STOP_WITHIN, TaskError, TaskErrorKind, Worker};
use gristmill_job::{AttemptFailure, Checkpoint, Job, JobError, Place, Poison, TaskNote, TaskRef};
use gristmill_pipeline::stage::Stage;
use gristmill_queue::{Failure, Hold, Lease};
use gristmill_telemetry::traces;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

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
    filter_memory: Arc<FilterMemory>,
}

impl Shared {
    pub(crate) fn new(worker: Worker) -> Self {
        let (stores, workspace) = (worker.stores.clone(), worker.workspace.clone());
        let jobs = Jobs::new(stores, workspace, worker.resolver.clone(), worker.metrics.clone());
        let filter_memory = Arc::new(FilterMemory::new(worker.filter_memory));
        Self { jobs, abandoned: worker.metrics.threads_abandoned.clone(), filter_memory, worker }
    }

    /// Whether a fresh process would do better.
    fn is_worn(&self) -> bool {
        let renew = self.worker.isolation.as_ref().is_some_and(|isolation| isolation.renew);
        renew && self.abandoned.get() > 0
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
                shared.worker.metrics.queue_failed("claim");
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
    let metrics = &shared.worker.metrics;
    let (busy, began, progress) = (Busy::new(metrics), Instant::now(), Progress::default());
    let span = span(&lease);
    let result = hold(shared, &lease, &progress, stop).instrument(span.clone()).await;
    let took = began.elapsed();
    trace(&span, &lease, &progress, &result);
    metrics.attempted(progress.kind(), lease.attempt, progress.outcome(&result), took);
    if let Some(notes) = notes {
        notes.end(number);
    }
    let id = lease.task.id.clone();
    let told = tokio::time::timeout(TELL_WITHIN, tell(&shared.worker, lease, result, took)).await;
    drop(busy);
    let why = match told {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    // The record is what counts; the queue will learn of it when the lease runs out.
    tracing::warn!("cannot tell the queue about task {id}: {why}");
    metrics.queue_failed("settle");
}

/// The attempt in its job's trace, if that is traced.
fn span(lease: &Lease) -> tracing::Span {
    let Some((task, trace)) = parse(lease).ok().and_then(|task| Some((task.clone(), task.trace?))) else {
        return tracing::Span::none();
    };
    let span = tracing::info_span!(
        "attempt",
        job = lease.task.job,
        stage = task.stage,
        task = task.task,
        attempt = lease.attempt,
        kind = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    traces::continue_from(&span, &trace.parent);
    span
}

/// Says in the trace how the attempt ended; one that finished its task records that as well.
fn trace(span: &tracing::Span, lease: &Lease, progress: &Progress, result: &Result<(), TaskError>) {
    span.record("kind", progress.kind());
    if let Err(error) = result {
        span.record("otel.status_code", "ERROR").record("otel.status_description", &error.message);
        return;
    }
    let Ok(TaskRef { stage, task, trace: Some(trace) }) = parse(lease) else { return };
    let done = traces::Done {
        name: "task",
        began: SystemTime::UNIX_EPOCH + Duration::from_millis(trace.enqueued_ms),
        attributes: vec![
            ("job", lease.task.job.clone()),
            ("stage", stage.to_string()),
            ("task", task.to_string()),
            ("kind", progress.kind().to_owned()),
            ("attempts", lease.attempt.to_string()),
        ],
        error: None,
    };
    traces::record_task(&trace.parent, &lease.task.job, stage, task, done);
}

async fn tell(
    worker: &Worker,
    lease: Lease,
    result: Result<(), TaskError>,
    took: Duration,
) -> gristmill_queue::Result<()> {
    match result {
        Ok(()) => {
            // A plain struct: this cannot fail.
            let note = serde_json::to_vec(&TaskNote { seconds: took.as_secs_f64() }).unwrap_or_default();
            worker.consumer.finish(lease, note.into()).await.map(|_| ())
        }
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
    let TaskRef { stage, task, .. } = parse(lease)?;
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

/// How far the attempt is, for heartbeats, and what is counted of it.
#[derive(Default)]
struct Progress {
    seen: AtomicU64,
    kept: AtomicU64,
    /// There is a checkpoint to be deleted at the end.
    checkpoint: AtomicBool,
    /// What kind of task it is, once that is known.
    kind: OnceLock<&'static str>,
    /// The task is not ours any more.
    lost: AtomicBool,
}

impl Progress {
    fn at(&self, held: &Held) {
        self.seen.store(held.seen, Ordering::Relaxed);
        self.kept.store(held.kept, Ordering::Relaxed);
        self.checkpoint.fetch_or(held.checkpoint, Ordering::Relaxed);
    }

    fn kind(&self) -> &'static str {
        self.kind.get().copied().unwrap_or("unknown")
    }

    fn outcome(&self, result: &Result<(), TaskError>) -> Outcome {
        match result.as_ref().map_err(|error| error.kind) {
            Ok(()) => Outcome::Done,
            Err(TaskErrorKind::Retry) => Outcome::Retry,
            Err(TaskErrorKind::Fatal) => Outcome::Dead,
            Err(TaskErrorKind::Stopped) if self.lost.load(Ordering::Relaxed) => Outcome::Lost,
            Err(TaskErrorKind::Stopped) => Outcome::Released,
        }
    }

    fn json(&self) -> bytes::Bytes {
        let (seen, kept) = (self.seen.load(Ordering::Relaxed), self.kept.load(Ordering::Relaxed));
        format!(r#"{{"seen":{seen},"kept":{kept}}}"#).into()
    }
}

/// Works on a task while its lease holds. A lost lease or a stop is passed on to the attempt.
async fn hold(
    shared: &Shared,
    lease: &Lease,
    progress: &Progress,
    mut stop: watch::Receiver<bool>,
) -> Result<(), TaskError> {
    let stopping = *stop.borrow_and_update();
    let (order, orders) = watch::channel(if stopping { Order::Stop } else { Order::GoOn });
    let attempts = attempts(shared, lease, orders, progress);
    // Beside the attempt, so that a queue that does not answer holds nothing up.
    let lost = keep(&shared.worker, lease, progress);
    tokio::pin!(attempts, lost);
    let mut deadline = stopping.then(ending);
    let mut held = true;
    loop {
        tokio::select! {
            result = &mut attempts => return result,
            () = &mut lost, if held => {
                held = false;
                progress.lost.store(true, Ordering::Relaxed);
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
            Err(error) => {
                tracing::warn!("cannot keep task {}: {error}", lease.task.id);
                worker.metrics.queue_failed("heartbeat");
            }
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
    let TaskRef { stage, task, .. } = parse(lease)?;
    let open = shared.jobs.get(&lease.task.job).await?;
    let kind = open.plan.stages.get(stage).map_or("unknown", |planned| planned.stage.kind());
    let _ = progress.kind.set(kind);
    if open.job.record(stage, task).await?.is_some() {
        // An attempt before this one committed and could not say so.
        return Ok(());
    }
    tracing::debug!(stage, task, kind, "an attempt begins");
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
            worker.metrics.isolated_attempts.inc();
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
                filter_memory: Arc::clone(&shared.filter_memory),
                metrics: worker.metrics.clone(),
            };
            on_thread(Arc::new(attempt), orders.clone(), &shared.abandoned, |held| progress.at(held)).await
        };
        match ended {
            Ended::Done(record) => {
                record.tally.balance().map_err(|e| TaskError::fatal(e.to_string()))?;
                open.job.commit(&record).await?;
                worker.metrics.input_bytes.inc_by(record.read_bytes);
                worker.metrics.output_bytes.inc_by(record.written_bytes());
                if tries > 1 || progress.checkpoint.load(Ordering::Relaxed) {
                    forget_checkpoints(&open.job, stage, task).await;
                }
                return Ok(());
            }
            Ended::Failed(error) => return Err(error),
            Ended::Poisoned(found) => {
                tracing::warn!(id = found.id, place = ?found.place, "task {} goes on without what {}", lease.task.id, found.why);
                worker.metrics.poisoned(isolation.is_none());
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
