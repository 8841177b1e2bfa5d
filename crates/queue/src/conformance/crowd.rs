//! Many workers at once, and workers that change their minds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::{Make, cases, settings};
use crate::{Chance, Consumer, Failed, Failure, Hold, Priority, Result, Settings, TaskId};

const TASKS: usize = 200;
const WORKERS: u64 = 6;

pub(super) async fn run(make: Make<'_>) {
    every_task_is_finished_once_and_held_by_one(make).await;
    a_dropped_claim_loses_no_task(make).await;
}

/// Who holds what, as the workers themselves see it.
#[derive(Default)]
struct Ledger {
    holders: Mutex<BTreeMap<TaskId, u64>>,
    finished: Mutex<BTreeMap<TaskId, usize>>,
    left: AtomicUsize,
}

async fn every_task_is_finished_once_and_held_by_one(make: Make<'_>) {
    let rig = make(Settings { max_attempts: 1000, lease: Duration::from_secs(5), ..settings() });
    let tasks = (0..TASKS).map(|n| cases::task("crowd", n, Priority::ALL[n % 3])).collect();
    rig.producer.enqueue(tasks).await.expect("enqueue");
    let ledger = Arc::new(Ledger { left: AtomicUsize::new(TASKS), ..Ledger::default() });
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let consumer = (rig.consumer)(&format!("crowd-{number}"), number);
            tokio::spawn(work(consumer, Arc::clone(&ledger), number))
        })
        .collect();
    for worker in workers {
        timeout(Duration::from_mins(1), worker)
            .await
            .expect("the crowd ends")
            .expect("no panic")
            .expect("no error");
    }
    let finished = ledger.finished.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(finished.len(), TASKS);
    assert!(finished.values().all(|&times| times == 1));
    assert_eq!(rig.producer.depth().await.expect("depth").known(), 0);
    (rig.audit)(rig.producer.depth().await.expect("depth")).await;
}

async fn work(consumer: Arc<dyn Consumer>, ledger: Arc<Ledger>, number: u64) -> Result<()> {
    let mut chance = Chance::new(number);
    while ledger.left.load(Ordering::SeqCst) > 0 {
        let Some(lease) = consumer.claim(Duration::from_millis(200)).await? else { continue };
        let id = lease.task.id.clone();
        let other = ledger.holders.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), number);
        assert_eq!(other, None, "{id} is held by two");
        if chance.next_u64().is_multiple_of(4) {
            sleep(Duration::from_millis(2)).await;
            assert_eq!(consumer.heartbeat(&lease, None).await?, Hold::Held);
        }
        ledger.holders.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match chance.next_u64() % 8 {
            0 => assert_eq!(consumer.release(lease).await?, Hold::Held),
            1 => {
                let failure = Failure { message: "chance".to_owned(), retryable: true };
                assert!(matches!(consumer.fail(lease, failure).await?, Failed::Retry { .. }));
            }
            _ => {
                assert_eq!(consumer.finish(lease, Bytes::new()).await?, Hold::Held);
                *ledger.finished.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
                ledger.left.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
    Ok(())
}

/// Claims are dropped at all moments (a worker that is told to stop does that) while tasks arrive; whatever had been
/// delivered is found by the same consumer's next claim, as the same attempt.
async fn a_dropped_claim_loses_no_task(make: Make<'_>) {
    const ROUNDS: usize = 150;
    let rig = make(Settings { lease: Duration::from_mins(1), ..settings() });
    let worker = (rig.consumer)("fickle", 1);
    let mut chance = Chance::new(5);
    let mut got = Vec::new();
    for round in 0..ROUNDS {
        let task = cases::task("fickle", round, Priority::ALL[round % 3]);
        let arrives = async { rig.producer.enqueue(vec![task]).await.expect("enqueue") };
        let claim = for_so_many_polls(worker.claim(Duration::from_secs(5)), chance.next_u64() % 6);
        // Sometimes it is there already, sometimes it comes while the claim waits.
        let claim = if chance.next_u64().is_multiple_of(2) {
            arrives.await;
            claim.await
        } else {
            tokio::join!(claim, arrives).0
        };
        if let Some(lease) = claim {
            got.extend(lease.expect("claim"));
        }
    }
    while let Some(lease) = worker.claim(Duration::from_millis(20)).await.expect("claim") {
        got.push(lease);
    }
    assert!(got.iter().all(|lease| lease.attempt == 1));
    let mut ids: Vec<_> = got.iter().map(|lease| lease.task.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), got.len()), (ROUNDS, ROUNDS), "each once");
    for lease in got {
        assert_eq!(worker.finish(lease, Bytes::new()).await.expect("finish"), Hold::Held);
    }
    (rig.audit)(rig.producer.depth().await.expect("depth")).await;
}

/// Polls a future so many times and then drops it. Timers are too coarse to drop it at all its points of waiting.
async fn for_so_many_polls<T>(future: impl Future<Output = T>, polls: u64) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // A future that sleeps would not be polled again; let the last poll come anyway.
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}
