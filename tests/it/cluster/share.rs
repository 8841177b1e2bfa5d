//! Jobs share the workers: those of one priority equally, and a higher priority goes first.

use super::{Cluster, Setup};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

#[test]
fn jobs_share_the_workers_by_priority() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let mut lines = String::new();
    for number in 0..800 {
        let text = "some words of no meaning ".repeat(20);
        writeln!(lines, "{}", json!({"id": format!("d{number}"), "text": text})).expect("memory");
    }
    std::fs::write(folder.join("in.jsonl"), lines).expect("writes");
    // 400 tasks of two documents: ten milliseconds each.
    let recipe = "name: share\nsteps:\n- fault_injection: {sleep_ms: 5}\ntasks: {size: 1KiB}\noutput: {format: jsonl}\n";
    std::fs::write(folder.join("recipe.yaml"), recipe).expect("writes");
    let environment = vec![("GRISTMILL_FAULT_INJECTION", "1".to_owned())];
    let setup = Setup { workers: 1, lanes: 1, lease: "10s", environment, ..Setup::default() };
    let Some(cluster) = Cluster::start(folder, setup) else { return };
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let submit = |name: &str, priority: &str| {
        let (input, output) = (place("in.jsonl"), place(name));
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

    let first = submit("first", "normal");
    until("the first job begins", &|| done(&first) > 5);
    let second = submit("second", "normal");
    until("the second job gets its share", &|| done(&second) >= 20);
    assert!(done(&first) < 390, "the first job went before the second: {}", done(&first));
    let urgent = submit("urgent", "high");
    cluster.wait(&urgent, Duration::from_mins(1));
    let (first, second) = (done(&first), done(&second));
    assert!(first < 400 && second < 400, "the urgent job waited for others: {first} {second}");
}
