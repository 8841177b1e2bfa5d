//! The filters of `bff_dedup`: their checkpoints when answers are lost, the memory that they share, and those of other jobs.

use crate::run::{must_run, published};
use crate::sim::{Cluster, Part, dataset, runtime};
use crate::steps::{corpus, recipe, rows};
use gristmill_dedup::bloom::Filter;
use gristmill_job::JobState;
use gristmill_storage::MemoryStore;
use gristmill_storage::fault::Fault::{self, Fail, LoseAnswer};
use gristmill_storage::fault::Faults;
use gristmill_storage::meter::Op;
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(3);

/// Documents of 320 words, a third of which are copies.
fn record(file: u64, number: u64) -> Value {
    long_record(320, file, number)
}

fn long_record(length: u64, file: u64, number: u64) -> Value {
    let at = file * 1000 + if number.is_multiple_of(3) { number / 2 } else { number };
    let words: Vec<String> =
        (0..length).map(|word| format!("w{}", (at * 7919 + word * word * 31) % 49_999)).collect();
    let paragraphs: Vec<String> = words.chunks(40).map(|paragraph| paragraph.join(" ")).collect();
    json!({"id": format!("{file}-{number}"), "text": paragraphs.join("\n")})
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = gristmill();
    command.current_dir(folder).args(["run", "recipe.yaml"]).args(args);
    command.env("GRISTMILL_LOG", "info").env("NO_COLOR", "1").env("GRISTMILL_FAULT_INJECTION", "1");
    command
}

/// Whether it went well, and what was said.
fn run(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = command(folder, args).output().expect("starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The worker's answers to storing the head of a checkpoint are lost, some when it was written and some when not, and then it dies.
/// What the head in the store names is there, and the next worker goes on with it.
#[test]
fn a_head_whose_answer_is_lost_names_a_filter_that_is_there() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[700; 4], |file, number| long_record(1000, file, number));
    recipe(folder, "- bff_dedup: {min_ngram_size: 5, max_ngram_size: 5, fp_rate: 0.3}\n", "");
    let input = folder.join("in");
    must_run(folder, &["--input", &format!("{}/*.jsonl", input.display()), "--output", "calm"]);
    let expected = published(&folder.join("calm"));
    let text = fs::read_to_string(folder.join("recipe.yaml")).expect("reads");
    // From the last on nothing is written any more.
    for faults in [&[(2, LoseAnswer), (3, Fail)][..], &[(2, Fail), (3, LoseAnswer), (4, Fail)]] {
        let since = Instant::now();
        let got = loop {
            assert!(since.elapsed() < PATIENCE, "{faults:?}: the filter is done before");
            if let Some(got) = die_and_go_on(&text, &input, folder, faults) {
                break got;
            }
        };
        assert!(got == expected, "{faults:?}");
    }
}

/// The filter's stage is the second one, and has one task.
const HEAD: &str = "checkpoints/1/00000000/head.json";

