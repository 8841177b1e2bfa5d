//! A run that is killed near the end of a long task goes on from the last checkpoint: little is read again, and the output
//! is the same to the byte.

use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const DOCUMENTS: u64 = 600;
/// How long each document takes, and how often a checkpoint is taken: some 25 documents apart.
const SLEEP_MS: u64 = 4;
const EVERY: &str = "100ms";

/// One file, one task, documents that take their time.
fn corpus(folder: &Path) {
    let mut lines = String::new();
    for number in 0..DOCUMENTS {
        // A tenth are copies of the one before, a tenth nearly so.
        let base = if number % 10 == 1 || number % 10 == 2 { number - number % 10 } else { number };
        let mut text = String::new();
        for word in 0..80 {
            write!(text, "word{} ", (base * 7919 + word * word * 31) % 4999).expect("memory");
        }
        if number % 10 == 2 {
            text.push_str("and more");
        }
        let id = format!("d{number}");
        writeln!(lines, "{}", json!({"id": id, "n": 1.50, "text": text})).expect("memory");
        if number % 100 == 50 {
            lines.push_str("no record\n");
        }
    }
    fs::write(folder.join("in.jsonl"), lines).expect("write");
}

/// The same number of pages in one WARC file.
fn pages(folder: &Path) {
    let mut warc = String::new();
    for number in 0..DOCUMENTS + DOCUMENTS / 100 {
        let http = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{}",
            crate::union::page(number as usize)
        );
        write!(
            warc,
            "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:x:{number}>\r\nWARC-Target-URI: http://a.example/{number}\r\n\
            Content-Type: application/http; msgtype=response\r\nContent-Length: {}\r\n\r\n{http}\r\n\r\n",
            http.len()
        )
        .expect("memory");
    }
    fs::write(folder.join("in.warc"), warc).expect("write");
}

fn recipe(folder: &Path, steps: &str, format: &str) {
    let recipe = format!(
        "name: resume\ninput: in.*\nsteps:\n{steps}tasks: {{size: 64MiB, buckets: 2}}\noutput: {{path: out, format: {format}}}\n"
    );
    fs::write(folder.join("recipe.yaml"), recipe).expect("write");
}

fn command(folder: &Path, output: &str) -> Command {
    let mut command = gristmill();
    command
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--lanes", "1", "--checkpoint-every", EVERY, "--output", output])
        .env("GRISTMILL_FAULT_INJECTION", "1")
        .env("GRISTMILL_LOG", "info")
        .env("NO_COLOR", "1");
    command
}

fn must(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    stderr
}

/// What the last checkpoint of the stage's one task counts; 0 where there is none.
fn checkpointed(output: &Path, stage: usize) -> u64 {
    let Ok(jobs) = fs::read_dir(output.join("_gristmill/jobs")) else { return 0 };
    let head = |job: fs::DirEntry| {
        let head = job.path().join(format!("checkpoints/{stage}/00000000/head.json"));
        let head: Value = serde_json::from_slice(&fs::read(head).ok()?).ok()?;
        head["tally"]["in"].as_u64()
    };
    jobs.flatten().filter_map(head).max().unwrap_or(0)
}

/// Starts a run and kills it when nine tenths of a stage are behind a checkpoint.
fn kill_at_nine_tenths(folder: &Path, stage: usize, of: u64) {
    let mut child: Child =
        command(folder, "killed").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let begun = Instant::now();
    while checkpointed(&folder.join("killed"), stage) < of * 9 / 10 {
        assert!(begun.elapsed() < Duration::from_mins(1), "no checkpoint is taken");
        assert!(child.try_wait().expect("waits").is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("waits");
}

/// What the log says of a stage's attempt: documents that were read, and rows that came from checkpoints.
fn read_and_replayed(stderr: &str, stage: usize) -> (u64, u64) {
    let line = stderr
        .lines()
        .find(|line| line.contains("read to the end") && line.contains(&format!("stage={stage} ")))
        .unwrap_or_else(|| panic!("no word of stage {stage}: {stderr}"));
    let field = |name: &str| {
        let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no {name}: {line}"))
    };
    (field("read"), field("replayed"))
}

/// Every file that readers see.
fn published(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(output.join("data")).expect("data") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        files.insert(name, fs::read(&path).expect("read"));
    }
    for name in ["manifest.json", "_problems.jsonl"] {
        files.extend(fs::read(output.join(name)).ok().map(|bytes| (name.to_owned(), bytes)));
    }
    files
}

/// The only file of this name below a folder.
fn find(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name() == name {
                return path;
            }
        }
    }
    panic!("there is no {name} in {}", folder.display())
}

