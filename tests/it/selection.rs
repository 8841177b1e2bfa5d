//! Selection by rank from end to end, against what one sort over the whole corpus keeps.

use crate::run::{must_run, published};
use crate::steps::{corpus, recipe, rows};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const SIZES: [u64; 5] = [400, 500, 0, 300, 7];

/// A document with a score `q` that many share, or that is missing or no number, scores `p` and `r` that each has alone, a host and a
/// language.
fn document(file: u64, number: u64) -> Value {
    let k = (number * 7919 + file * 104_729) % 1009;
    let unit = k as f64 / 1009.0;
    let q = match k % 5 {
        0 => 0.25,
        1 => unit.powi(9),
        2 => 1.0 - unit.powi(9),
        _ => (k / 16) as f64 - 30.5,
    };
    let alone = |factor: u64| {
        let at = (file * 1000 + number + 1) * factor % 1_000_003;
        (at as f64 / 1_000_003.0).powi(5)
    };
    let mut record = json!({
        "id": format!("{file}-{number}"),
        "text": "word ".repeat(20 + k as usize % 40),
        "url": format!("https://www.Host{}.org/{number}", k % 7 * (k % 3)),
        "language_id_whole_page_fasttext": {if k % 9 < 6 { "en" } else { "de" }: 0.9, "fr": 0.05},
        "q": q, "p": alone(7919), "r": 3.0 - 10.0 * alone(31_337),
        "tokens": k % 50,
    });
    match k {
        _ if k.is_multiple_of(11) => drop(record.as_object_mut().map(|record| record.remove("q"))),
        _ if k.is_multiple_of(13) => record["q"] = json!("0.5"),
        _ => {}
    }
    record
}

fn all() -> Vec<Value> {
    (0..).zip(SIZES).flat_map(|(file, size)| (0..size).map(move |number| document(file, number))).collect()
}

fn id(row: &Value) -> String {
    row["id"].as_str().expect("an id").to_owned()
}

/// Runs the recipe with one lane and three, and with other tasks: the same documents, and for the same tasks the same bytes.
fn run_all_ways(folder: &Path) -> (Value, Vec<Value>) {
    let manifest = must_run(folder, &["--lanes", "1", "--output", "one", "--overwrite"]);
    must_run(folder, &["--lanes", "3", "--output", "three", "--overwrite"]);
    assert_eq!(published(&folder.join("one")), published(&folder.join("three")));
    let kept = rows(&folder.join("one"));
    for (size, buckets) in [("tasks.size=90KiB", "tasks.buckets=1"), ("tasks.size=64MiB", "tasks.buckets=64")]
    {
        let args = ["--lanes", "2", "--set", size, "--set", buckets, "--output", "other", "--overwrite"];
        let other = must_run(folder, &args);
        assert_eq!(rows(&folder.join("other")), kept, "{size} {buckets}");
        assert_eq!(other["selected"], manifest["selected"], "{size} {buckets}");
    }
    (manifest, kept)
}

fn ids(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(id).collect()
}

/// How documents are ranked, and how many of a thousand stay.
struct Way<'a> {
    key: &'a str,
    share: u64,
    by: &'a dyn Fn(&Value) -> String,
    weight: &'a dyn Fn(&Value) -> u64,
    lower: bool,
    /// Whether those stay of which some fit: where no two scores are equal it does not matter.
    keep_ties: bool,
}

const ONE_GROUP: &dyn Fn(&Value) -> String = &|_| String::new();
const ONE_EACH: &dyn Fn(&Value) -> u64 = &|_| 1;

