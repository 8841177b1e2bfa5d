//! Global deduplication from end to end, against what a simple program over the whole corpus would keep.

use crate::clusters::clusters;
use crate::run::{must_run, published};
use crate::steps::{corpus, recipe, rows};
use gristmill_tests::{gristmill, jsonl, shared};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The same bytes with one lane and with three, which is also what is published in `one`.
pub(crate) fn run_both(folder: &Path) {
    must_run(folder, &["--lanes", "1", "--output", "one", "--overwrite"]);
    must_run(folder, &["--lanes", "3", "--output", "three", "--overwrite"]);
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

/// Joins places into components and gives each its members.
pub(crate) fn components(count: usize, joined: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut label: Vec<usize> = (0..count).collect();
    for a in 0..count {
        for b in 0..a {
            let (keep, go) = (label[a].min(label[b]), label[a].max(label[b]));
            if keep != go && joined(b, a) {
                label.iter_mut().filter(|label| **label == go).for_each(|label| *label = keep);
            }
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, label) in label.into_iter().enumerate() {
        members.entry(label).or_default().push(place);
    }
    members.into_values().collect()
}

/// What two texts share of their runs of five words: (shared, of both, of the smaller one).
pub(crate) fn overlap(left: &str, right: &str) -> (f64, f64, f64) {
    let shingles = |text: &str| -> BTreeSet<String> {
        let words: Vec<&str> = text.split(' ').collect();
        words.windows(5).map(|window| window.join(" ")).collect()
    };
    let (left, right) = (shingles(left), shingles(right));
    let shared = left.intersection(&right).count() as f64;
    let smaller = left.len().min(right.len()) as f64;
    (shared, (left.len() + right.len()) as f64 - shared, smaller)
}

/// Texts that are alike to every degree: each is a run of words of one of ten sources, at a place that drifts on, some
/// shorter, some with a word exchanged. Some are copies.
pub(crate) fn alike(file: u64, number: u64) -> String {
    let at = file * 131 + number;
    let (source, start) = (at % 10, at * at % 240 / 4);
    let word = |place: u64| format!("words{}", (source * 7919 + place * place * 31 + place * 17) % 9973);
    let mut words: Vec<String> = (start..start + 60 + at % 3 - at % 4 * 9).map(word).collect();
    if at.is_multiple_of(7) {
        words[20] = format!("other{at}");
    }
    words.join(" ")
}

#[test]
fn what_meets_is_joined_only_if_it_is_similar() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let sizes = [130, 90, 0, 110];
    let id = |file: u64, number: u64| format!("{}-{file}", (number * 37 + file) % 211);
    corpus(folder, &sizes, |file, number| json!({"id": id(file, number), "text": alike(file, number)}));
    let all: Vec<(String, String)> = (0..)
        .zip(sizes)
        .flat_map(|(file, size)| (0..size).map(move |number| (file, number)))
        .map(|(file, number)| (id(file, number), alike(file, number)))
        .collect();
    let overlaps: Vec<Vec<(f64, f64, f64)>> =
        all.iter().map(|a| all.iter().map(|b| overlap(&a.1, &b.1)).collect()).collect();
    let mut sizes_kept = BTreeSet::new();
    // So many bands of two rows that whatever is similar meets, and a good deal that is not.
    for (verify, threshold) in [("jaccard", 0.8), ("jaccard", 0.65), ("containment", 0.8), ("none", 0.0)] {
        let compared = if verify == "none" { String::new() } else { format!(", threshold: {threshold}") };
        let params = format!("bands: 60, rows: 2, verify: {verify}{compared}, survivor: first");
        recipe(folder, &format!("- minhash_dedup: {{{params}}}\n"), "");
        run_both(folder);
        let kept = rows(&folder.join("one"));
        // Other tasks make other files of the same documents.
        for (lanes, size, buckets) in [("2", "64KiB", "16"), ("8", "64MiB", "1"), ("2", "120KiB", "2")] {
            let (size, buckets) = (format!("tasks.size={size}"), format!("tasks.buckets={buckets}"));
            let args =
                ["--lanes", lanes, "--set", &size, "--set", &buckets, "--output", "other", "--overwrite"];
            must_run(folder, &args);
            assert_eq!(rows(&folder.join("other")), kept, "{verify} {size} {buckets}");
        }
        sizes_kept.insert(kept.len());
        if verify == "none" {
            continue;
        }
        let similar = |a: usize, b: usize| {
            let (shared, both, smaller) = overlaps[a][b];
            let larger = both + shared - smaller;
            if verify == "jaccard" {
                shared >= threshold * both
            } else {
                shared >= threshold * smaller && smaller >= 0.5 * larger
            }
        };
        let mut expected: Vec<&str> = components(all.len(), similar)
            .iter()
            .filter_map(|members| members.iter().map(|place| all[*place].0.as_str()).min())
            .collect();
        let mut got: Vec<&str> = kept.iter().map(|row| row["id"].as_str().expect("an id")).collect();
        expected.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, expected, "{verify} at {threshold}");
    }
    assert_eq!(sizes_kept.len(), 4, "every way keeps others: {sizes_kept:?}");
}

