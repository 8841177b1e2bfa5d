//! What the drivers of a process share: the queue, its news, and the room that each job has in it.
//!
//! Two loops. One reads the queue's notices and hands each to its job's driver; one takes back stale leases and measures
//! the work going on. Both are reconcilers: they may run in several coordinators at once, and what a loop misses while
//! the queue is away is found again by the drivers, who are told that they may have missed something.

use crate::autoscale::pace::Paces;
use crate::driver::parse_task;
use crate::metrics::Metrics;
use crate::window;
use gristmill_job::TaskNote;
use gristmill_queue::{Cursor, Fate, Outcome, Priority, Producer, TaskId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Notices read at once.
const NOTICES: usize = 1024;
/// How long a read waits for news.
const NEWS_WAIT: Duration = Duration::from_secs(1);
/// How often stale leases are looked for. Retries that are due are found by claims as well.
const EXPIRE_EVERY: Duration = Duration::from_secs(2);
/// How often the work going on is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// Leases taken back at once.
const EXPIRED: usize = 1000;
/// News that a driver may be behind; one that is slower is told to look for itself.
const BEHIND_MAX: usize = 4096;
/// How long to wait after the queue failed to answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The weight of the latest measurement of a rate.
const SMOOTHING: f64 = 0.3;

/// See the module.
pub struct Engine {
    producer: Arc<dyn Producer>,
    seats: Mutex<BTreeMap<String, Place>>,
    /// Room of a job, by priority.
    shares: [AtomicUsize; 3],
    /// Tasks that ended since the last measurement.
    ended: AtomicUsize,
    metrics: Metrics,
    /// What tasks take, as workers say.
    paces: Mutex<Paces>,
    loops: Mutex<Vec<JoinHandle<()>>>,
}

/// What a driver is told. Hints: the records in the object store are the truth.
#[derive(Debug)]
pub(crate) enum News {
    /// A task was finished.
    Done(TaskId),
    /// A task is out of attempts.
    Dead(TaskId, String),
    /// An attempt's lease ran out.
    Lost { task: TaskId, attempt: u32, last: bool },
}

struct Place {
    priority: Priority,
    active: bool,
    news: mpsc::Sender<News>,
    missed: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Engine {
    /// Starts the loops.
    pub fn start(producer: Arc<dyn Producer>) -> Arc<Self> {
        let engine = Arc::new(Self {
            producer,
            seats: Mutex::default(),
            shares: [const { AtomicUsize::new(0) }; 3],
            ended: AtomicUsize::new(0),
            metrics: Metrics::default(),
            paces: Mutex::default(),
            loops: Mutex::default(),
        });
        engine.set_shares(&gristmill_queue::Depth::default(), 0.0);
        let loops =
            vec![tokio::spawn(read_news(Arc::clone(&engine))), tokio::spawn(keep_house(Arc::clone(&engine)))];
        *engine.loops.lock().unwrap_or_else(PoisonError::into_inner) = loops;
        engine
    }

    pub(crate) fn producer(&self) -> &Arc<dyn Producer> {
        &self.producer
    }

    pub(crate) fn paces(&self) -> std::sync::MutexGuard<'_, Paces> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of a task that is done.
    fn note(&self, job: &str, task: &TaskId, note: &[u8]) {
        let note: Option<TaskNote> = serde_json::from_slice(note).ok();
        if let Some((note, (stage, _))) = note.zip(parse_task(task, job))
            && note.seconds.is_finite()
            && note.seconds >= 0.0
        {
            self.paces().measure((job.to_owned(), stage), note.seconds);
        }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Ends the loops. Nothing is lost by it.
    pub fn stop(&self) {
        for handle in self.loops.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            handle.abort();
        }
    }

    /// A place for a job; given up when it is dropped.
    pub(crate) fn seat(self: &Arc<Self>, job: &str, priority: Priority) -> Seat {
        let (sender, news) = mpsc::channel(BEHIND_MAX);
        let missed = Arc::new(AtomicBool::new(true));
        let wake = Arc::new(Notify::new());
        let place = Place {
            priority,
            active: true,
            news: sender,
            missed: Arc::clone(&missed),
            wake: Arc::clone(&wake),
        };
        self.places().insert(job.to_owned(), place);
        Seat { engine: Arc::clone(self), job: job.to_owned(), priority, news, missed, wake }
    }

    fn places(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Place>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_shares(&self, depth: &gristmill_queue::Depth, tasks_per_second: f64) {
        for priority in Priority::ALL {
            let jobs = self.places().values().filter(|p| p.active && p.priority == priority).count();
            let share = window::share(depth, priority, jobs, tasks_per_second);
            if let Some(place) = self.shares.get(priority.index()) {
                place.store(share, Ordering::Relaxed);
            }
        }
    }

    fn tell(&self, job: &str, news: News) {
        if let Some(place) = self.places().get(job)
            && place.news.try_send(news).is_err()
        {
            place.missed();
        }
    }

    fn all_missed(&self) {
        self.places().values().for_each(Place::missed);
    }
}

impl Place {
    fn missed(&self) {
        self.missed.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

async fn read_news(engine: Arc<Engine>) {
    let mut cursor: Option<Cursor> = None;
    loop {
        let settled = match engine.producer.settled(cursor.as_ref(), NOTICES, NEWS_WAIT).await {
            Ok(settled) => settled,
            Err(error) => {
                tracing::warn!("cannot read the queue's notices: {error}");
                engine.metrics.queue_failed();
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        cursor = Some(settled.cursor);
        if settled.missed {
            engine.all_missed();
        }
        engine.ended.fetch_add(settled.notices.len(), Ordering::Relaxed);
        for notice in settled.notices {
            engine.metrics.task_ended(&notice.outcome);
            let news = match notice.outcome {
                Outcome::Done(note) => {
                    engine.note(&notice.job, &notice.id, &note);
                    News::Done(notice.id)
                }
                Outcome::Dead(reason) => News::Dead(notice.id, reason),
            };
            engine.tell(&notice.job, news);
        }
    }
}

async fn keep_house(engine: Arc<Engine>) {
    let (mut expired_at, mut rate, mut measured) = (None, 0.0, Instant::now());
    let mut tick = tokio::time::interval(MEASURE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = round(&engine, &mut expired_at, &mut rate, &mut measured).await {
            tracing::warn!("cannot look after the queue: {error}");
            engine.metrics.queue_failed();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn round(
    engine: &Engine,
    expired_at: &mut Option<Instant>,
    rate: &mut f64,
    measured: &mut Instant,
) -> gristmill_queue::Result<()> {
    if expired_at.is_none_or(|at| at.elapsed() >= EXPIRE_EVERY) {
        for lost in engine.producer.expire(EXPIRED).await? {
            engine.metrics.lease_expired(lost.fate);
            let last = lost.fate == Fate::Dead;
            engine.tell(&lost.job, News::Lost { task: lost.id, attempt: lost.attempt, last });
        }
        *expired_at = Some(Instant::now());
    }
    let depth = engine.producer.depth().await?;
    let ended = engine.ended.swap(0, Ordering::Relaxed) as f64;
    let now = ended / measured.elapsed().as_secs_f64().max(0.001);
    *measured = Instant::now();
    *rate += SMOOTHING * (now - *rate);
    engine.set_shares(&depth, *rate);
    engine.metrics.measured(depth);
    Ok(())
}

/// A job's place at the queue.
pub(crate) struct Seat {
    engine: Arc<Engine>,
    job: String,
    priority: Priority,
    news: mpsc::Receiver<News>,
    missed: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Seat {
    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }

    /// How many of the job's tasks the queue may hold now.
    pub(crate) fn share(&self) -> usize {
        self.engine.shares.get(self.priority.index()).map_or(1, |share| share.load(Ordering::Relaxed))
    }

    /// A paused job takes no share from others.
    pub(crate) fn set_active(&self, active: bool) {
        if let Some(place) = self.engine.places().get_mut(&self.job) {
            place.active = active;
        }
    }

    /// Whether news may have been missed since the last time this was asked.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Acquire)
    }

    /// Waits up to `wait` for news and takes what there is.
    pub(crate) async fn news(&mut self, wait: Duration) -> Vec<News> {
        let mut news = Vec::new();
        tokio::select! {
            _ = tokio::time::timeout(wait, self.news.recv_many(&mut news, NOTICES)) => {}
            () = self.wake.notified() => {}
        }
        news
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.engine.places().remove(&self.job);
    }
}
