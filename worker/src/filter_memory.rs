//! The memory that Bloom filters take, of all lanes of a worker together.
//!
//! What a filter takes is planned, and may be far more than a lane's share. So those that do not fit in beside each other wait, in the
//! order in which they came: a large one is not passed by small ones for ever. A task holds one filter, and waits for no
//! other task while it does, so every wait has an end.

use crate::TaskError;
use crate::isolated::share_of_memory;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often who waits looks whether to give up.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct FilterMemory {
    allowed: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// Those who wait, by the number that they drew.
    waiting: BTreeSet<u64>,
    drawn: u64,
}

/// Room for a filter, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    memory: &'a FilterMemory,
    bytes: u64,
}

impl FilterMemory {
    pub(crate) fn new(allowed: Option<u64>) -> Self {
        let allowed = allowed.unwrap_or_else(|| share_of_memory(1));
        Self { allowed, state: Mutex::default(), changed: Condvar::new() }
    }

    /// What one filter may take at most.
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Waits for room. `check_stopped` is asked now and then, and an error of it ends the wait.
    pub(crate) fn take(
        &self,
        bytes: u64,
        check_stopped: impl Fn() -> Result<(), TaskError>,
    ) -> Result<Room<'_>, TaskError> {
        if bytes > self.allowed {
            return Err(TaskError::fatal(format!("{bytes} bytes of {} will never be free", self.allowed)));
        }
        let mut state = self.state();
        let number = state.drawn;
        state.drawn += 1;
        state.waiting.insert(number);
        let mut told = false;
        let stopped = loop {
            let is_next = state.waiting.first() == Some(&number);
            if is_next && state.taken.saturating_add(bytes) <= self.allowed {
                state.taken += bytes;
                break None;
            }
            if let Err(stopped) = check_stopped() {
                break Some(stopped);
            }
            if !told {
                tracing::info!(
                    bytes,
                    taken = state.taken,
                    allowed = self.allowed,
                    "a filter waits for memory"
                );
                told = true;
            }
            let waited = self.changed.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiting.remove(&number);
        drop(state);
        // Whoever is next may fit in as well.
        self.changed.notify_all();
        match stopped {
            Some(stopped) => Err(stopped),
            None => Ok(Room { memory: self, bytes }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.memory.state().taken -= self.bytes;
        self.memory.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskErrorKind;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    #[allow(clippy::unnecessary_wraps, reason = "others may be stopped")]
    fn go_on() -> Result<(), TaskError> {
        Ok(())
    }

    /// Until so many wait.
    fn wait_for(memory: &FilterMemory, waiting: usize) {
        while memory.state().waiting.len() != waiting {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn filters_never_take_more_than_there_is_and_all_have_their_turn() {
        let memory = FilterMemory::new(Some(100));
        let (taken, most, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for lane in 0..8_u64 {
                let (memory, taken, most, done) = (&memory, &taken, &most, &done);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let bytes = 1 + (lane * 37 + turn * 13) % 100;
                        let room = memory.take(bytes, go_on).expect("there is room for each");
                        let now = taken.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        taken.fetch_sub(bytes, Ordering::SeqCst);
                        drop(room);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 8 * 200);
        let most = most.into_inner();
        assert!(most > 50 && most <= 100, "{most}");
        let state = memory.state();
        assert_eq!((state.taken, state.waiting.len()), (0, 0));
    }

    #[test]
    fn a_large_one_is_not_passed_by() {
        let memory = FilterMemory::new(Some(100));
        let first = memory.take(60, go_on).expect("room");
        let large = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _room = memory.take(100, go_on).expect("room, later");
                large.store(true, Ordering::SeqCst);
            });
            wait_for(&memory, 1);
            // This one would fit in beside the first.
            scope.spawn(|| {
                let _room = memory.take(10, go_on).expect("room, later");
                assert!(large.load(Ordering::SeqCst));
            });
            wait_for(&memory, 2);
            drop(first);
        });
    }

    #[test]
    fn who_is_told_to_stop_waits_no_longer_and_is_in_nobodys_way() {
        let memory = FilterMemory::new(Some(100));
        let first = memory.take(60, go_on).expect("room");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let stopped = scope.spawn(|| {
                let check = || if stop.load(Ordering::SeqCst) { Err(TaskError::stopped()) } else { Ok(()) };
                memory.take(50, check).map(drop)
            });
            wait_for(&memory, 1);
            let small = scope.spawn(|| memory.take(40, go_on).map(drop));
            wait_for(&memory, 2);
            stop.store(true, Ordering::SeqCst);
            let error = stopped.join().expect("ends").expect_err("was stopped");
            assert_eq!(error.kind, TaskErrorKind::Stopped);
            small.join().expect("ends").expect("the next one's turn");
        });
        drop(first);
        assert_eq!(memory.take(101, go_on).expect_err("never").kind, TaskErrorKind::Fatal);
    }
}
