//! A cluster in one process, tormented by a seed: the store fails, answers are lost, coordinators and workers vanish in
//! mid-sentence and their threads linger on as late twins. What a seed did can be done again by it.

use crate::run::{Random, corpus, must_run, published};
use gristmill_coordinator::{Allow, Coordinator, CoordinatorSettings, Submission};
use gristmill_job::resolve::Resolver;
use gristmill_job::{Job, JobState, Workspace};
use gristmill_queue::{MemoryQueue, Settings, TokioClock};
use gristmill_storage::fault::{Fault, Faults, Faulty};
use gristmill_storage::meter::Op;
use gristmill_storage::{MemoryStore, Store, Stores, Uri, list};
use gristmill_worker::Worker;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

const SEEDS: u64 = 4;
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn whatever_the_seed_the_bytes_are_the_same() {
    torment(0..SEEDS);
}

#[test]
#[ignore = "takes many minutes"]
fn two_hundred_seeds() {
    torment(1000..1200);
}

fn torment(seeds: std::ops::Range<u64>) {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 4, 100);
    let inputs = format!("{}/in/*.jsonl", folder.path().display());
    must_run(folder.path(), &["--input", &inputs, "--output", "calm"]);
    let expected = published(&folder.path().join("calm"));
    let recipe = std::fs::read_to_string(folder.path().join("recipe.yaml")).expect("reads");
    let input = folder.path().join("in");
    for seed in seeds {
        let got = one(seed, &recipe, &input);
        assert!(got.keys().eq(expected.keys()), "seed {seed}: {:?}", got.keys());
        for (name, bytes) in &expected {
            assert!(got.get(name) == Some(bytes), "seed {seed}: {name} differs");
        }
    }
}

/// One seed: its job is driven to its end, and its dataset given back.
fn one(seed: u64, recipe: &str, input: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut random = Random(seed);
    let scratch = tempfile::tempdir().expect("folder");
    let memory = Arc::new(MemoryStore::new("sim"));
    let faults = Arc::new(Faults::default());
    plan_faults(&faults, &mut random);
    let cluster = Cluster::new(seed, Arc::clone(&memory), faults, scratch.path(), input);
    let id = cluster.submit(recipe);

    let mut parts: Vec<Part> = (0..4).map(|n| Part::start(&cluster, n)).collect();
    let began = Instant::now();
    let checker = runtime();
    let job = cluster.job(&id);
    loop {
        std::thread::sleep(Duration::from_millis(random.next(400)));
        let which = random.next(parts.len() as u64) as usize;
        parts.remove(which).vanish();
        parts.insert(which, Part::start(&cluster, which));
        let log = checker.block_on(job.log()).expect("reads");
        match log.state {
            JobState::Done => break,
            JobState::Failed | JobState::Cancelled => panic!("seed {seed}: {}", log.reason()),
            _ => assert!(began.elapsed() < PATIENCE, "seed {seed}: the job does not end"),
        }
    }
    parts.into_iter().for_each(Part::vanish);
    checker.block_on(dataset(&memory))
}

const WORKSPACE: &str = "memory://sim/ws";

