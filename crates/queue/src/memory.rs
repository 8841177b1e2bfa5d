//! A queue for one process: `gristmill run`, and tests.
//!
//! The same semantics as the Redis queue, moved by [`lifecycle::apply`] itself. It lives as long as the process;
//! nothing is lost with it, since what is done is known from the objects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lifecycle::{self, Event, State, Tries};
use crate::roles::{LOST_REASON, check_size, cut_message};
use crate::turn;
use crate::{
    Chance, Clock, Consumer, Cursor, DeadLetter, DeadPage, Depth, Error, Expired, Failed, Failure, Fate,
    Hold, Lease, Notice, Outcome, Phase, Producer, Result, Running, Settings, Settled, Task, TaskId,
};

/// The producer's side of a queue in memory; [`MemoryQueue::consumer`] makes the other. Clones share the queue.
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

/// A worker's side of a queue in memory. One per lane or one for all lanes, as the worker likes.
pub struct MemoryConsumer {
    shared: Arc<Shared>,
    name: String,
}

struct Shared {
    settings: Settings,
    clock: Arc<dyn Clock>,
    inside: Mutex<Inside>,
    /// Rung when a task became ready or delayed.
    work: Notify,
    /// Rung when a notice was left.
    news: Notify,
}

/// All that the lock guards.
struct Inside {
    tasks: BTreeMap<TaskId, Slot>,
    /// Ids by job, so that a job can be forgotten without looking at the others.
    jobs: BTreeMap<String, BTreeSet<TaskId>>,
    /// One line per priority, in the order of [`Priority::ALL`]; holds exactly the ready tasks.
    ready: [VecDeque<TaskId>; 3],
    /// Holds exactly the delayed tasks, by the millisecond in which they are due.
    delayed: BTreeSet<(u64, TaskId)>,
    /// By token. Also leases of forgotten tasks, until their holders notice or go silent.
    leases: BTreeMap<String, Held>,
    notices: VecDeque<Notice>,
    /// Notices ever left; the last one's number.
    notices_left: u64,
    claims: u64,
    /// Leases ever given; with `born` this makes tokens unique.
    tokens: u64,
    /// Random, by the seed: tokens must not repeat when the process starts again.
    born: u64,
    chance: Chance,
}

struct Slot {
    task: Task,
    state: State,
    /// When it last became ready.
    ready_ms: u64,
    /// What its last failure said.
    reason: String,
}

struct Held {
    id: TaskId,
    job: String,
    attempt: u32,
    holder: String,
    claimed_ms: u64,
    heard_ms: u64,
    progress: Option<Bytes>,
    /// The task was forgotten (and may since have been enqueued anew): this lease is about nothing.
    cancelled: bool,
}

impl MemoryQueue {
    /// An empty queue. `seed` decides jitter and tokens: give each process another one, a test the same.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, seed: u64) -> Result<Self> {
        settings.validate()?;
        let mut chance = Chance::new(seed);
        let inside = Inside {
            tasks: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ready: Default::default(),
            delayed: BTreeSet::new(),
            leases: BTreeMap::new(),
            notices: VecDeque::new(),
            notices_left: 0,
            claims: 0,
            tokens: 0,
            born: chance.next_u64(),
            chance,
        };
        let (work, news) = (Notify::new(), Notify::new());
        Ok(Self { shared: Arc::new(Shared { settings, clock, inside: Mutex::new(inside), work, news }) })
    }

    /// A worker's side. `name` appears in [`Running::holder`].
    pub fn consumer(&self, name: impl Into<String>) -> MemoryConsumer {
        MemoryConsumer { shared: Arc::clone(&self.shared), name: name.into() }
    }

    /// The rules that the queue was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
}