#[test]
fn of_real_texts_no_pair_below_the_threshold_is_joined() {
    let (Some(documents), Some(pairs)) =
        (shared("data/dedup/docs.jsonl.zst"), shared("data/dedup/pairs.jsonl.zst"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    std::fs::create_dir(folder.join("in")).expect("folder");
    std::fs::copy(&documents, folder.join("in/docs.jsonl.zst")).expect("copy");
    let documents = jsonl(&documents);
    let ids: Vec<&str> = documents.iter().map(|row| row["id"].as_str().expect("an id")).collect();
    let place: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let joined: BTreeSet<(usize, usize)> = jsonl(&pairs)
        .iter()
        .filter(|pair| pair["jaccard"].as_f64() >= Some(0.8))
        .map(|pair| {
            let at = |key: &str| place[pair[key].as_str().expect("an id")];
            (at("a").min(at("b")), at("a").max(at("b")))
        })
        .collect();
    let truth = components(ids.len(), |a, b| joined.contains(&(a, b)));
    let mut component: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, members) in truth.iter().enumerate() {
        component.extend(members.iter().map(|place| (ids[*place], number)));
    }
    // Of each document the similarities that it has, of 0.8 and above.
    let mut similar: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let pairs = jsonl(&pairs);
    for pair in &pairs {
        let jaccard = pair["jaccard"].as_f64().filter(|jaccard| *jaccard >= 0.8 - 1e-6);
        for key in ["a", "b"] {
            similar.entry(pair[key].as_str().expect("an id")).or_default().extend(jaccard);
        }
    }
    for preset in ["dclm", "fineweb", "olmo"] {
        recipe(
            folder,
            &format!("- minhash_dedup: {{preset: {preset}, threshold: 0.8, clusters: true}}\n"),
            "",
        );
        run_both(folder);
        let kept = rows(&folder.join("one"));
        let told = clusters(&folder.join("one"));
        for row in &told {
            let (id, survivor) =
                (row["id"].as_str().expect("an id"), row["survivor"].as_str().expect("an id"));
            assert_eq!(component.get(id), component.get(survivor), "{preset}: {row}");
            // The list has six decimals.
            let similarity = row["similarity"].as_f64().expect("a similarity");
            assert!(similar[id].iter().any(|listed| (listed - similarity).abs() < 1e-6), "{preset}: {row}");
        }
        assert_eq!(
            told.iter().filter(|row| row["kept"] == false).count(),
            ids.len() - kept.len(),
            "{preset}"
        );
        let kept: BTreeSet<&str> = kept.iter().map(|row| row["id"].as_str().expect("an id")).collect();
        for members in &truth {
            let first = members.iter().map(|place| ids[*place]).min().expect("a member");
            assert!(kept.contains(first), "{preset}: {first} went for a document that is not similar");
        }
        // What the bands miss splits a component now and then.
        assert!(kept.len() - truth.len() <= 3, "{preset}: {} kept, {} in truth", kept.len(), truth.len());
        assert!(kept.len() < ids.len() / 2);
    }
}

#[test]
fn the_survivor_is_the_one_that_the_recipe_prefers() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    let sizes = [70, 0, 60, 50];
    // Versions of a text, at 0.9 and above: each of fifteen groups has twelve.
    let record = |file: u64, number: u64| {
        let at = [0, 70, 70, 130][file as usize] + number;
        let (group, name) = (at % 15, ["web", "wiki", "news"][at as usize / 15 % 3]);
        let words: Vec<String> = (0..200 + at % 7).map(|word| format!("g{group}w{word}")).collect();
        json!({
            "id": format!("{}-{at}", at * 37 % 101),
            "text": words.join(" "),
            "date": format!("2024-01-{:02}T00:00:00Z", 1 + at * 7 % 28),
            "score": (at * 13 % 29) as f64 / 4.0,
            "src": {"name": name},
        })
    };
    corpus(folder, &sizes, record);
    let all: Vec<Value> =
        (0..).zip(sizes).flat_map(|(file, size)| (0..size).map(move |number| record(file, number))).collect();
    let group = |row: &Value| {
        row["text"].as_str().and_then(|text| text.split(' ').next()).expect("a word").to_owned()
    };
    let id = |row: &Value| row["id"].as_str().expect("an id").to_owned();
    let length = |row: &Value| row["text"].as_str().expect("a text").len();
    let score = |row: &Value| (row["score"].as_f64().expect("a score") * 4.0) as i64;
    let wiki_last = |row: &Value| ["news", "web", "wiki"].iter().position(|name| row["src"]["name"] == *name);
    type Rank<'a> = &'a dyn Fn(&Value) -> String;
    let ways: [(&str, Rank); 6] = [
        ("", &id),
        (", survivor: longest", &|row| format!("{:05} {}", 99999 - length(row), id(row))),
        (", survivor: {newest: date}", &|row| {
            let date: String = row["date"]
                .as_str()
                .expect("a date")
                .chars()
                .map(|c| if c.is_ascii_digit() { (b'9' - (c as u8 - b'0')) as char } else { c })
                .collect();
            format!("{date} {}", id(row))
        }),
        (", survivor: {highest: score}", &|row| format!("{:05} {}", 99999 - score(row), id(row))),
        (", survivor: {lowest: score}", &|row| format!("{:05} {}", score(row), id(row))),
        (", survivor: {lowest: score}, prefer: {key: src.name, order: [news, web]}", &|row| {
            format!("{:?} {:05} {}", wiki_last(row), score(row), id(row))
        }),
    ];
    let mut kept_ways = BTreeSet::new();
    for (way, rank) in ways {
        recipe(folder, &format!("- minhash_dedup: {{preset: fineweb{way}}}\n"), "");
        run_both(folder);
        let mut best: BTreeMap<String, &Value> = BTreeMap::new();
        for row in &all {
            let best = best.entry(group(row)).or_insert(row);
            if rank(row) < rank(best) {
                *best = row;
            }
        }
        let expected: BTreeSet<String> = best.into_values().map(id).collect();
        let got: BTreeSet<String> = rows(&folder.join("one")).iter().map(id).collect();
        assert_eq!(got, expected, "{way}");
        kept_ways.insert(got);
    }
    assert_eq!(kept_ways.len(), 6, "every way keeps others");

    // Fifteen groups of twelve: none is small enough, and the manifest says so.
    recipe(folder, "- minhash_dedup: {preset: fineweb, max_component: 11}\n", "");
    let manifest = must_run(folder, &["--output", "held"]);
    assert_eq!(manifest["documents"]["kept"], 180);
    let mut firsts: BTreeMap<String, String> = BTreeMap::new();
    for row in &all {
        let first = firsts.entry(group(row)).or_insert_with(|| id(row));
        *first = id(row).min(first.clone());
    }
    let named: BTreeSet<String> = firsts.into_values().collect();
    let named: Vec<Value> = named.iter().map(|id| json!({"documents": 12, "survivor": id})).collect();
    let joined = json!([{"step": 0, "components": 0, "duplicates": 0, "largest": 12, "held_components": 15, "held_documents": 180, "components_held": named, "held_sources": 0}]);
    assert_eq!(manifest["joined"], joined);
}

