//! `make cluster` and `make cluster-demo`: the cluster of plain processes comes up, does a job, and leaves nothing behind.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{root, tool};

/// A run of ports that nobody listens on, below those of outgoing connections.
fn ports(count: u16) -> u16 {
    let mut seed = [0; 2];
    getrandom::fill(&mut seed).expect("randomness");
    let first = 20_000 + u16::from_le_bytes(seed) % 9_000;
    let free = |base: u16| {
        let held: Vec<_> = (base..base + count).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        held.iter().all(Result::is_ok)
    };
    (0..100).map(|step| first + step * count).find(|base| free(*base)).expect("free ports")
}

fn script(folder: &Path, base: u16, command: &str) -> Command {
    let weed = tool("weed").expect("asked for before");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut script = Command::new(root().join("deploy/cluster.sh"));
    script
        .arg(command)
        .env("GRISTMILL", gristmill_tests::gristmill().get_program())
        .env("PATH", format!("{}:{path}", weed.parent().expect("a folder").display()))
        .env("FOLDER", folder)
        .env("NAME", "test");
    for (at, port) in ["GRPC_PORT", "REDIS_PORT", "PROMETHEUS_PORT"].iter().zip(base..) {
        script.env(at, port.to_string());
    }
    script.env("METRICS_PORT", (base + 3).to_string()).env("S3_PORT", (base + 6).to_string());
    script
}

struct Cluster(Child);

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn it_comes_up_does_a_job_and_leaves_nothing_behind() {
    let (Some(_), Some(models)) = (tool("weed"), gristmill_tests::shared("data/lid/lid.176.ftz")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let base = ports(16);
    let said = folder.path().join("said");
    let output = std::fs::File::create(&said).expect("a file");
    let cluster = script(folder.path(), base, "up")
        .env("MODELS", models.parent().expect("a folder"))
        .stdout(Stdio::null())
        .stderr(output)
        .spawn();
    let mut cluster = Cluster(cluster.expect("starts"));
    let read = || std::fs::read_to_string(&said).unwrap_or_default();
    let began = Instant::now();
    while !read().contains("The cluster is up") {
        let ended = cluster.0.try_wait().expect("waits");
        assert!(ended.is_none() && began.elapsed() < Duration::from_mins(5), "{ended:?}: {}", read());
        std::thread::sleep(Duration::from_millis(100));
    }

    let demo = script(folder.path(), base, "demo").output().expect("runs");
    let text = format!("{}{}", String::from_utf8_lossy(&demo.stdout), String::from_utf8_lossy(&demo.stderr));
    assert!(demo.status.success(), "{text}\n{}", read());
    assert!(text.contains("documents are as the manifest says"), "{text}");

    drop(cluster);
    for port in base..base + 16 {
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "{port} is still held: {}", read());
    }
}
