//! To which generation a job is bound, and what is said where it cannot be.

use super::{ids, must, refused, run, with_index, write};
use gristmill_coordinator::{Allow, AutoscaleSettings, Coordinator, CoordinatorSettings, Submission};
use gristmill_job::index::{Generation, Index};
use gristmill_job::resolve::Resolver;
use gristmill_job::{JobRequest, Plan, Workspace};
use gristmill_queue::{MemoryQueue, Settings, TokioClock};
use gristmill_storage::fault::{Faults, Faulty};
use gristmill_storage::meter::Op;
use gristmill_storage::{MemoryStore, Store, Stores, Uri};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(2);
const RECIPE: &str = "\
name: crawl
input: memory://w/in/*.jsonl
steps:
  - exact_dedup: {index: {at: memory://w/index, extend: true}}
output: {path: memory://w/out}
";

/// A workspace and an index in memory, for any number of coordinators. Nobody works.
struct World {
    memory: Arc<MemoryStore>,
    queue: MemoryQueue,
}

fn uri(text: &str) -> Uri {
    text.parse().expect("URI")
}

impl World {
    async fn new() -> Self {
        let memory = Arc::new(MemoryStore::new("w"));
        memory.put("in/0.jsonl", "{\"text\":\"a\"}\n".into()).await.expect("memory");
        let queue = MemoryQueue::new(Settings::default(), Arc::new(TokioClock::new()), 1).expect("settings");
        Self { memory, queue }
    }

    fn stores(&self, faults: &Arc<Faults>) -> Stores {
        let stores = Stores::new(gristmill_storage::Settings::default());
        let faulty = Faulty::new(Arc::clone(&self.memory) as Arc<dyn Store>, Arc::clone(faults));
        stores.replace(&uri("memory://w/"), Arc::new(faulty)).expect("memory");
        stores
    }

    /// One whose calls to the store go by `faults`.
    fn coordinator(&self, faults: &Arc<Faults>) -> Coordinator {
        let stores = self.stores(faults);
        let settings = CoordinatorSettings {
            workspace: uri("memory://w/ws"),
            allow: Allow::only(vec![uri("memory://w")]),
            keep_intermediate: false,
            scratch: std::env::temp_dir(),
            autoscale: AutoscaleSettings::default(),
        };
        let resolver = Resolver::new(stores.clone(), "/nowhere".into(), "/nowhere".into());
        Coordinator::start(settings, stores, resolver, Arc::new(self.queue.clone())).expect("starts")
    }

    /// Another job writes the next generation.
    async fn extend(&self) {
        let index = Index::open(&self.stores(&Arc::default()), &uri("memory://w/index")).expect("opens");
        let joins_by = json!({"content_key": "text", "normalize": null, "seed": 0, "step": "exact_dedup"});
        let generation = index.latest().await.expect("lists") + 1;
        let next = Generation { generation, ..Generation::empty(joins_by) };
        index.create(&next).await.expect("is free");
    }

    fn workspace(&self) -> Workspace {
        Workspace::open(&self.stores(&Arc::default()), &uri("memory://w/ws")).expect("opens")
    }

    async fn request(&self, job: &str) -> JobRequest {
        self.workspace().request(job).await.expect("reads").expect("is there")
    }

    async fn plan(&self, job: &str) -> Plan {
        let job = self.workspace().job(job).expect("a job");
        let began = Instant::now();
        loop {
            if let Some(plan) = job.plan().await.expect("reads") {
                return plan;
            }
            assert!(began.elapsed() < PATIENCE, "it is not planned");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn submission(key: &str) -> Submission {
    Submission { recipe: RECIPE.to_owned(), key: key.to_owned(), ..Submission::default() }
}

fn pin(request: &JobRequest) -> &Value {
    &request.recipe["steps"][0]["exact_dedup"]["index"]["generation"]
}

/// The index goes on between a submission and the same again, whose first answer may have been lost: it is the same job still.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_the_same_job_whatever_came_to_the_index() {
    for key in ["", "mine"] {
        let world = World::new().await;
        world.extend().await;
        let first = world.coordinator(&Arc::default());
        let (job, new) = first.submit(submission(key)).await.expect("is taken in");
        assert!(new);
        assert_eq!(*pin(&world.request(&job.id).await), 1);
        let plan = world.plan(&job.id).await;
        assert_eq!(
            (
                plan.indexes[&0].generation,
                plan.recipe["steps"][0]["exact_dedup"]["index"]["generation"].as_u64()
            ),
            (1, Some(1))
        );
        world.extend().await;
        // By this coordinator, and by one that comes later.
        for coordinator in [first, world.coordinator(&Arc::default())] {
            let (again, new) = coordinator.submit(submission(key)).await.expect("is known");
            assert_eq!((&again.id, new), (&job.id, false), "{key}");
            assert_eq!(world.plan(&job.id).await, plan);
            coordinator.stop().await;
        }
        assert_eq!(*pin(&world.request(&job.id).await), 1);
        // Another key asks for another job, which meets what is there now.
        let coordinator = world.coordinator(&Arc::default());
        let other =
            Submission { overrides: vec!["output.path=memory://w/other".into()], ..submission("other") };
        let (other, new) = coordinator.submit(other).await.expect("is taken in");
        assert!(new && other.id != job.id);
        assert_eq!(world.plan(&other.id).await.indexes[&0].generation, 2);
        coordinator.stop().await;
    }
}

/// Two coordinators see different generations; what the first writes down counts for both.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_coordinators_one_decides_to_which_generation_a_job_is_bound() {
    let world = World::new().await;
    world.extend().await;
    let faults = Arc::new(Faults::default());
    let slow = world.coordinator(&faults);
    // It has looked at the index, and is about to write the request.
    let mut hold = faults.hold(Op::Create, 1);
    let asked = {
        let slow = slow.clone();
        tokio::spawn(async move { slow.submit(submission("")).await })
    };
    assert!(hold.has_come().await, "it writes the request");
    world.extend().await;
    let quick = world.coordinator(&Arc::default());
    let (job, new) = quick.submit(submission("")).await.expect("is taken in");
    assert!(new);
    hold.go();
    let (same, new) = asked.await.expect("no panic").expect("is known");
    assert_eq!((&same.id, new), (&job.id, false));
    assert_eq!(*pin(&world.request(&job.id).await), 2);
    assert_eq!(world.plan(&job.id).await.indexes[&0].generation, 2);
    slow.stop().await;
    quick.stop().await;
}

/// A job whose generation somebody else has written before it was planned is told before anything is done for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_planned_too_late_fails_at_once() {
    let world = World::new().await;
    world.extend().await;
    let faults = Arc::new(Faults::default());
    let coordinator = world.coordinator(&faults);
    let mut hold = faults.hold(Op::Create, 2);
    let asked = {
        let coordinator = coordinator.clone();
        tokio::spawn(async move { coordinator.submit(submission("")).await })
    };
    // The first thing that it creates is the request, and the second says whose the output is; then it is planned.
    assert!(hold.has_come().await, "it claims its output");
    world.extend().await;
    hold.go();
    let (job, _) = asked.await.expect("no panic").expect("is taken in");
    let began = Instant::now();
    let view = loop {
        let view = coordinator.job(&job.id).await.expect("is there");
        if !view.reason.is_empty() {
            break view;
        }
        assert!(began.elapsed() < PATIENCE, "it does not fail");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(view.reason.contains("has a generation 2 already, by a takedown"), "{}", view.reason);
    assert!(view.reason.contains("submit it with another key"), "{}", view.reason);
    assert!(!view.planned);
    coordinator.stop().await;
}

fn index_at(generation: &str) -> String {
    with_index("minhash_dedup: {preset: fineweb}", &format!("{{at: index{generation}}}"))
}

/// Twelve documents, of which the last are copies of the first.
fn documents(folder: &Path, name: &str) {
    let text = |number: u64| (0..60).map(|word| format!("{name}{number}w{word} ")).collect::<String>();
    let record = |number: u64| json!({"id": format!("{name}-{number:02}"), "url": format!("http://{name}.org/{number}"), "text": text(number % 9)});
    write(folder, name, &(0..12).map(record).collect::<Vec<_>>());
}

/// What the messages say to do is right.
#[test]
fn advice_can_be_followed() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for name in ["a", "b"] {
        documents(folder, name);
        must(folder, name, &index_at(", extend: true"), &format!("out-{name}"));
    }
    // The same input again, into the same place or another: the index has it.
    for index in [", extend: true", "", ", generation: 2"] {
        let advice = "to run it again, name the generation before, `generation: 1`, and leave out `extend`";
        refused(folder, "b", &index_at(index), "again", advice);
    }
    must(folder, "b", &index_at(", generation: 1"), "again");
    assert_eq!(ids(folder, "again"), ids(folder, "out-b"));
    let ended = run(folder, "b", &index_at(", generation: 1"), "out-b", &["--overwrite"]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    // Of the first job, the one before is the empty one.
    refused(folder, "a", &index_at(", extend: true"), "first", "name the generation before, `generation: 0`");
    must(folder, "a", &index_at(", generation: 0"), "first");
    assert_eq!(ids(folder, "first"), ids(folder, "out-a"));

    // A takedown takes them away: there is none to name.
    fs::write(folder.join("list.txt"), "http://a.org/3\n").expect("write");
    let args = ["takedown", "--urls", "list.txt", "--index", "index"];
    let ended = gristmill_tests::gristmill().current_dir(folder).args(args).output().expect("starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let advice = "generation 1, against which it was run, is gone by a takedown, so that it can be run again without `index` only";
    refused(folder, "b", &index_at(", extend: true"), "late", advice);
    refused(folder, "b", &index_at(", generation: 1"), "late", "name a later one, or none for the latest");
    must(folder, "b", "minhash_dedup: {preset: fineweb}", "late");
    documents(folder, "c");
    must(folder, "c", &index_at(""), "out-c");
}
