//! What a dataset tells of documents that an index knows, and indexes of parts of documents.

use super::{ids, must, with_index, write};
use crate::steps::rows;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rows of `clusters/`, by record id.
fn told(folder: &Path, output: &str, manifest: &Value) -> BTreeMap<String, Value> {
    let mut told = BTreeMap::new();
    for file in manifest["clusters"].as_array().expect("cluster files") {
        let packed =
            fs::read(folder.join(output).join(file["path"].as_str().expect("a path"))).expect("read");
        let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("UTF-8");
        for row in text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
            let id = row["id"].as_str().expect("an id").to_owned();
            assert!(told.insert(id, row).is_none(), "a document is told of once");
        }
    }
    told
}

/// The index was written by a step that ranks by a number, from the greatest down, and compares the members of lists; those who
/// read it rank by a text, from the least up, or by ids alone, and compare whole documents.
#[test]
fn documents_of_an_index_are_called_by_their_ids_whatever_ranked_them() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // Thirty texts thrice, and before each of them a list of three, which is three units of one document.
    let record = |job: &str, number: u64| {
        let (text, copy) = (number / 2 % 30, number / 60);
        let content = match number % 2 {
            0 => json!([format!("{job}{number}x"), format!("{job}{number}y"), format!("{job}{number}z")]),
            _ => json!(format!("text {text}")),
        };
        // The greatest `n` has neither the smallest nor the greatest id.
        let (n, other) = ((copy * 2 + 1) % 3, format!("{}", 9 - copy));
        json!({"id": format!("{job}-{text:02}-{copy}-{}", number % 2), "text": content, "n": n, "m": other})
    };
    let records = |job: &str, numbers: std::ops::Range<u64>| -> Vec<Value> {
        numbers.map(|number| record(job, number)).collect()
    };
    write(folder, "one", &records("k", 0..180));
    let ranked = "exact_dedup: {selection_key: n, selection_reverse: true}";
    must(folder, "one", &with_index(ranked, "{at: index, extend: true}"), "out-one");
    let stayed = |text: u64| format!("k-{text:02}-2-1");
    let lists = records("k", 0..180).into_iter().filter(|row| row["text"].is_array());
    let lists = lists.map(|row| row["id"].as_str().expect("an id").to_owned());
    let expected = (0..30).map(stayed).chain(lists).collect();
    assert_eq!(ids(folder, "out-one"), expected, "the greatest number stays, and lists do");

    // The same texts by another job, of half of them two; and five that nobody has.
    let mut second = records("a", 0..90);
    second.extend(
        (0..10).map(|n| json!({"id": format!("a-new-{n}"), "text": format!("new {}", n / 2), "m": "1"})),
    );
    write(folder, "two", &second);
    let of_texts: Vec<String> = second
        .iter()
        .filter(|row| row["n"].is_u64() && row["text"].is_string())
        .map(|row| row["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(of_texts.len(), 45);
    let number = |id: &str| id[2..4].parse::<u64>().expect("a number");
    for ranked in ["selection_key: m, ", ""] {
        let step = format!("exact_dedup: {{{ranked}clusters: true, duplicates: list}}");
        let _ = fs::remove_dir_all(folder.join("out-two"));
        let manifest = must(folder, "two", &with_index(&step, "{at: index, generation: 1}"), "out-two");
        let told = told(folder, "out-two", &manifest);
        assert_eq!(told.len(), 45 + 10, "lists are left alone");
        for id in &of_texts {
            let size = if number(id) < 15 { 3 } else { 2 };
            let expected = json!({"id": id, "survivor": stayed(number(id)), "size": size, "kept": false});
            assert_eq!(told[id], expected);
        }
        for n in 0..10 {
            let row = &told[&format!("a-new-{n}")];
            assert_eq!(
                (&row["survivor"], &row["kept"]),
                (&json!(format!("a-new-{}", n / 2 * 2)), &json!(n % 2 == 0))
            );
        }
        for row in rows(&folder.join("out-two")).iter().filter(|row| row["text"].is_string()) {
            let n: u64 = row["id"].as_str().and_then(|id| id[6..].parse().ok()).expect("a new one");
            assert_eq!(
                (&row["duplicates"], &row["duplicate_ids"]),
                (&json!(1), &json!([format!("a-new-{}", n + 1)]))
            );
        }

        // Nothing goes, and each says whose copy it is. Those are no documents of this job.
        let step = format!("exact_dedup: {{{ranked}annotate: true}}");
        let _ = fs::remove_dir_all(folder.join("out-all"));
        must(folder, "two", &with_index(&step, "{at: index, generation: 1}"), "out-all");
        let all = rows(&folder.join("out-all"));
        assert_eq!(all.len(), second.len());
        for row in all.iter().filter(|row| row["n"].is_u64()) {
            let expected =
                row["text"].is_string().then(|| json!(stayed(number(row["id"].as_str().expect("an id")))));
            assert_eq!(row.get("duplicate_of"), expected.as_ref(), "{row}");
        }
    }

    // The third job meets both: the oldest is named.
    must(
        folder,
        "two",
        &with_index("exact_dedup: {selection_key: m}", "{at: index, extend: true}"),
        "out-extends",
    );
    let third = [
        json!({"id": "0", "text": "text 7"}),
        json!({"id": "1", "text": "new 3"}),
        json!({"id": "2", "text": "nobody's"}),
    ];
    write(folder, "three", &third);
    let step = with_index("exact_dedup: {clusters: true}", "index");
    let manifest = must(folder, "three", &step, "out-three");
    let told = told(folder, "out-three", &manifest);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!((&told["0"]["survivor"], &told["1"]["survivor"]), (&json!(stayed(7)), &json!("a-new-6")));
    assert_eq!(ids(folder, "out-three"), ["2".to_owned()].into());
}

/// Lines and paragraphs that a document of an earlier job has go; one job over all does the same.
#[test]
fn pieces_meet_those_of_earlier_jobs() {
    for (step, separator) in [("line_dedup", "\n"), ("paragraph_dedup", "\n\n")] {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        let record = |job: u64, number: u64| {
            let piece = |at: u64| match (job * 31 + number * 17 + at * at * 7) % 701 {
                n if n % 9 == 0 => String::new(),
                n if n % 5 == 0 => format!(" PIECE {n} of text"),
                n => format!("Piece {n} of text"),
            };
            let pieces: Vec<String> = (0..=number % 12).map(piece).collect();
            let url = format!("http://{job}.org/{number}");
            json!({"id": format!("{job}-{number:03}"), "url": url, "text": pieces.join(separator)})
        };
        let jobs: Vec<Vec<Value>> = (0..3).map(|job| (0..90).map(|n| record(job, n)).collect()).collect();
        let plain = format!("{step}: {{min_chars: 5}}");
        let extending = with_index(&plain, "{at: index, extend: true}");
        let texts = |output: &str| -> BTreeMap<String, Value> {
            let row = |row: &Value| (row["id"].as_str().expect("an id").to_owned(), row["text"].clone());
            rows(&folder.join(output)).iter().map(row).collect()
        };
        let mut kept = BTreeMap::new();
        for (number, job) in jobs.iter().enumerate() {
            let (input, output) = (format!("in-{number}"), format!("out-{number}"));
            write(folder, &input, job);
            let manifest = must(folder, &input, &extending, &output);
            assert_eq!(manifest["indexes"][0]["added"], 90);
            kept.extend(texts(&output));
        }
        write(folder, "all", &jobs.concat());
        must(folder, "all", &plain, "out-all");
        assert_eq!(kept, texts("out-all"), "{step}");
        let before: BTreeSet<&str> =
            jobs[2].iter().map(|row| row["text"].as_str().expect("a text")).collect();
        let after = texts("out-2");
        assert!(
            after.values().any(|text| !before.contains(text.as_str().expect("a text"))),
            "some lost pieces"
        );
        assert!(after.len() < 90, "and some all of them");
    }
}
