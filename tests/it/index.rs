//! Dedup against an index of earlier jobs' documents, from end to end: one job after the other keeps what one job over all
//! of the input keeps, and whoever asks for what cannot be is told.

pub(crate) mod killed;
mod pinned;
mod told;

use crate::dedup::alike;
use crate::run::published;
use crate::steps::rows;
use gristmill_tests::{gristmill, jsonl, shared};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

pub(crate) fn write(folder: &Path, name: &str, records: &[Value]) {
    fs::create_dir_all(folder.join(name)).expect("folder");
    // Several files, so that there are several tasks.
    for (number, records) in records.chunks(records.len().div_ceil(3).max(1)).enumerate() {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        fs::write(folder.join(format!("{name}/{number}.jsonl")), lines).expect("write");
    }
}

/// Runs one dedup over a folder of input.
pub(crate) fn run(folder: &Path, input: &str, step: &str, output: &str, more: &[&str]) -> Output {
    let recipe = format!(
        "name: test\ninput: [{input}/]\nsteps: [{step}]\ntasks: {{size: 64KiB, buckets: 4}}\noutput: {{path: {output}}}\n"
    );
    let path = folder.join(format!("{output}.yaml"));
    fs::write(&path, recipe).expect("write");
    gristmill()
        .current_dir(folder)
        .arg("run")
        .arg(path)
        .arg("--quiet")
        .args(more)
        .env("GRISTMILL_FAULT_INJECTION", "1")
        .output()
        .expect("the program starts")
}

#[track_caller]
pub(crate) fn must(folder: &Path, input: &str, step: &str, output: &str) -> Value {
    let ended = run(folder, input, step, output, &[]);
    assert!(ended.status.success(), "{output}: {}", String::from_utf8_lossy(&ended.stderr));
    manifest(folder, output)
}

pub(crate) fn manifest(folder: &Path, output: &str) -> Value {
    let json = fs::read(folder.join(output).join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&json).expect("JSON")
}

#[track_caller]
fn refused(folder: &Path, input: &str, step: &str, output: &str, part: &str) {
    let ended = run(folder, input, step, output, &[]);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && stderr.contains(part), "{part:?} is not in: {stderr}");
    assert!(!folder.join(output).join("manifest.json").exists(), "{output} was published");
}

