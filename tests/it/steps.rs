//! Steps that are more than a look at one document, from end to end: programs of users, sums over the corpus, dedup of the members
//! of lists, DCLM's layout.

use crate::run::{must_run, published};
use gristmill_tests::gristmill;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Files of records: the n-th has so many, each with what `record` makes of the two numbers.
pub(crate) fn corpus(folder: &Path, sizes: &[u64], record: impl Fn(u64, u64) -> Value) {
    fs::create_dir_all(folder.join("in")).expect("folder");
    for (file, size) in (0..).zip(sizes) {
        let lines: String = (0..*size).map(|number| format!("{}\n", record(file, number))).collect();
        fs::write(folder.join(format!("in/{file}.jsonl")), lines).expect("write");
    }
}

pub(crate) fn recipe(folder: &Path, steps: &str, more: &str) {
    let recipe = format!(
        "name: test\ninput: [in/]\nsteps:\n{steps}tasks: {{size: 64KiB, buckets: 4}}\noutput: {{path: out{more}}}\n"
    );
    fs::write(folder.join("recipe.yaml"), recipe).expect("write");
}

/// The records of a dataset, by the files that its manifest lists.
pub(crate) fn rows(output: &Path) -> Vec<Value> {
    let manifest: Value =
        serde_json::from_slice(&fs::read(output.join("manifest.json")).expect("a manifest")).expect("JSON");
    let mut rows = Vec::new();
    for file in manifest["files"].as_array().expect("files") {
        let packed = fs::read(output.join(file["path"].as_str().expect("a path"))).expect("a file");
        let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("UTF-8");
        rows.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")));
    }
    rows
}

/// Upper-cases, drops what is divisible by 10, doubles what ends in 5, and dies of 77.
const SCRIPT: &str = r#"
import json, sys
for line in sys.stdin:
    if not line.strip():
        sys.stdout.flush()
        continue
    record = json.loads(line)
    n = record["n"]
    if n % 100 == 77:
        sys.exit(1)
    record["text"] = record["text"].upper()
    if n % 10 == 0:
        answer = "divisible"
    elif n % 10 == 5:
        answer = [record, {"text": "second", "id": "gone"}]
    else:
        answer = record
    print(json.dumps(answer))
"#;

#[test]
fn a_program_of_ones_own_is_a_step_like_any() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let text = "word ".repeat(100);
    corpus(
        folder,
        &[200, 150, 0],
        |file, number| json!({"id": format!("{file}-{number}"), "n": number, "text": format!("{text}{number}")}),
    );
    fs::create_dir(folder.join("models")).expect("folder");
    fs::write(folder.join("models/shout.py"), SCRIPT).expect("write");
    let step = |batch: u32| {
        format!(
            "- external: {{command: [python3, shout.py], files: [shout.py], batch: {batch}, reasons: [divisible]}}\n- newline_removal_modifier\n"
        )
    };
    recipe(folder, &step(1), "");
    let one = must_run(folder, &["--lanes", "1", "--models", "models", "--output", "one"]);
    recipe(folder, &step(64), "");
    must_run(folder, &["--lanes", "3", "--models", "models", "--output", "many"]);
    let documents = &one["documents"];
    // Of 350 documents 35 are divisible by 10 and 3 end in 77; 35 more end in 5.
    assert_eq!(documents["in"], 350);
    assert_eq!(documents["made"], 35);
    assert_eq!(documents["dropped"], json!({"external: divisible": 35}));
    assert_eq!(documents["broken"], json!({"external: the program ended with 1": 3}));
    assert_eq!(documents["kept"], 350 + 35 - 35 - 3);
    let kept = rows(&folder.join("one"));
    assert_eq!(kept, rows(&folder.join("many")), "batches are for speed");
    let ids: BTreeSet<&str> = kept.iter().map(|row| row["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), kept.len());
    assert!(ids.contains("1-5#1") && ids.contains("1-5#0") && ids.contains("0-1") && !ids.contains("0-10"));
    assert!(
        kept.iter().all(|row| row["text"].as_str().is_some_and(|t| t == "second" || t.starts_with("WORD")))
    );
    let verify = gristmill().current_dir(folder).args(["verify", "one"]).status().expect("starts");
    assert!(verify.success());

    // A program that does not work is said so, and no document is blamed for it.
    recipe(folder, "- external: {command: [sh, -c, 'echo no such luck >&2; exit 7']}\n", "");
    let failed = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--output", "bad"])
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success(), "{said}");
    assert!(said.contains("never gave an answer") && said.contains("ended with 7"), "{said}");
    recipe(folder, "- external: {command: [surely-no-such-program]}\n", "");
    let failed = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--output", "none"])
        .output()
        .expect("starts");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("cannot start surely-no-such-program"));
}

