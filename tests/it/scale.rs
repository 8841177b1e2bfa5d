//! A job of ten million tasks with workers that do nothing: what it costs the coordinator and Redis.
//!
//! The store keeps a bit for each object that only says that something is done, and makes up its content when asked, so
//! that a job of the size of the whole Common Crawl fits a test machine. All else is real: the coordinator, Redis, the
//! listing of five million files, the plan, the records, the pages.

use crate::queue::server::Server;
use async_trait::async_trait;
use bytes::Bytes;
use gristmill_coordinator::{Allow, Coordinator, CoordinatorSettings, Submission};
use gristmill_job::resolve::Resolver;
use gristmill_job::{Job, JobState, PAGE_TASKS, TaskRecord};
use gristmill_pipeline::Tally;
use gristmill_queue::{Consumer, RedisOptions, RedisQueue, Settings};
use gristmill_storage::{
    ByteStream, Created, Entry, MemoryStore, Meta, Page, Store, StoreError, Stores, Upload, Uri,
};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes of a file of the input, and of a task: two tasks a file, as a WARC of Common Crawl makes.
const FILE: u64 = 1 << 30;
const TASK: u64 = FILE / 2;
const WORKERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_many_tasks_leaves_redis_small() {
    let Some(found) = run(30_000).await else { return };
    assert!(found.redis_peak < 64 << 20, "{found:?}");
}

/// `make soak`: ten million tasks, or as many as GRISTMILL_SCALE_TASKS says. Run alone, since it measures the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes most of an hour"]
async fn ten_million_tasks() {
    let tasks = std::env::var("GRISTMILL_SCALE_TASKS").ok().and_then(|n| n.parse().ok());
    let found = run(tasks.unwrap_or(10_000_000)).await.expect("redis-server is there");
    eprintln!("{found:?}");
    assert!(found.coordinator_peak < 1 << 30, "{found:?}");
    assert!(found.redis_peak < 200 << 20, "{found:?}");
}

#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Found {
    tasks: u64,
    tasks_per_second: f64,
    /// Of the whole process, workers and simulated store included.
    coordinator_peak: u64,
    redis_peak: u64,
}

async fn run(tasks: u64) -> Option<Found> {
    let server = Server::start("redis-server", &[])?;
    let workspace: Uri = "memory://scale/ws".parse().expect("URI");
    let stores = Stores::new(gristmill_storage::Settings::default());
    let simulated = Arc::new(Simulated::new(tasks));
    stores.replace(&workspace, Arc::clone(&simulated) as Arc<dyn Store>).expect("memory");
    let queue = RedisQueue::new(Settings::default(), &RedisOptions::new(server.url()), 1).expect("settings");
    let consumers: Vec<_> = (0..WORKERS as u64)
        .map(|n| queue.consumer("null", getrandom::u64().expect("chance") ^ n).expect("a consumer"))
        .collect();
    let scratch = tempfile::tempdir().expect("folder");
    let settings = CoordinatorSettings {
        workspace: workspace.clone(),
        allow: Allow::only(vec![
            "memory://scale/in".parse().expect("URI"),
            "memory://out".parse().expect("URI"),
        ]),
        keep_intermediate: false,
        scratch: scratch.path().to_owned(),
        autoscale: gristmill_coordinator::AutoscaleSettings::default(),
    };
    let resolver = Resolver::new(stores.clone(), scratch.path().to_owned(), scratch.path().to_owned());
    let coordinator =
        Coordinator::start(settings, stores.clone(), resolver, Arc::new(queue)).expect("starts");
    let recipe = format!(
        "name: scale\ninput: [memory://scale/in/]\nsteps:\n- page_length_filter: {{length_type: word, min_length: 5}}\n\
         tasks: {{size: {TASK}}}\noutput: {{path: memory://out/o}}\n"
    );
    let began = Instant::now();
    let submission = Submission { recipe, ..Submission::default() };
    let (view, _) = coordinator.submit(submission).await.expect("takes it");
    let job = Job::open(&stores, &workspace, &view.id).expect("job");
    for consumer in consumers {
        tokio::spawn(work(consumer, job.clone()));
    }
    let mut watch = coordinator.watch(&view.id).await.expect("watches");
    let (mut first, mut said) = (None, Instant::now());
    let view = loop {
        let view = watch.borrow_and_update().clone();
        if view.planned && first.is_none() {
            first = Some(Instant::now());
            eprintln!("planned after {:.0} s", began.elapsed().as_secs_f64());
        }
        if view.state.is_final() || view.state == JobState::Failed {
            break view;
        }
        if said.elapsed() > Duration::from_secs(30) {
            said = Instant::now();
            eprintln!("{:?} {:?}", view.stages.first().map(|s| s.tasks_done), view.rates);
        }
        watch.changed().await.expect("the coordinator runs");
    };
    assert_eq!((view.state, view.reason.as_str()), (JobState::Done, ""));
    assert_eq!((view.tally.seen, view.tally.dropped_total()), (tasks, tasks));
    let seconds = first.expect("planned").elapsed().as_secs_f64();
    coordinator.stop().await;
    Some(Found {
        tasks,
        tasks_per_second: tasks as f64 / seconds,
        coordinator_peak: peak_memory(),
        redis_peak: redis_peak(&server.url()).await,
    })
}