pub(crate) fn ids(folder: &Path, output: &str) -> BTreeSet<String> {
    rows(&folder.join(output)).iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

/// A step with an index beside its other parameters.
pub(crate) fn with_index(step: &str, index: &str) -> String {
    let (name, params) = step.split_once(": {").expect("a step with parameters");
    format!("{name}: {{index: {index}, {params}")
}

fn dropped(manifest: &Value, what: &str) -> u64 {
    let dropped = manifest["documents"]["dropped"].as_object().expect("counts");
    dropped.iter().filter(|(reason, _)| reason.ends_with(what)).filter_map(|(_, n)| n.as_u64()).sum()
}

/// Documents of the crawls `a`, `b` and `c`, whose ids say so, at places that drift through the same sources: what is alike
/// crosses from one crawl to the next.
fn crawls() -> [Vec<Value>; 3] {
    [0, 1, 2].map(|crawl: u64| {
        let name = ["a", "b", "c"][crawl as usize];
        let record = |number: u64| {
            let id = format!("{name}-{:03}", number * 37 % 211);
            json!({"id": id, "url": format!("http://{name}.example/{number}"), "text": alike(crawl, number)})
        };
        (0..[100, 80, 60][crawl as usize]).map(record).collect()
    })
}

/// What was published before stays, so that it stays also where a later document joins it with another one that was published.
/// But for those, what one job after the other keeps is what one job keeps. Gives how many there were.
fn halves_are_one(folder: &Path, parts: &[Vec<Value>], step: &str) -> u64 {
    let _ = fs::remove_dir_all(folder.join("index"));
    let names: Vec<String> = (0..parts.len()).map(|part| format!("part-{part}")).collect();
    for (name, part) in names.iter().zip(parts) {
        write(folder, name, part);
    }
    write(folder, "all", &parts.concat());
    let mut kept = BTreeSet::new();
    let mut bridged = 0;
    let mut before = 0;
    for (number, name) in names.iter().enumerate() {
        let output = format!("out-{name}");
        let _ = fs::remove_dir_all(folder.join(&output));
        let manifest = must(folder, name, &with_index(step, "{at: index, extend: true}"), &output);
        let documents = parts[number].len() as u64;
        let mut used = json!({"step": 0, "at": "index", "read": number, "documents": before, "wrote": number + 1, "added": documents});
        assert_eq!(manifest["indexes"][0], used);
        assert_eq!(
            manifest["recipe"]["steps"][0].as_object().expect("a step").values().next().expect("parameters")
                ["index"]["generation"],
            number
        );
        let against = dropped(&manifest, "of an index document");
        assert_eq!(against > 0, number > 0, "{step}: {against} of {name}");
        if let Some(joined) = manifest["joined"].get(0) {
            assert_eq!(joined["of_index"].as_u64().unwrap_or(0), against);
            assert_eq!(joined["duplicates"], against + dropped(&manifest, "duplicate"));
            bridged += joined["bridged"].as_u64().unwrap_or(0);
        }
        // Other lanes, the same bytes; without `extend` the index stays as it is.
        if number > 0 {
            let again = format!("again-{name}");
            let _ = fs::remove_dir_all(folder.join(&again));
            let at = format!("{{at: index, generation: {number}}}");
            let ended = run(
                folder,
                name,
                &with_index(step, &at),
                &again,
                &["--lanes", "1", "--set", "tasks.buckets=1"],
            );
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            let data = |output: &str| {
                let mut files = published(&folder.join(output));
                files.remove("manifest.json");
                files
            };
            assert_eq!(data(&again), data(&output));
            used["wrote"] = Value::Null;
            assert!(self::manifest(folder, &again)["indexes"][0].get("wrote").is_none());
        }
        before += documents;
        kept.extend(ids(folder, &output));
    }
    let _ = fs::remove_dir_all(folder.join("out-all"));
    must(folder, "all", step, "out-all");
    let once = ids(folder, "out-all");
    assert!(kept.is_superset(&once), "{step}: {:?} went", once.difference(&kept).collect::<Vec<_>>());
    // Every document that only the one job dropped was published before it was joined with another.
    let only: Vec<&String> = kept.difference(&once).collect();
    let last = ids(folder, &format!("out-part-{}", parts.len() - 1));
    assert!(only.iter().all(|id| !last.contains(*id)), "{step}: {only:?}");
    if parts.len() == 2 {
        assert_eq!(only.len() as u64, bridged, "{step}");
    } else {
        // Two may be joined anew by each job.
        assert!(
            (only.len() as u64) <= bridged && only.is_empty() == (bridged == 0),
            "{step}: {only:?} {bridged}"
        );
    }
    assert!(once.len() < before as usize);
    bridged
}

#[test]
fn one_crawl_after_the_other_keeps_what_one_job_keeps() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let crawls = crawls();
    let mut bridged = Vec::new();
    for step in [
        "minhash_dedup: {bands: 60, rows: 2, threshold: 0.8}",
        "minhash_dedup: {bands: 60, rows: 2, threshold: 0.7, verify: containment, survivor: first}",
        "minhash_dedup: {bands: 20, rows: 5, verify: none}",
        "exact_dedup: {normalize: normalize_whitespace_and_lowercase}",
    ] {
        bridged.push(halves_are_one(folder, &crawls, step));
    }
    assert!(bridged[..3].iter().any(|n| *n > 0), "some chains join what was published: {bridged:?}");
    assert_eq!(bridged[3], 0, "equality needs no chains");
}

#[test]
fn of_real_texts_two_halves_keep_what_one_job_keeps() {
    let Some(documents) = shared("data/dedup/docs.jsonl.zst") else { return };
    let mut documents = jsonl(&documents);
    documents.sort_by_key(|row| row["id"].as_str().expect("an id").to_owned());
    let second = documents.split_off(documents.len() / 2);
    let folder = tempfile::tempdir().expect("folder");
    halves_are_one(folder.path(), &[documents, second], "minhash_dedup: {preset: fineweb, threshold: 0.8}");
}

