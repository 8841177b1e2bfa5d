//! Every part killed at random.

use super::{Cluster, Setup};
use crate::run::{Random, corpus, must_run, published, records};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Kills in one test; `make soak` has more of them.
const KILLS: u64 = 50;

#[test]
fn killed_fifty_times_the_cluster_ends_with_the_bytes_of_a_calm_run() {
    torment(KILLS, 1, 1);
}

#[test]
fn two_coordinators_and_three_workers_bear_it_as_well() {
    torment(KILLS / 2, 2, 2);
}

#[test]
#[ignore = "takes many minutes"]
fn killed_a_thousand_times() {
    for seed in 0..20 {
        torment(KILLS, 100 + seed, 1 + seed as usize % 2);
    }
}

/// Kills a part of the cluster again and again, and starts it again, while job follows job.
fn torment(kills: u64, seed: u64, coordinators: usize) {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, 6, 150);
    must_run(folder, &["--output", "calm"]);
    let expected = published(&folder.join("calm"));
    let setup = Setup { coordinators, workers: 1 + coordinators, ..Setup::default() };
    let Some(mut cluster) = Cluster::start(folder, setup) else { return };
    let mut random = Random(seed);
    let mut killed = 0;
    for round in 0.. {
        if killed >= kills {
            break;
        }
        let output = folder.join(format!("out-{seed}-{round}"));
        let job = cluster.submit(&[
            "--output",
            output.to_str().expect("UTF-8"),
            "--key",
            &format!("{seed}-{round}"),
        ]);
        let mut done: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        // Once at least: on an idle machine a job may be done before anybody looks.
        loop {
            std::thread::sleep(Duration::from_millis(random.next(250)));
            strike(&mut cluster, &mut random);
            killed += 1;
            check_records(&folder.join("ws/jobs").join(&job), &mut done);
            if output.join("manifest.json").exists() || killed >= kills {
                break;
            }
        }
        cluster.wait(&job, Duration::from_mins(2));
        check_records(&folder.join("ws/jobs").join(&job), &mut done);
        let got = published(&output);
        assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, bytes) in &expected {
            assert!(
                got.get(name) == Some(bytes),
                "seed {seed}, round {round}, {killed} kills: {name} differs"
            );
        }
    }
}

/// Kills one part with SIGKILL and starts it again, at once or a little later.
fn strike(cluster: &mut Cluster, random: &mut Random) {
    let pause = Duration::from_millis(random.next(3) * 100);
    match random.next(6) {
        0 => {
            // It keeps nothing on disk: killing it wipes it.
            cluster.redis.kill();
            std::thread::sleep(pause);
            cluster.redis.up();
        }
        1 | 2 => {
            let which = random.next(cluster.coordinators.len() as u64) as usize;
            let coordinator = &mut cluster.coordinators[which];
            coordinator.kill();
            std::thread::sleep(pause);
            coordinator.up();
            coordinator.wait_until_it_listens();
        }
        _ => {
            let which = random.next(cluster.workers.len() as u64) as usize;
            let worker = &mut cluster.workers[which];
            worker.kill();
            std::thread::sleep(pause);
            worker.up();
        }
    }
}

/// A record that is there stays as it is: no finished task ran again.
fn check_records(job: &Path, done: &mut BTreeMap<String, Vec<u8>>) {
    for (path, record) in records(job) {
        let before = done.entry(path.clone()).or_insert_with(|| record.clone());
        assert_eq!(*before, record, "{path} was done and ran again");
    }
}
