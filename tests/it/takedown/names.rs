//! What is taken down is not named by those that stay, nor by what the dataset tells of its dedups.

use super::{all_files, gristmill_in, stdout};
use crate::index::{manifest, run, with_index, write};
use crate::steps::rows;
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Twenty texts, each four times. Of a text the copy of the least id stays.
fn record(number: u64) -> Value {
    let (text, copy) = (number % 20, number / 20);
    let words: String = (0..80).map(|word| format!("t{text}w{word} ")).collect();
    let url = format!("http://site{copy}.org/{text}");
    json!({"id": format!("{text:02}-{copy}"), "url": url, "text": words, "n": 1.50})
}

fn fixture(folder: &Path, params: &str, format: &str) {
    write(folder, "in", &(0..80).map(record).collect::<Vec<_>>());
    let step =
        with_index(&format!("minhash_dedup: {{preset: fineweb, {params}}}"), "{at: index, extend: true}");
    let ended = run(folder, "in", &step, "out", &["--set", &format!("output.format={format}")]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// A survivor by its address; one that went, by its id; another that went, by an address that only the index knows.
const LIST: &str = "http://site0.org/3\nid:05-2\nhttp://site1.org/7\n";
const GONE: [&str; 3] = ["03-0", "05-2", "07-1"];

const ALL: [&str; 6] = ["takedown", "--urls", "list.txt", "--index", "index", "out"];

/// The rows of `clusters/`.
fn clusters(folder: &Path) -> Vec<Value> {
    let mut told = Vec::new();
    for file in manifest(folder, "out")["clusters"].as_array().expect("cluster files") {
        let packed = fs::read(folder.join("out").join(file["path"].as_str().expect("a path"))).expect("read");
        let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("UTF-8");
        told.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")));
    }
    told
}

fn by_id(rows: Vec<Value>) -> BTreeMap<String, Value> {
    rows.into_iter().map(|row| (row["id"].as_str().expect("an id").to_owned(), row)).collect()
}

/// No file of the dataset has such an id in it.
#[track_caller]
fn nothing_is_left(folder: &Path) {
    for (name, bytes) in all_files(&folder.join("out")) {
        let bytes = if name.ends_with(".zst") { zstd::decode_all(&bytes[..]).expect("zstd") } else { bytes };
        let text = String::from_utf8_lossy(&bytes);
        for id in GONE {
            assert!(!text.contains(&format!("\"{id}\"")), "{id} is in {name}");
        }
    }
    stdout(gristmill_in(folder, &["verify", "out"]));
}

#[test]
fn those_that_stay_and_the_clusters_forget_them() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fixture(folder, "clusters: true, duplicates: list", "jsonl.zst");
    let (before, told) = (rows(&folder.join("out")), clusters(folder));
    assert_eq!((before.len(), told.len()), (20, 80));
    fs::write(folder.join("list.txt"), LIST).expect("write");
    assert_eq!(stdout(gristmill_in(folder, &ALL)).matches('\n').count(), 3);
    nothing_is_left(folder);

    let after = by_id(rows(&folder.join("out")));
    assert_eq!(after.len(), 19);
    for mut row in before {
        let id = row["id"].as_str().expect("an id").to_owned();
        match id.as_str() {
            "03-0" => continue,
            "05-0" => row["duplicate_ids"] = json!(["05-1", "05-3"]),
            "07-0" => row["duplicate_ids"] = json!(["07-2", "07-3"]),
            _ => {}
        }
        // How many there were is still said.
        assert_eq!(row["duplicates"], 3);
        assert_eq!(after[&id], row);
    }
    let left: Vec<Value> = told
        .into_iter()
        .filter(|row| row["survivor"] != "03-0" && !GONE.contains(&row["id"].as_str().expect("an id")))
        .collect();
    assert_eq!(left.len(), 80 - 4 - 2);
    assert_eq!(clusters(folder), left);
    let manifest = manifest(folder, "out");
    assert_eq!(
        (&manifest["documents"]["kept"], &manifest["takedowns"][0]["documents"]),
        (&json!(19), &json!(1))
    );

    // A list of those that went only changes what is told, and counts no document.
    fs::write(folder.join("list.txt"), "id:09-3\n").expect("write");
    stdout(gristmill_in(folder, &ALL));
    stdout(gristmill_in(folder, &["verify", "out"]));
    let manifest = self::manifest(folder, "out");
    assert_eq!(
        (&manifest["documents"]["kept"], &manifest["documents"]["dropped"]["takedown"]),
        (&json!(19), &json!(1))
    );
    assert_eq!(manifest["takedowns"].as_array().map(Vec::len), Some(2));
    assert_eq!(clusters(folder).len(), 80 - 4 - 3);
    assert_eq!(by_id(rows(&folder.join("out")))["09-0"]["duplicate_ids"], json!(["09-1", "09-2"]));
    let files = all_files(&folder.join("out"));
    stdout(gristmill_in(folder, &ALL));
    assert_eq!(all_files(&folder.join("out")), files, "again does nothing");
}

#[test]
fn copies_of_what_is_gone_are_copies_of_nothing() {
    for format in ["jsonl.zst", "parquet"] {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        fixture(folder, "annotate: true", format);
        fs::write(folder.join("list.txt"), LIST).expect("write");
        stdout(gristmill_in(folder, &ALL));
        stdout(gristmill_in(folder, &["verify", "out"]));
        assert_eq!(manifest(folder, "out")["documents"]["kept"], 77);
        if format == "parquet" {
            continue;
        }
        nothing_is_left(folder);
        for row in rows(&folder.join("out")) {
            let (text, copy) = row["id"].as_str().and_then(|id| id.split_once('-')).expect("two numbers");
            let expected = match (text, copy) {
                ("03", _) => None,
                (_, "0") => Some(Value::Null),
                _ => Some(json!(format!("{text}-0"))),
            };
            assert_eq!(row.get("duplicate_of"), expected.as_ref(), "{row}");
            assert!(row["n"] == 1.5 && row["text"].as_str().is_some_and(|text| text.len() > 100));
        }
    }
}

/// The second dataset's documents are copies of the first one's. Killed between the two, the takedown still knows whose ids are
/// to go from the second, where no address says so.
#[test]
fn what_one_dataset_knew_is_not_lost_before_the_other_is_done() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fixture(folder, "clusters: true", "jsonl.zst");
    let later = (0..20).map(|number| {
        let mut record = record(number);
        (record["id"], record["url"]) = (json!(format!("later-{number}")), json!("http://later.org/"));
        record
    });
    write(folder, "later", &later.collect::<Vec<_>>());
    let step = with_index("minhash_dedup: {preset: fineweb, annotate: true}", "index");
    let ended = run(folder, "later", &step, "out-later", &[]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let copies = |folder: &Path| {
        let rows = rows(&folder.join("out-later"));
        rows.iter().filter(|row| row["duplicate_of"] == "03-0").count()
    };
    assert_eq!(copies(folder), 1);
    fs::write(folder.join("list.txt"), "http://site0.org/3\n").expect("write");
    let args = ["takedown", "--urls", "list.txt", "out", "out-later"];
    let begun = folder.join("out-later/_takedowns/000001.json");
    // The second's manifest cannot be replaced while a folder stands where what is replaced is listed.
    let in_the_way = folder.join("out-later/_takedowns/000001-replaced.json");
    fs::create_dir_all(&in_the_way).expect("folder");
    let ended = gristmill().current_dir(folder).args(args).stdout(Stdio::null()).output().expect("starts");
    assert!(!ended.status.success());
    assert_eq!(manifest(folder, "out")["documents"]["kept"], 19, "the first is done");
    assert_eq!(copies(folder), 1, "the second is not");
    assert!(fs::read_to_string(&begun).expect("has begun").contains("03-0"));
    fs::remove_dir(&in_the_way).expect("is empty");
    stdout(gristmill_in(folder, &args));
    assert_eq!(copies(folder), 0);
    assert!(!fs::read_to_string(&begun).expect("is done").contains("03-0"), "it is forgotten there, too");
    stdout(gristmill_in(folder, &["verify", "out-later"]));
}
