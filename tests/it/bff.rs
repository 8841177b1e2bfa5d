//! `bff_dedup` from end to end: against DCLM's own program, against a simple one with a set in place of the filter, killed, and refused.

use crate::dedup::run_both;
use crate::run::{must_run, published};
use crate::steps::{corpus, recipe, rows};
use gristmill_tests::{gristmill, jsonl, shared};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn it_leaves_what_dclm_leaves() {
    let (Some(expected), Some(pages), Some(terms)) = (
        shared("golden/bff.jsonl.zst"),
        shared("golden/docs.jsonl.zst"),
        shared("data/dedup/docs.jsonl.zst"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fs::create_dir(folder.join("in")).expect("folder");
    let lines: String =
        [jsonl(&terms), jsonl(&pages)].concat().iter().map(|row| format!("{row}\n")).collect();
    fs::write(folder.join("in/all.jsonl"), lines).expect("write");
    let expected = jsonl(&expected);
    for (mode, left) in [("old-both", 1280), ("paragraph", 2262), ("document", 1445)] {
        recipe(folder, &format!("- bff_dedup: {{remove_type: {mode}, fp_rate: 1e-12}}\n"), "");
        let manifest = must_run(folder, &["--lanes", "2", "--set", "tasks.size=1MiB", "--overwrite"]);
        assert!(manifest["stages"][0]["tasks"].as_u64() > Some(4), "{}", manifest["stages"]);
        let kept = rows(&folder.join("out"));
        assert_eq!(kept.len(), left, "{mode}");
        let wanted = expected.iter().filter(|row| !row[mode].is_null());
        for (got, want) in kept.iter().zip(wanted) {
            let id = &want["id"];
            assert_eq!(&got["id"], id, "{mode}");
            let text = got["text"].as_str().expect("a text");
            assert_eq!(want[mode]["text_sha1"], hex::encode(Sha1::digest(text)), "{mode}: {id}");
            let contained = got.get("bff_contained_ngram_count_before_dedupe").unwrap_or(&Value::Null);
            assert_eq!(contained, &want[mode]["contained"], "{mode}: {id}");
        }
        // What DCLM's rate makes of it: a few pieces more.
        let loose = format!("steps.0.bff_dedup={{remove_type: {mode}, fp_rate: 0.01}}");
        let loose = must_run(
            folder,
            &["--set", "tasks.size=1MiB", "--set", &loose, "--output", "loose", "--overwrite"],
        );
        let kept = loose["documents"]["kept"].as_u64().expect("a number") as f64;
        assert!((0.98..1.0001).contains(&(kept / left as f64)), "{mode}: {kept} of {left}");
        let contained =
            |manifest: &Value| manifest["filtered"][0]["contained"].as_u64().expect("a number") as f64;
        assert!((0.99..1.03).contains(&(contained(&loose) / contained(&manifest))), "{mode}");
    }
}

/// A document of a few paragraphs, some of which others have, too, and some of which are nearly theirs.
fn document(file: u64, number: u64) -> Value {
    let at = file * 1009 + number;
    let paragraph = |place: u64| {
        let shared = (at * 7 + place * 13).is_multiple_of(3);
        let of = if shared { at * 31 % 17 + place } else { at * 100 + place };
        let words = [0, 2, 4, 9, 14][((of * 5 + place) % 5) as usize];
        let mut text: Vec<String> = (0..words).map(|word| format!("w{}", of * 50 + word)).collect();
        if shared && at.is_multiple_of(4) && words > 9 {
            text[3] = format!("other{at}");
        }
        text.join(" ")
    };
    let paragraphs: Vec<String> = (0..at % 6).map(paragraph).collect();
    json!({"id": format!("{file}-{number}"), "text": paragraphs.join("\n")})
}

/// What a group leaves, by the rules and with a set.
fn by_a_set(documents: &[(String, String)], whole: bool, paragraphs: bool) -> BTreeMap<String, String> {
    let mut known: HashSet<Vec<&str>> = HashSet::new();
    let mut left = BTreeMap::new();
    for (id, text) in documents {
        let pieces: Vec<&str> = if paragraphs {
            let mut starts: Vec<usize> = text.match_indices('\n').map(|at| at.0).collect();
            starts.insert(0, 0);
            starts.push(text.len());
            starts.windows(2).map(|range| &text[range[0]..range[1]]).collect()
        } else {
            vec![text]
        };
        let (mut stays, mut all, mut contained) = (String::new(), 0, 0);
        for piece in pieces {
            let words: Vec<&str> = piece.split_whitespace().collect();
            let grams: Vec<Vec<&str>> = match words.len() {
                0..=2 => Vec::new(),
                3 | 4 => vec![words],
                _ => words.windows(5).map(<[&str]>::to_vec).collect(),
            };
            let there = grams.iter().filter(|gram| known.contains(*gram)).count();
            (all, contained) = (all + grams.len(), contained + there);
            if grams.is_empty() || there * 2 <= grams.len() {
                stays.push_str(piece);
                known.extend(grams);
            }
        }
        let gone = whole && all > 0 && contained * 2 > all;
        if !gone && !stays.trim().is_empty() {
            left.insert(id.clone(), stays);
        }
    }
    left
}

#[test]
fn it_leaves_what_a_set_of_n_grams_leaves() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let sizes = [900, 1100, 0, 1000];
    corpus(folder, &sizes, document);
    let all: Vec<(String, String)> = (0..)
        .zip(sizes)
        .flat_map(|(file, size)| (0..size).map(move |number| document(file, number)))
        .map(|row| {
            (row["id"].as_str().expect("an id").to_owned(), row["text"].as_str().expect("a text").to_owned())
        })
        .collect();
    for (mode, whole, paragraphs) in
        [("old-both", true, true), ("paragraph", false, true), ("document", false, false)]
    {
        for groups in [1, 3] {
            let params = format!(
                "remove_type: {mode}, min_ngram_size: 3, max_ngram_size: 5, filtering_threshold: 0.5, fp_rate: 1e-12, shards: {groups}"
            );
            recipe(folder, &format!("- bff_dedup: {{{params}}}\n"), "");
            run_both(folder);
            let kept = rows(&folder.join("one"));
            // Which document is of which group does not depend on tasks.
            for (lanes, size) in [("8", "100KiB"), ("2", "1MiB")] {
                let size = format!("tasks.size={size}");
                let args = ["--lanes", lanes, "--set", &size, "--output", "other", "--overwrite"];
                must_run(folder, &args);
                assert_eq!(rows(&folder.join("other")), kept, "{mode} in {groups} groups, {size}");
            }
            let mut expected = BTreeMap::new();
            for group in 0..groups {
                let of = |id: &str| gristmill_dedup::bff::group_of(id, groups, 0) == group;
                let members: Vec<_> = all.iter().filter(|(id, _)| of(id)).cloned().collect();
                expected.extend(by_a_set(&members, whole, paragraphs));
            }
            let got: BTreeMap<String, String> = kept
                .iter()
                .map(|row| {
                    (
                        row["id"].as_str().expect("an id").to_owned(),
                        row["text"].as_str().expect("a text").to_owned(),
                    )
                })
                .collect();
            assert_eq!(got, expected, "{mode} in {groups} groups");
            assert!(expected.len() > 500 && expected.len() < 2800, "{}", expected.len());

            // Annotated, every document stays, and says what would go.
            recipe(folder, &format!("- bff_dedup: {{{params}, annotate: true}}\n"), "");
            must_run(folder, &["--output", "told", "--overwrite"]);
            let told = rows(&folder.join("told"));
            assert_eq!(told.len(), all.len());
            for (row, (id, text)) in told.iter().zip(&all) {
                assert_eq!((&row["id"], &row["text"]), (&json!(id), &json!(text)));
                let mut left = text.clone();
                for span in row["bff_duplicate_spans"].as_array().expect("spans").iter().rev() {
                    let at = |end: usize| span[end].as_u64().expect("a number") as usize;
                    left.replace_range(at(0)..at(1), "");
                }
                assert_eq!(left.trim(), expected.get(id).map_or("", |left| left.trim()), "{mode}: {id}");
            }
        }
    }
}

#[test]
fn filters_are_kept_for_other_jobs() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[500, 400, 300], document);
    let params = "min_ngram_size: 3, max_ngram_size: 5, filtering_threshold: 0.5, fp_rate: 1e-9, shards: 2";
    let run = |more: &str, input: &str, output: &str| {
        recipe(folder, &format!("- bff_dedup: {{{params}{more}}}\n"), "");
        let mut command = gristmill();
        command.current_dir(folder).args([
            "run",
            "recipe.yaml",
            "--quiet",
            "--overwrite",
            "--input",
            input,
            "--output",
            output,
        ]);
        let done = command.output().expect("starts");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() { Ok(rows(&folder.join(output))) } else { Err(said) }
    };
    let refused = |more: &str, input: &str, part: &str| {
        let said = run(more, input, "refused").map(|rows| rows.len()).expect_err(part);
        assert!(said.contains(part), "{part}: {said}");
    };
    let whole = run("", "in/", "whole").expect("runs");
    // Two files, then the third against what they left.
    fs::create_dir(folder.join("first")).expect("folder");
    fs::copy(folder.join("in/0.jsonl"), folder.join("first/0.jsonl")).expect("copies");
    fs::copy(folder.join("in/1.jsonl"), folder.join("first/1.jsonl")).expect("copies");
    let first = run(", save: kept, expected_ngram_count: 20000", "first/", "a").expect("runs");
    let names = |folder: &Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("filters")
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        names(&folder.join("kept")),
        ["00000-of-00002.bloom", "00001-of-00002.bloom", "saved_by.json"]
    );
    let second = run(", load: kept, save: more", "in/2.jsonl", "b").expect("runs");
    assert_eq!([first.clone(), second].concat(), whole);
    // Asking changes nothing: the same documents are known as often as one asks, and none of their own is.
    let asked = run(", load: more, query_only: true", "in/2.jsonl", "c").expect("runs");
    let again = run(", load: more, query_only: true", "in/2.jsonl", "d").expect("runs");
    assert_eq!(asked, again);
    assert!(asked.len() < 300 / 2, "{} documents are not known", asked.len());

    // What does not fit is said.
    refused(", load: nowhere", "in/2.jsonl", "a job with `save` and as many `shards` writes it");
    run(", save: full", "first/", "e").expect("runs");
    refused(", load: full", "in/", "make it anew with an expected_ngram_count of");
    assert!(run(", load: full, query_only: true", "in/2.jsonl", "f").is_ok());
    let bits = folder.join("more/00001-of-00002.bloom");
    let mut bytes = fs::read(&bits).expect("a filter");
    bytes[20] ^= 1;
    fs::write(&bits, &bytes).expect("writes");
    refused(", load: more, query_only: true", "in/2.jsonl", "the header's checksum does not match");
    let params = params.replace("max_ngram_size: 5", "max_ngram_size: 4");
    recipe(folder, &format!("- bff_dedup: {{{params}, load: kept}}\n"), "");
    let other =
        gristmill().current_dir(folder).args(["run", "recipe.yaml", "--overwrite"]).output().expect("starts");
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(
        said.contains("holds \"bff 3-5 grams of paragraphs\", and the recipe wants \"bff 3-4 grams"),
        "{said}"
    );
    let other = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--overwrite", "--set", "seed=3"])
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("was made with seed 0, and the recipe has seed 3"), "{said}");
}

