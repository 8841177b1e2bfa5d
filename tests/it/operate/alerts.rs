//! Each alert is made to fire by causing its fault: what deploy/RUNBOOK.md says of them is about something that happens.
//!
//! A minute of the rules lasts two seconds here.

use super::prometheus::Prometheus;
use crate::cluster::{Cluster, Setup};
use crate::storage::proxy::{Mood, Proxy};
use crate::storage::seaweed::{self, Seaweed};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(5);

/// The rules, thirty times as impatient; and satisfied with the little memory that a worker has here.
fn rules(folder: &Path) -> std::path::PathBuf {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/gristmill.rules.yaml"),
    );
    let mut text = text.expect("the alerts").replace("[1h]", "[60m]").replace("> 0.9", "> 0");
    for minutes in [5, 10, 15, 30, 60] {
        let seconds = 2 * minutes;
        text = text.replace(&format!("[{minutes}m]"), &format!("[{seconds}s]"));
        text = text.replace(&format!("for: {minutes}m"), &format!("for: {seconds}s"));
    }
    assert!(!text.contains("m]") && !text.lines().any(|l| l.trim().starts_with("for:") && l.ends_with('m')));
    let path = folder.join("impatient.rules.yaml");
    std::fs::write(&path, text).expect("writes");
    path
}

fn fires(prometheus: &Prometheus, alert: &str) -> bool {
    !prometheus.query(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}")).is_empty()
}

/// Does something again and again, until an alert has fired.
#[track_caller]
fn until(prometheus: &Prometheus, alert: &str, mut again: impl FnMut()) {
    let began = Instant::now();
    while !fires(prometheus, alert) {
        assert!(began.elapsed() < PATIENCE, "{alert} does not fire: {:#?}", prometheus.query("ALERTS"));
        again();
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Two files: one with documents that kill the program and lines that are cut off, of several tasks; and one that will be gone.
fn write_job(folder: &Path) {
    let filler = "some words of no meaning ".repeat(20);
    let mut lines = String::new();
    for number in 0..300 {
        let kills = if number % 6 == 0 { "must abort" } else { "" };
        writeln!(
            lines,
            "{}",
            json!({"id": format!("d{number}"), "text": format!("{filler} {number} {kills}")})
        )
        .expect("memory");
        if number % 10 == 5 {
            lines.push_str("{\"text\": \"cut off\n");
        }
    }
    std::fs::write(folder.join("in.jsonl"), lines).expect("writes");
    std::fs::write(folder.join("gone.jsonl"), "{\"text\": \"short\"}\n").expect("writes");
    let recipe = "name: faults
input: [in.jsonl, gone.jsonl]
steps:
- fault_injection: {abort: must abort}
tasks: {size: 64KiB}
output: {format: jsonl}
";
    std::fs::write(folder.join("recipe.yaml"), recipe).expect("writes");
}

#[test]
fn faults_of_jobs_workers_queue_and_coordinators_are_told() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    write_job(folder);
    let setup = Setup {
        environment: vec![("GRISTMILL_FAULT_INJECTION", "1".to_owned())],
        workers: 1,
        metrics: true,
        ..Setup::default()
    };
    let Some(mut cluster) = Cluster::start(folder, setup) else { return };
    let rules = rules(folder);
    let Some(prometheus) = Prometheus::start(&cluster.metrics(), &[&rules]) else { return };

    // Nobody there who works.
    cluster.workers[0].kill();
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let inputs = [place("in.jsonl"), place("gone.jsonl")];
    let job = cluster.submit(&["--input", &inputs[0], "--input", &inputs[1], "--output", &place("out")]);
    until(&prometheus, "GristmillNoWorkers", || ());
    until(&prometheus, "GristmillNoTaskFinished", || ());

    // An input that is gone, documents that kill the program, lines that are cut off.
    std::fs::remove_file(&inputs[1]).expect("it was there");
    cluster.workers[0].up();
    for alert in ["GristmillPoison", "GristmillManyBroken", "GristmillDeadTasks", "GristmillJobFailed"] {
        until(&prometheus, alert, || {
            let worker = &mut cluster.workers[0];
            if worker.wait_for_end(Duration::ZERO).is_some() || worker.pid() == 0 {
                worker.up();
            }
        });
    }
    // Whoever tries again without having mended anything.
    until(&prometheus, "GristmillRetryStorm", || {
        cluster.ask(&["retry", &job]);
    });

    until(&prometheus, "GristmillWorkerMemory", || ());
    until(&prometheus, "GristmillWorkerCrashLoop", || {
        cluster.workers[0].kill();
        cluster.workers[0].up();
        // Until Prometheus has seen it.
        std::thread::sleep(Duration::from_secs(2));
    });
    cluster.redis.kill();
    until(&prometheus, "GristmillQueueUnreachable", || ());
    for coordinator in &mut cluster.coordinators {
        coordinator.kill();
    }
    until(&prometheus, "GristmillCoordinatorDown", || ());
}

#[test]
fn faults_of_the_object_store_are_told() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(server) = runtime.block_on(Seaweed::start()) else { return };
    let proxy = runtime.block_on(Proxy::start(server.port()));
    let setup = Setup {
        workspace: Some("s3://bucket/ws".to_owned()),
        environment: seaweed::environment(proxy.endpoint()),
        workers: 0,
        metrics: true,
        ..Setup::default()
    };
    let Some(cluster) = Cluster::start(folder, setup) else { return };
    let rules = rules(folder);
    let Some(prometheus) = Prometheus::start(&cluster.metrics(), &[&rules]) else { return };
    // A quarter of the requests is throttled, a quarter fails: a coordinator that idles asks for news often enough.
    let well = Mood::Wait(Duration::ZERO);
    for alert in ["GristmillStorageThrottled", "GristmillStorageFailing"] {
        until(&prometheus, alert, || proxy.moods(&[Mood::SlowDown, well, Mood::Refuse, well]));
    }
}

/// No alert is left out.
#[test]
fn every_alert_is_made_to_fire() {
    let rules = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/gristmill.rules.yaml"),
    );
    let tests = include_str!("alerts.rs");
    for alert in rules.expect("the alerts").lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("\"{alert}\"")), "{alert}");
    }
}
