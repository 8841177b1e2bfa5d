//! `gristmill sweep` as a user meets it, against what one sort of the dataset says.

use crate::run::must_run;
use crate::steps::{corpus, recipe, rows};
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

fn sweep(folder: &Path, args: &[&str]) -> Output {
    gristmill().current_dir(folder).args(["sweep", "out"]).args(args).output().expect("starts")
}

#[track_caller]
fn swept(folder: &Path, args: &[&str]) -> Value {
    let output = sweep(folder, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A score that a third of the documents share, hosts of which one has most, and some documents without a score.
fn document(file: u64, number: u64) -> Value {
    let k = (number * 7919 + file * 104_729) % 1009;
    let mut record = json!({
        "id": format!("{file}-{number}"),
        "text": format!("{k}{}", " word".repeat(3 + k as usize % 40)),
        "url": format!("http://host{}.org/{k}", if k.is_multiple_of(2) { 0 } else { k % 29 }),
        "language": if k.is_multiple_of(3) { "de" } else { "en" },
        "m": {"q": if k % 3 == 1 { 0.5 } else { k as f64 / 1009.0 }},
        "tokens": k % 70,
    });
    match k % 17 {
        3 => drop(record.as_object_mut().map(|record| record.remove("m"))),
        4 => record["m"]["q"] = json!("high"),
        _ => {}
    }
    record
}

#[test]
fn a_sweep_tells_what_a_sort_of_the_dataset_does() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[300, 500, 0, 211], document);
    recipe(folder, "- newline_removal_modifier\n", "");
    must_run(folder, &[]);
    let all = rows(&folder.join("out"));
    let mut scored: Vec<&Value> = all.iter().filter(|row| row["m"]["q"].is_f64()).collect();
    let score = |row: &Value| row["m"]["q"].as_f64().expect("a score");
    let amount = |rows: &[&Value], tokens: bool| {
        let text = |row: &&Value| row["text"].as_str().expect("a text").to_owned();
        let of = |row: &&Value| {
            if tokens {
                row["tokens"].as_u64().expect("a number")
            } else {
                text(row).split(' ').count() as u64
            }
        };
        json!({
            "documents": rows.len(),
            "tokens": rows.iter().map(of).sum::<u64>(),
            "bytes": rows.iter().map(|row| text(row).len()).sum::<usize>(),
        })
    };
    let args = ["--key", "m.q", "--at", "5%,0.75,0.5", "--samples", "3", "--top", "4"];
    let words = swept(folder, &args);
    let tokens = swept(folder, &[&args[..], &["--tokens", "tokens"]].concat());
    assert_eq!((&words["tokens"], &tokens["tokens"]), (&json!("words"), &json!("tokens")));
    assert_eq!(words["missing"], all.iter().filter(|row| row["m"].is_null()).count());
    assert_eq!(words["not_a_number"], all.iter().filter(|row| row["m"]["q"].is_string()).count());
    assert_eq!(words["scored"], amount(&scored, false));
    scored.sort_by(|a, b| score(b).total_cmp(&score(a)));
    let best = scored.len().div_ceil(20);
    for (place, kept) in [
        &scored[..best],
        &scored[..scored.iter().filter(|row| score(row) >= 0.75).count()],
        &scored[..scored.iter().filter(|row| score(row) >= 0.5).count()],
    ]
    .into_iter()
    .enumerate()
    {
        let cut = &words["cuts"][place];
        assert_eq!(cut["keeps"], amount(kept, false), "{cut}");
        assert_eq!(tokens["cuts"][place]["keeps"], amount(kept, true));
        let near = |side: &str| -> Vec<f64> {
            cut[side]
                .as_array()
                .expect("samples")
                .iter()
                .map(|sample| sample["score"].as_f64().expect("one"))
                .collect()
        };
        let scores = |rows: &[&Value]| rows.iter().map(|row| score(row)).collect::<Vec<_>>();
        let last: Vec<&Value> = kept.iter().rev().take(3).copied().collect();
        assert_eq!(near("above"), scores(&last));
        assert_eq!(near("below"), scores(&scored[kept.len()..kept.len() + 3]));
        // What is shown is the document that has the score.
        for sample in cut["above"].as_array().expect("samples") {
            let row = all.iter().find(|row| row["id"] == sample["id"]).expect("a document");
            assert_eq!((&row["m"]["q"], &row["url"]), (&sample["score"], &sample["url"]));
            let shown = sample["text"].as_str().expect("a text").trim_end_matches('…');
            assert!(row["text"].as_str().is_some_and(|text| text.starts_with(shown)), "{sample}");
        }
        // By language and by host, of which four are named.
        let (languages, hosts) = (&words["by"][0], &words["by"][1]);
        for name in languages["top"].as_array().expect("names") {
            let of: Vec<&Value> =
                kept.iter().filter(|row| row["language"] == name["name"]).copied().collect();
            assert_eq!(name["keeps"][place], amount(&of, false));
        }
        assert_eq!(hosts["names"], 29);
        let host = |row: &Value| {
            row["url"].as_str().and_then(|url| url.split('/').nth(2)).expect("a host").to_owned()
        };
        let named = hosts["top"].as_array().expect("names");
        assert_eq!((named.len(), &named[0]["name"]), (4, &json!("host0.org")));
        let others: Vec<&Value> =
            kept.iter().filter(|row| named.iter().all(|name| name["name"] != host(row))).copied().collect();
        assert_eq!(hosts["others"]["keeps"][place], amount(&others, false));
    }
    assert_eq!(words["cuts"][0]["threshold"].as_f64(), Some(score(scored[best - 1])));
    // The other way round the best are the last.
    let lowest = swept(folder, &["--key", "m.q", "--at", "5%,0.1", "--lower-better"]);
    assert_eq!(lowest["cuts"][0]["threshold"].as_f64(), Some(score(scored[scored.len() - best])));
    assert_eq!(
        lowest["cuts"][1]["keeps"]["documents"],
        scored.iter().filter(|row| score(row) <= 0.1).count()
    );
    // The same again, and as a table.
    assert_eq!(swept(folder, &args), words);
    let table = sweep(folder, &args);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    let lines: BTreeMap<&str, &str> = table.lines().filter_map(|line| line.split_once("  ")).collect();
    assert!(lines["at"].trim_start().starts_with("threshold"), "{table}");
    assert!(lines["0.75"].trim_start().starts_with("0.75"), "{table}");
    assert!(table.contains("(25 others)") && table.contains("host0.org"), "{table}");
}

