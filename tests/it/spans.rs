//! `substring_dedup` from end to end, against a program that looks at every window of the corpus.

use crate::dedup::run_both;
use crate::run::{must_run, published};
use crate::steps::{corpus, recipe, rows};
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const LENGTH: usize = 8;

/// Documents that quote each other: runs of words of a few sources, from anywhere and of any length, between words of their own.
/// One repeats itself without end.
fn document(file: u64, number: u64) -> Value {
    let at = file * 500 + number;
    let mut words = Vec::new();
    for part in 0..at % 5 {
        let mixed = (at * 31 + part * 17) * 2_654_435_761 % 4_294_967_296;
        let (source, start, length) = (mixed % 13, mixed / 16 % 60, mixed / 1024 % 30);
        words.extend((start..start + length).map(|place| format!("s{source}p{place}")));
        words.extend((0..mixed / 64 % 20).map(|place| format!("own{at}p{part}w{place}")));
    }
    if at.is_multiple_of(97) {
        words.extend(["again", "and"].repeat(40).into_iter().map(str::to_owned));
    }
    json!({"id": format!("{:03}-{file}", number * 37 % 211), "text": words.join(" ")})
}

#[test]
fn every_repeated_span_goes_but_the_first() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let sizes = [200, 150, 0, 180];
    corpus(folder, &sizes, document);
    recipe(folder, &format!("- substring_dedup: {{min_length: {LENGTH}}}\n"), "");
    run_both(folder);
    let kept = rows(&folder.join("one"));
    // Other tasks make other files of the same documents, and more lanes the same files.
    for (size, buckets) in [("64KiB", "4"), ("96KiB", "16"), ("64MiB", "1")] {
        let (size, buckets) = (format!("tasks.size={size}"), format!("tasks.buckets={buckets}"));
        let mut files = None;
        for lanes in ["1", "2", "8"] {
            let args =
                ["--lanes", lanes, "--set", &size, "--set", &buckets, "--output", "other", "--overwrite"];
            must_run(folder, &args);
            assert_eq!(rows(&folder.join("other")), kept, "{size} {buckets}");
            let files_here = published(&folder.join("other"));
            assert!(
                *files.get_or_insert_with(|| files_here.clone()) == files_here,
                "{size} {buckets} {lanes}"
            );
        }
    }

    let all: Vec<(String, Vec<String>)> = (0..)
        .zip(sizes)
        .flat_map(|(file, size)| (0..size).map(move |number| document(file, number)))
        .map(|row| {
            let words = row["text"].as_str().expect("a text").split(' ').map(str::to_owned);
            (row["id"].as_str().expect("an id").to_owned(), words.collect())
        })
        .collect();
    let mut first: HashMap<&[String], (&str, usize)> = HashMap::new();
    for (id, words) in &all {
        for (place, window) in words.windows(LENGTH).enumerate() {
            let first = first.entry(window).or_insert((id, place));
            *first = (*first).min((id, place));
        }
    }
    let mut expected: BTreeMap<&str, String> = BTreeMap::new();
    for (id, words) in &all {
        let mut stays = vec![true; words.len()];
        for (place, window) in words.windows(LENGTH).enumerate() {
            let (of, at) = first[window];
            if of != id || place - at >= LENGTH {
                stays[place..place + LENGTH].fill(false);
            }
        }
        let left: Vec<&str> =
            words.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(word, _)| word.as_str()).collect();
        // A document that had nothing to begin with loses nothing.
        if !left.is_empty() {
            expected.insert(id, left.join(" "));
        }
    }
    let got: BTreeMap<&str, String> = kept
        .iter()
        .map(|row| {
            (row["id"].as_str().expect("an id"), row["text"].as_str().expect("a text").trim_end().to_owned())
        })
        .collect();
    assert_eq!(got, expected);
    let words = |texts: &mut dyn Iterator<Item = usize>| texts.sum::<usize>();
    let (before, after) = (
        words(&mut all.iter().map(|(_, words)| words.len())),
        words(&mut got.values().map(|text| text.split(' ').count())),
    );
    assert!(after * 10 < before * 9 && after * 3 > before, "{after} of {before} words are left");
}