/// A chain a - b - c in which a is like b, b like c, and a is not like c.
#[test]
fn what_went_still_leads_to_what_stayed() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let text = |from: u64| (from..from + 60).map(|word| format!("w{word} ")).collect::<String>();
    let record = |id: &str, from: u64| json!({"id": id, "text": text(from)});
    let step = "minhash_dedup: {bands: 60, rows: 2, threshold: 0.75}";
    let extending = with_index(step, "{at: index, extend: true}");
    write(folder, "one", &[record("1", 0), record("2", 6), record("9", 24)]);
    must(folder, "one", &extending, "out-1");
    assert_eq!(ids(folder, "out-1"), ["1", "9"].map(str::to_owned).into());
    // Like the second, which went, and not like the first, which stayed.
    write(folder, "two", &[record("3", 12), record("8", 1000)]);
    must(folder, "two", &extending, "out-2");
    assert_eq!(ids(folder, "out-2"), ["8".to_owned()].into());
    // Like the third, which went in favour of the first, and like the one that was published apart: both stay.
    write(folder, "three", &[record("0", 18), record("4", 990)]);
    let manifest = must(folder, "three", &extending, "out-3");
    assert_eq!(ids(folder, "out-3"), ["4".to_owned()].into());
    let joined = json!({"step": 0, "components": 1, "duplicates": 1, "largest": 3, "held_components": 0, "held_documents": 0, "held_sources": 0, "of_index": 1, "bridged": 1});
    assert_eq!(manifest["joined"][0], joined);
}

/// Record ids, and where in one long row of words their texts begin.
type Documents = &'static [(&'static str, u64)];

/// Two jobs, and what stays of them.
struct Halves {
    name: &'static str,
    jobs: [Documents; 2],
    one_after_the_other: &'static [&'static str],
    in_one: &'static [&'static str],
    bridged: u64,
}

const HALVES: [Halves; 4] = [
    Halves {
        name: "copies within each, and of one in the other",
        jobs: [&[("1", 0), ("2", 6), ("3", 500)], &[("4", 3), ("5", 503), ("6", 900), ("7", 903)]],
        one_after_the_other: &["1", "3", "6"],
        in_one: &["1", "3", "6"],
        bridged: 0,
    },
    Halves {
        name: "what is like one that went is joined with the one that stayed",
        jobs: [&[("1", 0), ("2", 12)], &[("3", 24)]],
        one_after_the_other: &["1"],
        in_one: &["1"],
        bridged: 0,
    },
    Halves {
        name: "a bridge: 1 and 2 are not alike, both are published, and then comes 3, which is like both",
        jobs: [&[("1", 0), ("2", 24)], &[("3", 12)]],
        one_after_the_other: &["1", "2"],
        in_one: &["1"],
        bridged: 1,
    },
    Halves {
        name: "the smallest id comes with the second job, and what was published stays",
        jobs: [&[("5", 0)], &[("4", 3)]],
        one_after_the_other: &["5"],
        in_one: &["4"],
        bridged: 0,
    },
];

/// When one job after the other keeps what one job keeps, and when not: see the README.
#[test]
fn one_job_keeps_the_same_unless_a_later_document_joins_what_was_published_or_comes_first() {
    let text = |from: u64| (from..from + 60).map(|word| format!("w{word} ")).collect::<String>();
    let record = |(id, from): (&str, u64)| json!({"id": id, "text": text(from)});
    let records = |documents: &[(&str, u64)]| documents.iter().map(|one| record(*one)).collect::<Vec<_>>();
    let step = "minhash_dedup: {bands: 60, rows: 2, threshold: 0.6}";
    let folder = tempfile::tempdir().expect("folder");
    for (number, halves) in HALVES.iter().enumerate() {
        let (name, [first, second]) = (halves.name, halves.jobs);
        let folder = &folder.path().join(number.to_string());
        write(folder, "one", &records(first));
        write(folder, "two", &records(second));
        write(folder, "all", &records(&[first, second].concat()));
        let extending = with_index(step, "{at: index, extend: true}");
        must(folder, "one", &extending, "out-1");
        let manifest = must(folder, "two", &extending, "out-2");
        must(folder, "all", step, "out-all");
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let mut kept = ids(folder, "out-1");
        kept.extend(ids(folder, "out-2"));
        assert_eq!(
            (kept, ids(folder, "out-all")),
            (set(halves.one_after_the_other), set(halves.in_one)),
            "{name}"
        );
        assert_eq!(manifest["joined"][0]["bridged"].as_u64().unwrap_or(0), halves.bridged, "{name}");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copy");
        }
    }
}

fn generations(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder.join("index/generations")).expect("generations");
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("read"))
    };
    files.map(|entry| read(entry.expect("entry").path())).collect()
}

