//! One promise per case.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::observed::Observed;
use super::{Make, settings};
use crate::{
    Consumer, Cursor, Error, Failed, Fate, Hold, Lease, Outcome, Phase, Priority, Settings, Task, TaskId,
};

/// Long enough for a task that is there, also on a busy machine.
const SOON: Duration = Duration::from_secs(5);
/// Long enough to see that there is none.
const BRIEF: Duration = Duration::from_millis(60);

pub(super) fn task(job: &str, number: usize, priority: Priority) -> Task {
    let id = TaskId::new(format!("{job}/map/{number:06}")).expect("valid");
    Task { id, job: job.to_owned(), priority, payload: Bytes::from(format!("payload {number}\0\u{ff}")) }
}

fn tasks(job: &str, count: usize) -> Vec<Task> {
    (0..count).map(|number| task(job, number, Priority::Normal)).collect()
}

fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id.clone()).collect()
}

async fn claimed(queue: &mut Observed, by: &dyn Consumer) -> Lease {
    queue.claim(by, SOON).await.expect("a task is there")
}

async fn silence(queue: &Observed) {
    sleep(queue.settings.lease + Duration::from_millis(50)).await;
}

pub(super) async fn run(make: Make<'_>) {
    a_task_lives_and_ends(make).await;
    enqueueing_twice_changes_nothing(make).await;
    a_heartbeat_keeps_the_lease(make).await;
    a_silent_holder_loses_to_the_next(make).await;
    a_task_that_kills_its_holders_ends(make).await;
    giving_back_spends_nothing(make).await;
    errors_are_retried_later_and_not_for_ever(make).await;
    hopeless_errors_are_not_retried(make).await;
    the_dead_can_be_revived(make).await;
    dead_letters_come_in_pages(make).await;
    priorities_share(make).await;
    a_cancelled_job_is_gone(make).await;
    a_paused_job_finishes_what_it_holds(make).await;
    notices_come_at_least_once_or_are_known_to_be_missed(make).await;
    running_attempts_are_seen(make).await;
    waiting_ends_with_work(make).await;
    notices_wake_the_reader(make).await;
    what_does_not_fit_is_refused(make).await;
}

async fn a_task_lives_and_ends(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    assert!(queue.claim(&*worker, Duration::ZERO).await.is_none());
    let wanted = tasks("job", 3);
    assert_eq!(queue.enqueue(&wanted).await, ids(&wanted));
    let mut tokens = Vec::new();
    for task in &wanted {
        let lease = claimed(&mut queue, &*worker).await;
        assert_eq!((&lease.task, lease.attempt, lease.failures), (task, 1, 0), "first come, first served");
        assert!(
            lease.token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
            "{}",
            lease.token
        );
        assert_eq!(queue.heartbeat(&*worker, &lease, None).await, Hold::Held);
        assert_eq!(queue.finish(&*worker, &lease).await, Hold::Held);
        assert_eq!(queue.finish(&*worker, &lease).await, Hold::Lost, "a repetition is told so");
        assert_eq!(queue.heartbeat(&*worker, &lease, None).await, Hold::Lost);
        tokens.push(lease.token);
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
    assert!(queue.claim(&*worker, BRIEF).await.is_none());
    // What is over is not known any more: the object store says what is done.
    assert_eq!(queue.enqueue(&wanted).await.len(), 3);
}

async fn enqueueing_twice_changes_nothing(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let wanted = tasks("job", 4);
    queue.enqueue(&wanted[..2]).await;
    assert_eq!(queue.enqueue(&wanted).await, ids(&wanted[2..]), "two are known");
    let failing = claimed(&mut queue, &*worker).await;
    queue.fail(&*worker, &failing, "again", true).await;
    let dying = claimed(&mut queue, &*worker).await;
    queue.fail(&*worker, &dying, "never", false).await;
    let held = claimed(&mut queue, &*worker).await;
    assert!(queue.enqueue(&wanted).await.is_empty(), "delayed, dead, leased and ready");
    let live = queue.producer().live(&ids(&wanted)).await.expect("live");
    assert_eq!(live, [Phase::Delayed, Phase::Dead, Phase::Leased, Phase::Ready].map(Some));
    assert_eq!(queue.heartbeat(&*worker, &held, None).await, Hold::Held);
}

async fn a_heartbeat_keeps_the_lease(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let (worker, rival) = (queue.consumer("w"), queue.consumer("rival"));
    queue.enqueue(&tasks("job", 1)).await;
    let lease = claimed(&mut queue, &*worker).await;
    for _ in 0..8 {
        sleep(queue.settings.heartbeat_every()).await;
        assert_eq!(queue.heartbeat(&*worker, &lease, None).await, Hold::Held);
        assert!(queue.expire().await.is_empty());
        assert!(queue.claim(&*rival, Duration::ZERO).await.is_none());
    }
    assert_eq!(queue.finish(&*worker, &lease).await, Hold::Held);
}

async fn a_silent_holder_loses_to_the_next(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let (first, second) = (queue.consumer("first"), queue.consumer("second"));
    queue.enqueue(&tasks("job", 1)).await;
    let old = claimed(&mut queue, &*first).await;
    silence(&queue).await;
    // Silence alone loses nothing: it is the coordinator who takes back.
    assert!(queue.claim(&*second, Duration::ZERO).await.is_none());
    let expired = queue.expire().await;
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].attempt, expired[0].fate, expired[0].job.as_str()), (1, Fate::Ready, "job"));
    assert!(queue.expire().await.is_empty(), "once");
    let new = claimed(&mut queue, &*second).await;
    assert_eq!((new.attempt, new.failures), (2, 1));
    assert_ne!(old.token, new.token);
    assert_eq!(queue.heartbeat(&*first, &old, None).await, Hold::Lost);
    assert_eq!(queue.release(&*first, &old).await, Hold::Lost);
    assert_eq!(queue.fail(&*first, &old, "late", true).await, Failed::Lost);
    assert_eq!(queue.finish(&*first, &old).await, Hold::Lost);
    assert_eq!(queue.finish(&*second, &new).await, Hold::Held, "the late holder harmed nothing");
}

