//! Deduplication under adversarial skew, through the engine's own tasks: a fifth of all documents share one key, a fiftieth
//! hang together in a chain of shuffled links, the rest are pairs. What is joined must be right, and the process that runs the
//! tasks must stay under what `gristmill plan` promises for the recipe's `tasks.memory`.
//!
//! The pass that would sign the documents is done beforehand: its records and files are made here.

use gristmill_coordinator::{Allow, prepare};
use gristmill_dedup::keyfile;
use gristmill_dedup::sets;
use gristmill_dedup::sort::Plain;
use gristmill_dedup::survivor::Policy;
use gristmill_job::resolve::Resolver;
use gristmill_job::{FileEntry, FileRole, Job, TaskRecord, job_id};
use gristmill_pipeline::{Recipe, Tally};
use gristmill_storage::{Settings, Stores, Uri};
use gristmill_tests::gristmill;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Tasks of the pass.
const TASKS: u64 = 50;
/// Documents that are similar as the recipe says share a third.
const VERIFY: [&str; 2] = ["verify: none", "verify: jaccard, threshold: 0.3"];

#[test]
fn skew_and_chains_are_joined_in_little_memory() {
    for verify in VERIFY {
        run(100_000, verify, "1MiB");
    }
}

/// `make soak`: 50 million documents, or as many as GRISTMILL_SOAK_DOCUMENTS says.
#[test]
#[ignore = "takes minutes, and tens of gigabytes on the disk"]
fn fifty_million_documents() {
    let documents = std::env::var("GRISTMILL_SOAK_DOCUMENTS").ok().and_then(|n| n.parse().ok());
    for verify in VERIFY {
        run(documents.unwrap_or(50_000_000), verify, "64MiB");
    }
}

fn run(documents: u64, verify: &str, memory: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let shown = folder.display();
    fs::create_dir(folder.join("in")).expect("folder");
    for task in 0..TASKS {
        // Each is large enough to be a task.
        let line = format!("{{\"text\": \"{}\"}}\n", "x".repeat(40 << 10));
        fs::write(folder.join(format!("in/{task:02}.jsonl")), line).expect("write");
    }
    let recipe = format!(
        "name: soak\ninput: [{shown}/in/]\nsteps:\n- minhash_dedup: {{bands: 2, rows: 1, {verify}}}\n\
         tasks: {{size: 64KiB, buckets: 16, memory: {memory}}}\noutput: {{path: {shown}/out}}\n"
    );
    fs::write(folder.join("recipe.yaml"), &recipe).expect("write");
    let began = Instant::now();
    let verifies = !verify.contains("none");
    let job = sign(folder, &recipe, Skew { documents: documents / 100 * 100 }, verifies);
    eprintln!("{documents} documents signed after {:.0} s", began.elapsed().as_secs_f64());

    let planned = gristmill()
        .current_dir(folder)
        .args(["plan", "recipe.yaml", "--lanes", "1", "--json"])
        .output()
        .expect("starts");
    let planned: Value = serde_json::from_slice(&planned.stdout).expect("JSON");
    let allowed = planned["estimate"]["memory_bytes"].as_u64().expect("an estimate");
    let last = planned["plan"]["stages"].as_array().expect("stages").len() - 2;
    let record = job.join(format!("tasks/{last}/00000000.json"));

    let began = Instant::now();
    let mut child = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--lanes", "1", "--quiet"])
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut peak = 0;
    while !record.exists() {
        peak = peak.max(peak_memory(child.id()));
        assert!(child.try_wait().expect("waits").is_none(), "it ended before the components were found");
        std::thread::sleep(Duration::from_millis(20));
    }
    // What comes next reads documents, of which there are none.
    child.kill().expect("SIGKILL");
    child.wait().expect("waits");
    eprintln!(
        "{verify}: {documents} documents in {:.0} s, {} MiB of {} MiB at most",
        began.elapsed().as_secs_f64(),
        peak >> 20,
        allowed >> 20
    );

    let record: TaskRecord = serde_json::from_slice(&fs::read(&record).expect("read")).expect("a record");
    let joined = record.joined.expect("what was joined");
    let skew = Skew { documents: documents / 100 * 100 };
    let pairs = (skew.documents - skew.star() - skew.chain()) / 2;
    assert_eq!(joined.components, 2 + pairs, "{verify}");
    assert_eq!(joined.duplicates, skew.star() - 1 + skew.chain() - 1 + pairs, "{verify}");
    assert_eq!(joined.largest, skew.star(), "{verify}");
    assert!(peak > 0 && peak < allowed, "{verify}: {peak} bytes of {allowed}");
}

#[derive(Clone, Copy)]
struct Skew {
    documents: u64,
}