/// Components are found in memory where they fit and by rounds on the scratch disk where not, and so is all that is sorted.
#[test]
fn with_little_memory_the_disk_does_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // Ten chains of texts, each sharing 78 of 80 words with the next one.
    let text = |at: u64| -> String {
        let (source, start) = (at % 10, at / 10 * 2);
        (start..start + 80).map(|place| format!("s{source}w{place} ")).collect()
    };
    corpus(folder, &[600, 0, 500, 300], |file, number| {
        let at = [0, 600, 600, 1100][file as usize] + number;
        json!({"id": format!("{:04}", at * 997 % 1400), "text": text(at * 37 % 1400)})
    });
    // The manifest holds the recipe, and so what memory it allows.
    let data = |output: &Path| {
        let mut files = published(output);
        files.remove("manifest.json");
        files
    };
    let found = |more: &[&str]| -> (bool, Value) {
        let _ = std::fs::remove_dir_all(folder.join("out"));
        let mut run = gristmill();
        run.current_dir(folder).args(["run", "recipe.yaml"]).args(more).env("GRISTMILL_LOG", "debug");
        let output = run.output().expect("the program starts");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        let manifest = std::fs::read(folder.join("out/manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        (log.contains("found components on disk"), manifest["joined"].clone())
    };
    for (params, most) in
        [("verify: none", 10), ("threshold: 0.9", 10), ("verify: none, max_component: 140", 1400)]
    {
        recipe(folder, &format!("- minhash_dedup: {{preset: fineweb, {params}}}\n"), "");
        let (on_disk, joined) = found(&["--set", "tasks.buckets=64"]);
        let expected = data(&folder.join("out"));
        assert!(!on_disk && rows(&folder.join("out")).len() <= most, "{params}: {joined}");
        assert_eq!(joined[0]["largest"], 140, "{params}: chains hold together");
        for lanes in ["1", "2", "8"] {
            let little = ["--lanes", lanes, "--set", "tasks.memory=256KiB", "--set", "tasks.buckets=64"];
            let (on_disk, joined_there) = found(&little);
            assert!(on_disk || params.starts_with("threshold"), "{params}: the components fit in memory");
            assert_eq!(joined_there, joined, "{params}, {lanes} lanes");
            assert!(data(&folder.join("out")) == expected, "{params}, {lanes} lanes: other bytes");
        }
    }
}

#[test]
fn no_source_is_wiped_out() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // A mirror copies three quarters of the first site, a small site all of it that it has, a third one tenth.
    let record = |file: u64, number: u64| {
        let (host, copied) = match file {
            0 => ("a.org", false),
            1 => ("www.Mirror.org:80", !number.is_multiple_of(4)),
            2 => ("small.org", true),
            _ => ("other.org", number.is_multiple_of(10)),
        };
        let of = if copied { "a.org" } else { host };
        let words: Vec<String> = (0..50).map(|word| format!("{of}{number}w{word}")).collect();
        json!({"id": format!("{file}-{number:03}"), "url": format!("http://{host}/{number}"), "text": words.join(" ")})
    };
    let sizes = [120, 100, 9, 100];
    corpus(folder, &sizes, record);
    let kept_of = |guard: &str| {
        recipe(folder, &format!("- minhash_dedup: {{preset: fineweb{guard}}}\n"), "");
        run_both(folder);
        let kept = rows(&folder.join("one"));
        let mut files = [0; 4];
        for row in &kept {
            files[usize::from(row["id"].as_str().expect("an id").as_bytes()[0] - b'0')] += 1;
        }
        (files, must_run(folder, &["--output", "again", "--overwrite"])["joined"][0].clone())
    };
    let (files, joined) = kept_of("");
    assert_eq!(files, [120, 25, 0, 90]);
    assert_eq!((&joined["duplicates"], &joined["held_sources"]), (&json!(94), &json!(0)));
    let (files, joined) = kept_of(", max_drop_share_per_source: {source: domain, share: 0.5}");
    assert_eq!(files, [120, 100, 0, 90], "a small site is not guarded");
    assert_eq!((&joined["duplicates"], &joined["held_sources"]), (&json!(19), &json!(1)));
    assert_eq!(joined["sources"], json!([{"duplicates": 75, "documents": 100, "source": "mirror.org"}]));
    let (files, joined) =
        kept_of(", max_drop_share_per_source: {source: domain, share: 0.05, min_documents: 1}");
    assert_eq!(files, sizes);
    assert_eq!(joined["held_sources"], 3);
}