impl Way<'_> {
    fn best(&self, all: &[Value]) -> BTreeSet<String> {
        let mut groups: BTreeMap<String, Vec<(f64, &Value)>> = BTreeMap::new();
        for row in all {
            if let Some(score) = row[self.key].as_f64() {
                let score = if self.lower { -score } else { score };
                groups.entry((self.by)(row)).or_default().push((score, row));
            }
        }
        let mut best = BTreeSet::new();
        for mut group in groups.into_values() {
            group.sort_by(|a, b| b.0.total_cmp(&a.0));
            let total: u64 = group.iter().map(|(_, row)| (self.weight)(row)).sum();
            let wanted = (total * self.share).div_ceil(1000);
            let mut sum = 0;
            let within = group.iter().take_while(|(_, row)| {
                sum += (self.weight)(row);
                sum - (self.weight)(row) < wanted
            });
            let within = within.count();
            let Some(last) = group[..within].last().map(|(score, _)| *score) else { continue };
            let all_fit = group.iter().filter(|(score, _)| *score >= last).count() == within;
            let bound = |score: f64| score > last || score >= last && (self.keep_ties || all_fit);
            best.extend(group.iter().filter(|(score, _)| bound(*score)).map(|(_, row)| id(row)));
        }
        best
    }
}

#[test]
fn the_best_share_is_what_a_sort_keeps() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &SIZES, document);
    let all = all();
    let host = |row: &Value| {
        row["url"].as_str().and_then(|url| url.split('/').nth(2)).expect("a host").to_lowercase()
    };
    let language = |row: &Value| {
        row["language_id_whole_page_fasttext"]
            .as_object()
            .and_then(|o| o.keys().next().cloned())
            .expect("one")
    };
    let bytes = |row: &Value| row["text"].as_str().map_or(0, |text| text.len() as u64);
    let tokens = |row: &Value| row["tokens"].as_u64().expect("a number");
    let way = Way { key: "p", share: 100, by: ONE_GROUP, weight: ONE_EACH, lower: false, keep_ties: true };
    let ways: [(&str, Way); 10] = [
        ("key: p, share: 10%", Way { ..way }),
        ("key: r, share: 3.7%, lower_better: true", Way { key: "r", share: 37, lower: true, ..way }),
        ("key: q, share: 30%, ties: keep", Way { key: "q", share: 300, ..way }),
        ("key: q, share: 30%, ties: drop", Way { key: "q", share: 300, keep_ties: false, ..way }),
        ("key: p, share: 25%, by: domain", Way { share: 250, by: &host, ..way }),
        (
            "key: q, share: 40%, by: language, ties: drop",
            Way { key: "q", share: 400, by: &language, keep_ties: false, ..way },
        ),
        ("key: p, share: 10%, of: bytes", Way { weight: &bytes, ..way }),
        (
            "key: p, share: 50%, of: {field: tokens}, by: language",
            Way { share: 500, weight: &tokens, by: &language, ..way },
        ),
        ("key: p, share: 0%", Way { share: 0, ..way }),
        ("key: q, share: 100%", Way { key: "q", share: 1000, ..way }),
    ];
    for (params, way) in ways {
        recipe(folder, &format!("- keep_top: {{{params}}}\n"), "");
        let (manifest, kept) = run_all_ways(folder);
        let expected = way.best(&all);
        assert_eq!(ids(&kept), expected, "{params}");
        let without = all.iter().filter(|row| !row[way.key].is_f64()).count();
        let documents = &manifest["documents"];
        assert_eq!(documents["kept"], expected.len());
        let below = all.len() - without - expected.len();
        assert_eq!(documents["dropped"]["keep_top: below the share"].as_u64().unwrap_or(0), below as u64);
        assert_eq!(
            documents["broken"][format!("no number in field {}", way.key)].as_u64().unwrap_or(0),
            without as u64
        );
    }
    // The reasons are told, too, and so is what is done with those that have no score.
    let problems = fs::read_to_string(folder.join("one/_problems.jsonl")).expect("problems");
    assert!(problems.contains("no number in field q") && problems.contains("in keep_top"), "{problems}");
    let without = all.iter().filter(|row| !row["q"].is_f64()).count();
    for (missing, kept, dropped) in [("drop", all.len() - without, without), ("keep", all.len(), 0)] {
        recipe(folder, &format!("- keep_top: {{key: q, share: 100%, missing: {missing}}}\n"), "");
        let documents = &must_run(folder, &["--output", "missing", "--overwrite"])["documents"];
        assert_eq!((&documents["kept"], &documents["broken"]), (&json!(kept), &json!({})));
        assert_eq!(documents["dropped"]["keep_top: no score"].as_u64().unwrap_or(0), dropped as u64);
    }
}

