//! What a dedup of near duplicates tells of the documents that it joined: in files of the dataset, and in the documents.

use crate::dedup::{alike, components, overlap, run_both};
use crate::run::{must_run, published};
use crate::steps::{corpus, recipe, rows};
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The rows of the files that say what was joined.
pub(crate) fn clusters(output: &Path) -> Vec<Value> {
    let manifest: Value =
        serde_json::from_slice(&fs::read(output.join("manifest.json")).expect("a manifest")).expect("JSON");
    let mut rows = Vec::new();
    for file in manifest["clusters"].as_array().expect("cluster files") {
        let path = file["path"].as_str().expect("a path");
        assert!(path.starts_with("clusters/00-minhash_dedup/part-"), "{path}");
        let packed = fs::read(output.join(path)).expect("a file");
        let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("UTF-8");
        let of_file: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(file["rows"], of_file.len());
        rows.extend(of_file);
    }
    rows
}

fn verify(folder: &Path, output: &str) -> (bool, String) {
    let done = gristmill().current_dir(folder).args(["verify", output]).output().expect("starts");
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

const SIZES: [u64; 4] = [90, 60, 0, 70];

/// Texts alike to every degree.
fn record(file: u64, number: u64) -> Value {
    json!({"id": format!("{:03}-{file}", (number * 37 + file) % 211), "text": alike(file, number)})
}

fn all() -> Vec<Value> {
    (0..).zip(SIZES).flat_map(|(file, size)| (0..size).map(move |number| record(file, number))).collect()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key}: {row}"))
}

/// Components by brute force: of each document that is not alone, the record ids of its component, and the greatest
/// similarity that it has with another of them.
fn truth(threshold: f64) -> BTreeMap<String, (Vec<String>, f64)> {
    let all = all();
    let similarity = |a: usize, b: usize| {
        let (shared, both, _) = overlap(text(&all[a], "text"), text(&all[b], "text"));
        shared / both
    };
    let mut truth = BTreeMap::new();
    for members in components(all.len(), |a, b| similarity(a, b) >= threshold) {
        let mut ids: Vec<String> = members.iter().map(|place| text(&all[*place], "id").to_owned()).collect();
        ids.sort_unstable();
        for place in members.iter().filter(|_| members.len() > 1) {
            let others = members.iter().filter(|other| *other != place);
            let most = others.map(|other| similarity(*place, *other)).fold(0.0, f64::max);
            truth.insert(text(&all[*place], "id").to_owned(), (ids.clone(), most));
        }
    }
    truth
}

#[test]
fn the_dataset_tells_what_was_joined() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &SIZES, record);
    let step = |more: &str| format!("- minhash_dedup: {{bands: 60, rows: 2, threshold: 0.65{more}}}\n");
    recipe(folder, &step(""), "");
    run_both(folder);
    let untold = published(&folder.join("one"));

    recipe(folder, &step(", clusters: true"), "");
    run_both(folder);
    let mut told = published(&folder.join("one"));
    told.retain(|name, _| !name.starts_with("clusters/"));
    assert_eq!(told.len(), untold.len());
    for (name, bytes) in told {
        assert!(
            name == "manifest.json" || untold.get(&name) == Some(&bytes),
            "{name} is the same, told or not"
        );
    }
    let told = clusters(&folder.join("one"));
    let truth = truth(0.65);
    assert_eq!(told.len(), truth.len());
    assert!(told.len() > 100, "{}", told.len());
    for row in &told {
        let (members, most) = &truth[text(row, "id")];
        assert_eq!(text(row, "survivor"), members[0], "{row}");
        assert_eq!(row["size"], members.len(), "{row}");
        assert_eq!(row["kept"], text(row, "id") == members[0], "{row}");
        // That of the most similar it was compared with: it was compared until they were joined.
        let similarity = row["similarity"].as_f64().expect("a similarity");
        assert!((0.65..=most + 1e-9).contains(&similarity), "{row}, {most}");
    }
    let (sound, said) = verify(folder, "one");
    assert!(sound && said.contains("files and"), "{said}");

    // Other tasks make other files of the same rows.
    for (lanes, size, buckets) in [("8", "64MiB", "1"), ("2", "120KiB", "16")] {
        let (size, buckets) = (format!("tasks.size={size}"), format!("tasks.buckets={buckets}"));
        let args = ["--lanes", lanes, "--set", &size, "--set", &buckets, "--output", "other", "--overwrite"];
        must_run(folder, &args);
        assert_eq!(clusters(&folder.join("other")), told, "{size} {buckets}");
    }

    // The files are as good as those of the documents, whatever comes after and in whatever format.
    fs::write(folder.join("one/clusters/00-minhash_dedup/part-stranger.jsonl"), "{}\n").expect("write");
    let (sound, said) = verify(folder, "one");
    assert!(!sound && said.contains("part-stranger.jsonl: not in the manifest"), "{said}");
    recipe(folder, &(step(", clusters: true") + "- exact_dedup\n"), "");
    must_run(folder, &["--output", "one", "--overwrite"]);
    assert_eq!(clusters(&folder.join("one")), told);
    let path = folder.join("one/clusters/00-minhash_dedup/part-00000-000.jsonl.zst");
    let mut bytes = fs::read(&path).expect("read");
    bytes[20] ^= 1;
    fs::write(&path, bytes).expect("write");
    assert!(!verify(folder, "one").0);
    let manifest = must_run(folder, &["--set", "output.format=parquet", "--output", "parquet"]);
    let files = manifest["clusters"].as_array().expect("files");
    assert_eq!(files.iter().map(|file| file["rows"].as_u64().expect("rows")).sum::<u64>(), told.len() as u64);
    let (sound, said) = verify(folder, "parquet");
    assert!(sound, "{said}");

    // Without a comparison there is no similarity.
    recipe(folder, "- minhash_dedup: {bands: 60, rows: 2, verify: none, clusters: true}\n", "");
    must_run(folder, &["--output", "none"]);
    let told = clusters(&folder.join("none"));
    assert!(told.iter().all(|row| row.get("similarity").is_none()) && !told.is_empty());
}