#[async_trait]
impl Producer for MemoryQueue {
    async fn enqueue(&self, tasks: Vec<Task>) -> Result<Vec<TaskId>> {
        tasks.iter().try_for_each(Task::validate)?;
        let now = self.shared.clock.now_ms();
        let mut inside = self.shared.lock();
        let mut new = Vec::new();
        for task in tasks {
            if inside.tasks.contains_key(&task.id) {
                continue;
            }
            let id = task.id.clone();
            let state = lifecycle::apply(State::Absent, Event::Enqueued)?;
            inside.jobs.entry(task.job.clone()).or_default().insert(id.clone());
            inside.ready[task.priority.index()].push_back(id.clone());
            inside.tasks.insert(id.clone(), Slot { task, state, ready_ms: now, reason: String::new() });
            new.push(id);
        }
        drop(inside);
        self.shared.work.notify_waiters();
        Ok(new)
    }

    async fn depth(&self) -> Result<Depth> {
        let now = self.shared.clock.now_ms();
        let inside = self.shared.lock();
        let mut depth = Depth::default();
        for slot in inside.tasks.values() {
            let class = &mut depth.classes[slot.task.priority.index()];
            *match slot.state {
                State::Ready(_) => &mut class.ready,
                State::Leased(_) => &mut class.leased,
                State::Delayed(_) => &mut class.delayed,
                State::Dead(_) => &mut class.dead,
                State::Absent => continue,
            } += 1;
        }
        for (class, line) in depth.classes.iter_mut().zip(&inside.ready) {
            let first = line.front().and_then(|id| inside.tasks.get(id));
            class.oldest = first.map(|slot| Duration::from_millis(now.saturating_sub(slot.ready_ms)));
        }
        Ok(depth)
    }

    async fn expire(&self, limit: usize) -> Result<Vec<Expired>> {
        let now = self.shared.clock.now_ms();
        let lease_ms = millis(self.shared.settings.lease);
        let mut inside = self.shared.lock();
        inside.wake_delayed(now)?;
        let stale = inside.leases.iter().filter(|(_, held)| now.saturating_sub(held.heard_ms) >= lease_ms);
        let tokens: Vec<String> = stale.map(|(token, _)| token.clone()).take(limit).collect();
        let mut expired = Vec::new();
        for token in tokens {
            let Some(held) = inside.leases.remove(&token) else { continue };
            if held.cancelled {
                continue;
            }
            let event = Event::Expired { limit: self.shared.settings.max_attempts };
            let state = inside.step(&held.id, event, now, Some(LOST_REASON))?;
            let fate = if matches!(state, State::Dead(_)) { Fate::Dead } else { Fate::Ready };
            if fate == Fate::Dead {
                self.shared.leave_notice(&mut inside, &held, Outcome::Dead(LOST_REASON.to_owned()));
            }
            expired.push(Expired { id: held.id, job: held.job, attempt: held.attempt, fate });
        }
        drop(inside);
        self.shared.work.notify_waiters();
        Ok(expired)
    }

    async fn settled(&self, after: Option<&Cursor>, limit: usize, wait: Duration) -> Result<Settled> {
        let deadline = Instant::now() + wait;
        loop {
            let news = self.shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let settled = self.shared.lock().notices_after(after, limit);
            if !settled.notices.is_empty() || settled.missed {
                return Ok(settled);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return Ok(settled);
            }
        }
    }

    async fn dead_letters(&self, job: &str, after: Option<&TaskId>, limit: usize) -> Result<DeadPage> {
        let inside = self.shared.lock();
        let ids =
            inside.jobs.get(job).into_iter().flatten().filter(|id| after.is_none_or(|after| *id > after));
        let dead = ids.filter_map(|id| inside.tasks.get(id)).filter_map(|slot| match slot.state {
            State::Dead(Tries { deliveries, failures }) => {
                let (task, reason) = (slot.task.clone(), slot.reason.clone());
                Some(DeadLetter { task, attempts: deliveries, failures, reason })
            }
            _ => None,
        });
        let letters: Vec<DeadLetter> = dead.take(limit).collect();
        let next = letters.last().filter(|_| letters.len() == limit).map(|letter| letter.task.id.clone());
        Ok(DeadPage { letters, next })
    }

    async fn revive(&self, ids: &[TaskId]) -> Result<Vec<TaskId>> {
        let now = self.shared.clock.now_ms();
        let mut inside = self.shared.lock();
        let mut revived = Vec::new();
        for id in ids {
            if inside.tasks.get(id).is_some_and(|slot| matches!(slot.state, State::Dead(_))) {
                inside.step(id, Event::Revived, now, None)?;
                revived.push(id.clone());
            }
        }
        drop(inside);
        self.shared.work.notify_waiters();
        Ok(revived)
    }

