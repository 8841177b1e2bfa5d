//! A real Redis or Valkey for a test: on a free port, in a directory of its own, gone with the test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server.
pub(crate) struct Server {
    program: &'static str,
    args: Vec<String>,
    child: Option<Child>,
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
}

/// Whether the program can be run. Says loudly when a test is skipped for want of it; `required` fails under `CI`.
pub(crate) fn have(program: &str, required: bool) -> bool {
    let there =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        assert!(!required || std::env::var_os("CI").is_none(), "{program} is not in PATH: CI needs it");
        eprintln!("SKIPPED: {program} is not in PATH");
    }
    there
}

impl Server {
    /// A server without persistence, or `None` if the program is not there. `more` are further arguments.
    pub(crate) fn start(program: &'static str, more: &[&str]) -> Option<Self> {
        let port = free_port();
        Self::start_on(port, program, &[&["--port", &port.to_string()], more].concat())
    }

    /// The same, where the arguments say which port is which; `port` is the one to be asked.
    pub(crate) fn start_on(port: u16, program: &'static str, more: &[&str]) -> Option<Self> {
        if !have(program, program == "redis-server") {
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut args: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"].map(Into::into).into();
        args.extend(["--dir".to_owned(), path(dir.path())]);
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        let mut server = Self { program, args, child: None, port, dir };
        server.up();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it (again) and waits until it listens.
    pub(crate) fn up(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log file");
        let mut command = Command::new(self.program);
        command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log);
        self.child = Some(command.spawn().expect("it starts"));
        let listens = || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        let start = Instant::now();
        while !listens() {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "{} does not listen: {}", self.program, log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is gone");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

pub(crate) fn path(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