/// The tasks of a job that are done, by stage and number.
fn done(output: &Path) -> BTreeSet<(u64, u64)> {
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut done = BTreeSet::new();
    for stage in below(&output.join("_gristmill/jobs")).flat_map(|job| below(&job.path().join("tasks"))) {
        let number =
            |name: &std::ffi::OsStr| name.to_string_lossy().trim_end_matches(".json").parse::<u64>().ok();
        let of = number(&stage.file_name()).expect("a stage");
        // A record that is being written has another name.
        done.extend(below(&stage.path()).filter_map(|task| Some((of, number(&task.file_name())?))));
    }
    done
}

/// What the log says was begun.
fn begun(log: &str) -> BTreeSet<(u64, u64)> {
    let field = |line: &str, name: &str| {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
        word.parse::<u64>().ok()
    };
    let lines = log.lines().filter(|line| line.contains("an attempt begins"));
    lines.map(|line| (field(line, "stage").expect("a stage"), field(line, "task").expect("a task"))).collect()
}

/// Its passes, its anchors, and the repeats. The lists between them are one short task each.
const KILLED_IN: [u64; 5] = [0, 1, 3, 4, 6];

#[test]
fn a_killed_run_goes_on_with_the_tasks_that_are_left() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[900, 800, 0, 950], document);
    recipe(folder, &format!("- substring_dedup: {{min_length: {LENGTH}}}\n"), "");
    let set = ["--set", "tasks.size=64KiB", "--set", "tasks.buckets=16"];
    let calm = must_run(folder, &[&["--output", "calm"], &set[..]].concat());
    let tasks = |stage: u64| calm["stages"][stage as usize]["tasks"].as_u64().expect("a number");
    assert!(KILLED_IN.iter().all(|stage| tasks(*stage) > 10), "{}", calm["stages"]);
    let start = |lanes: &str| -> Child {
        let log = fs::File::create(folder.join("log")).expect("a log");
        let mut command = gristmill();
        command.current_dir(folder).args([
            "run",
            "recipe.yaml",
            "--quiet",
            "--output",
            "killed",
            "--lanes",
            lanes,
        ]);
        command.args(set).env("GRISTMILL_LOG", "debug").env("NO_COLOR", "1");
        command.stdout(Stdio::null()).stderr(log).spawn().expect("starts")
    };
    let log = || fs::read_to_string(folder.join("log")).expect("a log");
    let output = folder.join("killed");
    for lanes in ["1", "2"] {
        let since = Instant::now();
        let mut in_midst = BTreeSet::new();
        // A stage may be over before anybody looks: then everything is done once more.
        while in_midst.len() < 4 {
            assert!(since.elapsed() < Duration::from_mins(5), "killed only in {in_midst:?}");
            let _ = fs::remove_dir_all(&output);
            let mut before = BTreeSet::new();
            for stage in KILLED_IN {
                let mut child = start(lanes);
                let of_stage =
                    |done: &BTreeSet<(u64, u64)>| done.iter().filter(|task| task.0 == stage).count() as u64;
                let ended = loop {
                    if of_stage(&done(&output)) > 0 {
                        child.kill().expect("SIGKILL");
                        break child.wait().expect("waits").success();
                    }
                    if let Some(status) = child.try_wait().expect("waits") {
                        break status.success();
                    }
                    std::thread::sleep(Duration::from_millis(1));
                };
                let again: Vec<_> = begun(&log()).intersection(&before).copied().collect();
                assert_eq!(again, [], "done, and begun again");
                before = done(&output);
                let count = of_stage(&before);
                if !ended && count > 0 && count < tasks(stage) {
                    in_midst.insert(stage);
                }
            }
            let status = start(lanes).wait().expect("waits");
            assert!(status.success(), "{}", log());
            let again: Vec<_> = begun(&log()).intersection(&before).copied().collect();
            assert_eq!(again, [], "done, and begun again");
            assert!(published(&output) == published(&folder.join("calm")), "other bytes");
        }
    }
}
