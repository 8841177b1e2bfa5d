//! `substring_dedup` from end to end, against a program that looks at every window of the corpus.

use crate::dedup::run_both;
use crate::run::must_run;
use crate::steps::{corpus, recipe, rows};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

const LENGTH: usize = 8;

/// Documents that quote each other: runs of words of a few sources, from anywhere and of any length, between words of their own.
/// One repeats itself without end.
fn document(file: u64, number: u64) -> Value {
    let at = file * 500 + number;
    let mut words = Vec::new();
    for part in 0..at % 5 {
        let mixed = (at * 31 + part * 17) * 2_654_435_761 % 4_294_967_296;
        let (source, start, length) = (mixed % 13, mixed / 16 % 60, mixed / 1024 % 30);
        words.extend((start..start + length).map(|place| format!("s{source}p{place}")));
        words.extend((0..mixed / 64 % 20).map(|place| format!("own{at}p{part}w{place}")));
    }
    if at.is_multiple_of(97) {
        words.extend(["again", "and"].repeat(40).into_iter().map(str::to_owned));
    }
    json!({"id": format!("{:03}-{file}", number * 37 % 211), "text": words.join(" ")})
}

#[test]
fn every_repeated_span_goes_but_the_first() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let sizes = [200, 150, 0, 180];
    corpus(folder, &sizes, document);
    recipe(folder, &format!("- substring_dedup: {{min_length: {LENGTH}}}\n"), "");
    run_both(folder);
    let kept = rows(&folder.join("one"));
    // Other tasks make other files of the same documents.
    for (lanes, size, buckets) in [("8", "96KiB", "16"), ("2", "64MiB", "1")] {
        let (size, buckets) = (format!("tasks.size={size}"), format!("tasks.buckets={buckets}"));
        let args = ["--lanes", lanes, "--set", &size, "--set", &buckets, "--output", "other", "--overwrite"];
        must_run(folder, &args);
        assert_eq!(rows(&folder.join("other")), kept, "{size} {buckets}");
    }

    let all: Vec<(String, Vec<String>)> = (0..)
        .zip(sizes)
        .flat_map(|(file, size)| (0..size).map(move |number| document(file, number)))
        .map(|row| {
            let words = row["text"].as_str().expect("a text").split(' ').map(str::to_owned);
            (row["id"].as_str().expect("an id").to_owned(), words.collect())
        })
        .collect();
    let mut first: HashMap<&[String], (&str, usize)> = HashMap::new();
    for (id, words) in &all {
        for (place, window) in words.windows(LENGTH).enumerate() {
            let first = first.entry(window).or_insert((id, place));
            *first = (*first).min((id, place));
        }
    }
    let mut expected: BTreeMap<&str, String> = BTreeMap::new();
    for (id, words) in &all {
        let mut stays = vec![true; words.len()];
        for (place, window) in words.windows(LENGTH).enumerate() {
            let (of, at) = first[window];
            if of != id || place - at >= LENGTH {
                stays[place..place + LENGTH].fill(false);
            }
        }
        let left: Vec<&str> =
            words.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(word, _)| word.as_str()).collect();
        // A document that had nothing to begin with loses nothing.
        if !left.is_empty() {
            expected.insert(id, left.join(" "));
        }
    }
    let got: BTreeMap<&str, String> = kept
        .iter()
        .map(|row| {
            (row["id"].as_str().expect("an id"), row["text"].as_str().expect("a text").trim_end().to_owned())
        })
        .collect();
    assert_eq!(got, expected);
    let words = |texts: &mut dyn Iterator<Item = usize>| texts.sum::<usize>();
    let (before, after) = (
        words(&mut all.iter().map(|(_, words)| words.len())),
        words(&mut got.values().map(|text| text.split(' ').count())),
    );
    assert!(after * 10 < before * 9 && after * 3 > before, "{after} of {before} words are left");
}
