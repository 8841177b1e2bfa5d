//! A queue under observation: every call is made on the queue and on a model of it, and both must agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Make, Rig};
use crate::lifecycle::{Event, State, apply};
use crate::{
    Consumer, Expired, Failed, Failure, Fate, Hold, Lease, Phase, Priority, Producer, Settings, Task, TaskId,
};

/// A queue and what it should be doing.
pub(super) struct Observed {
    pub(super) settings: Settings,
    pub(super) rig: Rig,
    tasks: BTreeMap<TaskId, Known>,
    /// Tokens whose leases were cancelled and not settled since, and whether the queue may have forgotten them.
    cancelled: BTreeMap<String, bool>,
}

struct Known {
    job: String,
    priority: Priority,
    state: State,
    /// The delivery that counts, while the task is leased.
    token: String,
}

impl Observed {
    pub(super) fn new(make: Make<'_>, settings: Settings) -> Self {
        let rig = make(settings.clone());
        Self { settings, rig, tasks: BTreeMap::new(), cancelled: BTreeMap::new() }
    }

    pub(super) fn producer(&self) -> &dyn Producer {
        &*self.rig.producer
    }

    pub(super) fn consumer(&self, name: &str) -> Arc<dyn Consumer> {
        (self.rig.consumer)(name, name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)))
    }

    /// Enqueues; answers which were new.
    pub(super) async fn enqueue(&mut self, tasks: &[Task]) -> Vec<TaskId> {
        let new = self.producer().enqueue(tasks.to_vec()).await.expect("enqueue");
        for task in tasks {
            let known = self.state(&task.id) != State::Absent;
            assert_ne!(known, new.contains(&task.id), "{} is new exactly when it was not known", task.id);
            if !known {
                let (job, priority) = (task.job.clone(), task.priority);
                let state = apply(State::Absent, Event::Enqueued).expect("legal");
                self.tasks.insert(task.id.clone(), Known { job, priority, state, token: String::new() });
            }
        }
        self.check().await;
        new
    }

    pub(super) async fn claim(&mut self, by: &dyn Consumer, wait: Duration) -> Option<Lease> {
        let lease = by.claim(wait).await.expect("claim");
        if let Some(lease) = &lease {
            self.claimed(lease);
        }
        self.check().await;
        lease
    }

    /// Enters a lease that was claimed elsewhere.
    pub(super) fn claimed(&mut self, lease: &Lease) {
        let id = &lease.task.id;
        if matches!(self.state(id), State::Delayed(_)) {
            self.step(id, Event::Due);
        }
        let State::Leased(tries) = self.step(id, Event::Claimed) else { panic!("{id} is not leased") };
        assert_eq!((lease.attempt, lease.failures), (tries.deliveries, tries.failures), "{id}");
        let known = self.tasks.get_mut(id).expect("known");
        assert_eq!((&lease.task.job, lease.task.priority), (&known.job, known.priority), "{id}");
        known.token.clone_from(&lease.token);
    }

    pub(super) async fn heartbeat(
        &mut self,
        by: &dyn Consumer,
        lease: &Lease,
        progress: Option<Bytes>,
    ) -> Hold {
        let hold = by.heartbeat(lease, progress).await.expect("heartbeat");
        self.agree(lease, hold);
        self.check().await;
        hold
    }

    pub(super) async fn finish(&mut self, by: &dyn Consumer, lease: &Lease) -> Hold {
        let hold = by.finish(lease.clone(), Bytes::from_static(b"note")).await.expect("finish");
        self.settle(lease, hold, Event::Finished).await
    }

    pub(super) async fn release(&mut self, by: &dyn Consumer, lease: &Lease) -> Hold {
        let hold = by.release(lease.clone()).await.expect("release");
        self.settle(lease, hold, Event::Released).await
    }

    pub(super) async fn fail(
        &mut self,
        by: &dyn Consumer,
        lease: &Lease,
        message: &str,
        retryable: bool,
    ) -> Failed {
        let failure = Failure { message: message.to_owned(), retryable };
        let failed = by.fail(lease.clone(), failure).await.expect("fail");
        let hold = match failed {
            Failed::Retry { .. } | Failed::Dead => Hold::Held,
            Failed::Lost => Hold::Lost,
            Failed::Cancelled => Hold::Cancelled,
        };
        let limit = self.settings.max_attempts;
        self.settle(lease, hold, Event::Failed { retryable, limit }).await;
        if hold == Hold::Held {
            let dead = matches!(self.state(&lease.task.id), State::Dead(_));
            assert_eq!(failed == Failed::Dead, dead, "{}", lease.task.id);
        }
        failed
    }

    pub(super) async fn expire(&mut self) -> Vec<Expired> {
        let expired = self.producer().expire(1000).await.expect("expire");
        for one in &expired {
            let state = self.step(&one.id, Event::Expired { limit: self.settings.max_attempts });
            let fate = if matches!(state, State::Dead(_)) { Fate::Dead } else { Fate::Ready };
            assert_eq!(one.fate, fate, "{}", one.id);
        }
        // Cancelled leases go when their holders are silent.
        self.cancelled.values_mut().for_each(|may_be_gone| *may_be_gone = true);
        self.check().await;
        expired
    }

    pub(super) async fn revive(&mut self, ids: &[TaskId]) -> Vec<TaskId> {
        let revived = self.producer().revive(ids).await.expect("revive");
        for id in ids {
            let dead = matches!(self.state(id), State::Dead(_));
            assert_eq!(dead, revived.contains(id), "{id} is revived exactly when it was dead");
            if dead {
                self.step(id, Event::Revived);
            }
        }
        self.check().await;
        revived
    }

    pub(super) async fn withdraw(&mut self, job: &str) -> u64 {
        let count = self.producer().withdraw_job(job).await.expect("withdraw");
        self.remove(job, count, Event::Withdrawn).await;
        count
    }

    pub(super) async fn forget(&mut self, job: &str) -> u64 {
        let count = self.producer().forget_job(job).await.expect("forget");
        self.remove(job, count, Event::Forgotten).await;
        count
    }

    /// The model's state of a task.
    pub(super) fn state(&self, id: &TaskId) -> State {
        self.tasks.get(id).map_or(State::Absent, |known| known.state)
    }

    /// Tasks that the model knows to be dead.
    pub(super) fn dead(&self) -> Vec<TaskId> {
        let dead = self.tasks.iter().filter(|(_, known)| matches!(known.state, State::Dead(_)));
        dead.map(|(id, _)| id.clone()).collect()
    }

    async fn settle(&mut self, lease: &Lease, hold: Hold, event: Event) -> Hold {
        let id = &lease.task.id;
        self.agree(lease, hold);
        if hold == Hold::Held {
            self.step(id, event);
        }
        self.cancelled.remove(&lease.token);
        self.check().await;
        hold
    }

    async fn remove(&mut self, job: &str, count: u64, event: Event) {
        let of_job = self.tasks.iter().filter(|(_, known)| known.job == job);
        let ids: Vec<TaskId> =
            of_job.filter(|(_, known)| apply(known.state, event).is_ok()).map(|(id, _)| id.clone()).collect();
        assert_eq!(count, ids.len() as u64, "tasks of {job} that were {event}");
        for id in ids {
            if let Some(known) = self.tasks.get(&id)
                && matches!(known.state, State::Leased(_))
            {
                self.cancelled.insert(known.token.clone(), false);
            }
            self.step(&id, event);
        }
        self.check().await;
    }

    /// Compares what a holder was told with what it should be told.
    fn agree(&self, lease: &Lease, told: Hold) {
        let counts = |known: &Known| matches!(known.state, State::Leased(_)) && known.token == lease.token;
        let should = if self.tasks.get(&lease.task.id).is_some_and(counts) {
            Hold::Held
        } else if self.cancelled.contains_key(&lease.token) {
            Hold::Cancelled
        } else {
            Hold::Lost
        };
        let gone = should == Hold::Cancelled && told == Hold::Lost && self.cancelled[&lease.token];
        assert!(told == should || gone, "the holder of {} was told {told:?}, not {should:?}", lease.task.id);
    }

    fn step(&mut self, id: &TaskId, event: Event) -> State {
        let state = apply(self.state(id), event).unwrap_or_else(|illegal| panic!("{id}: {illegal}"));
        if state == State::Absent {
            self.tasks.remove(id);
        } else if let Some(known) = self.tasks.get_mut(id) {
            known.state = state;
        }
        state
    }

    /// Asks the queue for all that it shows and compares.
    pub(super) async fn check(&self) {
        let mut ids: Vec<TaskId> = self.tasks.keys().cloned().collect();
        ids.push(TaskId::new("never/seen").expect("valid"));
        let live = self.producer().live(&ids).await.expect("live");
        for (id, phase) in ids.iter().zip(live) {
            let agrees = match self.state(id) {
                State::Absent => phase.is_none(),
                State::Ready(_) => phase == Some(Phase::Ready),
                State::Leased(_) => phase == Some(Phase::Leased),
                // The queue makes it ready when it likes to, once it is due.
                State::Delayed(_) => matches!(phase, Some(Phase::Delayed | Phase::Ready)),
                State::Dead(_) => phase == Some(Phase::Dead),
            };
            assert!(agrees, "{id} should be {} but is {phase:?}", self.state(id));
        }
        let depth = self.producer().depth().await.expect("depth");
        for (priority, class) in Priority::ALL.into_iter().zip(&depth.classes) {
            let count = |wanted: fn(State) -> bool| {
                let of_class = self.tasks.values().filter(|known| known.priority == priority);
                of_class.filter(|known| wanted(known.state)).count() as u64
            };
            let waiting = count(|s| matches!(s, State::Ready(_) | State::Delayed(_)));
            assert_eq!(class.ready + class.delayed, waiting, "ready and delayed of {}", priority.name());
            assert!(class.ready >= count(|s| matches!(s, State::Ready(_))), "ready of {}", priority.name());
            assert_eq!(
                class.leased,
                count(|s| matches!(s, State::Leased(_))),
                "leased of {}",
                priority.name()
            );
            assert_eq!(class.dead, count(|s| matches!(s, State::Dead(_))), "dead of {}", priority.name());
            assert_eq!(class.oldest.is_some(), class.ready > 0, "oldest of {}", priority.name());
        }
        (self.rig.audit)(depth).await;
    }
}
