//! Classifiers as a user meets them: trained on whatever files there are, put into a recipe, held in memory once.

use crate::run::must_run;
use crate::steps::{recipe, rows};
use flate2::{Compression, write::GzEncoder};
use gristmill_classify::train::{self, Settings, TrainingText};
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A text that leans towards its label by a third of its words.
fn text(is_good: bool, number: u64) -> String {
    let mut random = crate::run::Random(number * 2 + u64::from(is_good));
    let words = (0..30).map(|_| match random.next(3) {
        0 if is_good => format!("proof{}", random.next(20)),
        0 => format!("shop{}", random.next(20)),
        _ => format!("word{}", random.next(400)),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn texts(is_good: bool, count: u64) -> Vec<String> {
    (0..count).map(|number| text(is_good, number)).collect()
}

/// Records of texts, with what `record` makes of number and text.
fn lines(texts: &[String], record: impl Fn(usize, &str) -> Value) -> Vec<u8> {
    texts
        .iter()
        .enumerate()
        .map(|(at, text)| format!("{}\n", record(at, text)))
        .collect::<String>()
        .into_bytes()
}

fn plain(texts: &[String]) -> Vec<u8> {
    lines(texts, |at, text| json!({"id": at, "text": text}))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

/// Small matrices: learning takes a moment.
const SMALL: [&str; 6] = ["--dim", "10", "--bucket", "5000", "--lr", "0.5"];

fn train(folder: &Path, args: &[&str]) -> std::process::Output {
    let mut command = gristmill();
    command.current_dir(folder).arg("train-classifier").args(SMALL).args(args);
    command.output().expect("the program starts")
}

/// The bytes of the model that comes out, and its card.
#[track_caller]
fn trained(folder: &Path, positive: &str, negative: &str, more: &[&str]) -> (Vec<u8>, Value) {
    let args = ["--positive", positive, "--negative", negative, "--output", "models/q.bin", "--overwrite"];
    let args = [&args[..], more].concat();
    let output = train(folder, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let card = fs::read(folder.join("models/q.card.json")).expect("a card");
    let model = fs::read(folder.join("models/q.bin")).expect("a model");
    (model, serde_json::from_slice(&card).expect("JSON"))
}

#[test]
fn the_same_texts_give_the_same_model() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let (good, ordinary) = (texts(true, 400), texts(false, 500));
    for name in ["good", "again", "ordinary", "in"] {
        fs::create_dir(folder.join(name)).expect("folder");
    }
    fs::write(folder.join("good/all.jsonl"), plain(&good)).expect("write");
    fs::write(folder.join("ordinary/all.jsonl"), plain(&ordinary)).expect("write");
    // The same texts, cut and packed in another way, in other fields, some of them twice.
    let halves = |_: usize, text: &str| {
        let (question, answer) = text.split_at(text.find(' ').expect("words"));
        json!({"q": question, "a": answer.trim_start(), "text": "not this"})
    };
    fs::write(folder.join("again/1.jsonl.gz"), gzip(&lines(&good[250..], halves))).expect("write");
    let packed = zstd::encode_all(&lines(&good[..300], halves)[..], 1).expect("memory");
    fs::write(folder.join("again/2.jsonl.zst"), packed).expect("write");
    // The output of a job, beside other files that are none of it.
    fs::write(folder.join("in/0.jsonl"), plain(&ordinary)).expect("write");
    recipe(folder, "- newline_removal_modifier\n", ", format: parquet");
    must_run(folder, &[]);
    fs::write(folder.join("out/_stray.jsonl"), plain(&good)).expect("write");
    fs::write(folder.join("out/stray.jsonl"), plain(&good)).expect("write");

    let drawn = |positive: &str, negative: &str, more: &[&str]| {
        trained(folder, positive, negative, &[&["--examples", "150"], more].concat())
    };
    let (model, card) = drawn("good/*.jsonl", "ordinary/", &["--lanes", "1"]);
    let (same, other_card) = drawn("again/", "out", &["--lanes", "3", "--positive-field", "q,a", "--quiet"]);
    assert!(model == same, "the model depends on how the texts lie");
    assert_eq!(card["training"], other_card["training"]);
    let (other, _) = drawn("good/*.jsonl", "ordinary/", &["--seed", "1"]);
    assert!(model != other, "the model does not depend on the seed");

    assert_eq!(card["training"]["examples"], json!({"cc": 135, "hq": 135}));
    assert_eq!(card["held_out"]["examples"], json!({"cc": 15, "hq": 15}));
    assert_eq!(card["model"]["bytes"], model.len());
    assert_eq!(card["settings"]["word_ngrams"], 2);
    assert!(card["evaluation"]["auc"].as_f64() > Some(0.95), "{card}");
    let source = &other_card["sources"][0];
    assert_eq!(
        *source,
        json!({
            "label": "hq", "inputs": ["again/"], "fields": ["q", "a"], "files": 2, "seen": 450, "unusable": {}, "drawn": 150,
        })
    );
}

#[test]
fn a_trained_model_filters_in_a_recipe() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let (good, ordinary) = (texts(true, 400), texts(false, 400));
    fs::create_dir(folder.join("in")).expect("folder");
    fs::write(folder.join("good.jsonl"), plain(&good[..300])).expect("write");
    fs::write(folder.join("ordinary.jsonl"), plain(&ordinary[..300])).expect("write");
    let (_, card) = trained(folder, "good.jsonl", "ordinary.jsonl", &["--epoch", "25"]);
    let markdown = fs::read_to_string(folder.join("models/q.card.md")).expect("a card");
    assert!(markdown.contains(card["model"]["sha256"].as_str().expect("a digest")), "{markdown}");
    let unseen = [&good[300..], &ordinary[300..]].concat();
    fs::write(folder.join("in/0.jsonl"), lines(&unseen, |at, text| json!({"good": at < 100, "text": text})))
        .expect("write");
    let steps = "- classify_fasttext_hq_prob_enricher: {model_filename: q.bin}\n\
        - fasttext: {model: q.bin, label: hq, key: quality}\n\
        - ensemble_score: {keys: [fasttext_hq_prob, quality], method: min, key: both}\n\
        - quality_filter: {key: both, threshold: 0.5}\n";
    recipe(folder, steps, "");
    let manifest = must_run(folder, &["--models", "models"]);
    assert_eq!(manifest["documents"]["broken"], json!({}));
    assert_eq!(manifest["resources"], json!({"q.bin": card["model"]["sha256"]}));
    let kept = rows(&folder.join("out"));
    let good = kept.iter().filter(|row| row["good"] == json!(true)).count();
    assert!(good > 80 && kept.len() - good < 20, "{good} of {} that are kept are good", kept.len());
    for row in &kept {
        let (dclm, ours) = (row["fasttext_hq_prob"].as_f64(), row["quality"].as_f64());
        let apart = dclm.zip(ours).map(|(dclm, ours)| (dclm - ours).abs());
        assert!(apart < Some(1e-4), "{row}");
        assert_eq!(row["both"].as_f64(), dclm.zip(ours).map(|(dclm, ours)| dclm.min(ours)), "{row}");
    }
}

#[test]
fn no_text_is_both_learned_from_and_held_out() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let spread = |texts: &[String]| texts.iter().map(|text| text.replace(' ', " \t ")).collect::<Vec<_>>();
    let (good, ordinary) = (texts(true, 100), texts(false, 100));
    // Texts whose words are the same are one, and those of both labels are of none.
    fs::write(folder.join("good.jsonl"), plain(&[&good[..], &spread(&good)].concat())).expect("write");
    fs::write(folder.join("ordinary.jsonl"), plain(&[&ordinary[..], &spread(&good[..10])].concat()))
        .expect("write");
    let (_, card) = trained(folder, "good.jsonl", "ordinary.jsonl", &["--held-out", "0.5"]);
    for (source, seen, drawn) in [(0, 200, 90), (1, 110, 100)] {
        let source = &card["sources"][source];
        assert_eq!((&source["seen"], &source["drawn"]), (&json!(seen), &json!(drawn)), "{source}");
        assert_eq!(source["unusable"], json!({"a text of both labels": 10}));
    }
    for part in ["training", "held_out"] {
        assert_eq!(card[part]["examples"], json!({"cc": 50, "hq": 45}), "{part}");
    }
}

#[test]
fn a_model_that_cannot_be_put_in_its_place_is_not_lost() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fs::write(folder.join("good.jsonl"), plain(&texts(true, 50))).expect("write");
    fs::write(folder.join("ordinary.jsonl"), plain(&texts(false, 50))).expect("write");
    for name in ["scratch", "q.bin.card.json"] {
        fs::create_dir(folder.join(name)).expect("folder");
    }
    let args = ["--positive", "good.jsonl", "--negative", "ordinary.jsonl", "--output", "q.bin.bin"];
    let args = [&args[..], &["--scratch", "scratch", "--quiet"]].concat();
    let failed = train(folder, &args);
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{told}");
    let (_, place) = told.split_once("the trained model lies in ").expect("a place");
    let place = place.split(": ").next().expect("a path");
    let kept = fs::read(folder.join(place.trim())).expect("the model");
    // With the way free it is the same, and nothing stays in the scratch folder.
    fs::remove_dir(folder.join("q.bin.card.json")).expect("a folder");
    fs::remove_dir_all(folder.join("scratch")).expect("a folder");
    fs::create_dir(folder.join("scratch")).expect("a folder");
    let done = train(folder, &args);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(kept == fs::read(folder.join("q.bin.bin")).expect("a model"));
    assert_eq!(fs::read_dir(folder.join("scratch")).expect("a folder").count(), 0);
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(told.contains(" q.bin.card.md\n") && folder.join("q.bin.card.md").is_file(), "{told}");
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let good = texts(true, 50);
    fs::write(folder.join("good.jsonl"), plain(&good)).expect("write");
    fs::write(folder.join("empty.jsonl"), "").expect("write");
    fs::write(folder.join("blank.jsonl"), "{\"text\":\" \"}\n{\"text\":\"\\n\"}\n").expect("write");
    fs::write(folder.join("page.html"), "<p>A page</p>").expect("write");
    fs::write(folder.join("cut.jsonl.gz"), &gzip(&plain(&good))[..40]).expect("write");
    fs::write(folder.join("same.jsonl"), "{\"text\":\"one\"}\n".repeat(9)).expect("write");
    fs::create_dir(folder.join("made")).expect("folder");
    fs::write(folder.join("made/manifest.json"), "{}").expect("write");
    fs::write(folder.join("there.bin"), "").expect("write");
    let two = "two different texts are needed at least, and there are";
    let check = |args: &[&str], code: i32, expected: &str| {
        let output = train(folder, args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(expected), "{args:?}: {told}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(output.stdout.is_empty() && !folder.join("q.bin").exists(), "{args:?}");
    };
    let with = |negative: &str, more: &[&str], code: i32, expected: &str| {
        let args = ["--positive", "good.jsonl", "--negative", negative, "--output", "q.bin", "--quiet"];
        check(&[&args[..], more].concat(), code, expected);
    };
    with("empty.jsonl", &[], 2, &format!("label cc: {two} 0 in empty.jsonl; records: 0"));
    with("blank.jsonl", &[], 2, "records: 2, of which 2 have an empty text");
    with("page.html", &[], 2, "of which 1 have a page in place of a text; extract it first");
    with("same.jsonl", &[], 2, &format!("{two} 1 in same.jsonl; records: 9"));
    with(
        "good.jsonl",
        &["--negative-field", "body"],
        2,
        "records: 50, of which 50 have no text in field body. A record has these fields: id, text",
    );
    with(
        "good.jsonl",
        &[],
        2,
        &format!("{two} 0 in good.jsonl; records: 50, of which 50 have a text of both labels"),
    );
    with("cut.jsonl.gz", &[], 2, "cut.jsonl.gz at 0");
    with("none.jsonl", &[], 2, "none.jsonl");
    with("none/*.jsonl", &[], 2, "none/*.jsonl: nothing there matches");
    with("made", &[], 2, "made/manifest.json is no manifest");
    with("good.jsonl", &["--negative-label", "hq"], 2, "both labels are \"hq\"; give two names");
    with("good.jsonl", &["--negative-label", "a b"], 2, "\"a b\" cannot be a label");
    with("good.jsonl", &["--negative-label", "__label__cc"], 2, "give a name without __label__");
    with("good.jsonl", &["--minn", "5", "--maxn", "2"], 2, "minn is 5 and maxn 2: give a maxn");
    with("good.jsonl", &["--held-out", "1"], 2, "--held-out is a share between 0 and 1, not 1");
    with("good.jsonl", &["--epoch", "0"], 2, "epoch is 0: give a number from 1 to 1000");
    let args = ["--positive", "good.jsonl", "--negative", "same.jsonl", "--quiet", "--output"];
    check(&[&args[..], &["there.bin"]].concat(), 2, "there.bin is there already; --overwrite replaces it");
    check(&[&args[..], &["q.ftz"]].concat(), 2, "q.ftz: the name of a model ends in .bin");
}

/// The most memory that a run takes at one moment, in bytes, as Linux counts it.
fn peak(folder: &Path, args: &[&str]) -> u64 {
    let mut run = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--overwrite", "--quiet", "--models", "models"])
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let id = run.id();
    let (start, mut most) = (Instant::now(), 0);
    let status = loop {
        // The work is done in a child of the process that was started.
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            let kilobytes = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0_u64);
            most = most.max(kilobytes << 10);
        }
        if let Some(status) = run.try_wait().expect("a child") {
            break status;
        }
        assert!(start.elapsed() < Duration::from_mins(5), "the run does not end");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "the run failed");
    assert!(most > 1 << 20, "no memory was seen");
    most
}

