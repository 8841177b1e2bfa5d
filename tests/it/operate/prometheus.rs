//! Debian's Prometheus for a test: scrapes every second, on a free port, in a directory of its own, gone with the test.

use crate::queue::server::{free_port, have};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Prometheus {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes `(role, port)`, all of which serve; the label `job` is `gristmill-ROLE`. `rules` are files of rules. `None`, and it says so, where there is no
    /// Prometheus.
    pub(crate) fn start(targets: &[(&str, u16)], rules: &[&Path]) -> Option<Self> {
        if !have("prometheus", true) {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut config =
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n".to_owned();
        writeln!(config, "rule_files: {}", serde_json::json!(rules)).expect("memory");
        config.push_str("scrape_configs:\n");
        let mut roles: Vec<&str> = targets.iter().map(|(role, _)| *role).collect();
        roles.dedup();
        for role in roles {
            let of_role = targets.iter().filter(|(of, _)| *of == role);
            let addresses: Vec<String> = of_role.map(|(_, port)| format!("127.0.0.1:{port}")).collect();
            writeln!(config, "- job_name: gristmill-{role}\n  static_configs: [{{targets: {addresses:?}}}]")
                .expect("memory");
        }
        std::fs::write(dir.path().join("prometheus.yml"), config).expect("writes");
        let (port, log) = (free_port(), std::fs::File::create(dir.path().join("log")).expect("a log file"));
        let child = Command::new("prometheus")
            .current_dir(dir.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("it starts");
        let prometheus = Self { child, port, dir };
        // It takes some seconds until it has looked at all of them.
        let is_ready = || {
            let serves = get(port, "/-/ready").is_some_and(|answer| answer.contains("eady"));
            serves && prometheus.number("count(up == 1)") >= targets.len() as f64
        };
        let began = Instant::now();
        while !is_ready() {
            let log = || std::fs::read_to_string(prometheus.dir.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_mins(2), "prometheus is not ready: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(prometheus)
    }

    /// What an expression gives now: the series, each with `metric` and `value`.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.ask(&format!("/api/v1/query?query={encoded}"));
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// The data of an answer of its API.
    #[track_caller]
    pub(crate) fn ask(&self, path: &str) -> Value {
        let answer = get(self.port, path).expect("prometheus answers");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].take()
    }

    /// The number that an expression without labels gives.
    #[track_caller]
    pub(crate) fn number(&self, expression: &str) -> f64 {
        let series = self.query(expression);
        let value = series.first().and_then(|series| series["value"][1].as_str());
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an answer by HTTP; none if nobody answers.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    // In this version of HTTP bodies come in one piece.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