/// None if the filter was done before so many checkpoints were due.
fn die_and_go_on(
    recipe: &str,
    input: &Path,
    scratch: &Path,
    planned: &[(u64, Fault)],
) -> Option<BTreeMap<String, Vec<u8>>> {
    let (memory, faults) = (Arc::new(MemoryStore::new("sim")), Arc::new(Faults::default()));
    let cluster = Cluster::new(7, Arc::clone(&memory), Arc::clone(&faults), scratch, input);
    faults.only(HEAD);
    let (last, fault) = planned.last().copied().expect("a fault");
    for (nth, fault) in planned.iter().copied().chain((last..last + 10_000).map(|nth| (nth, fault))) {
        faults.on(Op::Put, nth, fault);
    }
    let job = cluster.job(&cluster.submit(recipe));
    let (checker, since) = (runtime(), Instant::now());
    let state = || checker.block_on(job.log()).expect("reads").state;
    let coordinator = Part::start(&cluster, 0);
    let worker = Part::start(&cluster, 2);
    while faults.calls(Op::Put) < last {
        assert!(since.elapsed() < PATIENCE, "{planned:?}: the job does not go on: {:?}", state());
        if state() == JobState::Done {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    worker.vanish();
    if checker.block_on(job.record(1, 0)).expect("reads").is_some() {
        return None;
    }

    let head = checker.block_on(job.checkpoint(1, 0)).expect("reads").expect("a head");
    let bits = head.filter.expect("a filter").bits;
    let stored = checker.block_on(job.store().get(&job.key(&bits.path), None)).expect("it is there");
    let filter = Filter::load(&bits.path, &stored[..], 1 << 30).expect("it is whole");
    assert_eq!(filter.items(), bits.rows, "{planned:?}: it is of another checkpoint");

    faults.clear();
    faults.only(&bits.path);
    let worker = Part::start(&cluster, 3);
    while state() != JobState::Done {
        assert!(since.elapsed() < PATIENCE, "{planned:?}: the job does not end: {:?}", state());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(faults.calls(Op::Read) > 0, "{planned:?}: it began anew");
    [coordinator, worker].into_iter().for_each(Part::vanish);
    Some(checker.block_on(dataset(&memory)))
}

#[test]
fn filters_that_do_not_fit_together_wait_for_each_other() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[400; 4], record);
    // Some 120,000 n-grams each, at ten bits.
    recipe(folder, "- bff_dedup: {min_ngram_size: 5, max_ngram_size: 5, shards: 4}\n", "");
    let (calm, said) = run(folder, &["--lanes", "1", "--output", "calm"]);
    assert!(calm, "{said}");
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("calm/manifest.json")).expect("reads")).expect("JSON");
    let bytes = manifest["filtered"][0]["filter_bytes"].as_u64().expect("a number");
    // Room for the largest of them, and not for two.
    let limit = (bytes * 5 / 4).to_string();
    let since = Instant::now();
    loop {
        let args = ["--lanes", "4", "--filter-memory", &limit, "--output", "narrow", "--overwrite"];
        let (done, said) = run(folder, &args);
        assert!(done, "{said}");
        assert_eq!(published(&folder.join("narrow")), published(&folder.join("calm")));
        // On a machine that is very busy they may have come one after the other by chance.
        if said.contains("a filter waits for memory") {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "none had to wait");
    }
    // One that will never fit in is refused, and says what would help.
    let (done, said) = run(folder, &["--filter-memory", "64KiB", "--output", "none", "--quiet"]);
    let part = "and this worker's --filter-memory is 65536; allow more, or set `shards` to ";
    assert!(!done && said.contains("a Bloom filter for ") && said.contains(part), "{said}");
}

/// The files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("reads"))
    };
    fs::read_dir(folder).expect("a folder").map(|entry| file(entry.expect("an entry"))).collect()
}

