//! No step of DCLM-Baseline's chain allocates for each word: a text 64 times as long costs a few doublings of buffers.

use gristmill_classify::train::{Settings, TrainingText, train};
use gristmill_pipeline::recipe::Recipe;
use gristmill_pipeline::resources::{Resource, Resources};
use gristmill_pipeline::step::Context;
use gristmill_pipeline::{Built, Document, Verdict};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The system's allocator, counting for each thread how often it is asked for memory.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on as it came; the counter is a number that needs no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SHORT: usize = 60;
const LONG: usize = 64 * SHORT;
/// A buffer that doubles does so six times; steps that rewrite the text have two or three.
const DOUBLINGS: usize = 20;

#[test]
fn allocations_do_not_grow_with_the_text() {
    let recipe = Recipe::parse(include_str!("../../../recipes/dclm-baseline.yaml"), &[]).expect("a recipe");
    let model = Resource { bytes: model(), found: "trained here".to_owned(), sha256: String::new() };
    let resources = Resources::new(BTreeMap::from([("fasttext".to_owned(), model)]));
    let cx = Context { resources: &resources, seed: 0 };
    let (short, long) = (record(SHORT), record(LONG));
    let mut documents = [&long, &short, &long].map(|json| {
        let (doc, asked) = allocations(|| Document::from_json(json, || "id".to_owned()).expect("a record"));
        assert!(asked < 40, "{asked} allocations for reading {} bytes", json.len());
        doc
    });
    let mut steps = 0;
    for spec in recipe.steps.iter().skip_while(|spec| spec.def.name != "newline_removal_modifier") {
        let Built::Map(mut step) = spec.parsed.build(&cx).expect(spec.def.name) else { break };
        // The first document is for what a step builds once, and for the buffers that it keeps.
        let asked = documents.each_mut().map(|doc| {
            let (verdict, asked) = allocations(|| step.apply(doc));
            assert_eq!(verdict, Verdict::Keep, "{}", spec.def.name);
            asked
        });
        assert!(asked[2] <= asked[1] + DOUBLINGS, "{}: allocations {asked:?}", spec.def.name);
        steps += 1;
    }
    assert_eq!(steps, 20);
    let mut out = Vec::new();
    let ((), asked) = allocations(|| documents[2].write_json(&mut out));
    assert!(asked < 40, "{asked} allocations for writing {} bytes", out.len());
    let text = documents[2].text.as_ref().expect("a text").as_str();
    assert_eq!(CUT.iter().find(|line| text.contains(**line)), None, "a line was to be cut");
}

fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED.get();
    let made = work();
    (made, ASKED.get() - before)
}

fn record(lines: usize) -> String {
    serde_json::json!({ "text": prose(lines) }).to_string()
}

/// Some of each kind of line that the chain takes out or cuts.
const CUT: [&str; 6] =
    ["3 likes\n", "WE SHOUT\n", "42\n", "2 items in cart\n", "One can Read more...\n", "Sign-in now\n"];

/// Lines of words that hardly ever come twice, but for stop words; an empty line behind every fifth.
fn prose(lines: usize) -> String {
    let mut state = 1_u32;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % limit
    };
    let mut text = String::new();
    for line in 0..lines {
        if line % 20 == 7 {
            text.push_str(CUT[line / 20 % CUT.len()]);
        }
        for word in 0..10 {
            if word % 5 == 3 {
                text.push_str(["the ", "of ", "and "][below(3)]);
                continue;
            }
            for _ in 0..2 + below(3) {
                text.push(['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't'][below(12)]);
                text.push(['a', 'e', 'i', 'o', 'u', 'é'][below(6)]);
            }
            text.push(' ');
        }
        text.push_str(if line % 5 == 4 { "so.\n\n" } else { "so\n" });
    }
    text
}

/// A model with n-grams of characters, like lid.176, that takes [`prose`] for English.
fn model() -> Arc<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!("gristmill-allocations-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (text, model) = (folder.join("text"), folder.join("model.bin"));
    let mut examples = TrainingText::create(&text).expect("a file");
    for line in prose(400).lines().filter(|line| !line.is_empty()) {
        examples.add("en", line).expect("an example");
        examples.add("de", "Straße für Größe, über größere Übung zu Füßen").expect("an example");
    }
    let summary = examples.finish().expect("a file");
    let settings = Settings { dim: 8, word_ngrams: 1, minn: 2, maxn: 4, bucket: 2000, ..Settings::default() };
    train(&text, &summary, &settings, &model, &Arc::default()).expect("a model");
    let bytes = std::fs::read(&model).expect("a model");
    std::fs::remove_dir_all(&folder).expect("an end");
    Arc::new(bytes)
}
