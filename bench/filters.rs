//! How fast DCLM-Baseline's heuristics are: the chain from `newline_removal_modifier` on, with language identification, on one core.
//!
//! `cargo bench -p gristmill-pipeline --bench filters -- LID_MODEL TEXTS.jsonl[.zst]` (pin it: `taskset -c 0`). Texts are records with
//! `text`, such as `gristmill extract` prints. Prints the chain as a whole, alone and with the reading and writing of JSON, and what each
//! step takes of it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use gristmill_pipeline::recipe::{StepSpec, parse_steps_as, tree};
use gristmill_pipeline::resources::{Resource, Resources};
use gristmill_pipeline::step::{Context, Semantics};
use gristmill_pipeline::{Built, Chain, Document, MapStep, Tally, Verdict};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STEPS: &str = "
- newline_removal_modifier: {max_consecutive: 2}
- detect_lang_whole_page_enricher: {model: fasttext, key_prefix: language_id_whole_page}
- language_filter: {key: language_id_whole_page_fasttext, keep_languages: [en], threshold: 0.65}
- page_length_filter: {length_type: word, min_length: 50, max_length: 100000, ignore_punctuation: true}
- word_length_filter: {min_length: 3, max_length: 10}
- symbol_ratio_filter: {max_symbol_to_word_ratio: 0.1}
- bullet_count_filter: {max_bullet_start_ratio: 0.9}
- ellipsis_count_filter: {max_ellipsis_end_ratio: 0.3}
- alphabetic_word_ratio_filter: {max_ratio: 0.2}
- stop_word_filter: {count_unique: false, min_stop_word: 2}
- massive_web_repetition_filters
- word_counter_enricher: {key: previous_word_count}
- uppercase_ratio_line_modifier: {max_ratio: 0.5}
- numeric_ratio_line_modifier: {max_ratio: 0.999999}
- counter_line_modifier
- line_length_modifier: {min_length: 2}
- substring_line_modifier: {banlist: items in cart, max_length: 10, remove_substring_only: true}
- substring_line_modifier: {banlist: Read more..., location: suffix, max_length: 10, remove_substring_only: true}
- substring_line_modifier: {banlist: Sign-in, location: prefix, max_length: 10, remove_substring_only: true}
- word_removal_ratio_filter: {prev_word_count_key: previous_word_count, max_removed_ratio: 0.05}
";

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
    let specs = parse_steps_as(&tree::parse(STEPS).expect("YAML"), Semantics::Dclm, &mut Vec::new());
    let mut chain = Chain::new(&specs, Arc::clone(&resources), 0).expect("a chain");
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
    each(&lines, &specs, &resources);
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
