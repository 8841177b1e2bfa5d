//! Redis wiped or away, a worker that slept through its lease, S3 that answers badly.

use super::{Cluster, Setup};
use crate::run::{corpus, must_run, published};
use crate::storage::proxy::Proxy;
use crate::storage::seaweed::{self, Seaweed};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(2);

struct Fixture {
    folder: tempfile::TempDir,
    expected: BTreeMap<String, Vec<u8>>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        corpus(folder.path(), 6, 150);
        must_run(folder.path(), &["--output", "calm"]);
        let expected = published(&folder.path().join("calm"));
        Self { folder, expected }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn output(&self) -> String {
        self.path().join("out").to_str().expect("UTF-8").to_owned()
    }

    #[track_caller]
    fn check(&self) {
        assert!(published(&self.path().join("out")) == self.expected, "the dataset differs");
    }
}

/// Waits until some tasks are done and some are not.
fn wait_for_the_middle(cluster: &Cluster, job: &str) {
    loop {
        let view = cluster.json(&["job", job]);
        if view["stages"][0]["tasks_done"].as_u64() > Some(1)
            || view["state"] != "running" && view["state"] != "planning"
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn redis_wiped_in_mid_job_loses_nothing() {
    let fixture = Fixture::new();
    let Some(cluster) = Cluster::start(fixture.path(), Setup::default()) else { return };
    let job = cluster.submit(&["--output", &fixture.output()]);
    for _ in 0..10 {
        wait_for_the_middle(&cluster, &job);
        cluster.flush_redis();
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.wait(&job, PATIENCE);
    fixture.check();
}

#[test]
fn redis_away_for_half_a_minute_stops_nothing_for_good() {
    let fixture = Fixture::new();
    let Some(mut cluster) = Cluster::start(fixture.path(), Setup::default()) else { return };
    let job = cluster.submit(&["--output", &fixture.output()]);
    wait_for_the_middle(&cluster, &job);
    cluster.redis.kill();
    std::thread::sleep(Duration::from_secs(30));
    cluster.redis.up();
    cluster.wait(&job, PATIENCE);
    fixture.check();
}

#[test]
fn a_worker_that_sleeps_through_its_lease_commits_nothing_twice() {
    let fixture = Fixture::new();
    let Some(cluster) = Cluster::start(fixture.path(), Setup::default()) else { return };
    let job = cluster.submit(&["--output", &fixture.output()]);
    for round in 0..4 {
        wait_for_the_middle(&cluster, &job);
        let worker = &cluster.workers[round % 2];
        worker.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(1500));
        worker.signal(Signal::CONT);
    }
    cluster.wait(&job, PATIENCE);
    fixture.check();
}

#[test]
fn sigterm_gives_tasks_back_and_costs_no_attempt() {
    let fixture = Fixture::new();
    let setup = Setup { lease: "60s", ..Setup::default() };
    let Some(mut cluster) = Cluster::start(fixture.path(), setup) else { return };
    let job = cluster.submit(&["--output", &fixture.output()]);
    wait_for_the_middle(&cluster, &job);
    for worker in &mut cluster.workers {
        worker.signal(Signal::TERM);
        let status = worker.wait_for_end(Duration::from_secs(25)).expect("it is gone within 25 s");
        assert!(status.success(), "{status}");
        worker.up();
    }
    // With leases of a minute, tasks that were not given back would come too late.
    cluster.wait(&job, Duration::from_secs(45));
    fixture.check();
    let tasks = cluster.json(&["tasks", &job, "--stage", "0", "--failures"]);
    assert!(!tasks.to_string().contains("not heard of"), "{tasks}");
}

#[test]
fn s3_that_answers_badly_changes_no_byte() {
    let fixture = Fixture::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(server) = runtime.block_on(Seaweed::start()) else { return };
    let proxy = runtime.block_on(Proxy::start(server.port()));
    proxy.storm(1, 5);
    let setup = Setup {
        workspace: Some("s3://bucket/ws".to_owned()),
        allow: vec!["s3://bucket/out".to_owned()],
        environment: seaweed::environment(proxy.endpoint()),
        lease: "10s",
        ..Setup::default()
    };
    let Some(cluster) = Cluster::start(fixture.path(), setup) else { return };
    let job = cluster.submit(&["--output", "s3://bucket/out"]);
    cluster.wait(&job, PATIENCE);
    assert!(proxy.spoiled() > 20, "{}", proxy.spoiled());
    proxy.storm(1, 0);
    let out = runtime.block_on(server.objects("s3://bucket/out/"));
    for (name, bytes) in &fixture.expected {
        let beside = name == "manifest.json" || name.starts_with("clusters/");
        let key = if beside { name.clone() } else { format!("data/{name}") };
        assert!(out.get(&key) == Some(bytes), "{key} differs");
    }
}