#[test]
fn filters_of_other_jobs_are_what_they_were_when_the_job_was_planned() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[300, 200, 400], record);
    let params = "min_ngram_size: 5, max_ngram_size: 5, shards: 2, expected_ngram_count: 400000";
    let slow = "- fault_injection: {sleep_ms: 5}\n";
    let run_with = |before: &str, more: &str, args: &[&str]| {
        recipe(folder, &format!("{before}- bff_dedup: {{{params}{more}}}\n"), "");
        run(folder, args)
    };
    for (save, input) in [("kept", "in/0.jsonl"), ("other", "in/1.jsonl")] {
        let (done, said) =
            run_with("", &format!(", save: {save}"), &["--input", input, "--output", &format!("of-{save}")]);
        assert!(done, "{said}");
    }
    let kept = files(&folder.join("kept"));
    let names: Vec<&str> = kept.keys().map(String::as_str).collect();
    assert_eq!(names, ["00000-of-00002.bloom", "00001-of-00002.bloom", "saved_by.json"]);

    // What is wrong is found before anything is written, by `plan` as well.
    let refused = |more: &str, part: &str| {
        let (done, said) = run_with("", more, &["--input", "in/2.jsonl", "--output", "refused"]);
        assert!(!done && said.contains(part), "{more}: {said}");
        assert!(!folder.join("refused").exists(), "{more}");
        let planned =
            gristmill().current_dir(folder).args(["plan", "recipe.yaml", "--input", "in/2.jsonl"]).output();
        let said = String::from_utf8_lossy(&planned.expect("starts").stderr).into_owned();
        assert!(said.contains(part), "plan, {more}: {said}");
    };
    refused(", load: nowhere", "nowhere/00000-of-00002.bloom is not there: a job with `save`");
    refused(
        ", load: kept, remove_type: document",
        "holds \"bff 5-5 grams of paragraphs\", and the recipe wants",
    );
    let damaged = folder.join("kept/00001-of-00002.bloom");
    let sound = &kept["00001-of-00002.bloom"];
    fs::write(&damaged, &sound[..sound.len() - 1]).expect("writes");
    refused(", load: kept", "kept/00001-of-00002.bloom has");
    fs::write(&damaged, &sound[..50]).expect("writes");
    refused(", load: kept", "the filter is cut short");
    fs::write(&damaged, sound).expect("writes");

    // Of jobs that save to one folder the first has it.
    refused(", save: kept", "kept is where step 0 of job test-");
    assert_eq!(files(&folder.join("kept")), kept);
    recipe(folder, "- bff_dedup: {save: mine}\n- bff_dedup: {save: ./mine/}\n", "");
    let (done, said) = run(folder, &["--output", "refused"]);
    assert!(!done && said.contains("it saves its filters to ./mine/, as step 0 does"), "{said}");
    assert!(!folder.join("mine").exists());
    // The same job may do it again, and again it writes the same.
    let (done, said) = run_with("", ", save: kept", &["--input", "in/0.jsonl", "--output", "kept-again"]);
    assert!(done, "{said}");
    assert_eq!(files(&folder.join("kept")), kept);

    // Asking leaves them alone.
    let (done, said) =
        run_with("", ", load: kept, query_only: true", &["--input", "in/2.jsonl", "--output", "asked"]);
    assert!(done, "{said}");
    assert_eq!(files(&folder.join("kept")), kept);

    // One that is exchanged while the job runs: the signing pass takes its time.
    recipe(folder, &format!("{slow}- bff_dedup: {{{params}, load: kept}}\n"), "");
    let args = ["--input", "in/2.jsonl", "--lanes", "1", "--output", "changed", "--quiet"];
    let child = command(folder, &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let since = Instant::now();
    let is_planned = || {
        let jobs = fs::read_dir(folder.join("changed/_gristmill/jobs")).into_iter().flatten().flatten();
        jobs.map(|job| job.path().join("plan.json")).any(|plan| plan.exists())
    };
    while !is_planned() {
        assert!(since.elapsed() < PATIENCE, "nothing is planned");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::copy(folder.join("other/00000-of-00002.bloom"), folder.join("kept/00000-of-00002.bloom"))
        .expect("copies");
    let ended = child.wait_with_output().expect("waits");
    let said = String::from_utf8_lossy(&ended.stderr);
    let part = "kept/00000-of-00002.bloom is not what it was when this job was planned";
    assert!(!ended.status.success() && said.contains(part), "{said}");
    // Nor does the job go on with it later.
    let (done, said) = run(folder, &args);
    assert!(
        !done && said.contains("the filters in kept are not what they were when the job began"),
        "{said}"
    );
    fs::write(folder.join("kept/00000-of-00002.bloom"), &kept["00000-of-00002.bloom"]).expect("writes");
    let (done, said) = run(folder, &args);
    assert!(done, "{said}");
    let (calm, said) = run(folder, &["--input", "in/2.jsonl", "--output", "calm"]);
    assert!(calm, "{said}");
    assert!(!rows(&folder.join("calm")).is_empty());
    assert_eq!(published(&folder.join("changed")), published(&folder.join("calm")));
}