async fn a_task_that_kills_its_holders_ends(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let wanted = tasks("job", 1);
    queue.enqueue(&wanted).await;
    for attempt in 1..=queue.settings.max_attempts {
        let victim = queue.consumer(&format!("victim-{attempt}"));
        let lease = claimed(&mut queue, &*victim).await;
        assert_eq!((lease.attempt, lease.failures), (attempt, attempt - 1));
        silence(&queue).await;
        assert_eq!(queue.expire().await.len(), 1);
    }
    let page = queue.producer().dead_letters("job", None, 10).await.expect("dead letters");
    assert_eq!(page.letters.len(), 1);
    let letter = &page.letters[0];
    assert_eq!((&letter.task, letter.attempts, letter.failures), (&wanted[0], 3, 3));
    assert!(letter.reason.contains("not heard of"), "{}", letter.reason);
    let settled = queue.producer().settled(None, 10, Duration::ZERO).await.expect("settled");
    assert!(
        matches!(&settled.notices[..], [notice] if notice.outcome == Outcome::Dead(letter.reason.clone()))
    );
}

async fn giving_back_spends_nothing(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    queue.enqueue(&tasks("job", 1)).await;
    for attempt in 1..=10 {
        let lease = claimed(&mut queue, &*worker).await;
        assert_eq!((lease.attempt, lease.failures), (attempt, 0));
        assert_eq!(queue.release(&*worker, &lease).await, Hold::Held);
        assert_eq!(queue.finish(&*worker, &lease).await, Hold::Lost);
    }
}

async fn errors_are_retried_later_and_not_for_ever(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    queue.enqueue(&tasks("job", 1)).await;
    let mut lease = claimed(&mut queue, &*worker).await;
    for attempt in 1..queue.settings.max_attempts {
        assert_eq!((lease.attempt, lease.failures), (attempt, attempt - 1));
        let failed_at = Instant::now();
        let Failed::Retry { after } = queue.fail(&*worker, &lease, "cannot read", true).await else {
            panic!("attempt {attempt} has tries left")
        };
        let full = queue.settings.backoff_base * (1 << (attempt - 1));
        assert!(after >= full / 2 && after <= full, "{after:?} of {full:?}");
        // A waiting claim gets it when the time has come. Milliseconds are cut off, here and there.
        lease = claimed(&mut queue, &*worker).await;
        assert!(failed_at.elapsed() + Duration::from_millis(2) >= after, "{:?}", failed_at.elapsed());
        assert!(failed_at.elapsed() < after + Duration::from_secs(1), "{:?}", failed_at.elapsed());
    }
    assert_eq!(queue.fail(&*worker, &lease, "cannot read the 3rd time", true).await, Failed::Dead);
    let page = queue.producer().dead_letters("job", None, 10).await.expect("dead letters");
    assert_eq!((page.letters[0].reason.as_str(), page.letters[0].failures), ("cannot read the 3rd time", 3));
    assert!(queue.claim(&*worker, Duration::from_millis(250)).await.is_none());
}

