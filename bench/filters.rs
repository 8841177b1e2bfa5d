//! How fast DCLM-Baseline's heuristics are: the recipe's chain from `newline_removal_modifier` on, with language identification, on one
//! core. `chain_speed.py` holds the whole program beside others.
//!
//! `cargo bench -p gristmill-pipeline --bench filters -- LID_MODEL TEXTS.jsonl[.zst]` (pin it: `taskset -c 0`). Texts are records with
//! `text`, such as `gristmill extract` prints. Prints the chain as a whole, alone and with the reading of records and the writing of those
//! that are kept, and what each step takes of it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use gristmill_pipeline::recipe::{Recipe, StepSpec};
use gristmill_pipeline::resources::{Resource, Resources};
use gristmill_pipeline::step::Context;
use gristmill_pipeline::{Built, Chain, Document, MapStep, Tally, Verdict};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECIPE: &str = include_str!("../recipes/dclm-baseline.yaml");
const FIRST: &str = "newline_removal_modifier";
const LAST: &str = "word_removal_ratio_filter";
const ROUNDS: u32 = 3;

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let [model, texts] = &paths[..] else {
        println!("usage: cargo bench -p gristmill-pipeline --bench filters -- LID_MODEL TEXTS.jsonl[.zst]");
        return;
    };
    let lines = read(texts);
    let lines: Vec<&str> = lines.lines().collect();
    let model = Resource {
        bytes: Arc::new(std::fs::read(model).expect("a readable model")),
        found: model.clone(),
        sha256: String::new(),
    };
    let resources = Arc::new(Resources::new(BTreeMap::from([("fasttext".to_owned(), model)])));
    let steps = Recipe::parse(RECIPE, &[]).expect("a recipe").steps;
    let place = |name| steps.iter().position(|spec| spec.def.name == name).expect("a step of that name");
    let specs = &steps[place(FIRST)..=place(LAST)];
    let mut chain = Chain::new(specs, Arc::clone(&resources), 0).expect("a chain");
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    println!("{} documents, {bytes} bytes of JSON", lines.len());

    for _ in 0..ROUNDS {
        let mut tally = Tally::default();
        let (mut alone, mut out) = (Duration::ZERO, Vec::new());
        let start = Instant::now();
        for line in &lines {
            let doc = Document::from_json(line, || "id".to_owned()).expect("a record");
            let walk = Instant::now();
            chain.put(doc, (), &mut tally);
            chain.go(&mut tally).expect("no programs are run");
            alone += walk.elapsed();
            while let Some(ended) = chain.next_ended() {
                if ended.verdict.is_keep() {
                    out.clear();
                    ended.doc.write_json(&mut out);
                    black_box(&out);
                }
            }
        }
        let whole = start.elapsed();
        let rate = |time: Duration| lines.len() as f64 / time.as_secs_f64();
        println!("chain {:.0} docs/s, with JSON {:.0} docs/s, {} kept", rate(alone), rate(whole), tally.kept);
    }
    each(&lines, specs, &resources);
}

/// What each step takes, timed one by one.
fn each(lines: &[&str], specs: &[Arc<StepSpec>], resources: &Resources) {
    let cx = Context { resources, seed: 0 };
    let build = |spec: &Arc<StepSpec>| match spec.parsed.build(&cx) {
        Ok(Built::Map(step)) => step,
        _ => panic!("{} is a map", spec.def.name),
    };
    let mut steps: Vec<(Box<dyn MapStep>, Duration, u32)> =
        specs.iter().map(|spec| (build(spec), Duration::ZERO, 0)).collect();
    for line in lines {
        let mut doc = Document::from_json(line, || "id".to_owned()).expect("a record");
        for (step, time, seen) in &mut steps {
            let start = Instant::now();
            let verdict = step.apply(&mut doc);
            *time += start.elapsed();
            *seen += 1;
            if verdict != Verdict::Keep {
                break;
            }
        }
    }
    let total: Duration = steps.iter().map(|(_, time, _)| *time).sum();
    for (spec, (_, time, seen)) in specs.iter().zip(&steps) {
        let share = 100.0 * time.as_secs_f64() / total.as_secs_f64();
        println!("{:36} {seen:6} docs {:9.2?} a doc {share:5.1} %", spec.def.name, *time / (*seen).max(1));
    }
}

fn read(path: &str) -> String {
    let raw = std::fs::read(path).expect("readable texts");
    let mut text = String::new();
    if raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        zstd::Decoder::new(&raw[..]).expect("zstd").read_to_string(&mut text).expect("UTF-8");
        return text;
    }
    String::from_utf8(raw).expect("UTF-8")
}
