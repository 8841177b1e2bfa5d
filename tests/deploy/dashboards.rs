//! Dashboards and alerts, as far as they can be checked without a cluster (`cluster.rs` looks whether they have data).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::root;

/// What Grafana's schema reads from the dashboards.
pub(crate) fn dashboards() -> Option<Vec<Value>> {
    let python = gristmill_tests::python("grafana_foundation_sdk")?;
    let script = root().join("tests/oracles/dashboards.py");
    let output = Command::new(python).arg(script).arg(root().join("deploy/grafana/dashboards")).output();
    let output = output.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Prometheus' own checker, of Debian's package.
pub(crate) fn promtool(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("promtool");
    match command.args(arguments).current_dir(root().join("deploy/prometheus")).output() {
        Ok(output) => {
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(output.status.success(), "{said}");
            Some(said)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "promtool: {error}; `make setup` installs it");
            eprintln!("SKIPPED: promtool: {error}; `make setup` installs it");
            None
        }
    }
}

#[test]
fn they_are_what_the_code_makes() {
    let Some(python) = gristmill_tests::python("json") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let script = root().join("deploy/grafana/dashboards.py");
    assert!(Command::new(python).arg(script).arg(folder.path()).status().expect("runs").success());
    let names = |folder: PathBuf| -> BTreeSet<_> {
        std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect()
    };
    let committed = root().join("deploy/grafana/dashboards");
    assert_eq!(names(folder.path().to_owned()), names(committed.clone()));
    for name in names(committed.clone()) {
        let read = |path: PathBuf| std::fs::read_to_string(path).expect("reads");
        let same = read(folder.path().join(&name)) == read(committed.join(&name));
        assert!(same, "{} is not what dashboards.py makes: run it", name.display());
    }
}

#[test]
fn grafana_and_prometheus_take_them() {
    let Some(dashboards) = dashboards() else { return };
    let uids: Vec<&str> = dashboards.iter().filter_map(|one| one["uid"].as_str()).collect();
    assert_eq!(uids, ["gristmill-coordinator", "gristmill-fleet", "gristmill-jobs", "gristmill-storage"]);
    // promtool reads expressions in rules.
    let mut rules = String::from("groups:\n  - name: panels\n    rules:\n");
    for (at, expr) in expressions(&dashboards).iter().enumerate() {
        let expr = serde_json::to_string(&expr).expect("a string");
        writeln!(rules, "      - {{record: \"panel:{at}\", expr: {expr}}}").expect("memory");
    }
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    std::fs::write(file.path(), rules).expect("writes");
    promtool(&["check", "rules", file.path().to_str().expect("UTF-8")]);
}

/// Every query of every panel, as for a job and a range.
fn expressions(dashboards: &[Value]) -> Vec<String> {
    let panels = dashboards.iter().flat_map(|one| one["panels"].as_array().expect("panels"));
    let all = panels.flat_map(|panel| panel["exprs"].as_array().expect("queries"));
    all.map(|expr| filled(expr.as_str().expect("text"), "a-job")).collect()
}

/// With Grafana's variables filled in.
pub(crate) fn filled(expr: &str, job: &str) -> String {
    let expr = expr.replace("$__rate_interval", "1m").replace("$job", job);
    assert!(!expr.contains('$'), "{expr}");
    expr
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    promtool(&["check", "rules", "gristmill.rules.yaml"]);
    promtool(&["test", "rules", "gristmill.test.yaml"]);
    promtool(&["check", "config", "--syntax-only", "prometheus.yaml"]);
}

/// A newcomer who is woken by an alert finds its section.
#[test]
fn every_alert_has_its_section_in_the_runbook() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("reads");
    let (rules, runbook) = (read("deploy/prometheus/gristmill.rules.yaml"), read("deploy/RUNBOOK.md"));
    let names = |text: &str, before: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.trim().strip_prefix(before));
        names.map(str::to_owned).collect()
    };
    let alerts = names(&rules, "- alert: ");
    assert!(alerts.len() >= 10);
    assert_eq!(alerts, names(&runbook, "## "));
    let links = names(&rules, "runbook: deploy/RUNBOOK.md#");
    assert_eq!(links, alerts.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>());
    // What it links to within itself is there.
    for link in runbook.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(links.iter().any(|known| known == link), "{link}");
    }
}