/// A worker that commits whatever it claims.
async fn work(consumer: impl Consumer, job: Job) {
    loop {
        let Ok(Some(lease)) = consumer.claim(Duration::from_secs(5)).await else { continue };
        let task = lease.task.id.as_str().rsplit('/').next().and_then(|n| n.parse().ok()).expect("our id");
        job.commit(&record(task)).await.expect("commits");
        consumer.finish(lease, Bytes::new()).await.expect("finishes");
    }
}

fn record(task: u64) -> TaskRecord {
    let mut tally = Tally { seen: 1, ..Tally::default() };
    tally.dropped.insert("page_length_filter: too short".to_owned(), 1);
    TaskRecord { task, attempt: "simulated".to_owned(), tally, ..TaskRecord::default() }
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

async fn redis_peak(url: &str) -> u64 {
    let client = redis::Client::open(url).expect("URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await.expect("INFO");
    let peak = info.lines().find_map(|line| line.strip_prefix("used_memory_peak:"));
    peak.and_then(|n| n.trim().parse().ok()).expect("a number")
}

/// See the module.
#[derive(Debug)]
struct Simulated {
    tasks: u64,
    done: Vec<AtomicU64>,
    pages: Mutex<std::collections::BTreeSet<u64>>,
    rest: MemoryStore,
}

/// What a key is.
enum What {
    Record(u64),
    RecordPage(u64),
    InputPage,
    Other,
}

fn what(key: &str) -> What {
    let Some((_, path)) = key.split_once("/jobs/").and_then(|(_, rest)| rest.split_once('/')) else {
        return What::Other;
    };
    let number = |path: &str, prefix: &str, end: &str| {
        path.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(end)).and_then(|n| n.parse().ok())
    };
    if let Some(task) = number(path, "tasks/0/", ".json") {
        What::Record(task)
    } else if let Some(page) = number(path, "pages/0/", ".jsonl.zst") {
        What::RecordPage(page)
    } else if path.starts_with("inputs/") {
        What::InputPage
    } else {
        What::Other
    }
}

impl Simulated {
    fn new(tasks: u64) -> Self {
        let words = tasks.div_ceil(64);
        Self {
            tasks,
            done: (0..words).map(|_| AtomicU64::new(0)).collect(),
            pages: Mutex::default(),
            rest: MemoryStore::new("scale"),
        }
    }

    fn is_done(&self, task: u64) -> bool {
        self.done[(task / 64) as usize].load(Ordering::Acquire) >> (task % 64) & 1 == 1
    }

    /// The names below a prefix, where this store makes them up.
    fn names(&self, prefix: &str, after: u64, most: u64) -> Option<(Vec<u64>, bool)> {
        let (from, to, there): (u64, u64, Box<dyn Fn(u64) -> bool + '_>) = if prefix == "in/" {
            (0, self.tasks / (FILE / TASK), Box::new(|_| true))
        } else if let Some((_, page)) = prefix.split_once("/tasks/0/") {
            let page: u64 = page.parse().expect("a page");
            (page * PAGE_TASKS, self.tasks.min((page + 1) * PAGE_TASKS), Box::new(|task| self.is_done(task)))
        } else if prefix.ends_with("/pages/0/") {
            let pages = self.pages.lock().expect("unpoisoned").clone();
            (0, self.tasks.div_ceil(PAGE_TASKS), Box::new(move |page| pages.contains(&page)))
        } else {
            return None;
        };
        let mut names: Vec<u64> =
            (from.max(after)..to).filter(|n| there(*n)).take(most as usize + 1).collect();
        let more = names.len() as u64 > most;
        names.truncate(most as usize);
        Some((names, more))
    }
}

fn meta(size: u64) -> Meta {
    Meta { size, tag: "t".to_owned(), modified_ms: None }
}

#[async_trait]
impl Store for Simulated {
    fn uri(&self, key: &str) -> String {
        self.rest.uri(key)
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        self.rest.stat(key).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        match what(key) {
            What::Record(task) if self.is_done(task) => {
                Ok(serde_json::to_vec(&record(task)).expect("JSON").into())
            }
            What::RecordPage(page) if self.pages.lock().expect("unpoisoned").contains(&page) => {
                let mut lines = Vec::new();
                for task in page * PAGE_TASKS..self.tasks.min((page + 1) * PAGE_TASKS) {
                    serde_json::to_writer(&mut lines, &record(task)).expect("JSON");
                    lines.push(b'\n');
                }
                Ok(zstd::encode_all(&lines[..], 1).expect("zstd").into())
            }
            _ => self.rest.get(key, range).await,
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, StoreError> {
        self.rest.read(key, range).await
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        let fresh = match what(key) {
            What::Record(task) => {
                let bit = 1 << (task % 64);
                self.done[(task / 64) as usize].fetch_or(bit, Ordering::AcqRel) & bit == 0
            }
            What::RecordPage(page) => self.pages.lock().expect("unpoisoned").insert(page),
            What::InputPage => true,
            What::Other => return self.rest.create(key, data).await,
        };
        Ok(if fresh { Created::New } else { Created::Exists })
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        match what(key) {
            What::InputPage => Ok(()),
            _ => self.rest.put(key, data).await,
        }
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        self.rest.upload(key).await
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        self.rest.publish(from, to).await
    }

    async fn list_page(&self, prefix: &str, after: Option<&str>, max: usize) -> Result<Page, StoreError> {
        let number = |key: &str| -> u64 {
            let name = key.rsplit('/').next().and_then(|name| name.split('.').next());
            name.and_then(|n| n.parse().ok()).expect("our names")
        };
        let from = after.map_or(0, |key| number(key) + 1);
        let Some((names, more)) = self.names(prefix, from, max as u64) else {
            return self.rest.list_page(prefix, after, max).await;
        };
        let folder = &prefix[..=prefix.rfind('/').expect("a folder")];
        let entry = |n: u64| {
            let (name, size) = match folder {
                "in/" => (format!("{n:08}.jsonl"), FILE),
                folder if folder.ends_with("/tasks/0/") => (format!("{n:08}.json"), 300),
                _ => (format!("{n:06}.jsonl.zst"), 300),
            };
            Entry { key: format!("{folder}{name}"), meta: meta(size) }
        };
        Ok(Page { entries: names.into_iter().map(entry).collect(), more })
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        self.rest.delete(keys).await
    }
}