#[test]
fn of_equal_scores_as_many_stay_as_fit_and_the_threshold_can_be_used_again() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &SIZES, document);
    let all = all();
    let scored: Vec<f64> = all.iter().filter_map(|row| row["q"].as_f64()).collect();
    // The share ends among those that have 0.25.
    let better = scored.iter().filter(|q| **q > 0.25).count();
    let tied = scored.iter().filter(|q| q.total_cmp(&0.25).is_eq()).count();
    let share = (better + tied / 3) * 1000 / scored.len();
    let wanted = (scored.len() * share).div_ceil(1000);
    assert!(better < wanted && wanted < better + tied);
    recipe(folder, &format!("- keep_top: {{key: q, share: {}.{}%}}\n", share / 10, share % 10), "");
    let (manifest, kept) = run_all_ways(folder);
    assert_eq!(kept.len(), wanted);
    assert!(kept.iter().all(|row| row["q"].as_f64() >= Some(0.25)));
    let share = format!("{}.{}%", share / 10, share % 10);
    let share = share.strip_suffix(".0%").map_or(share.clone(), |whole| format!("{whole}%"));
    let expected = json!([{
        "step": 0,
        "groups": 1,
        "largest": [{
            "key": "q",
            "documents": scored.len(),
            "weight": scored.len(),
            "shares": [{"share": share, "threshold": 0.25, "documents": wanted, "tied": tied, "tied_within": wanted - better}],
        }],
    }]);
    assert_eq!(manifest["selected"], expected);
    recipe(folder, "- quality_filter: {key: q, threshold: 0.25}\n", "");
    let again = must_run(folder, &["--output", "again"]);
    assert_eq!(again["documents"]["kept"], better + tied);
}

#[test]
fn selections_follow_each_other_and_combine_scores() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &SIZES, document);
    let all = all();
    let best = |rows: &[Value], key: &str, share: u64| {
        Way { key, share, by: ONE_GROUP, weight: ONE_EACH, lower: false, keep_ties: true }.best(rows)
    };
    // Two stages: of the best third by one score the best tenth by another, with a map between them.
    recipe(
        folder,
        "- keep_top: {key: p, share: 33.3%}\n- key_name_modifier: {old_key: tokens, new_key: n}\n- keep_top: {key: r, share: 10%}\n",
        "",
    );
    let (manifest, kept) = run_all_ways(folder);
    let first = best(&all, "p", 333);
    let left: Vec<Value> = all.iter().filter(|row| first.contains(&id(row))).cloned().collect();
    assert_eq!(ids(&kept), best(&left, "r", 100));
    assert_eq!(manifest["selected"].as_array().map(Vec::len), Some(2));
    assert!(kept.iter().all(|row| row["n"].is_u64()));
    for (combine, expected) in [
        ("union", &best(&all, "p", 200) | &best(&all, "r", 200)),
        ("intersection", &best(&all, "p", 200) & &best(&all, "r", 200)),
    ] {
        recipe(folder, &format!("- keep_top: {{key: [p, r], share: 20%, combine: {combine}}}\n"), "");
        let (_, kept) = run_all_ways(folder);
        assert_eq!(ids(&kept), expected, "{combine}");
    }
    recipe(folder, "- percentile_filter: {key: p, from: 50%, to: 90%}\n", "");
    let (manifest, kept) = run_all_ways(folder);
    assert_eq!(ids(&kept), &best(&all, "p", 500) - &best(&all, "p", 100));
    assert_eq!(
        manifest["documents"]["dropped"]["percentile_filter: above the range"],
        all.len().div_ceil(10)
    );
}