#[test]
fn what_cannot_be_swept_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[20], document);
    recipe(folder, "- newline_removal_modifier\n", "");
    let refused = |args: &[&str], expected: &str| {
        let output = sweep(folder, args);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    };
    refused(&["--key", "m.q", "--at", "5%"], "no manifest.json");
    must_run(folder, &[]);
    refused(
        &["--key", "m.p", "--at", "5%"],
        "has a number in the field m.p; the first has numbers in tokens",
    );
    refused(&["--key", "m.q", "--at", "ten"], "neither a share, such as 10%, nor a score");
    refused(&["--key", "m.q", "--at", "110%"], "no share");
    refused(&["--key", "m.q"], "--at");
    let fields = vec!["a"; 257].join(",");
    refused(&["--key", "m.q", "--at", "5%", "--by", &fields], "--by has 257 fields, and at most 256");
    let empty = swept(folder, &["--key", "m.q", "--at", "0%,100"]);
    assert_eq!(empty["cuts"][0]["keeps"]["documents"], 0);
    assert_eq!(empty["cuts"][1]["keeps"]["documents"], 0);
}

#[test]
fn whatever_documents_say_is_told_shortly_and_without_control_characters() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[3], |_, number| {
        json!({
            "id": format!("{number}\u{1b}[2J\nid"),
            "text": format!("{number} \u{1b}]0;title\u{7} \u{9b}31m red"),
            "host": "a\u{1b}[31m\nb",
            "q": 1e308 / (number + 1) as f64,
            "n": if number == 0 { json!(10_000_000_000_000_000_000_u64) } else { json!(1e300) },
        })
    });
    recipe(folder, "- newline_removal_modifier\n", "");
    must_run(folder, &[]);
    // Files of other kinds do not concern a sweep.
    let manifest = folder.join("out/manifest.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).expect("one")).expect("JSON");
    json["cluster_lists"] = json!([{"path": "clusters/none", "rows": 0, "bytes": 0, "sha256": ""}]);
    fs::write(&manifest, json.to_string()).expect("write");

    let args = ["--key", "q", "--at", "30%,6e307,1e307", "--tokens", "n", "--by", "host"];
    let told = swept(folder, &args);
    assert_eq!(told["scored"]["tokens"], u64::MAX);
    let tokens = |cut: usize| told["cuts"][cut]["keeps"]["tokens"].as_u64();
    assert_eq!(
        [tokens(0), tokens(1), tokens(2)],
        [Some(10_000_000_000_000_000_000), Some(10_000_000_000_000_000_000), Some(u64::MAX)]
    );
    assert_eq!(told["by"][0]["top"][0]["keeps"][2]["tokens"], u64::MAX);

    let table = sweep(folder, &args);
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()), "{table:?}");
    assert!(table.contains("a [31m b") && table.contains("]0;title") && table.contains("1e308"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() < 200), "{table}");
    let line = table.lines().find(|line| line.starts_with("6e307")).expect("a line");
    assert_eq!(line.split_whitespace().nth(1), Some("6e307"), "{line}");
}
