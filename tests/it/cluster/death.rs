//! Documents that kill and hang workers of a cluster, and a worker that dies near the end of a long task.

use super::{Cluster, Setup};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(2);

/// A file of documents; some of them have a fault to order.
fn write_input(folder: &Path, documents: u64, fault: impl Fn(u64) -> &'static str) {
    let filler = "some words of no meaning ".repeat(20);
    let mut lines = String::new();
    for number in 0..documents {
        let record = json!({"id": format!("d{number}"), "text": format!("{filler}{}", fault(number))});
        writeln!(lines, "{record}").expect("memory");
    }
    std::fs::write(folder.join("in.jsonl"), lines).expect("writes");
}

fn write_recipe(folder: &Path, step: &str, more: &str) {
    let recipe = format!(
        "name: death\ninput: in.jsonl\nsteps:\n- fault_injection: {step}\n{more}output: {{format: jsonl}}\n"
    );
    std::fs::write(folder.join("recipe.yaml"), recipe).expect("writes");
}

fn submit(cluster: &Cluster, folder: &Path) -> String {
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    cluster.submit(&["--input", &place("in.jsonl"), "--output", &place("out")])
}

fn environment() -> Vec<(&'static str, String)> {
    vec![("GRISTMILL_FAULT_INJECTION", "1".to_owned()), ("NO_COLOR", "1".to_owned())]
}

#[test]
fn documents_that_kill_and_hang_workers_cost_themselves() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    write_input(folder, 1000, |n| match n {
        123 => "must abort",
        456 => "must hang",
        789 => "must overflow",
        _ => "",
    });
    write_recipe(
        folder,
        "{abort: must abort, hang: must hang, overflow: must overflow}",
        "tasks: {size: 64KiB}\nlimits: {document_time: 2}\n",
    );
    let setup = Setup { environment: environment(), ..Setup::default() };
    let Some(cluster) = Cluster::start(folder, setup) else { return };
    let job = submit(&cluster, folder);
    cluster.wait(&job, PATIENCE);
    let manifest = std::fs::read(folder.join("out/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["documents"]["broken"], json!({"poison": 3}), "{}", cluster.logs());
    assert_eq!(manifest["documents"]["kept"], 997);
    let problems = std::fs::read_to_string(folder.join("out/_problems.jsonl")).expect("problems");
    for id in ["d123", "d456", "d789"] {
        assert!(problems.contains(&format!("\"{id}\"")), "{problems}");
    }
}

#[test]
fn the_next_worker_goes_on_from_the_last_checkpoint() {
    const DOCUMENTS: u64 = 800;
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    write_input(folder, DOCUMENTS, |_| "");
    write_recipe(folder, "{sleep_ms: 4}", "tasks: {size: 64MiB}\n");
    let setup = Setup {
        workers: 1,
        lanes: 1,
        environment: environment(),
        worker_args: vec!["--checkpoint-every".to_owned(), "100ms".to_owned()],
        ..Setup::default()
    };
    let Some(mut cluster) = Cluster::start(folder, setup) else { return };
    let job = submit(&cluster, folder);
    let head = folder.join(format!("ws/jobs/{job}/checkpoints/0/00000000/head.json"));
    let began = Instant::now();
    loop {
        let head: Value =
            std::fs::read(&head).ok().and_then(|h| serde_json::from_slice(&h).ok()).unwrap_or_default();
        if head["tally"]["in"].as_u64() >= Some(DOCUMENTS * 9 / 10) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "no checkpoint: {}", cluster.logs());
        std::thread::sleep(Duration::from_millis(5));
    }
    let worker = cluster.workers.first_mut().expect("a worker");
    worker.kill();
    worker.up();
    cluster.wait(&job, PATIENCE);

    let log = cluster.workers.first().expect("a worker").whole_log();
    let line = log.lines().find(|line| line.contains("read to the end")).expect("a word of the end");
    let read = line.split(' ').find_map(|word| word.strip_prefix("read="));
    let read: u64 = read.and_then(|n| n.parse().ok()).expect("a number");
    assert!(read < DOCUMENTS / 5, "{line}");
    let rows = std::fs::read_to_string(folder.join("out/data/part-00000-000.jsonl")).expect("the data");
    let input = std::fs::read_to_string(folder.join("in.jsonl")).expect("the input");
    assert!(rows == input, "nothing is dropped here, so what comes out is what went in");
}
