//! How fast fastText models predict, ours and the C++ library's in turns on the same texts and the same core.
//!
//! `GRISTMILL_PYTHON=python taskset -c 0 cargo bench -p gristmill-classify --bench classify -- TEXTS.jsonl[.zst] MODEL…`, where the python has
//! `fasttext-wheel` and numpy < 2. The word `quality` for a model stands for one that is trained first: two labels, word bigrams, 2 million
//! buckets of 100 columns (fastText's defaults, and DCLM's), on every other text; the rest is predicted, with the model as it is and
//! quantised. Each pass predicts the best label of every text, some times over if there is little text; the best of five passes counts,
//! in processor time.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use gristmill_classify::{Model, Scratch, preprocess};

const PASSES: usize = 5;
/// A pass goes over at least this much text.
const PASS_BYTES: usize = 4 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [texts, models @ ..] = &arguments[..] else {
        println!("usage: cargo bench -p gristmill-classify --bench classify -- TEXTS.jsonl[.zst] MODEL…");
        return;
    };
    let texts = read(Path::new(texts));
    for model in models {
        if model == "quality" {
            let path = std::env::temp_dir().join(format!("gristmill-quality-{}.bin", std::process::id()));
            let quantised = path.with_extension("ftz");
            let (known, unknown) = texts
                .iter()
                .map(|text| preprocess::quality(text).into_owned())
                .enumerate()
                .fold((Vec::new(), Vec::new()), |(mut known, mut unknown), (at, text)| {
                    if at % 4 < 2 {
                        known.push(text)
                    } else {
                        unknown.push(text)
                    }
                    (known, unknown)
                });
            let mut training = python("train", &path, &known);
            drop(training.stdin.take());
            assert!(training.wait().expect("python ends").success(), "training failed");
            compare("word bigrams, .bin", &path, &unknown);
            compare("word bigrams, .ftz", &quantised, &unknown);
            for path in [path, quantised] {
                std::fs::remove_file(path).expect("the model can be removed");
            }
        } else {
            let pages: Vec<String> =
                texts.iter().filter_map(|text| preprocess::lid_whole_page(text)).map(Into::into).collect();
            compare(model, Path::new(model), &pages);
        }
    }
}

fn compare(name: &str, path: &Path, texts: &[String]) {
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{name}: {} texts, {bytes} bytes", texts.len());
    let rounds = PASS_BYTES.div_ceil(bytes.max(1));
    let texts: Vec<String> = std::iter::repeat_n(texts, rounds).flatten().cloned().collect();
    let bytes = bytes * rounds;
    let start = Instant::now();
    let file = std::fs::File::open(path).expect("a readable model");
    // SAFETY: nobody changes the file meanwhile.
    let map = unsafe { memmap2::Mmap::map(&file) }.expect("a mappable model");
    let model = Model::load(Arc::new(map)).expect("a sound model");
    println!(
        "  loaded in {:.2} s, {:.1} MB of memory",
        start.elapsed().as_secs_f64(),
        model.memory_bytes() as f64 / 1e6
    );
    let mut scratch = Scratch::default();
    let mut wheel = python("predict", path, &texts);
    let mut answers = BufReader::new(wheel.stdout.take().expect("piped"));
    let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..PASSES {
        let mut answer = String::new();
        writeln!(wheel.stdin.as_mut().expect("piped"), "go").expect("python listens");
        answers.read_line(&mut answer).expect("python answers");
        theirs = theirs.min(answer.trim().parse().expect("seconds"));
        let start = processor_seconds();
        for text in &texts {
            black_box(model.predict(&mut scratch, text, 1));
        }
        ours = ours.min(processor_seconds() - start);
    }
    drop(wheel.stdin.take());
    wheel.wait().expect("python ends");
    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!("  C++ {:.1} MB/s, ours {:.1} MB/s: {:.1} times", speed(theirs), speed(ours), theirs / ours);
}

/// Time that this thread has had a core, as Linux counts it: what other programs do to the machine shows less in it.
fn processor_seconds() -> f64 {
    let counters = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = counters.split(' ').next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.expect("a number") / 1e9
}

fn python(task: &str, model: &Path, texts: &[String]) -> Child {
    let python =
        std::env::var_os("GRISTMILL_PYTHON").map_or_else(|| ".venv/bin/python".into(), PathBuf::from);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/classify.py");
    let mut child = Command::new(&python)
        .arg(script)
        .arg(task)
        .arg(model)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; set GRISTMILL_PYTHON", python.display()));
    let mut json = serde_json::to_string(texts).expect("strings");
    json.push('\n');
    child.stdin.as_mut().expect("piped").write_all(json.as_bytes()).expect("python listens");
    child
}

fn read(path: &Path) -> Vec<String> {
    let raw = std::fs::read(path).expect("a readable file");
    let mut json = String::new();
    if path.extension().is_some_and(|kind| kind == "zst") {
        zstd::Decoder::new(&raw[..]).expect("zstd").read_to_string(&mut json).expect("UTF-8");
    } else {
        json = String::from_utf8(raw).expect("UTF-8");
    }
    json.lines()
        .map(|line| {
            let document: serde_json::Value = serde_json::from_str(line).expect("JSON");
            document["text"].as_str().expect("a text").to_owned()
        })
        .collect()
}