/// Kills runs at nine tenths of the given stages, ends the job, and compares with a calm run.
fn check(steps: &str, format: &str, stages: &[usize]) {
    check_input(corpus, steps, format, stages);
}

fn check_input(input: fn(&Path), steps: &str, format: &str, stages: &[usize]) {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    input(folder);
    recipe(folder, steps, format);
    let calm = must(command(folder, "calm").output().expect("starts"));
    let (whole, replayed) = read_and_replayed(&calm, stages[0]);
    assert_eq!((whole, replayed), (DOCUMENTS + DOCUMENTS / 100, 0));
    let mut resumed = String::new();
    for (turn, stage) in stages.iter().enumerate() {
        let (of, _) = read_and_replayed(&calm, *stage);
        kill_at_nine_tenths(folder, *stage, of);
        if let Some(next) = stages.get(turn + 1) {
            // The next kill's run finishes this stage; what it reads is seen at the very end only for the last one.
            assert!(next > stage);
        } else {
            resumed = must(command(folder, "killed").output().expect("starts"));
            let (read, replayed) = read_and_replayed(&resumed, *stage);
            assert!(read * 5 < of, "{read} of {of} documents were read again");
            assert!(replayed > 0, "{resumed}");
        }
    }
    assert!(!resumed.contains("WARN"), "{resumed}");
    assert_eq!(published(&folder.join("killed")), published(&folder.join("calm")));
    assert_eq!(checkpointed(&folder.join("killed"), stages[0]), 0, "checkpoints of a done task are deleted");
}

#[test]
fn a_damaged_checkpoint_costs_work_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder);
    recipe(folder, &format!("- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n"), "jsonl");
    must(command(folder, "calm").output().expect("starts"));
    for (name, at) in [("head.json", 0), ("000002.zst", 40)] {
        kill_at_nine_tenths(folder, 0, DOCUMENTS);
        let path = find(&folder.join("killed/_gristmill"), name);
        let mut bytes = fs::read(&path).expect("read");
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("write");
        let resumed = must(command(folder, "killed").output().expect("starts"));
        assert!(resumed.contains("WARN") && resumed.contains("beginning anew"), "{resumed}");
        assert_eq!(read_and_replayed(&resumed, 0).0, DOCUMENTS + DOCUMENTS / 100);
        assert_eq!(published(&folder.join("killed")), published(&folder.join("calm")));
        fs::remove_dir_all(folder.join("killed")).expect("remove");
    }
}

#[test]
fn jsonl_goes_on_where_it_was() {
    check(&format!("- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n"), "jsonl.zst", &[0]);
}

#[test]
fn parquet_goes_on_where_it_was() {
    check(&format!("- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n"), "parquet", &[0]);
}

#[test]
fn what_was_observed_and_what_waits_for_a_program_is_not_lost() {
    let steps = format!(
        "- aggregate: {{key: id, type: histogram}}\n- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n- external: {{command: [cat], batch: 7}}\n- aggregate: {{key: id, type: histogram}}\n"
    );
    check(&steps, "jsonl.zst", &[0]);
}

#[test]
fn passes_between_barriers_go_on_where_they_were() {
    let slow = format!("- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n");
    let dedups = "- exact_dedup\n- minhash_dedup: {preset: fineweb, clusters: true}\n";
    // The pass that tells of joined documents is killed as well: it tells all of them, and each once.
    let steps = format!("{slow}{dedups}{slow}- keep_top: {{key: n, share: 90%}}\n{slow}");
    check(&steps, "jsonl.zst", &[0, 8, 11]);
}

#[test]
fn passes_around_a_filter_go_on_where_they_were() {
    let slow = format!("- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n");
    for more in ["", ", annotate: true"] {
        let dedup = format!("- bff_dedup: {{min_ngram_size: 5, max_ngram_size: 5, fp_rate: 1e-9{more}}}\n");
        check(&format!("{slow}{dedup}{slow}"), "jsonl.zst", &[0, 2]);
    }
}

#[test]
fn pages_that_wait_with_another_text_are_not_lost() {
    let steps = format!(
        "- extract_text: {{extractor: union}}\n- fault_injection: {{sleep_ms: {SLEEP_MS}}}\n- external: {{command: [cat], batch: 7}}\n\
        - page_length_filter: {{length_type: word, min_length: 60}}\n- aggregate: {{key: extractor, type: histogram}}\n"
    );
    check_input(pages, &steps, "jsonl.zst", &[0]);
}