async fn hopeless_errors_are_not_retried(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    queue.enqueue(&tasks("job", 1)).await;
    let lease = claimed(&mut queue, &*worker).await;
    let long = "\u{e9}".repeat(Settings::MESSAGE_MAX);
    assert_eq!(queue.fail(&*worker, &lease, &long, false).await, Failed::Dead);
    let page = queue.producer().dead_letters("job", None, 10).await.expect("dead letters");
    assert_eq!(page.letters[0].reason.len(), Settings::MESSAGE_MAX, "cut, between characters");
}

async fn the_dead_can_be_revived(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let wanted = tasks("job", 3);
    queue.enqueue(&wanted).await;
    for _ in 0..2 {
        let lease = claimed(&mut queue, &*worker).await;
        queue.fail(&*worker, &lease, "no", false).await;
    }
    assert_eq!(queue.revive(&ids(&wanted)).await, ids(&wanted[..2]), "the third is not dead");
    assert!(queue.revive(&ids(&wanted)).await.is_empty());
    let ready = claimed(&mut queue, &*worker).await;
    queue.finish(&*worker, &ready).await;
    let revived = claimed(&mut queue, &*worker).await;
    assert_eq!((revived.attempt, revived.failures, &revived.task), (2, 0, &wanted[0]), "a new budget");
    assert!(matches!(queue.fail(&*worker, &revived, "again", true).await, Failed::Retry { .. }));
    assert!(queue.producer().dead_letters("job", None, 10).await.expect("dead letters").letters.is_empty());
}

async fn dead_letters_come_in_pages(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let wanted = tasks("job", 7);
    queue.enqueue(&wanted).await;
    queue.enqueue(&tasks("other", 1)).await;
    for _ in 0..8 {
        let lease = claimed(&mut queue, &*worker).await;
        queue.fail(&*worker, &lease, "no", false).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = queue.producer().dead_letters("job", after.as_ref(), 3).await.expect("dead letters");
        assert!(page.letters.len() <= 3);
        seen.extend(page.letters.into_iter().map(|letter| letter.task));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, wanted);
}

async fn priorities_share(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let all: Vec<Task> = Priority::ALL
        .into_iter()
        .rev()
        .flat_map(|priority| (0..40).map(move |number| task(priority.name(), number, priority)))
        .collect();
    queue.enqueue(&all).await;
    let mut counts = [0; 3];
    for _ in 0..32 {
        let lease = worker.claim(SOON).await.expect("claim").expect("a task is there");
        queue.claimed(&lease);
        let class = lease.task.priority.index();
        assert!(
            lease.task.id.as_str().ends_with(&format!("{:06}", counts[class])),
            "in order: {}",
            lease.task.id
        );
        counts[class] += 1;
    }
    assert_eq!(counts, [28, 3, 1], "a flood of urgent tasks starves nobody");
    queue.check().await;
}

async fn a_cancelled_job_is_gone(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let wanted = tasks("job", 6);
    queue.enqueue(&wanted).await;
    queue.enqueue(&tasks("other", 1)).await;
    let (one, two) = (claimed(&mut queue, &*worker).await, claimed(&mut queue, &*worker).await);
    let failing = claimed(&mut queue, &*worker).await;
    queue.fail(&*worker, &failing, "again", true).await;
    let dying = claimed(&mut queue, &*worker).await;
    queue.fail(&*worker, &dying, "never", false).await;
    assert_eq!(queue.forget("job").await, 6, "ready, leased, delayed and dead");
    assert_eq!(queue.forget("job").await, 0);
    assert_eq!(queue.heartbeat(&*worker, &one, None).await, Hold::Cancelled);
    assert_eq!(queue.heartbeat(&*worker, &one, None).await, Hold::Cancelled);
    // Enqueued anew it is another task; the holder of the old one cannot touch it.
    assert_eq!(queue.enqueue(&wanted).await.len(), 6);
    assert_eq!(queue.finish(&*worker, &one).await, Hold::Cancelled);
    assert_eq!(queue.finish(&*worker, &one).await, Hold::Lost);
    assert_eq!(queue.fail(&*worker, &two, "late", false).await, Failed::Cancelled);
    let lease = claimed(&mut queue, &*worker).await;
    assert_eq!(lease.task.job, "other", "whose turn it was");
    for task in &wanted {
        let lease = claimed(&mut queue, &*worker).await;
        assert_eq!((&lease.task, lease.attempt), (task, 1));
    }
    // A holder that never notices is cleared away after a lease, and is nobody's failure.
    assert_eq!(queue.forget("job").await, 6);
    silence(&queue).await;
    let expired = queue.expire().await;
    assert!(expired.iter().all(|one| one.job == "other"), "{expired:?}");
}

