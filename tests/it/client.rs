//! The client commands against a coordinator and a worker: what they print, and with which exit codes they end.

use crate::cluster::{Cluster, Setup};
use crate::queue::server::free_port;
use crate::run::{corpus, must_run, published};
use gristmill_tests::gristmill;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn cluster(folder: &Path) -> Option<Cluster> {
    Cluster::start(folder, Setup { workers: 1, ..Setup::default() })
}

fn until(what: &str, cluster: &Cluster, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_job_that_is_submitted_and_watched_gives_what_run_gives() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, 4, 100);
    must_run(folder, &["--output", "calm"]);
    let Some(cluster) = cluster(folder) else { return };

    // A relative path on the command line is a path from here.
    let args =
        ["submit", "recipe.yaml", "--output", "out", "--watch", "--label", "team=web", "--priority", "high"];
    let watched = cluster.ask(&args);
    assert_eq!(code(&watched), Some(0), "{}{}", stderr(&watched), cluster.logs());
    assert!(published(&folder.join("out")) == published(&folder.join("calm")), "the datasets differ");
    let id = stdout(&watched).trim().to_owned();
    let said = stderr(&watched);
    for part in ["[1/", "documents in", "dropped by exact_dedup: duplicate", &format!("job {id} is done")] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }

    // The same request is the same job.
    let again = cluster.ask(&["submit", "recipe.yaml", "--output", "out", "--json"]);
    let answer: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!((&answer["created"], answer["job"]["id"].as_str()), (&Value::Bool(false), Some(id.as_str())));

    let job = cluster.json(&["job", &id]);
    assert_eq!((job["state"].as_str(), job["priority"].as_str()), (Some("done"), Some("high")), "{job}");
    assert_eq!(job["labels"]["team"], "web");
    let documents = &job["documents"];
    let sum =
        |counts: &Value| counts.as_object().expect("counts").values().filter_map(Value::as_u64).sum::<u64>();
    let accounted =
        documents["kept"].as_u64().expect("kept") + sum(&documents["dropped"]) + sum(&documents["broken"]);
    assert_eq!(documents["seen"].as_u64(), Some(accounted));
    assert!(Path::new(job["manifest"].as_str().expect("a manifest")).exists(), "{job}");

    // The beginning of an id is enough.
    assert_eq!(cluster.json(&["job", &id[..id.len() - 3]])["id"], id.as_str());
    let tasks = cluster.json(&["tasks", &id, "--stage", "0"]);
    let tasks = tasks["tasks"].as_array().expect("tasks");
    assert_eq!(Some(tasks.len() as u64), job["stages"][0]["tasks"].as_u64());
    assert!(tasks.iter().all(|task| task["state"] == "done"), "{tasks:?}");
    let found =
        |args: &[&str]| cluster.json(&[&["jobs"], args].concat())["jobs"].as_array().expect("jobs").len();
    assert_eq!(found(&["--all"]), 1);
    assert_eq!(found(&["--state", "done", "--label", "team=web"]), 1);
    assert_eq!(found(&["--state", "running", "--state", "failed"]), 0);
    assert_eq!(found(&["--label", "team=other"]), 0);
    let table = stdout(&cluster.ask(&["jobs"]));
    assert!(table.starts_with("ID ") && table.contains(&id), "{table}");

    // A watch of a job that has ended ends; each line is the job.
    let watched = cluster.ask(&["watch", &id, "--json"]);
    let last =
        stdout(&watched).lines().last().map(serde_json::from_str::<Value>).expect("a line").expect("JSON");
    assert_eq!((code(&watched), last["state"].as_str()), (Some(0), Some("done")));
}

#[test]
fn a_job_that_fails_ends_with_1_and_its_reason_and_can_be_retried() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, 3, 50);
    let Some(mut cluster) = cluster(folder) else { return };
    cluster.workers[0].kill();
    let id = cluster.submit(&["--output", "out"]);
    until("it is planned", &cluster, || cluster.json(&["job", &id])["state"] == "running");

    // An input that changes after planning.
    let input = folder.join("in/1.jsonl");
    let before =
        (fs::read(&input).expect("read"), fs::metadata(&input).and_then(|m| m.modified()).expect("a time"));
    fs::write(&input, "{\"text\": \"another\"}\n").expect("write");
    cluster.workers[0].up();
    let watched = cluster.ask(&["watch", &id]);
    assert_eq!(code(&watched), Some(1), "{}{}", stdout(&watched), cluster.logs());
    let said = stderr(&watched);
    assert!(said.contains(&format!("job {id} failed: ")) && said.contains("retry"), "{said}");
    assert_eq!(cluster.json(&["job", &id])["stages"][0]["tasks_failed"], 1);
    let failed = cluster.json(&["tasks", &id, "--state", "failed", "--stage", "0"]);
    assert!(!failed["tasks"][0]["reason"].as_str().expect("a reason").is_empty(), "{failed}");
    let listed = stdout(&cluster.ask(&["tasks", &id, "--stage", "0", "--failures"]));
    assert!(listed.contains("in/1.jsonl"), "{listed}");

    // As it was, it goes through.
    fs::write(&input, &before.0).expect("write");
    fs::File::options()
        .write(true)
        .open(&input)
        .and_then(|file| file.set_modified(before.1))
        .expect("a time");
    assert_eq!(cluster.json(&["retry", &id])["tasks"], 1);
    let watched = cluster.ask(&["watch", &id, "--plain"]);
    assert_eq!(code(&watched), Some(0), "{}{}", stderr(&watched), cluster.logs());
    assert!(stdout(&watched).contains("documents in"), "{}", stdout(&watched));
}

