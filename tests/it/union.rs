//! `extractor: union` from end to end: a page counts by the first text that the filters keep, once, whatever the batches.

use crate::run::{must_run, published};
use crate::steps::rows;
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// So many pages, in turn: an article, one that is long enough with its readers' comments only, one that is too short in any case,
/// and a copy of the article before.
const PAGES: usize = 120;

/// The n-th page, as HTML.
pub(crate) fn page(number: usize) -> String {
    let of = if number % 4 == 3 { number - 3 } else { number };
    let sentence =
        |word: &str| format!("The {word} of mill {of} turns all day long, and nobody knows why it does so. ");
    let (text, comments) = match number % 4 {
        1 => (sentence("wheel").repeat(3), sentence("miller").repeat(2)),
        2 => (sentence("stone").repeat(2), String::new()),
        _ => (sentence("shaft").repeat(8), String::new()),
    };
    format!(
        "<!doctype html><title>{number}</title><article><h1>Mill {of}</h1><p>{text}</p></article>\
        <div id=comments><div class=comment><p>{comments}</p></div></div>"
    )
}

fn corpus(folder: &Path) {
    fs::create_dir_all(folder.join("in")).expect("folder");
    for number in 0..PAGES {
        fs::write(folder.join(format!("in/{number:03}.html")), page(number)).expect("write");
    }
}

fn recipe(folder: &Path, batch: usize) {
    let recipe = format!(
        "name: union\ninput: [in/*.html]\nsteps:\n- extract_text: {{extractor: union}}\n- external: {{command: [cat], batch: {batch}}}\n\
        - page_length_filter: {{length_type: word, min_length: 60}}\n- aggregate: {{key: extractor, type: histogram}}\n- exact_dedup\n\
        tasks: {{size: 64KiB, buckets: 2}}\noutput: {{path: out}}\n"
    );
    fs::write(folder.join("recipe.yaml"), recipe).expect("write");
}

#[test]
fn a_page_counts_once_by_the_first_text_that_is_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder);
    recipe(folder, 1);
    let manifest = must_run(folder, &["--lanes", "1", "--output", "one"]);
    let (quarter, documents) = (PAGES / 4, &manifest["documents"]);
    assert_eq!(documents["in"], PAGES);
    assert_eq!(documents["kept"], 2 * quarter);
    assert_eq!(documents["extracted_by"], json!({"main": 2 * quarter, "resiliparse": quarter}));
    let dropped = json!({"exact_dedup: duplicate": quarter, "page_length_filter: too short": quarter});
    assert_eq!(documents["dropped"], dropped, "of several texts that are dropped the last one counts");
    // Every page meets every step once.
    let met = |step: usize| manifest["steps"][step]["in"].as_u64().expect("a number") as usize;
    assert_eq!([met(0), met(1), met(2), met(3), met(4)], [PAGES, PAGES, PAGES, 3 * quarter, 3 * quarter]);
    let seen = serde_json::to_string(&manifest["aggregates"]).expect("JSON");
    assert!(
        seen.contains(&format!("\"main\":{}", 2 * quarter)),
        "what was tried in vain is not summed up: {seen}"
    );

    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows(&folder.join("one")) {
        let extractor = row["extractor"].as_str().expect("a name");
        let has_comments = row["text"].as_str().is_some_and(|text| text.contains("miller"));
        assert_eq!(has_comments, extractor == "resiliparse", "{row}");
        *by.entry(extractor.to_owned()).or_default() += 1;
    }
    assert_eq!(by, BTreeMap::from([("main".to_owned(), quarter), ("resiliparse".to_owned(), quarter)]));

    must_run(folder, &["--lanes", "4", "--output", "lanes"]);
    assert_eq!(published(&folder.join("one")), published(&folder.join("lanes")));
    recipe(folder, 64);
    must_run(folder, &["--lanes", "2", "--output", "batches"]);
    assert_eq!(rows(&folder.join("one")), rows(&folder.join("batches")), "batches are for speed");
    let verify = gristmill().current_dir(folder).args(["verify", "one"]).status().expect("starts");
    assert!(verify.success());
}

#[test]
fn two_of_them_in_a_recipe_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder);
    let recipe = "name: x\ninput: in/*.html\nsteps:\n- extract_text: {extractor: union}\n- extract_text: {extractor: union}\noutput: {path: out}\n";
    fs::write(folder.join("recipe.yaml"), recipe).expect("write");
    let refused = gristmill().current_dir(folder).args(["plan", "recipe.yaml"]).output().expect("starts");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("one step that tries several extractors"), "{said}");
}

#[test]
fn without_filters_it_is_the_first_that_finds_text() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder);
    let output = gristmill()
        .current_dir(folder)
        .args(["extract", "--extractor", "union", "in"])
        .output()
        .expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), PAGES);
    assert!(lines.iter().all(|line| line["extractor"] == "main" && line["text"].as_str().is_some()));
}