async fn a_paused_job_finishes_what_it_holds(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let wanted = tasks("job", 5);
    queue.enqueue(&wanted).await;
    let held = claimed(&mut queue, &*worker).await;
    let failing = claimed(&mut queue, &*worker).await;
    queue.fail(&*worker, &failing, "again", true).await;
    let dying = claimed(&mut queue, &*worker).await;
    queue.fail(&*worker, &dying, "never", false).await;
    assert_eq!(queue.withdraw("job").await, 3, "two ready, one delayed");
    assert!(queue.claim(&*worker, Duration::from_millis(250)).await.is_none());
    assert_eq!(queue.heartbeat(&*worker, &held, None).await, Hold::Held);
    assert_eq!(queue.finish(&*worker, &held).await, Hold::Held);
    assert_eq!(queue.producer().dead_letters("job", None, 10).await.expect("dead letters").letters.len(), 1);
    assert_eq!(queue.enqueue(&wanted[1..]).await.len(), 3, "resumed; the dead one stays dead");
    assert_eq!(claimed(&mut queue, &*worker).await.attempt, 1);
}

async fn notices_come_at_least_once_or_are_known_to_be_missed(make: Make<'_>) {
    let mut queue = Observed::new(make, Settings { notices_kept: 10, ..settings() });
    let worker = queue.consumer("w");
    let start = queue.producer().settled(None, 10, SOON).await.expect("settled");
    assert!(start.notices.is_empty() && start.missed, "who begins has always missed something");
    let none = queue.producer().settled(Some(&start.cursor), 10, BRIEF).await.expect("settled");
    assert!(none.notices.is_empty() && !none.missed && none.cursor == start.cursor);
    queue.enqueue(&tasks("job", 5)).await;
    for number in 0..5 {
        let lease = claimed(&mut queue, &*worker).await;
        if number == 3 {
            queue.fail(&*worker, &lease, "no", false).await;
        } else {
            queue.finish(&*worker, &lease).await;
        }
    }
    let read = async |after: &Cursor, limit| {
        queue.producer().settled(Some(after), limit, Duration::ZERO).await.expect("settled")
    };
    let first = read(&start.cursor, 2).await;
    assert_eq!(read(&start.cursor, 2).await, first, "the same question has the same answer");
    let second = read(&first.cursor, 100).await;
    assert!(!first.missed && !second.missed);
    let seen: Vec<_> = first.notices.into_iter().chain(second.notices).collect();
    for (number, notice) in seen.iter().enumerate() {
        let outcome = if number == 3 { Outcome::Dead("no".to_owned()) } else { Outcome::Done("note".into()) };
        let id = format!("job/map/{number:06}");
        assert_eq!((notice.id.as_str(), notice.job.as_str()), (id.as_str(), "job"));
        assert_eq!((notice.attempt, &notice.outcome), (1, &outcome));
    }
    assert_eq!(seen.len(), 5);
    // More than are kept: the reader is told.
    let many = tasks("many", 300);
    queue.producer().enqueue(many).await.expect("enqueue");
    for _ in 0..300 {
        let lease = worker.claim(SOON).await.expect("claim").expect("a task is there");
        worker.finish(lease, Bytes::new()).await.expect("finish");
    }
    let late = read_all(&queue, &second.cursor).await;
    assert!(late.1 && late.0 >= 10 && late.0 < 300, "{late:?}");
}

/// How many notices there are after a cursor, and whether some were missed.
async fn read_all(queue: &Observed, after: &Cursor) -> (usize, bool) {
    let (mut count, mut missed, mut cursor) = (0, false, after.clone());
    loop {
        let read = queue.producer().settled(Some(&cursor), 50, Duration::ZERO).await.expect("settled");
        if read.notices.is_empty() {
            return (count, missed);
        }
        count += read.notices.len();
        missed |= read.missed;
        cursor = read.cursor;
    }
}