#[test]
fn a_job_that_cannot_be_planned_is_an_error_at_once() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 1, 10);
    let Some(cluster) = cluster(folder.path()) else { return };
    let none = cluster.ask(&["submit", "recipe.yaml", "--output", "out", "--input", "nowhere/*.jsonl"]);
    assert_eq!(code(&none), Some(1), "{}", stderr(&none));
    assert!(stderr(&none).contains("nowhere"), "{}", stderr(&none));
}

#[test]
fn a_job_can_be_paused_resumed_and_cancelled() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 3, 50);
    let Some(mut cluster) = cluster(folder.path()) else { return };
    cluster.workers[0].kill();
    let id = cluster.submit(&["--output", "out"]);
    until("it is planned", &cluster, || cluster.json(&["job", &id])["state"] == "running");
    assert_eq!(cluster.json(&["pause", &id])["state"], "paused");
    let twice = cluster.ask(&["pause", &id]);
    assert_eq!(code(&twice), Some(2), "{}", stderr(&twice));
    assert_eq!(cluster.json(&["resume", &id])["state"], "running");
    let cancelled = cluster.json(&["cancel", &id, "--reason", "not needed"]);
    assert_eq!(
        (cancelled["state"].as_str(), cancelled["reason"].as_str()),
        (Some("cancelled"), Some("not needed"))
    );
    let watched = cluster.ask(&["watch", &id]);
    assert_eq!(code(&watched), Some(1));
    assert!(stderr(&watched).contains("cancelled: not needed"), "{}", stderr(&watched));

    cluster.workers[0].up();
    // It wrote nothing, so another try may have its place, once the coordinator has given it up.
    let again =
        |key: &str| cluster.ask(&["submit", "recipe.yaml", "--output", "out", "--key", key, "--watch"]);
    assert!((0..20).any(|n| code(&again(&n.to_string())) == Some(0)), "{}", cluster.logs());
    assert_eq!(code(&cluster.ask(&["resume", &id])), Some(2));
}

#[test]
fn a_watch_outlives_the_coordinator() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 3, 100);
    let Some(mut cluster) = cluster(folder.path()) else { return };
    // Nothing runs, so that the job cannot end before its coordinator does.
    cluster.workers[0].kill();
    let id = cluster.submit(&["--output", "out"]);
    let log = folder.path().join("watch.log");
    let file = fs::File::create(&log).expect("a log");
    let mut watching = cluster.client(&["watch", &id, "--plain"]);
    let mut watching = watching.stdin(Stdio::null()).stdout(file).spawn().expect("it starts");
    let said = |part: &str| fs::read_to_string(&log).expect("a log").contains(part);
    until("it watches", &cluster, || said("running"));
    cluster.coordinators[0].kill();
    until("it notices", &cluster, || said("trying again"));
    // Longer than any call tries.
    std::thread::sleep(Duration::from_secs(4));
    cluster.coordinators[0].up();
    cluster.workers[0].up();
    until("it comes back", &cluster, || said("answers again"));
    let status = watching.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{}{}", fs::read_to_string(&log).expect("a log"), cluster.logs());
    assert!(said(&format!("job {id} is done")));
}

#[test]
fn wrong_requests_end_with_2_and_say_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 1, 10);
    let Some(cluster) = cluster(folder.path()) else { return };
    let id = cluster.submit(&["--output", "out"]);
    let check = |args: &[&str], part: &str| {
        let output = cluster.ask(args);
        let said = stderr(&output);
        assert!(code(&output) == Some(2) && said.contains(part), "{args:?}: {:?} {said}", code(&output));
    };
    let mut typo = id.clone();
    typo.replace_range(id.len() - 1.., "z");
    check(&["job", &typo], &format!("did you mean {id}?"));
    check(&["watch", "quite-another"], "`gristmill jobs --all`");
    check(&["tasks", &id, "--stage", "99"], "99");
    check(&["submit", "recipe.yaml", "--set", "steps.exact_dedup.nonsense=1"], "nonsense");
    check(&["submit", "nowhere.yaml"], "cannot read the recipe nowhere.yaml");
    check(&["jobs", "--context", "cluster"], "has no context \"cluster\"");
    check(&["jobs", "--ca", "nowhere.pem"], "cannot read nowhere.pem");
}

#[test]
fn a_coordinator_that_cannot_be_reached_ends_with_3() {
    let server = format!("127.0.0.1:{}", free_port());
    let output = gristmill().args(["jobs", "--server", &server]).output().expect("it starts");
    assert_eq!(code(&output), Some(3));
    let said = stderr(&output);
    assert!(said.contains(&server) && said.contains("cannot be reached"), "{said}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = gristmill().args(["completions", shell]).output().expect("it starts");
        let text = stdout(&output);
        assert!(text.contains("submit") && text.contains("client-config"), "{shell}: {text}");
    }
}
