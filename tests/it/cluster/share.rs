//! Jobs share the workers: those of one priority equally, and a higher priority goes first.

use super::{Cluster, Setup};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

#[test]
fn jobs_share_the_workers_by_priority() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let write = |name: &str, documents: u64| {
        let mut lines = String::new();
        for number in 0..documents {
            let text = "some words of no meaning ".repeat(650);
            writeln!(lines, "{}", json!({"id": format!("d{number}"), "text": text})).expect("memory");
        }
        std::fs::write(folder.join(name), lines).expect("writes");
    };
    // A task is four documents: twenty milliseconds at least. The long jobs do not end within this test.
    write("long.jsonl", 2400);
    write("short.jsonl", 40);
    let recipe = "name: share\nsteps:\n- fault_injection: {sleep_ms: 5}\ntasks: {size: 64KiB}\noutput: {format: jsonl}\n";
    std::fs::write(folder.join("recipe.yaml"), recipe).expect("writes");
    let environment = vec![("GRISTMILL_FAULT_INJECTION", "1".to_owned())];
    let setup = Setup { workers: 1, lanes: 1, lease: "10s", environment, ..Setup::default() };
    let Some(cluster) = Cluster::start(folder, setup) else { return };
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let submit = |input: &str, name: &str, priority: &str| {
        let (input, output) = (place(input), place(name));
        cluster.submit(&["--input", &input, "--output", &output, "--priority", priority])
    };
    let done = |job: &str| cluster.json(&["job", job])["stages"][0]["tasks_done"].as_u64().unwrap_or(0);
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_mins(1), "{what}: {}", cluster.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    };

    let first = submit("long.jsonl", "first", "normal");
    until("the first job begins", &|| done(&first) > 5);
    let second = submit("long.jsonl", "second", "normal");
    until("the second job gets its share", &|| done(&second) >= 20);
    let before = done(&first);
    let urgent = submit("short.jsonl", "urgent", "high");
    cluster.wait(&urgent, Duration::from_mins(1));
    until("the first job goes on", &|| done(&first) > before);
    let states = [&first, &second].map(|job| cluster.json(&["job", job])["state"].clone());
    assert_eq!(states, ["running", "running"], "the others were not to end before the urgent one");
}
