//! `gristmill run` as a user meets it: the same bytes whatever happens, everything accounted for, clear refusals.

use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

/// Two dedups and a selection, many small tasks: every kind of task there is.
const RECIPE: &str = "\
name: test
input: [in/*.jsonl]
steps:
- exact_dedup
- minhash_dedup: {preset: fineweb, clusters: true, duplicates: list}
- keep_top: {key: n, share: 90%, missing: keep}
tasks: {size: 64KiB, buckets: 4}
output: {path: out}
";

/// A small generator: tests must not differ from run to run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A corpus of invented texts: a third are copies or near copies of others, a few lines are broken.
pub(crate) fn corpus(folder: &Path, files: u64, documents: u64) {
    fs::create_dir_all(folder.join("in")).expect("folder");
    let mut random = Random(7);
    let mut texts: Vec<String> = Vec::new();
    for file in 0..files {
        let mut lines = String::new();
        for number in 0..documents {
            let text = match (texts.is_empty(), random.next(6)) {
                (false, 0) => texts[random.next(texts.len() as u64) as usize].clone(),
                (false, 1) => format!("{} added", texts[random.next(texts.len() as u64) as usize]),
                _ => {
                    let words = 60 + random.next(60);
                    (0..words).map(|_| format!("word{} ", random.next(5000))).collect()
                }
            };
            let record =
                json!({"id": format!("{file}-{number}"), "n": 1.50, "text": text, "meta": {"b": [1, null]}});
            writeln!(lines, "{record}").expect("memory");
            texts.push(text);
            if number == documents / 2 {
                lines.push_str("{\"text\": \"cut off\n\n[1, 2]\n");
            }
        }
        fs::write(folder.join(format!("in/{file}.jsonl")), lines).expect("write");
    }
    fs::write(folder.join("recipe.yaml"), RECIPE).expect("write");
}

fn run(folder: &Path, args: &[&str]) -> Output {
    gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml"])
        .args(args)
        .output()
        .expect("the program starts")
}

#[track_caller]
pub(crate) fn must_run(folder: &Path, args: &[&str]) -> Value {
    let output = run(folder, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = args.iter().position(|a| *a == "--output").map_or("out", |at| args[at + 1]);
    manifest(&folder.join(out))
}

fn manifest(output: &Path) -> Value {
    let json = fs::read(output.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&json).expect("JSON")
}

/// Every published file with its bytes: data files by their names, what dedups tell by `clusters/STEP/NAME`. There are none of
/// either where nothing is left, or nothing is told.
pub(crate) fn published(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(output.join("data"), String::new())];
    for step in fs::read_dir(output.join("clusters")).into_iter().flatten() {
        let step = step.expect("entry");
        folders.push((step.path(), format!("clusters/{}/", step.file_name().to_string_lossy())));
    }
    for (folder, prefix) in folders {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.expect("entry");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            files.insert(name, fs::read(entry.path()).expect("read"));
        }
    }
    files.insert("manifest.json".to_owned(), fs::read(output.join("manifest.json")).expect("manifest"));
    files
}

fn total(counts: &Value) -> u64 {
    counts.as_object().expect("counts").values().filter_map(Value::as_u64).sum()
}

#[test]
fn the_same_bytes_for_one_lane_and_eight_and_nothing_vanishes() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 6, 200);
    let one = must_run(folder.path(), &["--lanes", "1", "--output", "one"]);
    must_run(folder.path(), &["--lanes", "8", "--output", "eight"]);
    assert_eq!(published(&folder.path().join("one")), published(&folder.path().join("eight")));

    let documents = &one["documents"];
    // A cut line, and a line that is no object, in each file; the blank line between them is nothing.
    assert_eq!(documents["in"], 6 * 202);
    assert_eq!(documents["broken"], json!({"bad_json": 12}));
    assert!(documents["dropped"]["exact_dedup: duplicate"].as_u64() > Some(100), "{documents}");
    assert!(documents["dropped"]["minhash_dedup: near duplicate"].as_u64() > Some(100), "{documents}");
    let sum = documents["kept"].as_u64().expect("kept")
        + total(&documents["dropped"])
        + total(&documents["broken"]);
    assert_eq!(documents["in"], sum);
    let problems = fs::read_to_string(folder.path().join("one/_problems.jsonl")).expect("problems");
    assert_eq!(problems.lines().count(), 12);
    for entry in fs::read_dir(folder.path().join("one")).expect("output") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        assert!(["data", "clusters", "manifest.json"].contains(&&*name) || name.starts_with('_'), "{name}");
    }
    let verify = gristmill().current_dir(folder.path()).args(["verify", "one"]).output().expect("starts");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}

#[test]
fn killed_twenty_times_it_ends_with_the_same_bytes_and_runs_nothing_twice() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 6, 150);
    let started = std::time::Instant::now();
    must_run(folder.path(), &["--output", "calm"]);
    let calm = started.elapsed().as_millis() as u64;
    let expected = published(&folder.path().join("calm"));

    let mut random = Random(1);
    let (mut kills, mut rounds) = (0, 0);
    while kills < 20 {
        rounds += 1;
        let output = format!("killed-{rounds}");
        let mut done: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        loop {
            let mut command = gristmill();
            command.current_dir(folder.path()).args(["run", "recipe.yaml", "--quiet", "--lanes", "2"]);
            let mut child =
                command.args(["--output", &output]).stderr(Stdio::null()).spawn().expect("starts");
            std::thread::sleep(Duration::from_millis(random.next(calm / 2 + 1)));
            let ended = child.try_wait().expect("a child").is_some();
            child.kill().expect("SIGKILL");
            let status = child.wait().expect("the child is gone");
            for (path, record) in records(&folder.path().join(&output).join("_gristmill")) {
                let before = done.entry(path.clone()).or_insert_with(|| record.clone());
                assert_eq!(*before, record, "{path} was done and ran again");
            }
            if ended {
                assert!(status.success(), "round {rounds} failed");
                break;
            }
            kills += 1;
        }
        assert_eq!(
            expected,
            published(&folder.path().join(&output)),
            "after {kills} kills in {rounds} rounds"
        );
        let verify =
            gristmill().current_dir(folder.path()).args(["verify", &output]).output().expect("starts");
        assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    }
}

/// The records of the tasks that are done.
pub(crate) fn records(workspace: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut records = BTreeMap::new();
    let mut folders = vec![workspace.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("entry").path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.contains("/tasks/") && name.ends_with(".json") {
                records.insert(name, fs::read(&path).expect("a record is there whole"));
            }
        }
    }
    records
}

#[test]
fn fields_that_no_step_touches_come_out_as_they_went_in_in_every_format() {
    let folder = tempfile::tempdir().expect("folder");
    let line =
        r#"{"z":1.50,"text":"eins zwei","big":123456789012345678901234567890,"id":"a","m":{"x":[null]}}"#;
    fs::create_dir(folder.path().join("in")).expect("folder");
    fs::write(folder.path().join("in/a.jsonl"), format!("{line}\n")).expect("write");
    fs::write(folder.path().join("recipe.yaml"), RECIPE).expect("write");
    must_run(folder.path(), &["--set", "output.format=jsonl"]);
    let text = fs::read_to_string(folder.path().join("out/data/part-00000-000.jsonl")).expect("read");
    assert_eq!(text, format!("{line}\n"));
    for format in ["jsonl.gz", "jsonl.zst", "parquet"] {
        let output = format!("out-{format}");
        must_run(folder.path(), &["--set", &format!("output.format={format}"), "--output", &output]);
        let verify =
            gristmill().current_dir(folder.path()).args(["verify", &output]).output().expect("starts");
        assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    }
    // What was written is read again.
    let again = must_run(folder.path(), &["--input", "out-parquet/data/", "--output", "again"]);
    assert_eq!(again["documents"]["kept"], 1);
}

#[test]
fn a_dataset_that_was_changed_does_not_verify() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 1, 50);
    must_run(folder.path(), &[]);
    let verify = || {
        let output = gristmill().current_dir(folder.path()).args(["verify", "out"]).output().expect("starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    fs::write(folder.path().join("out/data/stranger.jsonl"), "{}\n").expect("write");
    let (code, message) = verify();
    assert!(code == Some(1) && message.contains("stranger.jsonl: not in the manifest"), "{message}");
    fs::remove_file(folder.path().join("out/data/stranger.jsonl")).expect("remove");
    let part = folder.path().join("out/data/part-00000-000.jsonl.zst");
    let mut bytes = fs::read(&part).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).expect("write");
    let (code, message) = verify();
    assert!(code == Some(1) && message.contains("part-00000-000.jsonl.zst: sha256"), "{message}");
}

#[test]
fn what_is_wrong_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("folder");
    corpus(folder.path(), 1, 20);
    let refused = |recipe: &str, args: &[&str], expected: &str| {
        fs::write(folder.path().join("recipe.yaml"), recipe).expect("write");
        let output = run(folder.path(), args);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
        assert!(!folder.path().join("out/manifest.json").exists(), "{expected}: something ran");
    };
    refused(
        "name: x\nsteps:\n- exact_dedup: {content_kye: url}\n",
        &[],
        "line 3: steps.0.exact_dedup.content_kye",
    );
    refused("name: x\nsteps:\n- exact_dedup: {content_kye: url}\n", &[], "did you mean \"content_key\"?");
    refused("name: x\nsteps:\n- exakt_dedup\n", &[], "did you mean \"exact_dedup\"?");
    refused("nmae: x\nsteps: []\n", &[], "did you mean \"name\"?");
    refused("name: x\nsteps: []\nseed: -1\n", &[], "line 3: seed");
    refused("name: x\nsteps:\n- minhash_dedup: {bands: 0, rows: 5}\n", &[], "bands is 0");
    refused("name: [x\n", &[], "line");
    let language = "name: x\ninput: in/0.jsonl\nsteps:\n- detect_lang_whole_page_enricher: {model: fasttext}\noutput: {path: out}\n";
    refused(language, &["--models", "nowhere"], "looked for lid.176.bin and lid.176.ftz in nowhere");
    refused(RECIPE, &["--input", "nothing/*.jsonl"], "nothing there matches");
    refused(RECIPE, &["--input", "recipe.yaml"], "the name tells no format");
    refused(RECIPE, &["--set", "steps.9.x=1"], "\"9\" is not there");
    refused(RECIPE, &["--set", "output.format=csv"], "csv");
    must_run(folder.path(), &[]);
    fs::write(folder.path().join("recipe.yaml"), RECIPE.replace("name: test", "name: other")).expect("write");
    let output = run(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--overwrite"));
    must_run(folder.path(), &["--overwrite"]);
}

#[test]
fn the_shipped_recipes_are_accepted() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    for entry in fs::read_dir(recipes).expect("recipes") {
        let path = entry.expect("entry").path();
        let yaml = fs::read_to_string(&path).expect("read");
        if let Err(error) = gristmill_pipeline::Recipe::parse(&yaml, &[]) {
            panic!("{}:\n{error}", path.display());
        }
    }
}

#[test]
fn the_reference_and_the_schema_name_every_step() {
    for (args, wanted) in [
        (&["steps"][..], "page_length_filter"),
        (&["steps", "exact_dedup"], "content_key"),
        (&["schema"], "$schema"),
    ] {
        let output = gristmill().args(args).output().expect("starts");
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains(wanted),
            "{args:?}"
        );
    }
    let unknown = gristmill().args(["steps", "exact_dedpu"]).output().expect("starts");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean \"exact_dedup\"?"));
}

#[test]
fn try_prints_a_line_for_every_document_in_order() {
    let folder = tempfile::tempdir().expect("folder");
    let lines = "{\"id\":\"a\",\"text\":\"one two three\"}\n{\"text\":\n{\"id\":3,\"text\":\"one\"}\n{\"id\":\"d\"}\n";
    fs::write(folder.path().join("docs.jsonl"), lines).expect("write");
    let step = r#"{"page_length_filter": {"length_type": "word", "min_length": 2}}"#;
    let output = gristmill()
        .current_dir(folder.path())
        .args(["try", "--step", step, "docs.jsonl"])
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdicts: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let short: Vec<(&str, &str)> = verdicts
        .iter()
        .map(|v| (v["id"].as_str().unwrap_or("-"), v["verdict"].as_str().expect("verdict")))
        .collect();
    assert_eq!(short, [("a", "keep"), ("-", "broken"), ("3", "drop"), ("d", "broken")]);
    assert_eq!(verdicts[2]["step"], "page_length_filter");
    assert_eq!(verdicts[0]["doc"], json!({"id": "a", "text": "one two three"}));
}
