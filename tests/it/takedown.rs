//! `gristmill takedown` as a user meets it: what is named goes from datasets and indexes, all else stays as it was.

mod killed;
mod names;

use crate::index::{ids, manifest, must, run, with_index, write};
use crate::storage::seaweed::{self, Seaweed};
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Thirty texts of three sites, each thrice: as it is, and twice with a word more, from other sites.
fn record(number: u64) -> Value {
    let (text, copy) = (number % 30, number / 30);
    let site = ["a.org", "b.org", "www.c.org"][(text % 3) as usize];
    let words: String = (0..80).map(|word| format!("t{text}w{word}{} ", "x".repeat(99))).collect();
    let (site, more) = [(site, ""), ("mirror.net", "more"), ("d.org", "other")][copy as usize];
    json!({
        "id": format!("{copy}-{text:02}"),
        "url": format!("http://{site}/{}/{text}?x", ["dir", "top"][(text % 2) as usize]),
        "text": format!("{words}{more}"),
        "n": 1.50,
    })
}

const STEP: &str = "minhash_dedup: {preset: fineweb}";
/// Of the thirty that stay: one by its address, five of a folder, ten of a host, one by its id; and a mirror's, which went.
const LIST: &str = "\
# asked for
https://A.org:443/dir/0?x#top
prefix:http://b.org/dir/

domain:c.org
id:0-03
http://mirror.net/dir/6?x
http://nowhere.org/
";
const COUNTS: &str = "\
1\t1\thttps://A.org:443/dir/0?x#top
5\t5\tprefix:http://b.org/dir/
10\t10\tdomain:c.org
1\t1\tid:0-03
0\t1\thttp://mirror.net/dir/6?x
0\t0\thttp://nowhere.org/
";

/// Thirty documents are kept and in the index, and sixty are duplicates of them.
fn fixture(folder: &Path, more: &str) {
    write(folder, "in", &(0..90).map(record).collect::<Vec<_>>());
    let step = with_index(STEP, "{at: index, extend: true}");
    let ended = run(folder, "in", &step, "out", &["--set", more]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    fs::write(folder.join("list.txt"), LIST).expect("write");
}

fn gristmill_in(folder: &Path, args: &[&str]) -> Output {
    gristmill().current_dir(folder).args(args).output().expect("the program starts")
}

#[track_caller]
fn stdout(ended: Output) -> String {
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("UTF-8")
}

const TAKEDOWN: [&str; 6] = ["takedown", "--urls", "list.txt", "--index", "index", "out"];

/// Every file below a folder but what the runs left.
fn all_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("_gristmill") {
                files.insert(name, fs::read(path).expect("read"));
            }
        }
    }
    files
}

#[test]
fn what_is_named_goes_and_all_else_stays() {
    for format in ["jsonl.zst", "jsonl.gz", "jsonl", "parquet"] {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        fixture(folder, &format!("output.format={format}"));
        let before = all_files(&folder.join("out"));
        let files = manifest(folder, "out")["files"].as_array().expect("files").len();
        assert!(files > 1, "{files}");
        assert_eq!(stdout(gristmill_in(folder, &TAKEDOWN)), COUNTS);
        stdout(gristmill_in(folder, &["verify", "out"]));
        let after = all_files(&folder.join("out"));
        let manifest = manifest(folder, "out");
        assert_eq!(manifest["documents"]["in"], 90);
        assert_eq!(manifest["documents"]["kept"], 30 - 17);
        assert_eq!(manifest["documents"]["dropped"]["takedown"], 17);
        let record = &manifest["takedowns"][0];
        assert_eq!(
            (&record["documents"], record["list_sha256"].as_str().map(str::len)),
            (&json!(17), Some(64))
        );
        let data =
            |files: &BTreeMap<String, Vec<u8>>| files.keys().filter(|f| f.starts_with("data/")).count();
        assert_eq!(data(&after), files);
        let renamed = after.keys().filter(|name| name.contains("-t1.")).count();
        assert_eq!(record["files"], renamed);
        let same = after.iter().filter(|(name, bytes)| before.get(*name) == Some(bytes)).count();
        assert_eq!(same, files - renamed, "files without any of them stay as they were");
        if format == "jsonl" {
            let lines = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
                let data = files.iter().filter(|(name, _)| name.starts_with("data/"));
                let lines = |(_, bytes): (_, &Vec<u8>)| String::from_utf8_lossy(bytes).into_owned();
                data.map(lines).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
            };
            let (before, after) = (lines(&before), lines(&after));
            assert_eq!(after.len(), 13);
            assert!(after.iter().all(|line| before.contains(line)), "rows keep their bytes");
            assert!(after.iter().all(|line| !line.contains("c.org") && !line.contains("b.org/dir")));
        }
        // Again: nothing is to be done.
        assert_eq!(stdout(gristmill_in(folder, &TAKEDOWN)).matches("0\t0\t").count(), 6);
        assert_eq!(all_files(&folder.join("out")), after);
    }
}

