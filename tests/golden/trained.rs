//! Classifiers that we train, in the hands of stock fastText: it loads them and predicts what we predict, and what it would have
//! trained itself of the same examples is no better.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gristmill_classify::train::{Settings, TrainingText, train};
use gristmill_classify::{Model, Scratch, hq_probability, preprocess};
use gristmill_tests::{jsonl, python, shared};
use serde_json::{Value, json};

const TOLERANCE: f64 = 1e-5;
const TRAINING: u32 = 8_000;
const HELD_OUT: u32 = 3_000;

/// A label and a text of which a few words lean towards it: no classifier is right about all of them.
fn example(number: u32) -> (&'static str, String) {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(97);
    let mut below = |limit: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % limit
    };
    let label = ["hq", "cc"][number as usize % 2];
    let words = (0..24).map(|_| match below(40) {
        0 | 1 => format!("{label}{} ", below(60)),
        2 | 3 => format!("{}{} ", ["hq", "cc"][below(2) as usize], below(60)),
        // A pair of words that come in this order with one label, and in the other with the other.
        4 if number.is_multiple_of(2) => "as such ".to_owned(),
        4 => "such as ".to_owned(),
        _ => format!("w{} ", below(3_000)),
    });
    (label, words.collect())
}

fn write(path: &Path, numbers: std::ops::Range<u32>) -> gristmill_classify::train::TextSummary {
    let mut text = TrainingText::create(path).expect("a file");
    for (label, words) in numbers.map(example) {
        text.add(label, &words).expect("an example");
    }
    text.finish().expect("a file")
}

#[test]
fn stock_fasttext_loads_what_we_train_and_trains_no_better() {
    let (Some(python), Some(golden)) = (python("fasttext"), shared("golden/docs.jsonl.zst")) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let summary = write(&at("training"), 0..TRAINING);
    write(&at("held-out"), TRAINING..TRAINING + HELD_OUT);
    // DCLM's settings, but for fewer buckets: two million take 0.8 GB.
    let settings = Settings { bucket: 50_000, ..Settings::default() };
    train(&at("training"), &summary, &settings, &at("model.bin"), &Arc::default()).expect("a model");
    let stock = json!({
        "dim": settings.dim, "wordNgrams": settings.word_ngrams, "lr": settings.lr, "epoch": settings.epoch,
        "minCount": settings.min_count, "bucket": settings.bucket,
    });
    fs::write(at("settings.json"), stock.to_string()).expect("write");
    let odd =
        ["", "\n", "hq1\r\nhq2\u{2028}hq3\u{85}hq4\x1chq5\x0bhq6", "\u{a0}\x1f cc1\u{3000}\n", "a\n\nb\r\rc"];
    let mut documents: Vec<String> = odd.iter().map(ToString::to_string).collect();
    documents.extend(jsonl(&golden).iter().map(|doc| doc["text"].as_str().expect("a text").to_owned()));
    fs::write(at("documents.json"), json!(documents).to_string()).expect("write");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/fasttext_trained.py");
    let status = Command::new(&python).arg(&script).arg(folder.path()).status().expect("python starts");
    assert!(status.success(), "{} failed", script.display());

    let model = Model::load(Arc::new(fs::read(at("model.bin")).expect("a model"))).expect("a model");
    let mut scratch = Scratch::default();
    let answers = jsonl(&at("answers.jsonl"));
    assert_eq!(answers.len(), HELD_OUT as usize);
    for row in &answers {
        let got = model.predict(&mut scratch, row["text"].as_str().expect("a text"), 10);
        let labels: Vec<_> = got.iter().filter_map(|best| model.label_bytes(best.label)).collect();
        let expected: Vec<_> = row["labels"]
            .as_array()
            .expect("labels")
            .iter()
            .map(|label| label.as_str().expect("a label").as_bytes())
            .collect();
        assert_eq!(labels, expected, "{row}");
        for (got, expected) in got.iter().zip(row["probs"].as_array().expect("probabilities")) {
            let apart = (f64::from(got.probability) - expected.as_f64().expect("a number")).abs();
            assert!(apart <= TOLERANCE, "{got:?}: {row}");
        }
    }

    // Of the examples that only one of the two models is right about each has, if the models are equally good, the same chance:
    // the difference is within three standard deviations of their number.
    let right = read(&at("stock.json"));
    let of = |wanted: [bool; 2]| right.iter().filter(|right| **right == json!(wanted)).count() as f64;
    let (only_ours, only_stock) = (of([true, false]), of([false, true]));
    let accuracy = (of([true, true]) + only_ours) / right.len() as f64;
    eprintln!("accuracy {accuracy}; right alone: ours {only_ours}, stock fastText {only_stock}");
    assert!((0.7..0.98).contains(&accuracy), "{accuracy}: too hard or too easy to tell anything");
    assert!(
        only_stock - only_ours <= 3.0 * (only_ours + only_stock).sqrt(),
        "stock {only_stock}, ours {only_ours}"
    );

    let scores = read(&at("scores.json"));
    assert_eq!(scores.len(), documents.len());
    for (document, expected) in documents.iter().zip(scores) {
        let expected = expected.as_f64().expect("a score");
        let best =
            *model.predict(&mut scratch, &preprocess::quality(document), 1).first().expect("a prediction");
        let got = hq_probability(&model.labels()[best.label as usize], best.probability);
        assert!((got - expected).abs() <= TOLERANCE, "{got} and not {expected}: {document:?}");
    }
}

fn read(path: &Path) -> Vec<Value> {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}