async fn running_attempts_are_seen(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    queue.enqueue(&tasks("job", 2)).await;
    queue.enqueue(&[task("other", 0, Priority::High)]).await;
    for _ in 0..3 {
        claimed(&mut queue, &*worker).await;
    }
    let running = queue.producer().running(Some("job"), 10).await.expect("running");
    assert_eq!(running.len(), 2);
    assert_eq!(queue.producer().running(None, 10).await.expect("running").len(), 3);
    assert_eq!(queue.producer().running(None, 1).await.expect("running").len(), 1);
    assert!(running.iter().all(|r| r.attempt == 1 && r.holder.starts_with('w') && r.progress.is_none()));
    sleep(BRIEF).await;
    queue.forget("other").await;
    let extra = tasks("third", 1);
    queue.enqueue(&extra).await;
    let lease = claimed(&mut queue, &*worker).await;
    queue.heartbeat(&*worker, &lease, Some(Bytes::from_static(b"40 %"))).await;
    queue.heartbeat(&*worker, &lease, None).await;
    let running = queue.producer().running(None, 10).await.expect("running");
    assert_eq!(running.len(), 3, "the forgotten one is not shown");
    let third = running.iter().find(|r| r.job == "third").expect("runs");
    assert_eq!(third.progress.as_deref(), Some(&b"40 %"[..]), "the last that was said");
    let oldest = running.iter().map(|r| r.held).max();
    assert!(oldest >= Some(BRIEF / 2) && third.idle < SOON, "{running:?}");
    // The next attempt starts without the last one's progress.
    queue.release(&*worker, &lease).await;
    claimed(&mut queue, &*worker).await;
    let running = queue.producer().running(Some("third"), 10).await.expect("running");
    assert_eq!((running.len(), &running[0].progress, running[0].attempt), (1, &None, 2));
}

async fn waiting_ends_with_work(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    let start = Instant::now();
    assert!(queue.claim(&*worker, Duration::from_millis(300)).await.is_none());
    assert!(start.elapsed() >= Duration::from_millis(299), "it waited");
    let waiting = tokio::spawn({
        let worker = queue.consumer("w2");
        async move { worker.claim(Duration::from_mins(1)).await }
    });
    sleep(BRIEF).await;
    queue.producer().enqueue(tasks("job", 1)).await.expect("enqueue");
    let lease = timeout(SOON, waiting).await.expect("it is woken").expect("no panic").expect("claim");
    assert!(lease.is_some());
}

async fn notices_wake_the_reader(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    queue.enqueue(&tasks("job", 1)).await;
    let start = queue.producer().settled(None, 10, Duration::ZERO).await.expect("settled");
    let waiting = tokio::spawn({
        let producer = std::sync::Arc::clone(&queue.rig.producer);
        async move { producer.settled(Some(&start.cursor), 10, Duration::from_mins(1)).await }
    });
    sleep(BRIEF).await;
    let lease = claimed(&mut queue, &*worker).await;
    queue.finish(&*worker, &lease).await;
    let settled = timeout(SOON, waiting).await.expect("it is woken").expect("no panic").expect("settled");
    assert_eq!(settled.notices.len(), 1);
}

async fn what_does_not_fit_is_refused(make: Make<'_>) {
    let mut queue = Observed::new(make, settings());
    let worker = queue.consumer("w");
    assert!(
        TaskId::new("").is_err() && TaskId::new("a\nb").is_err() && TaskId::new("x".repeat(513)).is_err()
    );
    let mut large = task("job", 1, Priority::Normal);
    large.payload = Bytes::from(vec![0; Settings::PAYLOAD_MAX + 1]);
    let small = task("job", 2, Priority::Normal);
    let refused = queue.producer().enqueue(vec![small, large.clone()]).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    // All or nothing: the small one is not in either.
    queue.check().await;
    large.payload.truncate(Settings::PAYLOAD_MAX);
    queue.enqueue(&[large]).await;
    let lease = claimed(&mut queue, &*worker).await;
    assert_eq!(lease.task.payload.len(), Settings::PAYLOAD_MAX);
    let note = Bytes::from(vec![0; Settings::NOTE_MAX + 1]);
    assert!(matches!(worker.heartbeat(&lease, Some(note.clone())).await, Err(Error::Invalid(_))));
    assert!(matches!(worker.finish(lease.clone(), note).await, Err(Error::Invalid(_))));
    assert_eq!(queue.finish(&*worker, &lease).await, Hold::Held);
}