/// Of the index nothing is left of what was taken down, nor of what went in its favour.
#[test]
fn nothing_is_a_duplicate_of_what_was_taken_down() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fixture(folder, "seed=0");
    stdout(gristmill_in(folder, &TAKEDOWN));
    let index: Value = serde_json::from_slice(
        &fs::read(folder.join("index/generations/000002.json")).expect("a generation"),
    )
    .expect("JSON");
    // Seventeen that stayed with the two copies of each, and the mirror's.
    assert_eq!((&index["taken_down"], &index["parts"][0]["documents"]), (&json!(52), &json!(38)));
    let files = all_files(&folder.join("index"));
    let named = |path: &str| path.contains("takedown-") || path.starts_with("generations/");
    let kept: Vec<&String> = files.keys().filter(|path| !named(path)).collect();
    let listed: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".jsonl"))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    assert!(kept.iter().all(|path| listed.iter().any(|page| page.contains(path.as_str()))), "{kept:?}");

    // The same texts, from elsewhere: those that were taken down come in, the others are duplicates.
    let again = |number: u64| {
        let mut record = record(number);
        record["id"] = json!(format!("new-{number:02}"));
        record["url"] = json!(format!("http://new.example/{number}"));
        record
    };
    write(folder, "again", &(0..30).map(again).collect::<Vec<_>>());
    must(folder, "again", &with_index(STEP, "{at: index, extend: true}"), "out-again");
    let taken =
        |text: u64| text == 0 || text == 3 || (text % 3 == 1 && text.is_multiple_of(2)) || text % 3 == 2;
    let expected = (0..30).filter(|text| taken(*text)).map(|text| format!("new-{text:02}")).collect();
    assert_eq!(ids(folder, "out-again"), expected);
    // What a takedown took away cannot be asked for.
    let old = with_index(STEP, "{at: index, generation: 1}");
    let ended = run(folder, "again", &old, "out-old", &[]);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("generation 1 of the index index is gone, a takedown removed it"), "{stderr}");
    // A takedown after that reaches what came since, and what was dropped in favour of it.
    fs::write(folder.join("list.txt"), "domain:new.example\n").expect("write");
    let args = ["takedown", "--urls", "list.txt", "--index", "index", "out", "out-again"];
    assert_eq!(stdout(gristmill_in(folder, &args)), "17\t30\tdomain:new.example\n");
    stdout(gristmill_in(folder, &["verify", "out-again"]));
    assert_eq!(manifest(folder, "out-again")["documents"]["kept"], 0);
}

#[test]
fn what_cannot_be_taken_down_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fixture(folder, "seed=0");
    let refused = |list: &str, args: &[&str], part: &str| {
        fs::write(folder.join("list.txt"), list).expect("write");
        let ended = gristmill_in(folder, args);
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && stderr.contains(part), "{part:?} is not in: {stderr}");
    };
    let before = all_files(&folder.join("out"));
    refused(
        "a.org/x\n",
        &TAKEDOWN,
        "line 1 of the list, \"a.org/x\": an address has http:// or https:// before it",
    );
    refused("domain:a.org", &["takedown", "--urls", "none.txt", "out"], "cannot read none.txt");
    refused("domain:a.org", &["takedown", "--urls", "list.txt", "nothing"], "manifest.json: not found");
    refused(
        "domain:a.org",
        &["takedown", "--urls", "list.txt", "--index", "nothing"],
        "there is no index at nothing",
    );
    // Somebody else's takedown, which was killed.
    fs::create_dir_all(folder.join("out/_takedowns")).expect("folder");
    fs::write(folder.join("out/_takedowns/000001.json"), r#"{"list_sha256": "abc"}"#).expect("write");
    refused("domain:a.org", &["takedown", "--urls", "list.txt", "out"], "another takedown was begun here");
    fs::remove_dir_all(folder.join("out/_takedowns")).expect("is there");
    assert_eq!(all_files(&folder.join("out")), before);
}

/// An index and a dataset on S3, where manifests are created by conditional writes.
#[test]
fn on_s3_as_on_files() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(server) = runtime.block_on(Seaweed::start()) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    fs::write(folder.join("list.txt"), LIST).expect("write");
    write(folder, "in", &(0..60).map(record).collect::<Vec<_>>());
    write(folder, "later", &(60..90).map(record).collect::<Vec<_>>());
    let command = |args: &[&str]| {
        let ended = gristmill()
            .current_dir(folder)
            .args(args)
            .envs(seaweed::environment(server.endpoint()))
            .output()
            .expect("the program starts");
        stdout(ended)
    };
    let step = with_index(STEP, "{at: \"s3://first-bucket/index\", extend: true}");
    for (input, output) in [("in", "s3://first-bucket/one"), ("later", "s3://first-bucket/two")] {
        let recipe =
            format!("name: test\ninput: [{input}/]\nsteps: [{step}]\noutput: {{path: \"{output}\"}}\n");
        fs::write(folder.join("recipe.yaml"), recipe).expect("write");
        command(&["run", "recipe.yaml", "--quiet"]);
    }
    let args = [
        "takedown",
        "--urls",
        "list.txt",
        "--index",
        "s3://first-bucket/index",
        "s3://first-bucket/one",
        "s3://first-bucket/two",
    ];
    assert_eq!(command(&args), COUNTS);
    command(&["verify", "s3://first-bucket/one"]);
    command(&["verify", "s3://first-bucket/two"]);
    let objects = runtime.block_on(server.objects("s3://first-bucket/index/generations/"));
    assert_eq!(
        objects.keys().map(String::as_str).collect::<Vec<_>>(),
        ["000001.json", "000002.json", "000003.json"]
    );
}
