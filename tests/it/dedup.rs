//! Global deduplication from end to end, against what a simple program over the whole corpus would keep.

use crate::run::{must_run, published};
use crate::steps::{corpus, recipe, rows};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// The same bytes with one lane and with three, which is also what is published in `one`.
fn run_both(folder: &Path) {
    must_run(folder, &["--lanes", "1", "--output", "one"]);
    must_run(folder, &["--lanes", "3", "--output", "three"]);
    assert_eq!(published(&folder.join("one")), published(&folder.join("three")));
}

/// Lines or paragraphs: those of the smallest record id stay, of those the first; blank and short ones all do.
fn pieces_are_deduplicated(step: &str, separator: &str) {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let piece = |file: u64, number: u64, at: u64| match (file * 31 + number * 17 + at * at * 7) % 1501 {
        0..30 => String::new(),
        30..60 => format!("no {at}"),
        n if n % 5 == 0 => format!(" PIECE {n} of text"),
        n => format!("Piece {n} of text"),
    };
    let sizes = [150, 170, 0, 90];
    let document = |file: u64, number: u64| {
        let pieces: Vec<String> = (0..=number % 20).map(|at| piece(file, number, at)).collect();
        json!({"id": format!("{file}-{number}"), "text": pieces.join(separator)})
    };
    corpus(folder, &sizes, document);
    recipe(folder, &format!("- {step}: {{min_chars: 5}}\n"), "");
    run_both(folder);

    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (file, size) in (0..).zip(sizes) {
        for number in 0..size {
            let pieces = (0..=number % 20).map(|at| piece(file, number, at)).collect();
            all.push((format!("{file}-{number}"), pieces));
        }
    }
    let key = |piece: &str| piece.trim().to_lowercase();
    let mut best: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    for (id, pieces) in &all {
        for (at, piece) in pieces.iter().enumerate() {
            let best = best.entry(key(piece)).or_insert((id, at));
            *best = (*best).min((id, at));
        }
    }
    let mut expected: BTreeMap<&str, String> = BTreeMap::new();
    for (id, pieces) in &all {
        let stays = |at: usize, piece: &str| key(piece).len() < 5 || best[&key(piece)] == (id, at);
        let left: Vec<&str> = pieces
            .iter()
            .enumerate()
            .filter(|(at, piece)| stays(*at, piece))
            .map(|(_, piece)| piece.as_str())
            .collect();
        let (before, left) = (pieces.join(separator), left.join(separator));
        // A document that had nothing to begin with loses nothing.
        if left == before || !left.trim().is_empty() {
            expected.insert(id, left);
        }
    }
    let kept = rows(&folder.join("one"));
    let got: BTreeMap<&str, String> = kept
        .iter()
        .map(|row| (row["id"].as_str().expect("an id"), row["text"].as_str().expect("a text").to_owned()))
        .collect();
    assert_eq!(got, expected);
    assert!(expected.len() < all.len() && expected.len() > 100, "{} documents are left", expected.len());
}

#[test]
fn equal_lines_of_the_corpus_stay_once() {
    pieces_are_deduplicated("line_dedup", "\n");
}

#[test]
fn equal_paragraphs_of_the_corpus_stay_once() {
    pieces_are_deduplicated("paragraph_dedup", "\n\n");
}