#[test]
fn an_input_file_may_be_a_source() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    // Three quarters of the second file are copies from the first, and a tenth of the third. Nothing in a record tells its file.
    let record = |file: u64, number: u64| {
        let copied = (file == 1 && !number.is_multiple_of(4)) || (file == 2 && number.is_multiple_of(10));
        let of = if copied { 0 } else { file };
        let words: Vec<String> = (0..150).map(|word| format!("f{of}n{number}w{word}")).collect();
        json!({"id": format!("{file}-{number:03}"), "text": words.join(" ")})
    };
    corpus(folder, &[120, 100, 100], record);
    // The second dedup knows files that only the first pass read.
    for before in ["", "- exact_dedup: {content_key: id}\n"] {
        let guard = "max_drop_share_per_source: {source: file, share: 0.5}";
        recipe(folder, &format!("{before}- minhash_dedup: {{preset: fineweb, {guard}}}\n"), "");
        run_both(folder);
        let kept = rows(&folder.join("one"));
        let of_file = |file: &str| {
            kept.iter().filter(|row| row["id"].as_str().is_some_and(|id| id.starts_with(file))).count()
        };
        assert_eq!([of_file("0-"), of_file("1-"), of_file("2-")], [120, 100, 90], "{before}");
        // However files are cut into tasks, or grouped.
        for (lanes, size) in [("2", "100KiB"), ("8", "64MiB")] {
            let size = format!("tasks.size={size}");
            let manifest =
                must_run(folder, &["--lanes", lanes, "--set", &size, "--output", "other", "--overwrite"]);
            assert_eq!(rows(&folder.join("other")), kept, "{before}{size}");
            let joined = &manifest["joined"][0];
            assert_eq!((&joined["duplicates"], &joined["held_sources"]), (&json!(10), &json!(1)));
            assert_eq!(joined["sources"], json!([{"duplicates": 75, "documents": 100, "source": "1.jsonl"}]));
        }
    }
}