    async fn withdraw_job(&self, job: &str) -> Result<u64> {
        self.shared.remove_job(job, Event::Withdrawn)
    }

    async fn forget_job(&self, job: &str) -> Result<u64> {
        self.shared.remove_job(job, Event::Forgotten)
    }

    async fn live(&self, ids: &[TaskId]) -> Result<Vec<Option<Phase>>> {
        let inside = self.shared.lock();
        let phase = |id: &TaskId| match inside.tasks.get(id)?.state {
            State::Absent => None,
            State::Ready(_) => Some(Phase::Ready),
            State::Leased(_) => Some(Phase::Leased),
            State::Delayed(_) => Some(Phase::Delayed),
            State::Dead(_) => Some(Phase::Dead),
        };
        Ok(ids.iter().map(phase).collect())
    }

    async fn running(&self, job: Option<&str>, limit: usize) -> Result<Vec<Running>> {
        let now = self.shared.clock.now_ms();
        let inside = self.shared.lock();
        let wanted =
            inside.leases.values().filter(|held| !held.cancelled && job.is_none_or(|job| job == held.job));
        let running = wanted.take(limit).map(|held| Running {
            id: held.id.clone(),
            job: held.job.clone(),
            attempt: held.attempt,
            holder: held.holder.clone(),
            held: Duration::from_millis(now.saturating_sub(held.claimed_ms)),
            idle: Duration::from_millis(now.saturating_sub(held.heard_ms)),
            progress: held.progress.clone(),
        });
        Ok(running.collect())
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn claim(&self, wait: Duration) -> Result<Option<Lease>> {
        let deadline = Instant::now() + wait;
        loop {
            let work = self.shared.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            let now = self.shared.clock.now_ms();
            let next_due = {
                let mut inside = self.shared.lock();
                inside.wake_delayed(now)?;
                if let Some(lease) = inside.claim(&self.name, now)? {
                    return Ok(Some(lease));
                }
                inside.delayed.first().map(|(due, _)| Duration::from_millis(due.saturating_sub(now)))
            };
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let until = next_due.map_or(deadline, |due| deadline.min(Instant::now() + due));
            // Whichever ends the wait, the next round looks again; the deadline is judged there.
            let _ = tokio::time::timeout_at(until, work).await;
        }
    }

    async fn heartbeat(&self, lease: &Lease, progress: Option<Bytes>) -> Result<Hold> {
        if let Some(progress) = &progress {
            check_size("progress", lease.task.id.as_str(), progress.len(), Settings::NOTE_MAX)?;
        }
        let now = self.shared.clock.now_ms();
        let mut inside = self.shared.lock();
        let Some(held) = inside.leases.get_mut(&lease.token) else { return Ok(Hold::Lost) };
        if held.cancelled {
            return Ok(Hold::Cancelled);
        }
        held.heard_ms = now;
        if progress.is_some() {
            held.progress = progress;
        }
        Ok(Hold::Held)
    }

    async fn finish(&self, lease: Lease, note: Bytes) -> Result<Hold> {
        check_size("note", lease.task.id.as_str(), note.len(), Settings::NOTE_MAX)?;
        let mut inside = self.shared.lock();
        match inside.settle(&lease.token) {
            Ok(held) => {
                inside.step(&held.id, Event::Finished, 0, None)?;
                self.shared.leave_notice(&mut inside, &held, Outcome::Done(note));
                Ok(Hold::Held)
            }
            Err(hold) => Ok(hold),
        }
    }

    async fn release(&self, lease: Lease) -> Result<Hold> {
        let now = self.shared.clock.now_ms();
        let mut inside = self.shared.lock();
        match inside.settle(&lease.token) {
            Ok(held) => {
                inside.step(&held.id, Event::Released, now, None)?;
                drop(inside);
                self.shared.work.notify_waiters();
                Ok(Hold::Held)
            }
            Err(hold) => Ok(hold),
        }
    }

    async fn fail(&self, lease: Lease, failure: Failure) -> Result<Failed> {
        let now = self.shared.clock.now_ms();
        let settings = &self.shared.settings;
        let mut inside = self.shared.lock();
        let held = match inside.settle(&lease.token) {
            Ok(held) => held,
            Err(Hold::Cancelled) => return Ok(Failed::Cancelled),
            Err(Hold::Lost | Hold::Held) => return Ok(Failed::Lost),
        };
        let message = cut_message(failure.message);
        let after = inside.chance.backoff(settings, lease.failures.saturating_add(1));
        let event = Event::Failed { retryable: failure.retryable, limit: settings.max_attempts };
        // A delayed task is due `after` from now: `step` is told the moment.
        let state = inside.step(&held.id, event, now.saturating_add(millis(after)), Some(&message))?;
        if matches!(state, State::Dead(_)) {
            self.shared.leave_notice(&mut inside, &held, Outcome::Dead(message));
            return Ok(Failed::Dead);
        }
        drop(inside);
        // Sleepers learn of the new due time.
        self.shared.work.notify_waiters();
        Ok(Failed::Retry { after })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing under the lock panics half way through a change; a poisoned lock guards sound data.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave_notice(&self, inside: &mut Inside, held: &Held, outcome: Outcome) {
        let notice = Notice { id: held.id.clone(), job: held.job.clone(), attempt: held.attempt, outcome };
        inside.notices.push_back(notice);
        inside.notices_left += 1;
        while inside.notices.len() > self.settings.notices_kept as usize {
            inside.notices.pop_front();
        }
        self.news.notify_waiters();
    }

    fn remove_job(&self, job: &str, event: Event) -> Result<u64> {
        let mut inside = self.lock();
        let ids: Vec<TaskId> = inside.jobs.get(job).into_iter().flatten().cloned().collect();
        let mut removed = 0;
        for id in ids {
            let Some(slot) = inside.tasks.get(&id) else { continue };
            let waits = matches!(slot.state, State::Ready(_) | State::Delayed(_));
            if waits || event == Event::Forgotten {
                inside.step(&id, event, 0, None)?;
                removed += 1;
            }
        }
        if event == Event::Forgotten {
            for held in inside.leases.values_mut().filter(|held| held.job == job) {
                held.cancelled = true;
            }
        }
        // Once for all: the lines hold exactly the ready tasks again.
        let Inside { tasks, ready, delayed, .. } = &mut *inside;
        for line in ready {
            line.retain(|id| tasks.contains_key(id));
        }
        delayed.retain(|(_, id)| tasks.contains_key(id));
        Ok(removed)
    }
}

impl Inside {
    /// Moves a known task along the drawing and keeps lines and delays in step, except that removing leaves them
    /// to the caller. `moment_ms`: when it is ready, or due.
    fn step(&mut self, id: &TaskId, event: Event, moment_ms: u64, reason: Option<&str>) -> Result<State> {
        let Some(slot) = self.tasks.get_mut(id) else {
            return Err(Error::Illegal(lifecycle::Illegal { state: State::Absent, event }));
        };
        slot.state = lifecycle::apply(slot.state, event)?;
        if let Some(reason) = reason {
            reason.clone_into(&mut slot.reason);
        }
        let state = slot.state;
        match state {
            State::Ready(_) => {
                slot.ready_ms = moment_ms;
                self.ready[slot.task.priority.index()].push_back(id.clone());
            }
            State::Delayed(_) => {
                self.delayed.insert((moment_ms, id.clone()));
            }
            State::Absent => {
                let job = &slot.task.job;
                if let Some(ids) = self.jobs.get_mut(job) {
                    ids.remove(id);
                    if ids.is_empty() {
                        self.jobs.remove(job);
                    }
                }
                self.tasks.remove(id);
            }
            State::Leased(_) | State::Dead(_) => {}
        }
        Ok(state)
    }

    fn wake_delayed(&mut self, now: u64) -> Result<()> {
        while self.delayed.first().is_some_and(|(due, _)| *due <= now) {
            let Some((due, id)) = self.delayed.pop_first() else { break };
            self.step(&id, Event::Due, due, None)?;
        }
        Ok(())
    }

    fn claim(&mut self, holder: &str, now: u64) -> Result<Option<Lease>> {
        let order = turn::order(self.claims);
        let Some(id) = order.iter().find_map(|p| self.ready[p.index()].pop_front()) else { return Ok(None) };
        self.claims += 1;
        let state = self.step(&id, Event::Claimed, now, None)?;
        let (State::Leased(tries), Some(slot)) = (state, self.tasks.get(&id)) else { return Ok(None) };
        let task = slot.task.clone();
        self.tokens += 1;
        let token = format!("{:016x}-{}", self.born, self.tokens);
        let held = Held {
            id,
            job: task.job.clone(),
            attempt: tries.deliveries,
            holder: holder.to_owned(),
            claimed_ms: now,
            heard_ms: now,
            progress: None,
            cancelled: false,
        };
        self.leases.insert(token.clone(), held);
        Ok(Some(Lease { task, attempt: tries.deliveries, failures: tries.failures, token }))
    }

    /// Ends a lease, or says why it is not one.
    fn settle(&mut self, token: &str) -> std::result::Result<Held, Hold> {
        match self.leases.remove(token) {
            Some(held) if held.cancelled => Err(Hold::Cancelled),
            Some(held) => Ok(held),
            None => Err(Hold::Lost),
        }
    }

    fn notices_after(&self, after: Option<&Cursor>, limit: usize) -> Settled {
        let born = format!("{:016x}", self.born);
        let oldest = self.notices_left - self.notices.len() as u64 + 1;
        let known = after.filter(|cursor| cursor.born == born && cursor.seq <= self.notices_left);
        let from = known.map_or(oldest, |cursor| cursor.seq + 1).max(oldest);
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let notices: Vec<Notice> = self.notices.iter().skip(skip).take(limit).cloned().collect();
        let missed = known.is_none_or(|cursor| cursor.seq + 1 < oldest);
        let cursor = Cursor { born, seq: from + notices.len() as u64 - 1 };
        Settled { notices, cursor, missed }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Rig};
    use crate::{Depth, TokioClock};

    fn rig(settings: Settings) -> Rig {
        let queue = MemoryQueue::new(settings, Arc::new(TokioClock::new()), 1).expect("valid settings");
        let [one, two] = [queue.clone(), queue.clone()];
        Rig {
            producer: Arc::new(queue),
            consumer: Box::new(move |name, _| Arc::new(one.consumer(name))),
            audit: Box::new(move |depth| {
                let queue = two.clone();
                Box::pin(async move { audit(&queue, &depth) })
            }),
        }
    }

    /// What is kept twice must agree.
    fn audit(queue: &MemoryQueue, depth: &Depth) {
        let inside = queue.shared.lock();
        for (class, line) in depth.classes.iter().zip(&inside.ready) {
            assert_eq!(class.ready, line.len() as u64);
        }
        assert_eq!(depth.classes.iter().map(|c| c.delayed).sum::<u64>(), inside.delayed.len() as u64);
        let held = inside.leases.values().filter(|held| !held.cancelled).count() as u64;
        assert_eq!(depth.classes.iter().map(|c| c.leased).sum::<u64>(), held);
        assert_eq!(inside.jobs.values().map(BTreeSet::len).sum::<usize>(), inside.tasks.len());
        assert!(inside.jobs.values().all(|ids| !ids.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_every_promise() {
        conformance::run(&rig).await;
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_do_not_repeat_in_another_life() {
        let mut tokens = BTreeSet::new();
        for seed in 0..3 {
            let queue =
                MemoryQueue::new(Settings::default(), Arc::new(TokioClock::new()), seed).expect("valid");
            let id = TaskId::new("a").expect("valid");
            let task =
                Task { id, job: "j".to_owned(), priority: crate::Priority::High, payload: Bytes::new() };
            queue.enqueue(vec![task]).await.expect("enqueue");
            let lease = queue.consumer("w").claim(Duration::ZERO).await.expect("claim").expect("there");
            assert!(tokens.insert(lease.token));
        }
    }
}