#[test]
fn what_is_held_back_is_told_too() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // Ten pages of a site, all of which another has as well, and so have five of them a third.
    let record = |file: u64, number: u64| {
        let words: Vec<String> = (0..50).map(|word| format!("page{number}w{word}")).collect();
        json!({"id": format!("{file}-{number}"), "url": format!("http://site{file}/{number}"), "text": words.join(" ")})
    };
    corpus(folder, &[10, 10, 5], record);
    let guard = "max_drop_share_per_source: {source: domain, share: 0.5, min_documents: 10}";
    recipe(folder, &format!("- minhash_dedup: {{preset: fineweb, clusters: true, {guard}}}\n"), "");
    run_both(folder);
    let told = clusters(&folder.join("one"));
    assert_eq!(told.len(), 25);
    for row in &told {
        let (file, number) = text(row, "id").split_once('-').expect("two numbers");
        let number: u64 = number.parse().expect("a number");
        assert_eq!(text(row, "survivor"), format!("0-{number}"), "{row}");
        assert_eq!(row["size"], if number < 5 { 3 } else { 2 }, "{row}");
        assert_eq!(row["kept"], file != "2", "the second site is guarded: {row}");
        assert_eq!(row["similarity"], 1.0, "{row}");
    }
    assert_eq!(rows(&folder.join("one")).len(), 20);
    // Components that are left alone are none.
    recipe(folder, "- minhash_dedup: {preset: fineweb, clusters: true, max_component: 2}\n", "");
    must_run(folder, &["--output", "few"]);
    assert_eq!(clusters(&folder.join("few")).len(), 10);
}