#[test]
fn sums_are_of_the_whole_corpus() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let number = |file: u64, number: u64| (number * 7919 + file * 104_729) % 1009;
    let languages = ["en", "de", "fr", "en"];
    let text = "word ".repeat(40);
    corpus(folder, &[700, 900, 300], |file, n| {
        let k = number(file, n);
        let mut record = json!({"id": format!("{file}-{n}"), "text": text, "n": k as f64 / 4.0 - 20.0, "lang": {languages[k as usize % 4]: 0.9}});
        if k % 7 == 0 {
            record.as_object_mut().expect("a record").remove("n");
        }
        if k % 5 == 0 {
            record["lang"] = json!({"en": 0.3});
        }
        record
    });
    let aggregate = "transform: threshold_transform, threshold: 0.5, default: none";
    recipe(
        folder,
        &format!(
            "- aggregate: {{key: n, type: percentiles}}\n- aggregate: {{key: n, type: histogram}}\n- exact_dedup: {{content_key: n}}\n- aggregate: {{key: lang, type: histogram, {aggregate}}}\n"
        ),
        "",
    );
    let manifest = must_run(folder, &["--lanes", "1", "--output", "one"]);
    must_run(folder, &["--lanes", "3", "--output", "three"]);
    assert_eq!(published(&folder.join("one")), published(&folder.join("three")));
    let aggregates = manifest["aggregates"].as_array().expect("aggregates");
    assert_eq!(aggregates.len(), 3);

    let mut values: Vec<f64> = Vec::new();
    for (file, size) in [(0, 700), (1, 900), (2, 300)] {
        let all = (0..size).map(|n| number(file, n)).filter(|k| k % 7 != 0);
        values.extend(all.map(|k| k as f64 / 4.0 - 20.0));
    }
    values.sort_by(f64::total_cmp);
    let nearest = |share: f64| values[((values.len() - 1) as f64 * share).round_ties_even() as usize];
    let (percentiles, histogram) = (&aggregates[0]["result"], &aggregates[1]["result"]);
    assert_eq!(aggregates[0]["values"], values.len());
    for (name, share) in [
        ("min", 0.0),
        ("p25", 0.25),
        ("median", 0.5),
        ("p75", 0.75),
        ("p90", 0.9),
        ("p99", 0.99),
        ("max", 1.0),
    ] {
        assert_eq!(percentiles[name], nearest(share), "{name}");
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((percentiles["mean"].as_f64().expect("a mean") - mean).abs() < 1e-9);
    let edges: Vec<f64> =
        histogram["edges"].as_array().expect("edges").iter().filter_map(Value::as_f64).collect();
    let counts: Vec<usize> = (0..10)
        .map(|bin| {
            let inside = |v: f64| v >= edges[bin] && (v < edges[bin + 1] || bin == 9);
            values.iter().filter(|v| inside(**v)).count()
        })
        .collect();
    assert_eq!(histogram["counts"], json!(counts));

    // What is summed up behind a dedup is what the dedup left.
    let kept = rows(&folder.join("one"));
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &kept {
        let language = row["lang"].as_object().and_then(|l| l.iter().find(|(_, p)| p.as_f64() > Some(0.5)));
        *expected.entry(language.map_or("none", |(name, _)| name.as_str())).or_default() += 1;
    }
    assert_eq!(aggregates[2]["result"]["texts"], json!(expected));
    assert!(expected.len() == 4 && kept.len() < 1900);
}

