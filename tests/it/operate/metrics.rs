//! A cluster at work, seen by a real Prometheus: every metric that `deploy/METRICS.md` lists is there, and no other.

use super::prometheus::{Prometheus, get};
use crate::cluster::{Cluster, Setup};
use crate::queue::server::have;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(3);

/// A job that has something of everything: records that are no documents, documents that are broken, dropped and kept, a dedup;
/// and, if it is to be deadly, a document that kills its worker.
pub(super) fn write_job(folder: &Path, deadly: bool) {
    let filler = "some words of no meaning ".repeat(20);
    let mut lines = String::new();
    for number in 0..600 {
        let text = match number {
            300 if deadly => format!("{filler} must abort"),
            _ if number % 10 == 0 => "short".to_owned(),
            _ => format!("{filler} {}", number % 400),
        };
        writeln!(lines, "{}", json!({"id": format!("d{number}"), "text": text})).expect("memory");
        if number % 100 == 0 {
            lines.push_str("{\"text\": \"cut off\n");
        }
    }
    std::fs::write(folder.join("in.jsonl"), lines).expect("writes");
    std::fs::write(folder.join("in.warc.wet"), wet()).expect("writes");
    let recipe = "name: operate
input: [in.jsonl, in.warc.wet]
steps:
- fault_injection: {abort: must abort, sleep_ms: 2}
- page_length_filter: {length_type: word, min_length: 5}
- exact_dedup
tasks: {size: 64KiB, buckets: 2}
output: {format: jsonl}
";
    std::fs::write(folder.join("recipe.yaml"), recipe).expect("writes");
}

/// A record that is no document, and one that is.
fn wet() -> String {
    let record = |kind: &str, number: u32, content: &str| {
        let head = format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: http://example.org/{number}\r\n"
        );
        let id = format!("WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-00000000000{number}>\r\n");
        let length = content.len();
        format!("{head}{id}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{content}\r\n\r\n")
    };
    record("warcinfo", 1, "software: none") + &record("conversion", 2, "a text of five words and more")
}

pub(super) fn submit(cluster: &Cluster, folder: &Path, output: &str) -> String {
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (lines, records, output) = (place("in.jsonl"), place("in.warc.wet"), place(output));
    cluster.submit(&["--input", &lines, "--input", &records, "--output", &output])
}

/// A cluster whose metrics can be read, with that job before it.
pub(super) fn watched(folder: &Path) -> Option<Cluster> {
    write_job(folder, true);
    let setup = Setup {
        environment: vec![("GRISTMILL_FAULT_INJECTION", "1".to_owned())],
        metrics: true,
        ..Setup::default()
    };
    Cluster::start(folder, setup)
}

/// The names in the first columns of the tables.
pub(super) fn listed() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/METRICS.md");
    let text = std::fs::read_to_string(path).expect("the list of metrics");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = rows.flat_map(|cell| cell.split("`, `").map(|name| name.trim_end_matches('`').to_owned()));
    names.collect()
}

#[test]
fn prometheus_finds_every_metric_of_a_cluster_at_work() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let Some(cluster) = watched(folder) else { return };
    let targets: Vec<(&str, u16)> = cluster.metrics();
    let Some(prometheus) = Prometheus::start(&targets, &[]) else { return };
    let job = submit(&cluster, folder, "out");
    cluster.wait(&job, PATIENCE);

    // What is there now or was, since some of it is there only while a job runs.
    let wanted = listed();
    assert!(wanted.len() > 60, "{wanted:?}");
    let began = Instant::now();
    loop {
        let series = prometheus
            .query("count by (__name__) (last_over_time({__name__=~\"gristmill_.+|process_.+\"}[10m]))");
        let names = series.iter().filter_map(|series| series["metric"]["__name__"].as_str());
        let names = names.filter(|name| !name.ends_with("_bucket") && !name.ends_with("_sum"));
        let told: BTreeSet<String> =
            names.map(|name| name.strip_suffix("_count").unwrap_or(name).to_owned()).collect();
        let missing: Vec<&String> = wanted.difference(&told).collect();
        let unlisted: Vec<&String> = told.difference(&wanted).collect();
        assert!(unlisted.is_empty(), "not in deploy/METRICS.md: {unlisted:?}");
        if missing.is_empty() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "no data: {missing:?}\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(200));
    }

    // Nothing vanishes there either.
    let job = |name: &str| {
        let of_first_stage =
            format!("sum(gristmill_job_documents_{name}_total{{job_id=\"{job}\",stage=\"0\"}})");
        prometheus.number(&of_first_stage)
    };
    // The last scrape may be a second old.
    let began = Instant::now();
    loop {
        let (seen, ended) = (job("in"), job("kept") + job("dropped") + job("broken"));
        // 600 lines, 6 that are cut off, and a record.
        if (seen, ended) == (607.0, 607.0) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{seen} in, {ended} ended");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn promtool_has_nothing_to_say_against_the_endpoints() {
    if !have("promtool", true) {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let Some(cluster) = watched(folder) else { return };
    let job = submit(&cluster, folder, "out");
    cluster.wait(&job, PATIENCE);
    for (role, port) in cluster.metrics() {
        let text = get(port, "/metrics").expect("an answer");
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        promtool.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("it reads");
        let output = promtool.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{role}: {said}\n{text}");
    }
}
