//! Every panel of every dashboard has data while a cluster works, and every alert asks for metrics that are there.

use super::metrics::{listed, submit, watched};
use super::prometheus::Prometheus;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(3);

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// The queries of all panels, with Grafana's variables filled in, each with where it stands.
fn queries(job: &str) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for name in ["jobs", "fleet", "storage", "coordinator"] {
        let text = std::fs::read_to_string(deploy(&format!("grafana/dashboards/{name}.json")));
        let dashboard: Value = serde_json::from_str(&text.expect("a dashboard")).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().expect("a query");
                let expr = expr.replace("$__rate_interval", "1m").replace("$job", job);
                queries.push((format!("{name}: {}", panel["title"]), expr));
            }
        }
    }
    queries
}

#[test]
fn every_panel_has_data_while_a_job_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let Some(cluster) = watched(folder) else { return };
    let rules = deploy("prometheus/gristmill.rules.yaml").canonicalize().expect("the alerts");
    let Some(prometheus) = Prometheus::start(&cluster.metrics(), &[&rules]) else { return };
    let job = submit(&cluster, folder, "out");
    // One call that is refused.
    assert!(!cluster.ask(&["job", "none-such"]).status.success());
    let mut without = queries(&job);
    assert!(without.len() > 60, "{}", without.len());
    let began = Instant::now();
    let mut rounds = 0;
    while !without.is_empty() {
        without.retain(|(_, expr)| prometheus.query(expr).is_empty());
        assert!(began.elapsed() < PATIENCE, "no data: {without:#?}\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(200));
        rounds += 1;
        // A job that is over takes some of it along: then another one.
        if rounds % 100 == 0 {
            submit(&cluster, folder, &format!("out-{rounds}"));
        }
    }
    cluster.wait(&job, PATIENCE);

    let answer = prometheus.ask("/api/v1/rules?type=alert");
    let known = listed();
    let groups = answer["groups"].as_array().expect("groups");
    let rules: Vec<&Value> =
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    assert!(rules.len() >= 10, "{answer}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        let query = rule["query"].as_str().expect("a query");
        let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for name in words.filter(|word| word.starts_with("gristmill_") || word.starts_with("process_")) {
            assert!(known.contains(name), "{}: {name} is no metric", rule["name"]);
        }
    }
}
