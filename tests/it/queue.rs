//! The queue on a real server: the suite that every queue passes, and what only a server can do to us.

pub(crate) mod proxy;
pub(crate) mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gristmill_queue::conformance::{self, Rig};
use gristmill_queue::{
    Consumer, Depth, Error, Failure, Hold, Lease, Phase, Priority, Producer, RedisOptions, RedisQueue,
    Settings, Task, TaskId,
};
use proxy::Proxy;
use redis::aio::MultiplexedConnection;
use server::Server;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(10);

fn queue(url: &str, settings: Settings) -> RedisQueue {
    RedisQueue::new(settings, &RedisOptions::new(url), 1).expect("valid settings")
}

fn tasks(job: &str, numbers: std::ops::Range<usize>) -> Vec<Task> {
    let task = |number| {
        let id = TaskId::new(format!("{job}/map/{number:06}")).expect("valid");
        Task {
            id,
            job: job.to_owned(),
            priority: Priority::Normal,
            payload: Bytes::from_static(b"in/0001 out/0001"),
        }
    };
    numbers.map(task).collect()
}

fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id.clone()).collect()
}

async fn claimed(worker: &dyn Consumer) -> Lease {
    worker.claim(SOON).await.expect("claim").expect("a task is there")
}

async fn raw(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

async fn flush(url: &str) {
    let () = redis::cmd("FLUSHALL").query_async(&mut raw(url).await).await.expect("FLUSHALL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_every_promise() {
    conform("redis-server").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valkey_keeps_every_promise() {
    conform("valkey-server").await;
}

async fn conform(program: &'static str) {
    let Some(server) = Server::start(program, &[]) else { return };
    let url = server.url();
    let number = AtomicU64::new(0);
    // A server that has just started expires nothing yet.
    sleep(Duration::from_millis(1100)).await;
    let make = |settings: Settings| {
        let prefix = format!("test-{}", number.fetch_add(1, Ordering::Relaxed));
        let queue = Arc::new(queue(&url, Settings { prefix: prefix.clone(), ..settings }));
        let url = url.clone();
        Rig {
            producer: Arc::clone(&queue) as Arc<dyn Producer>,
            consumer: Box::new(move |name, seed| Arc::new(queue.consumer(name, seed).expect("a valid name"))),
            audit: Box::new(move |depth| Box::pin(audit(url.clone(), prefix.clone(), depth))),
        }
    };
    conformance::run(&make).await;
}

/// What autoscalers and memory depend on: the lag is known and right, and lines hold nothing that is over.
async fn audit(url: String, prefix: String, depth: Depth) {
    let mut redis = raw(&url).await;
    let delayed: u64 = redis::cmd("ZCARD")
        .arg(format!("{{{prefix}}}:delayed"))
        .query_async(&mut redis)
        .await
        .expect("ZCARD");
    assert_eq!(delayed, depth.classes.iter().map(|class| class.delayed).sum::<u64>());
    for (priority, class) in Priority::ALL.into_iter().zip(depth.classes) {
        let line = format!("{{{prefix}}}:ready:{}", priority.name());
        let group: Vec<redis::Value> =
            redis::cmd("XINFO").arg("GROUPS").arg(&line).query_async(&mut redis).await.expect("XINFO");
        let group: std::collections::HashMap<String, redis::Value> =
            redis::from_redis_value(group.into_iter().next().expect("one group")).expect("pairs");
        let number = |name: &str| match &group[name] {
            redis::Value::Int(number) => u64::try_from(*number).expect("not negative"),
            other => panic!("{name} of {line} is {other:?}"),
        };
        let last: String = redis::from_redis_value(group["last-delivered-id"].clone()).expect("an id");
        let (lag, pending) = (number("lag"), number("pending"));
        let undelivered: Vec<redis::Value> = redis::cmd("XRANGE")
            .arg(&line)
            .arg(format!("({last}"))
            .arg("+")
            .query_async(&mut redis)
            .await
            .expect("XRANGE");
        let length: u64 = redis::cmd("XLEN").arg(&line).query_async(&mut redis).await.expect("XLEN");
        assert_eq!(lag, undelivered.len() as u64, "lag of {line}");
        assert!(lag >= class.ready && pending >= class.leased, "{line}: {lag} {pending} {class:?}");
        assert!(
            (lag + pending..=lag + pending + 1).contains(&length),
            "{line}: {length}, {lag} and {pending}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_redis_loses_nothing_that_the_coordinator_knows() {
    let Some(server) = Server::start("redis-server", &[]) else { return };
    let url = server.url();
    let queue = queue(&url, Settings::default());
    let (worker, idle) = (queue.consumer("w", 1).expect("valid"), queue.consumer("idle", 2).expect("valid"));
    let all = tasks("job", 0..4);
    queue.enqueue(all.clone()).await.expect("enqueue");
    let start = queue.settled(None, 10, Duration::ZERO).await.expect("settled");
    let done = claimed(&worker).await;
    worker.finish(done, Bytes::new()).await.expect("finish");
    let held: Vec<Lease> = vec![claimed(&worker).await, claimed(&worker).await, claimed(&worker).await];
    // Somebody waits while it happens.
    let waiting = tokio::spawn(async move { idle.claim(Duration::from_secs(30)).await });
    let one = queue.settled(Some(&start.cursor), 10, Duration::ZERO).await.expect("settled");
    assert!(one.notices.len() == 1 && !one.missed);
    sleep(Duration::from_millis(200)).await;
    flush(&url).await;
    assert_eq!(worker.heartbeat(&held[0], None).await.expect("heartbeat"), Hold::Lost);
    assert_eq!(worker.finish(held[0].clone(), Bytes::new()).await.expect("finish"), Hold::Lost);
    assert_eq!(worker.release(held[1].clone()).await.expect("release"), Hold::Lost);
    assert!(queue.settled(Some(&start.cursor), 10, Duration::ZERO).await.expect("settled").missed);
    assert_eq!(queue.live(&ids(&all)).await.expect("live"), [None; 4]);
    assert_eq!(queue.depth().await.expect("depth").known(), 0);
    assert!(queue.expire(10).await.expect("expire").is_empty());
    // The first one is done, as the object store says.
    assert_eq!(queue.enqueue(all[1..].to_vec()).await.expect("enqueue").len(), 3);
    let lease = timeout(SOON, waiting)
        .await
        .expect("it is woken")
        .expect("no panic")
        .expect("claim")
        .expect("a task");
    assert_eq!((&lease.task, lease.attempt), (&all[1], 1));
    assert!(!held.iter().any(|old| old.token == lease.token), "tokens do not repeat");
    for task in &all[2..] {
        let lease = claimed(&worker).await;
        assert_eq!(&lease.task, task);
        assert_eq!(worker.finish(lease, Bytes::new()).await.expect("finish"), Hold::Held);
    }
    // The numbers of notices began again; a reader of the old ones is told, and misses none of the new.
    let told = queue.settled(Some(&one.cursor), 10, Duration::ZERO).await.expect("settled");
    assert!(told.notices.len() == 2 && told.missed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_waits_for_a_redis_that_is_down() {
    let Some(mut server) = Server::start("redis-server", &[]) else { return };
    let url = server.url();
    let queue = Arc::new(queue(&url, Settings::default()));
    let worker = Arc::new(queue.consumer("w", 1).expect("valid"));
    let all = tasks("job", 0..3);
    queue.enqueue(all.clone()).await.expect("enqueue");
    let lease = claimed(&*worker).await;
    server.kill();
    // All of these meet a dead server; none gives up.
    let finish = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.finish(lease, Bytes::new()).await }
    });
    let claim = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.claim(Duration::from_mins(1)).await }
    });
    let enqueue = tokio::spawn({
        let (queue, all) = (Arc::clone(&queue), all.clone());
        async move { queue.enqueue(all).await }
    });
    sleep(Duration::from_millis(1500)).await;
    assert!(!finish.is_finished() && !claim.is_finished() && !enqueue.is_finished());
    server.up();
    assert_eq!(timeout(SOON, finish).await.expect("in time").expect("no panic").expect("finish"), Hold::Lost);
    assert_eq!(
        timeout(SOON, enqueue).await.expect("in time").expect("no panic").expect("enqueue"),
        ids(&all)
    );
    let lease =
        timeout(SOON, claim).await.expect("in time").expect("no panic").expect("claim").expect("a task");
    assert_eq!(lease.task, all[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impatience_is_an_error_that_can_be_retried() {
    if !server::have("redis-server", true) {
        return;
    }
    let options = RedisOptions {
        password: Some("hunter2".to_owned()),
        patience: Duration::from_millis(300),
        ..RedisOptions::new(format!("redis://127.0.0.1:{}", server::free_port()))
    };
    let queue = RedisQueue::new(Settings::default(), &options, 1).expect("it does not connect yet");
    let error = queue.depth().await.expect_err("nobody is there");
    assert!(matches!(error, Error::Unavailable { .. }) && error.is_retryable(), "{error}");
    assert!(
        error.to_string().contains("127.0.0.1") && !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    let worker = queue.consumer("w", 1).expect("valid");
    let start = Instant::now();
    let error = worker.claim(Duration::from_millis(700)).await.expect_err("nobody is there");
    assert!(error.is_retryable() && start.elapsed() > Duration::from_millis(300), "{error}");
}

/// What was done before the answer was lost is not done twice, and a delivery nobody heard of is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_lose_nothing() {
    let Some(server) = Server::start("redis-server", &[]) else { return };
    let proxy = Proxy::before(server.port).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let (queue, worker) = {
        let queue = queue(&url, Settings { backoff_base: Duration::from_secs(100), ..Settings::default() });
        let worker = queue.consumer("w", 1).expect("valid");
        (queue, worker)
    };
    // Connections are made and scripts are known before anything is lost.
    let failure = || Failure { message: "no".to_owned(), retryable: true };
    queue.enqueue(tasks("warm", 0..2)).await.expect("enqueue");
    worker.finish(claimed(&worker).await, Bytes::new()).await.expect("finish");
    let warm = claimed(&worker).await;
    worker.heartbeat(&warm, None).await.expect("heartbeat");
    worker.release(warm).await.expect("release");
    worker.fail(claimed(&worker).await, failure()).await.expect("fail");
    queue.live(&[]).await.expect("live");

    let all = tasks("job", 0..4);
    let phase = async |number: usize| queue.live(&ids(&all[number..=number])).await.expect("live")[0];
    proxy.swallow_next();
    assert!(queue.enqueue(all[..3].to_vec()).await.expect("enqueue").is_empty(), "they are known by now");
    assert_eq!(queue.depth().await.expect("depth").classes[1].ready, 3);

    proxy.swallow_next();
    let leases = [claimed(&worker).await, claimed(&worker).await, claimed(&worker).await];
    let mut claimed_ids: Vec<_> = leases.iter().map(|lease| lease.task.id.clone()).collect();
    claimed_ids.sort();
    assert_eq!(claimed_ids, ids(&all[..3]), "the one whose answer was lost is among them");
    assert!(leases.iter().all(|lease| lease.attempt == 1));
    let [finishing, failing, releasing] = leases;

    proxy.swallow_next();
    assert_eq!(worker.heartbeat(&finishing, None).await.expect("heartbeat"), Hold::Held);
    let start = queue.settled(None, 100, Duration::ZERO).await.expect("settled");
    proxy.swallow_next();
    assert_eq!(worker.finish(finishing, Bytes::new()).await.expect("finish"), Hold::Lost, "a repetition");
    let told = queue.settled(Some(&start.cursor), 100, Duration::ZERO).await.expect("settled");
    assert_eq!(told.notices.len(), 1, "done once");
    proxy.swallow_next();
    let failed = failing.task.id.clone();
    worker.fail(failing, failure()).await.expect("fail");
    assert_eq!(queue.live(&[failed]).await.expect("live"), [Some(Phase::Delayed)]);
    proxy.swallow_next();
    let released = releasing.task.id.clone();
    worker.release(releasing).await.expect("release");
    assert_eq!(queue.live(&[released]).await.expect("live"), [Some(Phase::Ready)]);
    let again = claimed(&worker).await;
    assert_eq!((again.attempt, again.failures), (2, 0));
    worker.finish(again, Bytes::new()).await.expect("finish");
    assert_eq!(proxy.swallowed(), 6);

    // And while it waits.
    let waiting = tokio::spawn(async move { worker.claim(Duration::from_secs(30)).await });
    sleep(Duration::from_millis(300)).await;
    let direct = self::queue(&server.url(), Settings::default());
    proxy.swallow_next();
    direct.enqueue(all[3..].to_vec()).await.expect("enqueue");
    let lease =
        timeout(SOON, waiting).await.expect("in time").expect("no panic").expect("claim").expect("a task");
    assert_eq!((&lease.task, lease.attempt, proxy.swallowed()), (&all[3], 1, 7));
    assert_eq!(phase(3).await, Some(Phase::Leased));
}

/// With persistence, leases outlive the server; the time that it was down is not held against their holders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_a_restart() {
    let persistent = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = Server::start("redis-server", &persistent) else { return };
    let url = server.url();
    let queue = queue(&url, Settings { lease: Duration::from_secs(2), ..Settings::default() });
    let worker = queue.consumer("w", 1).expect("valid");
    queue.enqueue(tasks("job", 0..2)).await.expect("enqueue");
    let (held, silent) = (claimed(&worker).await, claimed(&worker).await);
    server.kill();
    sleep(Duration::from_millis(2500)).await;
    server.up();
    // Neither by this coordinator nor by one that starts just now.
    let another = self::queue(&url, queue.settings().clone());
    for queue in [&queue, &another] {
        assert!(queue.expire(10).await.expect("expire").is_empty(), "holders get the chance to be heard");
    }
    assert_eq!(worker.heartbeat(&held, None).await.expect("heartbeat"), Hold::Held);
    let expired = async {
        loop {
            worker.heartbeat(&held, None).await.expect("heartbeat");
            let expired = queue.expire(10).await.expect("expire");
            if !expired.is_empty() {
                return expired;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let expired = timeout(SOON, expired).await.expect("in time");
    assert_eq!(expired.iter().map(|one| &one.id).collect::<Vec<_>>(), [&silent.task.id]);
    assert_eq!(worker.finish(held, Bytes::new()).await.expect("finish"), Hold::Held);
    assert_eq!(worker.finish(silent, Bytes::new()).await.expect("finish"), Hold::Lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_coordinators_take_back_each_lease_once() {
    let Some(server) = Server::start("redis-server", &[]) else { return };
    let settings = Settings { lease: Duration::from_millis(300), ..Settings::default() };
    let [one, two] = [(); 2].map(|()| queue(&server.url(), settings.clone()));
    let worker = one.consumer("w", 1).expect("valid");
    let all = tasks("job", 0..1200);
    let (first, second) = tokio::join!(one.enqueue(all.clone()), two.enqueue(all.clone()));
    assert_eq!(first.expect("enqueue").len() + second.expect("enqueue").len(), all.len(), "each is new once");
    for _ in &all {
        claimed(&worker).await;
    }
    sleep(Duration::from_millis(1500)).await;
    let (first, second) = tokio::join!(one.expire(2000), two.expire(2000));
    let mut back: Vec<_> =
        first.expect("expire").into_iter().chain(second.expect("expire")).map(|one| one.id).collect();
    back.sort();
    assert_eq!(back, ids(&all));
    assert!(one.live(&back).await.expect("live").iter().all(|phase| *phase == Some(Phase::Ready)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_users_and_passwords() {
    if !server::have("openssl", false) {
        return;
    }
    let certificates = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str| server::path(&certificates.path().join(name));
    // One certificate is authority, server and client at once: enough to see that each is asked for.
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &file("key.pem"), "-out", &file("cert.pem")])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = server::free_port();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    // Just the rights that the documentation names.
    let rights = "+evalsha +script|load +info +time +exists +del +hset +hget +hmget +hdel +hincrby +sadd +srem +sscan \
                  +zadd +zrem +zrange +xadd +xack +xdel +xgroup +xinfo +xpending +xclaim +xautoclaim +xrange +xread \
                  +xreadgroup";
    let user = ["--user", "default", "off", "--user", "mill", "on", ">grist", "~{gristmill}*", "-@all"];
    let acl = [&user[..], &rights.split_whitespace().collect::<Vec<_>>()].concat();
    let tls =
        ["--port", "0", "--tls-port", &port.to_string(), "--tls-cert-file", &cert, "--tls-key-file", &key];
    let args = [&tls[..], &["--tls-ca-cert-file", &cert, "--tls-auth-clients", "yes"], &acl[..]].concat();
    let Some(server) = Server::start_on(port, "redis-server", &args) else { return };
    let read = |path: &str| std::fs::read(path).expect("it was made");
    let options = RedisOptions {
        ca_pem: Some(read(&cert)),
        client_pem: Some((read(&cert), read(&key))),
        username: Some("mill".to_owned()),
        password: Some("grist".to_owned()),
        patience: Duration::from_secs(2),
        ..RedisOptions::new(format!("rediss://localhost:{}", server.port))
    };
    let ask = async |change: fn(&mut RedisOptions)| {
        let mut options = options.clone();
        change(&mut options);
        let queue = RedisQueue::new(Settings::default(), &options, 1).expect("valid settings");
        let answer = queue.enqueue(tasks("job", 0..1)).await;
        let said = format!("{answer:?}");
        assert!(!said.contains("grist\"") && !said.contains("wrong-password"), "{said}");
        answer.err()
    };
    let none = ask(|_| ()).await;
    assert!(none.is_none(), "{none:?}");
    everything_once(&RedisQueue::new(Settings::default(), &options, 1).expect("valid settings")).await;
    let refused = ask(|options| options.password = Some("wrong-password".to_owned())).await;
    assert!(matches!(refused, Some(Error::Refused { .. })), "{refused:?}");
    let stranger = ask(|options| options.client_pem = None).await;
    assert!(matches!(stranger, Some(Error::Unavailable { .. })), "{stranger:?}");
    let distrust = ask(|options| options.ca_pem = None).await;
    assert!(matches!(distrust, Some(Error::Unavailable { .. } | Error::Refused { .. })), "{distrust:?}");
}

/// Calls all there is, to see that it is allowed.
async fn everything_once(queue: &RedisQueue) {
    let worker = queue.consumer("w", 1).expect("valid");
    queue.enqueue(tasks("all", 0..4)).await.expect("enqueue");
    assert!(worker.claim(Duration::ZERO).await.expect("claim").is_some());
    for retryable in [true, false] {
        let failure = Failure { message: "no".to_owned(), retryable };
        worker.fail(claimed(&worker).await, failure).await.expect("fail");
    }
    let lease = claimed(&worker).await;
    worker.heartbeat(&lease, Some(Bytes::from_static(b"1"))).await.expect("heartbeat");
    queue.running(None, 10).await.expect("running");
    worker.release(lease).await.expect("release");
    worker.finish(claimed(&worker).await, Bytes::new()).await.expect("finish");
    queue.expire(10).await.expect("expire");
    queue.depth().await.expect("depth");
    let told = queue.settled(None, 10, Duration::ZERO).await.expect("settled");
    queue.settled(Some(&told.cursor), 10, Duration::from_millis(10)).await.expect("settled");
    let letters = queue.dead_letters("all", None, 10).await.expect("dead letters").letters;
    queue.revive(&[letters[0].task.id.clone()]).await.expect("revive");
    queue.withdraw_job("all").await.expect("withdraw");
    queue.forget_job("all").await.expect("forget");
    worker.claim(Duration::from_millis(10)).await.expect("claim");
}

/// Printed, not asserted: machines differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput() {
    const TASKS: usize = 20_000;
    let Some(server) = Server::start("redis-server", &[]) else { return };
    let queue = Arc::new(queue(&server.url(), Settings::default()));
    let start = Instant::now();
    queue.enqueue(tasks("job", 0..TASKS)).await.expect("enqueue");
    let enqueued = start.elapsed();
    let start = Instant::now();
    drain(&queue, TASKS, 8).await;
    let drained = start.elapsed();
    let rate = |span: Duration| (TASKS as f64 / span.as_secs_f64()).round();
    println!("{TASKS} tasks enqueued in {enqueued:.2?} ({}/s)", rate(enqueued));
    println!("and claimed and finished by 8 workers in {drained:.2?} ({}/s)", rate(drained));
}

/// Claims and finishes so many tasks with so many workers.
async fn drain(queue: &Arc<RedisQueue>, count: usize, workers: u64) {
    let left = Arc::new(AtomicU64::new(count as u64));
    let work = |number: u64| {
        let (queue, left) = (Arc::clone(queue), Arc::clone(&left));
        tokio::spawn(async move {
            let worker = queue.consumer(&format!("w{number}"), number).expect("valid");
            while left.load(Ordering::Relaxed) > 0 {
                let Some(lease) = worker.claim(Duration::from_millis(100)).await.expect("claim") else {
                    continue;
                };
                assert_eq!(worker.finish(lease, Bytes::new()).await.expect("finish"), Hold::Held);
                left.fetch_sub(1, Ordering::Relaxed);
            }
        })
    };
    for worker in (0..workers).map(work).collect::<Vec<_>>() {
        worker.await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_given_back() {
    const WINDOW: usize = 5_000;
    const WINDOWS: usize = 20;
    let Some(server) = Server::start("redis-server", &[]) else { return };
    let queue = Arc::new(queue(&server.url(), Settings { notices_kept: 1000, ..Settings::default() }));
    let used = async || {
        let info: String =
            redis::cmd("INFO").arg("memory").query_async(&mut raw(&server.url()).await).await.expect("INFO");
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it is said");
        line.trim().parse::<u64>().expect("a number")
    };
    // One of each first, so that scripts, groups and consumers are counted in the start.
    let long = tasks("long", 0..1);
    queue.enqueue(long).await.expect("enqueue");
    let holder = queue.consumer("holder", 99).expect("valid");
    let held = claimed(&holder).await;
    queue.enqueue(tasks("job", 0..1)).await.expect("enqueue");
    drain(&queue, 1, 8).await;
    let start = used().await;
    let mut peak = start;
    for window in 0..WINDOWS {
        let wanted = tasks("job", window * WINDOW..(window + 1) * WINDOW);
        queue.enqueue(wanted).await.expect("enqueue");
        peak = peak.max(used().await);
        drain(&queue, WINDOW, 8).await;
    }
    let end = used().await;
    println!(
        "redis memory: {start} at the start, {peak} with {WINDOW} tasks, {end} after {}",
        WINDOW * WINDOWS
    );
    // One task was held all the while, and pins nothing but itself. The notices stay: some 150 bytes each.
    assert!(end < start + 1024 * 1024, "{start} bytes became {end}");
    assert!(peak < start + 1000 * WINDOW as u64, "{start} bytes became {peak}");
    assert_eq!(holder.finish(held, Bytes::new()).await.expect("finish"), Hold::Held);
    // Failures and retries leave nothing behind either.
    queue.enqueue(tasks("job", 0..1)).await.expect("enqueue");
    let failure = || Failure { message: "no".to_owned(), retryable: false };
    holder.fail(claimed(&holder).await, failure()).await.expect("fail");
    queue.forget_job("job").await.expect("forget");
    let mut keys: Vec<String> =
        redis::cmd("KEYS").arg("*").query_async(&mut raw(&server.url()).await).await.expect("KEYS");
    keys.sort();
    let rest = ["counts", "meta", "notices", "ready:high", "ready:low", "ready:normal"];
    assert_eq!(keys, rest.map(|name| format!("{{gristmill}}:{name}")));
}