#[test]
fn documents_say_what_they_are_copies_of_and_how_many_they_stay_for() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &SIZES, record);
    let truth = truth(0.65);
    let step = |more: &str| format!("- minhash_dedup: {{bands: 60, rows: 2, threshold: 0.65, {more}}}\n");

    recipe(folder, &step("annotate: true"), "");
    run_both(folder);
    let kept = rows(&folder.join("one"));
    let without = |row: &Value| json!({"id": row["id"], "text": row["text"]});
    assert_eq!(kept.iter().map(without).collect::<Vec<_>>(), all(), "nothing goes, and in the same order");
    for row in &kept {
        let expected = truth.get(text(row, "id")).map(|(members, _)| {
            if members[0] == text(row, "id") { Value::Null } else { Value::from(members[0].as_str()) }
        });
        assert_eq!(row.get("duplicate_of"), expected.as_ref(), "{row}");
        assert!(row.get("duplicates").is_none());
    }

    for annotate in [false, true] {
        recipe(folder, &step(&format!("annotate: {annotate}, duplicates: list, clusters: true")), "");
        run_both(folder);
        let listed = rows(&folder.join("one"));
        let alone = 220 - truth.len();
        let components = truth.iter().filter(|(id, (members, _))| members[0] == **id).count();
        assert_eq!(listed.len(), if annotate { 220 } else { alone + components });
        for row in &listed {
            let survives = truth.get(text(row, "id")).filter(|(members, _)| members[0] == text(row, "id"));
            let others = survives.map(|(members, _)| json!(members[1..]));
            assert_eq!(row.get("duplicate_ids"), others.as_ref(), "{row}");
            assert_eq!(row.get("duplicates"), survives.map(|(members, _)| json!(members.len() - 1)).as_ref());
        }
        assert!(clusters(&folder.join("one")).iter().all(|row| !annotate || row["kept"] == true));
    }
    recipe(folder, &step("duplicates: count"), "");
    must_run(folder, &["--output", "count"]);
    let counted = rows(&folder.join("count"));
    assert!(counted.iter().all(|row| row.get("duplicate_ids").is_none()));
    let sum: u64 = counted.iter().filter_map(|row| row["duplicates"].as_u64()).sum();
    assert_eq!(sum, 220 - counted.len() as u64, "who stays counts all that went");
}

#[test]
fn equal_documents_are_told_of_in_the_same_way() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // Every text is there three times, and of those the one with the greatest `n` stays; some are lists.
    let record = |file: u64, number: u64| {
        let text =
            if number % 7 == 6 { json!(["a list", "a list"]) } else { json!(format!("text {number}")) };
        json!({"id": format!("{file}-{number:02}"), "text": text, "n": (file * 5 + number) % 3})
    };
    corpus(folder, &[40, 40, 40, 6], record);
    let survivor = |number: u64| {
        let mut copies: Vec<(u64, String)> = (0..if number < 6 { 4 } else { 3 })
            .map(|file| (2 - (file * 5 + number) % 3, format!("{file}-{number:02}")))
            .collect();
        copies.sort_unstable();
        copies.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    };
    let number = |row: &Value| text(row, "id")[2..].parse::<u64>().expect("a number");
    let step = |more: &str| format!("- exact_dedup: {{selection_key: n, selection_reverse: true{more}}}\n");
    recipe(folder, &step(", clusters: true, duplicates: list"), "");
    run_both(folder);
    let kept = rows(&folder.join("one"));
    assert_eq!(kept.len(), 35 + 15, "lists are left alone");
    for row in kept.iter().filter(|row| row["text"].is_string()) {
        let copies = survivor(number(row));
        assert_eq!(text(row, "id"), copies[0]);
        assert_eq!(
            (&row["duplicates"], &row["duplicate_ids"]),
            (&json!(copies.len() - 1), &json!(copies[1..]))
        );
    }
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("one/manifest.json")).expect("a manifest"))
            .expect("JSON");
    let files = manifest["clusters"].as_array().expect("files");
    assert!(text(&files[0], "path").starts_with("clusters/00-exact_dedup/part-"));
    let told: u64 = files.iter().map(|file| file["rows"].as_u64().expect("rows")).sum();
    assert_eq!(told, 35 * 3 + 6);
    assert!(verify(folder, "one").0);

    recipe(folder, &step(", annotate: true"), "");
    run_both(folder);
    let kept = rows(&folder.join("one"));
    assert_eq!(kept.len(), 126);
    for row in &kept {
        let of = row["text"].is_string().then(|| {
            let first = survivor(number(row)).remove(0);
            if first == text(row, "id") { Value::Null } else { Value::from(first) }
        });
        assert_eq!(row.get("duplicate_of"), of.as_ref(), "{row}");
    }
}

#[test]
fn a_document_lists_a_hundred_others_at_most() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let words: Vec<String> = (0..50).map(|word| format!("w{word}")).collect();
    corpus(folder, &[200], |_, number| json!({"id": format!("{number:03}"), "text": words.join(" ")}));
    recipe(folder, "- minhash_dedup: {preset: fineweb, duplicates: list}\n", "");
    must_run(folder, &[]);
    let kept = rows(&folder.join("out"));
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["duplicates"], 199);
    let first: Vec<String> = (1..=100).map(|number| format!("{number:03}")).collect();
    assert_eq!(kept[0]["duplicate_ids"], json!(first));
}