/// SplitMix64's mixing: even, and other for every number.
fn hash(kind: u64, number: u64) -> u64 {
    let mut mixed = (kind << 48 ^ number).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

impl Skew {
    fn star(self) -> u64 {
        self.documents / 5
    }

    fn chain(self) -> u64 {
        self.documents / 50
    }

    /// A document's keys, and hashes that it consists of.
    fn sign(self, document: u64) -> ([Option<u64>; 2], Vec<u64>) {
        // A multiplier that has no factor in common with the number of documents scatters each kind over all tasks.
        let place = (u128::from(document) * 999_999_937 % u128::from(self.documents)) as u64;
        let (star, chain) = (self.star(), self.chain());
        let set = |kind: u64, from: u64| {
            let mut set: Vec<u64> = (from..from + 6).map(|number| hash(kind, number)).collect();
            set.sort_unstable();
            set
        };
        if place < star {
            ([Some(hash(0, 0)), None], set(3, 0))
        } else if place < star + chain {
            let link = place - star;
            // Neighbours share three of nine.
            ([Some(hash(1, link)), (link + 1 < chain).then(|| hash(1, link + 1))], set(4, 3 * link))
        } else {
            ([Some(hash(2, place / 2)), None], set(5, place / 2 * 6))
        }
    }
}

/// Submits the job and does the work of its first pass. Gives the folder of the job.
fn sign(folder: &Path, recipe: &str, skew: Skew, sets: bool) -> PathBuf {
    let recipe = Recipe::parse(recipe, &[]).expect("a recipe");
    let stores = Stores::new(Settings::default());
    let id = job_id(&recipe, &[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let workspace: Uri = format!("{}/out/_gristmill", folder.display()).parse().expect("a path");
    let job = Job::open(&stores, &workspace, &id).expect("job");
    runtime.block_on(async {
        let resolver = Resolver::new(stores.clone(), folder.to_owned(), folder.to_owned());
        let allow = Allow::everything();
        let prepared = prepare(&stores, &resolver, &recipe, &id, &allow, folder, None).await.expect("plans");
        assert_eq!(prepared.plan.stages[0].tasks, TASKS);
        job.submit(&prepared.plan, &prepared.listing).await.expect("submits");
    });
    let root = folder.join("out/_gristmill/jobs").join(&id);
    let each = skew.documents / TASKS;
    for task in 0..TASKS {
        let path = Job::attempt_path(0, task, "made");
        fs::create_dir_all(root.join(&path)).expect("folder");
        let create = |name: &str| {
            let path = format!("{path}/{name}");
            (BufWriter::new(File::create(root.join(&path)).expect("file")), path)
        };
        let (mut keys_file, keys_path) = create("keys");
        let (ranks_file, ranks_path) = create("ranks.zst");
        let (sets_file, sets_path) = create("sets");
        let mut keys = keyfile::Writer::<u64, Plain, _, _>::new(32 << 20, tempfile::tempfile);
        let mut ranks = zstd::Encoder::new(ranks_file, 1).expect("zstd");
        let mut written = sets::Writer::new(sets_file);
        let mut rank = Vec::new();
        for ordinal in 0..each {
            let document = task * each + ordinal;
            let (shared, set) = skew.sign(document);
            for key in shared.into_iter().flatten() {
                keys.push(key, ordinal as u32, &[]).expect("disk");
            }
            Policy::FirstId.rank(0, None, format!("{document:012}").as_bytes(), &mut rank);
            ranks.write_all(&(rank.len() as u32).to_le_bytes()).expect("disk");
            ranks.write_all(&rank).expect("disk");
            if sets {
                written.push(ordinal as u32, &set).expect("disk");
            }
        }
        ranks.write_all(&u32::MAX.to_le_bytes()).expect("disk");
        ranks.finish().expect("disk").flush().expect("disk");
        keys.finish(&mut keys_file).expect("disk");
        drop(keys_file);
        drop(written.finish().expect("disk"));
        let entry = |path: String| {
            let bytes = fs::metadata(root.join(&path)).expect("file").len();
            vec![FileEntry { path, rows: each, bytes, sha256: String::new() }]
        };
        let files = BTreeMap::from([
            (FileRole::Keys, entry(keys_path)),
            (FileRole::Ranks, entry(ranks_path)),
            (FileRole::Sets, entry(sets_path)),
        ]);
        let tally = Tally { seen: each, kept: each, ..Tally::default() };
        let record =
            TaskRecord { stage: 0, task, attempt: "made".to_owned(), tally, files, ..TaskRecord::default() };
        runtime.block_on(job.commit(&record)).expect("commits");
    }
    root
}

/// The peak of the process that works for the command; 0 before it has begun.
fn peak_memory(command: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{command}/task/{command}/children")).unwrap_or_default();
    let peak = |child: &str| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    children.split_whitespace().filter_map(peak).max().unwrap_or(0) << 10
}