/// How far the last checkpoint of the filter's one task is: tasks of the pass before that are behind it.
fn checkpointed(output: &Path) -> u64 {
    let Ok(jobs) = fs::read_dir(output.join("_gristmill/jobs")) else { return 0 };
    let head = |job: fs::DirEntry| {
        let head = fs::read(job.path().join("checkpoints/1/00000000/head.json")).ok()?;
        let head: Value = serde_json::from_slice(&head).ok()?;
        head["filter"]["bits"]["bytes"].as_u64()?;
        head["rest"]["task"].as_u64()
    };
    jobs.flatten().filter_map(head).max().unwrap_or(0)
}

#[test]
fn a_killed_filter_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // Long enough for a checkpoint or two: 600,000 n-grams at a rate that takes many bits each.
    let record = |file: u64, number: u64| {
        let at = file * 1000 + if number.is_multiple_of(3) { number / 2 } else { number };
        let words: Vec<String> =
            (0..320).map(|word| format!("w{}", (at * 7919 + word * word * 31) % 49_999)).collect();
        let paragraphs: Vec<String> = words.chunks(40).map(|paragraph| paragraph.join(" ")).collect();
        json!({"id": format!("{file}-{number}"), "text": paragraphs.join("\n")})
    };
    corpus(folder, &[800; 4], record);
    recipe(folder, "- bff_dedup: {fp_rate: 1e-12}\n", "");
    must_run(folder, &["--output", "calm"]);
    let begun = Instant::now();
    let mut kills = 0;
    let went_on = loop {
        assert!(begun.elapsed() < Duration::from_mins(5), "no checkpoint is taken");
        let mut command = gristmill();
        command.current_dir(folder).env("GRISTMILL_LOG", "info").env("NO_COLOR", "1");
        let args = ["run", "recipe.yaml", "--lanes", "1", "--checkpoint-every", "10ms", "--output", "killed"];
        let log = fs::File::create(folder.join("log")).expect("a log");
        let mut child = command.args(args).stdout(Stdio::null()).stderr(log).spawn().expect("starts");
        let enough = checkpointed(&folder.join("killed")) + 5;
        let ended = loop {
            // The second time it may go on to its end.
            if checkpointed(&folder.join("killed")) >= enough && kills < 2 {
                child.kill().expect("SIGKILL");
                kills += 1;
            }
            if let Some(status) = child.try_wait().expect("waits") {
                break status.success();
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if ended {
            let log = fs::read_to_string(folder.join("log")).expect("a log");
            let line = log.lines().find(|line| line.contains("held against a filter")).map(str::to_owned);
            let found = |line: &str| {
                line.split(' ').find_map(|word| word.strip_prefix("found_done=")?.parse::<u64>().ok())
            };
            assert!(!log.contains("WARN"), "{log}");
            let went_on = line.as_deref().and_then(found);
            assert_eq!(published(&folder.join("killed")), published(&folder.join("calm")));
            fs::remove_dir_all(folder.join("killed")).expect("remove");
            // On a fast machine it may have been too late.
            if kills > 0 && went_on > Some(0) {
                break went_on;
            }
            kills = 0;
        }
    };
    assert!(went_on > Some(100), "{went_on:?}");
}

#[test]
fn a_filter_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[300], |_, number| {
        let words: Vec<String> = (0..1548).map(|word| format!("n{number}w{word}")).collect();
        json!({"text": words.join(" ")})
    });
    recipe(folder, "- bff_dedup: {}\n", "");
    let run = |set: &[&str]| {
        let mut command = gristmill();
        command.current_dir(folder).args([
            "run",
            "recipe.yaml",
            "--overwrite",
            "--set",
            "tasks.memory=256KiB",
        ]);
        for set in set {
            command.args(["--set", set]);
        }
        let output = command.output().expect("starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // 300 documents of 1,536 n-grams, at some 10 bits each.
    let (success, said) = run(&[]);
    let part = "a Bloom filter for 460800 n-grams at an fp_rate of 0.01 takes 5";
    assert!(!success && said.contains(part) && said.contains("set `shards` to 4 or more"), "{said}");
    assert!(run(&["steps.0.bff_dedup={shards: 4}"]).0);
    let (success, said) = run(&["steps.0.bff_dedup={shards: 4, expected_ngram_count: 32000000}"]);
    assert!(!success && said.contains("and tasks.memory allows 262144"), "{said}");

    let plan = |args: &[&str]| {
        let output = gristmill()
            .current_dir(folder)
            .args(["plan", "recipe.yaml"])
            .args(args)
            .output()
            .expect("starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = plan(&["--set", "tasks.memory=256KiB", "--set", "steps.0.bff_dedup={shards: 2}"]);
    for part in ["bff_dedup filters", "filters   2 of up to", "more than the 256.00 KiB of tasks.memory"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let planned: Value = serde_json::from_str(&plan(&["--json"])).expect("JSON");
    assert!(planned["estimate"]["filter_bytes"].as_u64() > Some(1000), "{planned}");
}