/// Two hundred calls that go wrong, spread over the first thousands.
fn plan_faults(faults: &Faults, random: &mut Random) {
    let kinds = [Fault::Fail, Fault::Throttle, Fault::LoseAnswer, Fault::Cut(random.next(5000))];
    for op in [Op::Get, Op::Read, Op::Create, Op::Put, Op::Upload, Op::Publish, Op::List, Op::Delete] {
        for _ in 0..25 {
            let kind = kinds[random.next(kinds.len() as u64) as usize];
            faults.on(op, 1 + random.next(1500), kind);
        }
    }
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

pub(crate) struct Cluster<'a> {
    seed: u64,
    memory: Arc<MemoryStore>,
    faults: Arc<Faults>,
    queue: MemoryQueue,
    scratch: &'a Path,
    input: &'a Path,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(
        seed: u64,
        memory: Arc<MemoryStore>,
        faults: Arc<Faults>,
        scratch: &'a Path,
        input: &'a Path,
    ) -> Self {
        let settings = Settings {
            lease: Duration::from_millis(600),
            max_attempts: 50,
            backoff_base: Duration::from_millis(20),
            ..Settings::default()
        };
        let queue = MemoryQueue::new(settings, Arc::new(TokioClock::new()), seed).expect("settings");
        Cluster { seed, memory, faults, queue, scratch, input }
    }

    /// Hands a job in, and gives its id.
    pub(crate) fn submit(&self, recipe: &str) -> String {
        let calm = runtime();
        let id = calm.block_on(async {
            let (coordinator, _) = self.coordinator();
            let submission = Submission {
                recipe: recipe.to_owned(),
                overrides: vec![
                    format!("input={}", serde_json::json!([format!("{}/*.jsonl", self.input.display())])),
                    "output.path=memory://sim/out".to_owned(),
                ],
                ..Submission::default()
            };
            loop {
                match coordinator.submit(submission.clone()).await {
                    Ok((view, _)) => return view.id,
                    Err(error) => assert!(error.to_string().contains("injected"), "{error}"),
                }
            }
        });
        calm.shutdown_background();
        id
    }

    /// A job as somebody sees it to whom nothing happens.
    pub(crate) fn job(&self, id: &str) -> Job {
        let workspace = Workspace::open(&self.plain_stores(), &WORKSPACE.parse().expect("URI"));
        workspace.expect("opens").job(id).expect("job")
    }

    /// Every part has clients of its own, as it would in a process of its own.
    fn stores(&self) -> Stores {
        let stores = Stores::new(gristmill_storage::Settings::default());
        let faulty = Faulty::new(Arc::clone(&self.memory) as Arc<dyn Store>, Arc::clone(&self.faults));
        stores.replace(&WORKSPACE.parse().expect("URI"), Arc::new(faulty)).expect("memory");
        stores
    }

    fn plain_stores(&self) -> Stores {
        let stores = Stores::new(gristmill_storage::Settings::default());
        let memory = Arc::clone(&self.memory) as Arc<dyn Store>;
        stores.replace(&WORKSPACE.parse().expect("URI"), memory).expect("memory");
        stores
    }

    fn resolver(&self, stores: &Stores) -> Resolver {
        Resolver::new(stores.clone(), self.scratch.to_owned(), self.scratch.to_owned())
    }

    fn coordinator(&self) -> (Coordinator, Stores) {
        let stores = self.stores();
        let input: Uri = self.input.to_str().expect("UTF-8").parse().expect("URI");
        let settings = CoordinatorSettings {
            workspace: WORKSPACE.parse().expect("URI"),
            allow: Allow::only(vec![input, "memory://sim/out".parse().expect("URI")]),
            keep_intermediate: false,
            scratch: self.scratch.to_owned(),
            autoscale: gristmill_coordinator::AutoscaleSettings::default(),
        };
        let producer = Arc::new(self.queue.clone());
        let coordinator = Coordinator::start(settings, stores.clone(), self.resolver(&stores), producer);
        (coordinator.expect("starts"), stores)
    }
}

/// A coordinator or a worker with a runtime of its own.
pub(crate) struct Part {
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl Part {
    /// Of the first two numbers it is a coordinator.
    pub(crate) fn start(cluster: &Cluster<'_>, number: usize) -> Self {
        let runtime = runtime();
        let (stop, stopped) = watch::channel(false);
        if number < 2 {
            let _inside = runtime.enter();
            let (coordinator, _) = cluster.coordinator();
            runtime.spawn(async move {
                let _alive = coordinator;
                std::future::pending::<()>().await;
            });
        } else {
            let stores = cluster.stores();
            let name = format!("sim-{}-{number}", cluster.seed);
            let worker = Worker {
                resolver: cluster.resolver(&stores),
                stores,
                workspace: WORKSPACE.parse().expect("URI"),
                consumer: Arc::new(cluster.queue.consumer(name.clone())),
                name,
                lanes: 2,
                scratch: cluster.scratch.to_owned(),
                heartbeat: Duration::from_millis(100),
                checkpoint_every: Duration::from_millis(20),
                isolation: None,
                allow_external: false,
                filter_memory: None,
                metrics: gristmill_worker::Metrics::default(),
            };
            runtime.spawn(worker.run(stopped));
        }
        Self { runtime, _stop: stop }
    }

    /// All of it stops in mid-sentence, but for threads at work: they go on and find the world changed.
    pub(crate) fn vanish(self) {
        self.runtime.shutdown_background();
    }
}

/// What was published.
pub(crate) async fn dataset(memory: &Arc<MemoryStore>) -> BTreeMap<String, Vec<u8>> {
    use futures::TryStreamExt;
    let store = Arc::clone(memory) as Arc<dyn Store>;
    let entries: Vec<_> = list(Arc::clone(&store), "out/", None).try_collect().await.expect("lists");
    let mut files = BTreeMap::new();
    for entry in entries {
        let name = entry.key.trim_start_matches("out/").trim_start_matches("data/").to_owned();
        if !name.starts_with('_') {
            files.insert(name, store.get(&entry.key, None).await.expect("reads").to_vec());
        }
    }
    files
}