#[test]
fn members_of_lists_are_deduplicated_over_the_corpus() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let line = |file: u64, number: u64, at: u64| {
        format!("Line {} of text", (file * 31 + number * 17 + at * at * 7) % 4001)
    };
    let document = |file: u64, number: u64| {
        let lines: Vec<String> = (0..20).map(|at| line(file, number, at)).collect();
        json!({"id": format!("{file}-{number}"), "url": format!("http://x/{}", (number * 37 + file) % 251), "text": lines.join("\n")})
    };
    corpus(folder, &[150, 170, 90], document);
    recipe(
        folder,
        "- split_lines_modifier\n- exact_dedup: {content_key: text, normalize: normalize_whitespace_and_lowercase, selection_key: url, selection_reverse: true}\n- join_lines_modifier\n",
        "",
    );
    let manifest = must_run(folder, &["--lanes", "1", "--output", "one"]);
    must_run(folder, &["--lanes", "3", "--output", "three"]);
    assert_eq!(published(&folder.join("one")), published(&folder.join("three")));

    // Of each line one is left: that of the greatest URL, of those the smallest id, of those the first place.
    let mut best: BTreeMap<String, (std::cmp::Reverse<String>, String, u64)> = BTreeMap::new();
    for (file, size) in [(0, 150), (1, 170), (2, 90)] {
        for number in 0..size {
            let record = document(file, number);
            for at in 0..20 {
                let url = record["url"].as_str().expect("a URL").to_owned();
                let id = record["id"].as_str().expect("an id").to_owned();
                let rank = (std::cmp::Reverse(url), id, at);
                let best = best.entry(line(file, number, at).to_lowercase()).or_insert_with(|| rank.clone());
                if rank < *best {
                    *best = rank;
                }
            }
        }
    }
    let mut left: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, id, at) in best.into_values() {
        left.entry(id).or_default().push(at);
    }
    let kept = rows(&folder.join("one"));
    assert_eq!(kept.len(), left.len());
    let lines: usize = left.values().map(Vec::len).sum();
    assert_eq!(manifest["steps"][1]["units_taken"], kept.len() * 20 - lines, "what goes is counted");
    for row in &kept {
        let id = row["id"].as_str().expect("an id");
        let (file, number) = id.split_once('-').expect("two numbers");
        let (file, number): (u64, u64) = (file.parse().expect("file"), number.parse().expect("number"));
        let mut places = left[id].clone();
        places.sort_unstable();
        let lines: Vec<String> = places.into_iter().map(|at| line(file, number, at)).collect();
        assert_eq!(row["text"], lines.join("\n"), "{id}");
    }
}

