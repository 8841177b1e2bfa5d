//! Coordinators, workers and a Redis as processes, killed and started at will.

use crate::queue::server::{Server, free_port, path};
use gristmill_tests::gristmill;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How a cluster differs from the usual one.
pub(crate) struct Setup {
    pub(crate) coordinators: usize,
    pub(crate) workers: usize,
    pub(crate) lanes: usize,
    pub(crate) lease: &'static str,
    /// In place of a folder of the test's own.
    pub(crate) workspace: Option<String>,
    /// Further prefixes that recipes may use.
    pub(crate) allow: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) coordinator_args: Vec<String>,
    pub(crate) worker_args: Vec<String>,
    /// Every process serves its metrics.
    pub(crate) metrics: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            coordinators: 1,
            workers: 2,
            lanes: 2,
            lease: "1s",
            workspace: None,
            allow: Vec::new(),
            environment: Vec::new(),
            coordinator_args: Vec::new(),
            worker_args: Vec::new(),
            metrics: false,
        }
    }
}

/// A running cluster; all of it ends with the test.
pub(crate) struct Cluster {
    pub(crate) redis: Server,
    pub(crate) coordinators: Vec<Process>,
    pub(crate) workers: Vec<Process>,
    /// A further worker, which is not running.
    spare: Process,
    folder: PathBuf,
}

/// A part of the cluster.
pub(crate) struct Process {
    args: Vec<String>,
    environment: Vec<(&'static str, String)>,
    folder: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// Of a coordinator.
    pub(crate) port: u16,
    /// Of its metrics, where it serves them.
    metrics: Option<u16>,
}

impl Cluster {
    /// Starts a cluster whose recipes may use `folder`. `None`, and it says so, where there is no Redis.
    pub(crate) fn start(folder: &Path, setup: Setup) -> Option<Self> {
        let redis = Server::start("redis-server", &[])?;
        let workspace = setup.workspace.unwrap_or_else(|| path(&folder.join("ws")));
        let shared: Vec<String> =
            ["--workspace", &workspace, "--redis", &redis.url(), "--lease", setup.lease]
                .map(str::to_owned)
                .into();
        let process = |name: String, mut args: Vec<String>, port| {
            let metrics = setup.metrics.then(free_port);
            if let Some(port) = metrics {
                args.extend(["--metrics".to_owned(), format!("127.0.0.1:{port}")]);
            }
            Process {
                args,
                environment: setup.environment.clone(),
                folder: folder.to_owned(),
                log: folder.join(format!("{name}.log")),
                child: None,
                port,
                metrics,
            }
        };
        let coordinators = (0..setup.coordinators).map(|n| {
            let port = free_port();
            let mut args = vec!["coordinator".to_owned()];
            args.extend(shared.clone());
            args.extend(["--listen".to_owned(), format!("127.0.0.1:{port}")]);
            args.extend(["--max-attempts".to_owned(), "50".to_owned()]);
            for allowed in setup.allow.iter().cloned().chain([path(folder)]) {
                args.extend(["--allow".to_owned(), allowed]);
            }
            args.extend(setup.coordinator_args.clone());
            process(format!("coordinator-{n}"), args, port)
        });
        let coordinators = coordinators.collect();
        let worker = |n: usize| {
            let mut args = vec!["worker".to_owned()];
            args.extend(shared.clone());
            args.extend(["--max-attempts".to_owned(), "50".to_owned()]);
            args.extend(["--lanes".to_owned(), setup.lanes.to_string()]);
            args.extend(setup.worker_args.clone());
            process(format!("worker-{n}"), args, 0)
        };
        let workers = (0..setup.workers).map(worker).collect();
        let spare = worker(setup.workers);
        let mut cluster = Self { redis, coordinators, workers, spare, folder: folder.to_owned() };
        for process in cluster.coordinators.iter_mut().chain(&mut cluster.workers) {
            process.up();
        }
        cluster.coordinators.iter().for_each(Process::wait_until_it_listens);
        Some(cluster)
    }

    /// A client command against the first coordinator.
    pub(crate) fn client(&self, args: &[&str]) -> Command {
        let mut command = gristmill();
        let port = self.coordinators.first().expect("a coordinator").port;
        command
            .current_dir(&self.folder)
            .args(args)
            .env("GRISTMILL_SERVER", format!("127.0.0.1:{port}"))
            .env("XDG_CONFIG_HOME", self.folder.join("none"));
        command
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Output {
        self.client(args).output().expect("the client starts")
    }

    /// The answer of a client command in JSON.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.ask(&[args, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}\n{}", self.logs());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Submits `recipe.yaml` with further arguments and gives the job's id.
    #[track_caller]
    pub(crate) fn submit(&self, args: &[&str]) -> String {
        let output = self.ask(&[&["submit", "recipe.yaml"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", self.logs());
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// Waits until the job is done.
    #[track_caller]
    pub(crate) fn wait(&self, job: &str, most: Duration) {
        let began = Instant::now();
        loop {
            // The coordinator may be down at this moment.
            let output = self.ask(&["job", job, "--json"]);
            let view: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let state = view["state"].as_str().unwrap_or("unknown");
            match state {
                "done" => return,
                "failed" | "cancelled" => panic!("{view}\n{}", self.logs()),
                _ => assert!(began.elapsed() < most, "{view}\n{}", self.logs()),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts a further worker; once.
    pub(crate) fn add_worker(&mut self) {
        self.spare.up();
    }

    /// Role and port of all who serve metrics.
    pub(crate) fn metrics(&self) -> Vec<(&'static str, u16)> {
        let of = |role, processes: &[Process]| {
            processes.iter().filter_map(move |process| Some((role, process.metrics?))).collect::<Vec<_>>()
        };
        [of("coordinator", &self.coordinators), of("worker", &self.workers)].concat()
    }

    /// The end of every process's log, for messages.
    pub(crate) fn logs(&self) -> String {
        self.coordinators.iter().chain(&self.workers).map(Process::log).collect()
    }

    pub(crate) fn flush_redis(&self) {
        let client = redis::Client::open(self.redis.url()).expect("URL");
        let mut connection = client.get_connection().expect("connects");
        let () = redis::cmd("FLUSHALL").query(&mut connection).expect("FLUSHALL");
    }
}

impl Process {
    /// Starts it (again).
    pub(crate) fn up(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        let mut command = gristmill();
        command
            .current_dir(&self.folder)
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .env("GRISTMILL_LOG", "warn,gristmill=info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.id().cast_signed())
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).expect("it runs");
        rustix::process::kill_process(pid, signal).expect("it is ours");
    }

    /// Whether it has ended, and how; it is then not running any more.
    pub(crate) fn wait_for_end(&mut self, most: Duration) -> Option<std::process::ExitStatus> {
        let began = Instant::now();
        let child = self.child.as_mut()?;
        while began.elapsed() < most {
            if let Some(status) = child.try_wait().expect("a child") {
                self.child = None;
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    pub(crate) fn wait_until_it_listens(&self) {
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn whole_log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
        format!("--- {}\n{end}\n", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