#[test]
fn of_two_jobs_that_extend_one_generation_the_second_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let crawls = crawls();
    for (name, crawl) in ["a", "b", "c"].iter().zip(&crawls) {
        write(folder, name, crawl);
    }
    let dedup = with_index("minhash_dedup: {preset: fineweb}", "{at: index, extend: true}");
    let step = format!("fault_injection: {{sleep_ms: 20}}, {dedup}");
    must(folder, "a", &dedup, "out-a");
    // Begun against the first generation, and killed.
    fs::write(
        folder.join("out-b.yaml"),
        format!("name: test\ninput: [b/]\nsteps: [{step}]\ntasks: {{size: 64KiB, buckets: 4}}\noutput: {{path: out-b}}\n"),
    )
    .expect("write");
    let mut child = gristmill()
        .current_dir(folder)
        .args(["run", "out-b.yaml", "--quiet", "--lanes", "2"])
        .env("GRISTMILL_FAULT_INJECTION", "1")
        .spawn()
        .expect("the program starts");
    let is_planned = || {
        let jobs = fs::read_dir(folder.join("out-b/_gristmill/jobs")).into_iter().flatten().flatten();
        jobs.into_iter().any(|job| job.path().join("plan.json").exists())
    };
    while !is_planned() {
        assert!(child.try_wait().expect("is there").is_none(), "the run ended before it was killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("is killed");
    child.wait().expect("ends");
    must(folder, "c", &dedup, "out-c");
    assert_eq!(manifest(folder, "out-c")["indexes"][0]["wrote"], 2);
    // It goes on with the generation that it was begun with, and comes too late.
    refused(folder, "b", &step, "out-b", "has a generation 2 already, by job test-");
    let ended = run(folder, "b", &step, "out-b", &["--overwrite"]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let used = &manifest(folder, "out-b")["indexes"][0];
    assert_eq!((&used["read"], &used["wrote"]), (&json!(2), &json!(3)));
}

#[test]
fn what_cannot_be_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let [a, b, _] = crawls();
    write(folder, "a", &a);
    write(folder, "b", &b);
    let step = |index: &str| with_index("minhash_dedup: {preset: fineweb}", index);
    refused(folder, "a", &step("none"), "o", "there is no index at none: correct the address");
    must(folder, "a", &step("{at: index, extend: true}"), "out-a");
    let other = with_index("minhash_dedup: {preset: fineweb, ngram: 4}", "index");
    refused(folder, "b", &other, "o", "is of a dedup that joins otherwise");
    let exact = with_index("exact_dedup: {content_key: text}", "index");
    refused(folder, "b", &exact, "o", "is of a dedup that joins otherwise");
    refused(folder, "b", &step("{at: index, generation: 2}"), "o", "its latest is 1: give a smaller number");
    refused(
        folder,
        "b",
        &step("{at: index, generation: 0, extend: true}"),
        "o",
        "only its latest can be extended",
    );
    refused(folder, "a", &step("index"), "o", "every document would be a duplicate of itself");
    for again in ["index", "./index/", "index/.", folder.join("index").to_str().expect("UTF-8")] {
        let again = step(&format!("{{at: {again}, extend: true}}"));
        let twice = format!("{}, {again}", step("{at: index, extend: true}"));
        refused(folder, "b", &twice, "o", "is named twice, and one job can extend it once");
    }
    assert!(!folder.join("o").exists(), "nothing is written before all is known");

    let damaged = |path: &Path, part: &str| {
        let bytes = fs::read(path).expect("read");
        let mut flipped = bytes.clone();
        // A manifest has no digest of its own: what is changed is its very first byte.
        let at = if part == "generation" { 0 } else { flipped.len() / 2 };
        flipped[at] ^= 1;
        fs::write(path, flipped).expect("write");
        let _ = fs::remove_dir_all(folder.join("o"));
        refused(folder, "b", &step("index"), "o", part);
        fs::remove_file(path).expect("is there");
        let _ = fs::remove_dir_all(folder.join("o"));
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        refused(
            folder,
            "b",
            &step("index"),
            "o",
            if part.contains("generation") { "no index at" } else { &name },
        );
        fs::write(path, bytes).expect("write");
    };
    let files = folder.join("index/files");
    let files = fs::read_dir(files).expect("files").next().expect("a folder").expect("entry").path();
    damaged(&files.join("00000000.keys"), "00000000.keys");
    damaged(&files.join("segments-000000.jsonl"), "its sha256 is");
    damaged(&folder.join("index/generations/000001.json"), "generation");
    let _ = fs::remove_dir_all(folder.join("o"));
    must(folder, "b", &step("index"), "o");
}
