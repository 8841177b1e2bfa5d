//! `gristmill plan`, and what `run` makes of a request that is not what it was.

use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Two dedups over three files, one of them large enough to be split.
const RECIPE: &str = "\
name: planned
input: [in/*.jsonl]
steps:
- word_counter_enricher
- exact_dedup
- minhash_dedup: {preset: fineweb}
- page_length_filter: {length_type: word, min_length: 1}
tasks: {size: 64KiB, buckets: 4}
output: {path: out}
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    fs::create_dir(folder.path().join("in")).expect("folder");
    for (name, lines) in [("a", 10), ("b", 20), ("c", 4000)] {
        let line = |n| format!("{{\"id\": \"{name}{n}\", \"text\": \"some words of line {n} of {name}\"}}\n");
        fs::write(folder.path().join(format!("in/{name}.jsonl")), (0..lines).map(line).collect::<String>())
            .expect("write");
    }
    fs::write(folder.path().join("recipe.yaml"), RECIPE).expect("write");
    folder
}

fn call(folder: &Path, args: &[&str]) -> Output {
    gristmill().current_dir(folder).args(args).output().expect("the program starts")
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], part: &str) {
    let output = call(folder, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(part), "{said}");
}

/// Every file below a folder, with its bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let bytes = fs::read(&path).expect("read");
            files.insert(path, bytes);
        }
    }
    files
}

#[test]
fn a_plan_says_what_a_run_would_do_and_writes_nothing() {
    let folder = folder();
    let before = snapshot(folder.path());
    let output = call(folder.path(), &["plan", "recipe.yaml", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let planned: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let plan = &planned["plan"];
    let bytes: u64 = before
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "jsonl"))
        .map(|(_, b)| b.len() as u64)
        .sum();
    assert_eq!(plan["input_files"], 3);
    assert_eq!(plan["input_bytes"], bytes);
    let stages: Vec<(&str, u64)> = plan["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| (stage["kind"].as_str().expect("kind"), stage["tasks"].as_u64().expect("tasks")))
        .collect();
    // The two small files make one task, the large one is split.
    let large = (bytes
        - before
            .iter()
            .filter(|(path, _)| path.ends_with("a.jsonl") || path.ends_with("b.jsonl"))
            .map(|(_, b)| b.len() as u64)
            .sum::<u64>())
    .div_ceil(64 << 10);
    assert!(large > 1);
    let map = ("map", large + 1);
    // What is compared is cut by tasks of the pass, of which there are more than four here.
    let exact = [map, ("bucket", 4), ("components", 1)];
    let near = [map, ("bucket", 4), ("attach", 4), ("compare", 4), ("components", 1)];
    assert_eq!(stages, [&exact[..], &near, &[map]].concat());
    let keys: Vec<&String> = planned["estimate"].as_object().expect("estimates").keys().collect();
    assert_eq!(keys, ["documents", "memory_bytes", "disk_bytes"]);

    let text = call(folder.path(), &["plan", "recipe.yaml"]);
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    for part in
        ["job       planned-", "input     3 files", "map to exact_dedup", "page_length_filter", "estimated"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(snapshot(folder.path()), before, "nothing is written");

    // The plan is that of the run, whatever the output.
    assert!(call(folder.path(), &["run", "recipe.yaml", "--quiet"]).status.success());
    let id = plan["job"].as_str().expect("id");
    let written =
        fs::read(folder.path().join(format!("out/_gristmill/jobs/{id}/plan.json"))).expect("a plan");
    let mut written: Value = serde_json::from_slice(&written).expect("JSON");
    let mut expected = plan.clone();
    for plan in [&mut written, &mut expected] {
        plan["resources"] = json!({});
    }
    assert_eq!(written, expected);
}

#[test]
fn a_job_does_not_go_on_with_another_input() {
    let folder = folder();
    let run = ["run", "recipe.yaml", "--quiet"];
    assert!(call(folder.path(), &run).status.success());
    assert!(call(folder.path(), &run).status.success(), "again is no trouble");

    fs::write(folder.path().join("in/d.jsonl"), "{\"text\": \"one more\"}\n").expect("write");
    refused(folder.path(), &run, "(1 files more); put it back, or begin anew with --overwrite");
    fs::remove_file(folder.path().join("in/d.jsonl")).expect("removes");
    assert!(call(folder.path(), &run).status.success(), "it is what it was");

    fs::write(folder.path().join("in/a.jsonl"), "{\"text\": \"other words\"}\n").expect("write");
    refused(folder.path(), &run, "as many files, and some of them changed");
    let anew = call(folder.path(), &["run", "recipe.yaml", "--quiet", "--overwrite"]);
    assert!(anew.status.success(), "{}", String::from_utf8_lossy(&anew.stderr));
}

#[test]
fn wrong_requests_are_refused_before_anything_is_written() {
    let folder = folder();
    let before = snapshot(folder.path());
    fs::write(folder.path().join("page.html"), "<p>a page</p>").expect("write");
    fs::write(folder.path().join("list.txt"), "in/a.jsonl\nin/none.jsonl\n").expect("write");
    for (input, part) in [
        ("nothing/*.jsonl", "nothing there matches"),
        ("list.txt", "none.jsonl"),
        ("page.html", "put `extract_text` before it"),
        ("recipe.yaml", "tells no format"),
    ] {
        for command in ["plan", "run"] {
            refused(folder.path(), &[command, "recipe.yaml", "--input", input], part);
        }
    }
    assert_eq!(snapshot(folder.path()).len(), before.len() + 2, "nothing is written");
}
