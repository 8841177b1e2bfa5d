//! What jusText and Beautiful Soup make of pages that lxml parses: ours held against theirs, to the byte.

use std::path::Path;
use std::process::Command;

use gristmill_extract::{Algorithm, Extractor, JustextOptions, StopWords};
use gristmill_tests::{jsonl, python, shared};
use serde_json::Value;

#[test]
fn texts_are_those_of_justext_and_beautiful_soup() {
    let Some(python) = python("justext, bs4, lxml_html_clean") else { return };
    let Some(pages) = shared("data/html-extraction/html") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/lxml_texts.py");
    let status = Command::new(&python).arg(&script).arg(folder.path()).arg(&pages).status();
    assert!(status.expect("python starts").success(), "{} failed", script.display());

    let mut rows = jsonl(&folder.path().join("expected.jsonl"));
    let head = rows.remove(0);
    let words: Vec<String> = head["stop_words"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|word| word.as_str().expect("a word").to_owned())
        .collect();
    assert!(rows.len() > 2_000, "only {} pages", rows.len());
    compare("soup", Algorithm::BeautifulSoup, &rows, |row| &row["soup"]);
    for (name, options) in parameters(&words) {
        compare(name, Algorithm::Justext(options), &rows, |row| &row["justext"][name]);
    }
}

fn compare(name: &str, algorithm: Algorithm, rows: &[Value], expected: impl Fn(&Value) -> &Value) {
    let mut extractor = Extractor::with(vec![algorithm]).expect("options");
    let mut bytes = 0;
    for row in rows {
        let html = row["html"].as_str().expect("a page");
        let text = extractor.extract(html).expect("no page is a bomb");
        assert_eq!(text, expected(row).as_str().expect("a text"), "{name}: {html}");
        bytes += text.len();
    }
    assert!(bytes > 0, "{name} finds nothing anywhere");
    eprintln!("{name}: {} texts are the same, {bytes} bytes", rows.len());
}

/// Those of the script, by its names.
fn parameters(words: &[String]) -> Vec<(&'static str, JustextOptions)> {
    let default = JustextOptions {
        lxml: true,
        stop_words: StopWords::List(words.to_vec()),
        ..JustextOptions::default()
    };
    let any = JustextOptions { stop_words: StopWords::Any, ..default.clone() };
    vec![
        ("default", default.clone()),
        (
            "short",
            JustextOptions {
                length_low: 20,
                length_high: 60,
                stopwords_low: 0.1,
                stopwords_high: 0.2,
                max_link_density: 0.5,
                ..default.clone()
            },
        ),
        (
            "far",
            JustextOptions {
                max_heading_distance: 20,
                length_low: 10,
                length_high: 100,
                stopwords_low: 0.2,
                stopwords_high: 0.3,
                ..default.clone()
            },
        ),
        ("no_headings", JustextOptions { no_headings: true, length_low: 10, length_high: 50, ..default }),
        ("any_language", any.clone()),
        ("all", JustextOptions { all_paragraphs: true, ..any }),
    ]
}
