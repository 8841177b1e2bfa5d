//! Documents that abort, hang, exhaust or overflow the program, and a file that cannot be read in the memory there is: each is
//! found, counted as broken and named; everything else comes out as if they were not there.

use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The texts that the recipe's faults look for, and what becomes of the documents that hold them.
const FAULTS: [(&str, &str); 4] =
    [("abort", "SIGABRT"), ("hang", "took more than 3 s"), ("exhaust", "SIGABRT"), ("overflow", "SIGABRT")];

const RECIPE: &str = "\
name: poison
input: [in/]
steps:
- fault_injection: {abort: must abort, hang: must hang, exhaust: must exhaust, overflow: must overflow, panic: must panic}
tasks: {size: 64KiB}
limits: {document_time: 3, line: 1GiB}
output: {path: out, format: jsonl}
";

/// KiB of memory that the program may have: enough for its work, not for the line of the poison file.
const MEMORY_KIB: u64 = 512 << 10;
const LONG_LINE: usize = 300 << 20;

/// Ten files of a hundred documents, one fault in every second file, and a file whose one line does not fit the memory.
fn corpus(folder: &Path) {
    fs::create_dir_all(folder.join("in")).expect("folder");
    let filler = "some words of no meaning ".repeat(26);
    for file in 0..10 {
        let mut lines = String::new();
        for number in 0..100 {
            let fault = match (file % 2, number, FAULTS.get(file / 2)) {
                (0, 57, Some((fault, _))) => format!("must {fault}"),
                (0, 57, None) => "must panic".to_owned(),
                _ => String::new(),
            };
            let record = json!({"id": format!("{file}-{number}"), "text": format!("{filler}{fault}")});
            writeln!(lines, "{record}").expect("memory");
        }
        fs::write(folder.join(format!("in/{file}.jsonl")), lines).expect("write");
    }
    let out = fs::File::create(folder.join("in/4-large.jsonl.zst")).expect("creates");
    let mut packed = zstd::Encoder::new(out, 1).expect("zstd");
    std::io::Write::write_all(&mut packed, b"{\"text\":\"").expect("writes");
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b'x'), LONG_LINE as u64), &mut packed)
        .expect("writes");
    packed.finish().expect("writes");
    fs::write(folder.join("recipe.yaml"), RECIPE).expect("write");
}

/// Runs with bounded memory, so that a document that eats it harms nothing but the program.
fn run(folder: &Path, args: &[&str]) -> Output {
    let program = gristmill();
    Command::new("sh")
        .current_dir(folder)
        .args(["-c", &format!("ulimit -d {MEMORY_KIB}; ulimit -c 0; exec \"$0\" \"$@\"")])
        .arg(program.get_program())
        .args(["run", "recipe.yaml"])
        .args(args)
        .env("GRISTMILL_FAULT_INJECTION", "1")
        .env("NO_COLOR", "1")
        .output()
        .expect("starts")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// All rows of a dataset by id, as they were written.
fn rows(output: &Path) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir(output.join("data")).expect("data") {
        for row in lines(&entry.expect("entry").path()) {
            let id = row["id"].as_str().expect("id").to_owned();
            assert!(rows.insert(id, row).is_none(), "a document came twice");
        }
    }
    rows
}

#[test]
fn exactly_the_poison_is_broken_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path());
    // What would come out of the documents without the faults.
    let plain = ["--set", "steps=[]", "--input", "in/*.jsonl", "--output", "plain"];
    assert!(run(folder.path(), &plain).status.success());
    let mut wanted = rows(&folder.path().join("plain"));
    for file in 0..5 {
        wanted.remove(&format!("{}-57", file * 2)).expect("a fault");
    }

    let mut before: Option<Vec<Value>> = None;
    for lanes in ["1", "4"] {
        let output = run(folder.path(), &["--lanes", lanes, "--output", lanes]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{lanes} lanes: {stderr}");
        let out = folder.path().join(lanes);
        let manifest: Value =
            serde_json::from_slice(&fs::read(out.join("manifest.json")).expect("manifest")).expect("JSON");
        let documents = &manifest["documents"];
        assert_eq!(documents["broken"], json!({"poison": 5, "panic in fault_injection": 1}), "{stderr}");
        assert_eq!((&documents["in"], &documents["kept"]), (&json!(1001), &json!(995)));
        assert_eq!(rows(&out), wanted, "{lanes} lanes");

        let problems = lines(&out.join("_problems.jsonl"));
        for (place, (fault, why)) in FAULTS.iter().enumerate() {
            let id = format!("{}-57", place * 2);
            let found: Vec<&Value> = problems.iter().filter(|p| p["id"] == id.as_str()).collect();
            assert_eq!(found.len(), 1, "{fault}: {problems:?}");
            assert_eq!(found[0]["reason"], "poison");
            let detail = found[0]["detail"].as_str().expect("detail");
            assert!(detail.contains(why), "{fault}: {detail}");
        }
        let file = |p: &&Value| p["source"].as_str().is_some_and(|s| s.ends_with("4-large.jsonl.zst"));
        let large: Vec<&Value> = problems.iter().filter(file).collect();
        assert_eq!(large.len(), 1, "{problems:?}");
        assert_eq!(large[0]["reason"], "poison");
        assert_eq!(problems.len(), 6, "{problems:?}");
        // Whoever finds the poison finds the same; whether a file's reading ends by time or by memory may differ.
        let found: Vec<Value> =
            problems.iter().map(|p| json!([p["source"], p["offset"], p["id"], p["reason"]])).collect();
        assert_eq!(*before.get_or_insert_with(|| found.clone()), found);
    }
}

#[test]
fn faults_to_order_are_refused_without_the_word_for_it() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("recipe.yaml"), RECIPE).expect("write");
    let output = gristmill()
        .current_dir(folder.path())
        .args(["run", "recipe.yaml"])
        .env_remove("GRISTMILL_FAULT_INJECTION")
        .output()
        .expect("starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("harms the program on purpose"));
    let steps = gristmill().arg("steps").output().expect("starts");
    assert!(!String::from_utf8_lossy(&steps.stdout).contains("fault_injection"));
}