#[test]
fn lanes_and_steps_hold_one_copy_of_a_model() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    for name in ["in", "models"] {
        fs::create_dir(folder.join(name)).expect("folder");
    }
    let all = [texts(true, 400), texts(false, 400)].concat();
    for (file, part) in all.chunks(100).enumerate() {
        fs::write(folder.join(format!("in/{file}.jsonl")), plain(part)).expect("write");
    }
    let mut examples = TrainingText::create(&folder.join("text")).expect("a file");
    for (at, text) in all.iter().enumerate() {
        examples.add(if at < 400 { "hq" } else { "cc" }, text).expect("an example");
    }
    let summary = examples.finish().expect("a file");
    let settings = Settings { bucket: 150_000, epoch: 1, ..Settings::default() };
    let path = folder.join("models/q.bin");
    train::train(&folder.join("text"), &summary, &settings, &path, &std::sync::Arc::default())
        .expect("a model");
    // The same file under another name is the same model.
    fs::hard_link(&path, folder.join("models/p.bin")).expect("a link");
    let size = fs::metadata(&path).expect("a model").len();
    assert!(size > 60_000_000);

    recipe(folder, "- word_counter_enricher: {key: n}\n", "");
    let without = peak(folder, &["--lanes", "4"]);
    let steps = "- fasttext: {model: q.bin, label: hq, key: a}\n\
        - fasttext: {models: [{model: q.bin, label: cc, key: b}, {model: p.bin, label: hq, key: c}]}\n\
        - classify_fasttext_hq_prob_enricher: {model_filename: p.bin}\n";
    recipe(folder, steps, "");
    let with = peak(folder, &["--lanes", "4"]);
    eprintln!(
        "a model of {size} bytes: {without} bytes without it, {with} with it in four steps and four lanes"
    );
    assert!(with < without + size + size / 4, "{with} bytes with a model of {size}, {without} without");
    assert_eq!(rows(&folder.join("out")).len(), 800);
}