#[test]
fn buckets_are_of_equal_size_and_the_best_counts() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    corpus(folder, &SIZES, document);
    let all = all();
    let n = all.len();
    let buckets = |key: &str| -> BTreeMap<String, usize> {
        let mut order: Vec<&Value> = all.iter().collect();
        order.sort_by(|a, b| b[key].as_f64().expect("a score").total_cmp(&a[key].as_f64().expect("a score")));
        let bucket = |rank: usize| (1..20).filter(|part| (part * n).div_ceil(20) > rank).count();
        order.iter().enumerate().map(|(rank, row)| (id(row), bucket(rank))).collect()
    };
    let (p, r) = (buckets("p"), buckets("r"));
    let group = |bucket: usize| match bucket {
        19 => "high",
        18 => "medium-high",
        12.. => "medium",
        7.. => "medium-low",
        _ => "low",
    };
    recipe(folder, "- quality_buckets: {keys: [p, r]}\n", "");
    let (manifest, kept) = run_all_ways(folder);
    assert_eq!(kept.len(), n);
    for row in &kept {
        let bucket = p[&id(row)].max(r[&id(row)]);
        assert_eq!(
            (&row["quality_bucket"], &row["quality_group"]),
            (&json!(bucket), &json!(group(bucket))),
            "{}",
            id(row)
        );
    }
    let largest = manifest["selected"][0]["largest"].as_array().expect("groups");
    let bounds = largest.iter().map(|group| group["shares"].as_array().map_or(0, Vec::len));
    assert_eq!(bounds.collect::<Vec<_>>(), [19, 19]);
    recipe(folder, "- quality_buckets: {keys: [p, r], keep: [high, medium]}\n", "");
    let (manifest, kept) = run_all_ways(folder);
    let expected = all.iter().map(|row| group(p[&id(row)].max(r[&id(row)])));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    expected.for_each(|group| *counts.entry(group).or_default() += 1);
    assert_eq!(kept.len() as u64, counts["high"] + counts["medium"]);
    for gone in ["medium-high", "medium-low", "low"] {
        let counted = manifest["documents"]["dropped"][format!("quality_buckets: {gone}")].as_u64();
        assert_eq!(counted.unwrap_or(0), counts.get(gone).copied().unwrap_or(0));
    }
}

#[test]
fn weights_too_large_to_sum_up_are_weighed_and_missing_ones_are_told() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let kept = |record: &dyn Fn(u64) -> Value, params: &str| {
        corpus(folder, &[2, 1], |file, number| record(2 * file + number));
        recipe(folder, &format!("- keep_top: {{key: q, {params}}}\n"), "");
        let manifest = must_run(folder, &["--overwrite"]);
        (rows(&folder.join("out")).len(), manifest["documents"]["broken"].clone())
    };
    for weight in [json!(10_000_000_000_000_000_000_u64), json!(1e300)] {
        for (share, apart, expected) in
            [("50%", 1, 1), ("50%", 0, 1), ("99.9%", 1, 2), ("100%", 1, 3), ("100%", 0, 3)]
        {
            let record = |number: u64| json!({"id": number.to_string(), "text": "x", "q": 5 - number * apart, "n": weight});
            let (kept, broken) = kept(&record, &format!("share: {share}, of: {{field: n}}"));
            // What is beyond 2^64 counts as 2^64: then the first is all.
            let expected = if share == "99.9%" && weight.is_f64() { 1 } else { expected };
            assert_eq!((kept, broken), (expected, json!({})), "{share} of {weight}, scores apart by {apart}");
        }
    }
    let record = |number: u64| json!({"id": number.to_string(), "text": "x", "q": number, "tokens": 5});
    for (missing, expected) in [
        ("broken", (0, json!({"no number in field tokenz": 3}))),
        ("drop", (0, json!({}))),
        ("keep", (3, json!({}))),
    ] {
        let params = format!("share: 50%, of: {{field: tokenz}}, missing: {missing}");
        assert_eq!(kept(&record, &params), expected, "{missing}");
    }
}