#[test]
fn dclm_s_layout_has_a_file_for_each_input_file() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // The second file's pages all go; the third holds none.
    corpus(folder, &[40, 20, 0], |file, number| {
        let text =
            if file == 1 { "short".to_owned() } else { "long enough ".repeat(1 + number as usize % 3) };
        json!({"id": format!("{file}-{number}"), "text": text})
    });
    fs::create_dir(folder.join("in/deep")).expect("folder");
    fs::copy(folder.join("in/0.jsonl"), folder.join("in/deep/9.jsonl")).expect("copy");
    let steps = "- page_length_filter: {length_type: char, min_length: 10}\n- exact_dedup\n- newline_removal_modifier\n";
    recipe(folder, steps, ", layout: dclm");
    let manifest = must_run(folder, &["--lanes", "2"]);
    let paths: Vec<&str> = manifest["files"]
        .as_array()
        .expect("files")
        .iter()
        .filter_map(|file| file["path"].as_str())
        .collect();
    let expected = ["0", "1", "deep/9"].map(|name| format!("processed_data/{name}_processed.jsonl.zst"));
    assert_eq!(paths, expected);
    assert_eq!(manifest["files"][1]["rows"], 0);
    let lines = |path: &str| -> Vec<Value> {
        let text = fs::read_to_string(folder.join("out").join(path)).expect(path);
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    // All copies: what stays is in the first file, since its ids are smaller or come first.
    let stats = lines("stats/deep/9_stats.jsonl");
    assert_eq!(
        stats[1],
        json!({"name": "page_length_filter", "pages_in": 40, "pages_out": 40, "errors": 0, "removed": 0, "kept": 40, "split": 0})
    );
    assert_eq!(stats[2]["name"], "exact_dedup");
    assert_eq!(stats[2]["pages_in"], 40);
    let gone = lines("stats/1_stats.jsonl");
    assert_eq!(gone.len(), 3, "no page came further: {gone:?}");
    assert_eq!(gone[1]["removed"], 20);
    assert!(!folder.join("out/stats/2_stats.jsonl").exists());
    let chunks = lines("global_stats.jsonl");
    let told: Vec<(&str, u64, u64)> = chunks
        .iter()
        .map(|line| {
            (
                line["name"].as_str().expect("a name"),
                line["pages_in"].as_u64().expect("in"),
                line["pages_out"].as_u64().expect("out"),
            )
        })
        .collect();
    assert_eq!(told, [("local", 100, 80), ("exact_dedup", 80, 3), ("local", 3, 3)]);

    let verify = || gristmill().current_dir(folder).args(["verify", "out"]).output().expect("starts");
    assert!(verify().status.success(), "{}", String::from_utf8_lossy(&verify().stderr));
    fs::write(folder.join("out/processed_data/stranger_processed.jsonl.zst"), "").expect("write");
    assert!(
        String::from_utf8_lossy(&verify().stderr)
            .contains("stranger_processed.jsonl.zst: not in the manifest")
    );
    must_run(folder, &["--overwrite"]);
    assert!(
        verify().status.success(),
        "--overwrite left something: {}",
        String::from_utf8_lossy(&verify().stderr)
    );
    // Such a dataset is the input of the next job, under the same names.
    recipe(folder, "- newline_removal_modifier\n", ", layout: dclm");
    let again = must_run(folder, &["--input", "out/processed_data/", "--output", "again"]);
    assert_eq!(again["files"].as_array().map(Vec::len), Some(1));
    assert_eq!(again["files"][0]["path"], "processed_data/0_processed.jsonl.zst");

    fs::write(folder.join("in/0.jsonl.zst"), zstd::encode_all(&b"{}"[..], 1).expect("zstd")).expect("write");
    recipe(folder, steps, ", layout: dclm");
    let refused = gristmill()
        .current_dir(folder)
        .args(["run", "recipe.yaml", "--output", "twice"])
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is the second that would become 0"), "{said}");
}

/// DCLM writes an empty file for a shard whose pages all go, and on a second run writes pages out that it had filtered away.
#[test]
fn trap_t9_a_shard_of_which_nothing_is_left_stays_empty() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &[3], |_, number| json!({"id": number, "text": "short"}));
    recipe(
        folder,
        "- page_length_filter: {length_type: char, min_length: 10}\n- newline_removal_modifier\n",
        ", layout: dclm",
    );
    for _ in 0..2 {
        let manifest = must_run(folder, &[]);
        assert_eq!(manifest["documents"]["kept"], 0);
        assert_eq!(manifest["files"][0]["rows"], 0);
        assert_eq!(rows(&folder.join("out")), [] as [Value; 0]);
    }
}
