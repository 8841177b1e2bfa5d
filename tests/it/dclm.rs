//! DCLM's own configs, run as they are: the same bytes as the recipe that says the same.

use crate::run::published;
use gristmill_tests::{gristmill, jsonl, shared};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

/// In DCLM's manner: a list of sources, `func`, Python's booleans, a file of its repository, an aggregate, a commit, a global step.
const CONFIG: &str = r"# For tests.
- source: other
  steps:
    - func: nothing_of_the_kind
- source: web
  weight: 1.0
  steps:
    - func: move_url_modifier
    - func: url_substring_filter  # words
      banlist_from_fname: baselines/mappers/banlists/words.txt
      match_substrings: False
    - func: newline_removal_modifier
      max_consecutive: 1
    - commit
    - func: word_counter_enricher
      key: words
      _aggregate:
        words: percentiles
    - func: page_length_filter
      length_type: word
      min_length: 3
      max_length: .inf
    - func: exact_dedup
      content_key: url
      normalize: normalize_url
";

const STEPS: &str = r"
- move_url_modifier
- url_substring_filter: {banlist_from_fname: CHECKOUT/baselines/mappers/banlists/words.txt, match_substrings: false}
- newline_removal_modifier: {max_consecutive: 1}
- word_counter_enricher: {key: words}
- aggregate: {key: words, type: percentiles}
- page_length_filter: {length_type: word, min_length: 3}
- exact_dedup: {content_key: url, normalize: normalize_url}
";

/// A checkout with a config and a list, documents, and the recipe that says what the config does.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["in", "dclm/baselines/baselines_configs", "dclm/baselines/mappers/banlists", "dclm/lab"] {
        fs::create_dir_all(at(name)).expect("folder");
    }
    fs::write(at("dclm/baselines/baselines_configs/web.yaml"), CONFIG).expect("write");
    fs::write(at("dclm/baselines/mappers/banlists/words.txt"), "casino\n").expect("write");
    let document = |n: usize, url: &str| {
        let text = format!("line {n}\n\n\nof a page");
        let record = json!({"text": text, "metadata": {"WARC-Target-URI": url}});
        format!("{record}\n")
    };
    let documents: String = (0..40)
        .map(|n| match n % 8 {
            0 => document(n, &format!("http://a.example/casino/{n}")),
            1 => document(n, "https://www.a.example/one/"),
            _ => document(n, &format!("http://a.example/{n}")),
        })
        .collect();
    fs::write(at("in/a.jsonl"), documents).expect("write");
    let checkout = at("dclm").to_str().expect("text").to_owned();
    let steps = STEPS.replace("CHECKOUT", &checkout);
    let recipe = format!("version: 1\nname: web\nsemantics: dclm\nsteps:{steps}output: {{layout: dclm}}\n");
    fs::write(at("recipe.yaml"), recipe).expect("write");
    folder
}

fn call(folder: &Path, args: &[&str]) -> Output {
    gristmill().current_dir(folder).args(args).output().expect("the program starts")
}

#[track_caller]
fn done(folder: &Path, args: &[&str]) -> String {
    let output = call(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

const WEB: &str = "dclm/baselines/baselines_configs/web.yaml";

#[test]
fn a_config_a_converted_config_and_the_recipe_give_the_same_bytes() {
    let folder = folder();
    let folder = folder.path();
    let run = |what: &[&str], output: &str| {
        done(folder, &[&["run"], what, &["--quiet", "--input", "in", "--output", output]].concat());
        files(&folder.join(output))
    };
    let expected = run(&["recipe.yaml"], "by-recipe");
    assert!(expected.len() > 1, "{:?}", expected.keys());
    let found = run(&["--dclm", WEB, "--source", "web"], "by-config");
    for (name, bytes) in &expected {
        let [found, expected] = [&found[name], bytes].map(|bytes| String::from_utf8_lossy(bytes));
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(found.len(), expected.len());

    let recipe = done(folder, &["convert", WEB, "--source", "web"]);
    assert!(recipe.contains("  # words\n  - url_substring_filter:"), "{recipe}");
    done(folder, &["convert", WEB, "--source", "web", "-o", "web.yaml"]);
    assert_eq!(fs::read_to_string(folder.join("web.yaml")).expect("read"), recipe);
    assert_eq!(run(&["web.yaml"], "by-convert"), expected);
    let overridden =
        run(&["--dclm", WEB, "--source", "web", "--set", "steps.page_length_filter.min_length=9"], "none");
    assert_ne!(overridden, expected);
}

/// All that is published, but for what names the folder.
fn files(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![output.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path.strip_prefix(output).expect("below").to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with("_gristmill") {
                folders.push(path);
            } else if path.is_file() {
                files.insert(name, fs::read(&path).expect("read"));
            }
        }
    }
    files
}

/// The chain of DCLM-Baseline as a config, over the documents that DCLM's own code was run on.
#[test]
fn a_config_leaves_what_dclm_leaves() {
    let (Some(operators), Some(documents), Some(chain)) =
        (shared("golden/ops.json"), shared("golden/docs.jsonl.zst"), shared("golden/chain.jsonl.zst"))
    else {
        return;
    };
    let (Some(lists), Some(models)) = (shared("data/urls/banned-words"), shared("data/lid")) else { return };
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("dclm/configs")).expect("folder");
    fs::create_dir_all(at("dclm/baselines/mappers/banlists")).expect("folder");
    for list in fs::read_dir(lists).expect("lists") {
        let path = list.expect("list").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        if let Some(name) = name.strip_prefix("dclm-") {
            fs::copy(&path, at("dclm/baselines/mappers/banlists").join(name)).expect("copy");
        }
    }
    // Operators of the chain have labels that begin with two digits.
    let operators: BTreeMap<String, Value> =
        serde_json::from_slice(&fs::read(operators).expect("read")).expect("JSON");
    let steps: String = operators
        .iter()
        .filter(|(label, _)| label.find('.') == Some(2))
        .map(|(_, step)| format!("  - {step}\n"))
        .collect();
    fs::write(at("dclm/configs/chain.yaml"), format!("- source: cc\n  steps:\n{steps}")).expect("write");
    let documents: String = jsonl(&documents)
        .into_iter()
        .map(|mut doc| {
            doc["metadata"] = json!({"WARC-Target-URI": doc["url"]});
            format!("{doc}\n")
        })
        .collect();
    fs::write(at("docs.jsonl"), documents).expect("write");
    let models = models.to_str().expect("text");
    done(
        folder.path(),
        &[
            "run",
            "--dclm",
            "dclm/configs/chain.yaml",
            "--quiet",
            "--input",
            "docs.jsonl",
            "--output",
            "out",
            "--models",
            models,
        ],
    );

    let sha1 = |text: &Value| hex::encode(Sha1::digest(text.as_str().expect("text")));
    let left = jsonl(&at("out/processed_data/docs_processed.jsonl.zst"));
    let left: Vec<Value> =
        left.iter().map(|doc| json!([doc["id"], sha1(&doc["text"]), doc["previous_word_count"]])).collect();
    let expected = jsonl(&chain).into_iter().filter(|doc| doc["dropped_by"].is_null());
    let expected: Vec<Value> =
        expected.map(|doc| json!([doc["id"], doc["text_sha1"], doc["previous_word_count"]])).collect();
    assert!(expected.len() > 300);
    assert_eq!(left, expected);
}

#[test]
fn try_and_plan_take_configs() {
    let folder = folder();
    let folder = folder.path();
    let lines = done(folder, &["try", "--dclm", WEB, "--source", "web", "in/a.jsonl"]);
    assert_eq!(lines.lines().count(), 40);
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.contains(r#""verdict":"drop","step":"url_substring_filter""#))
            .count(),
        5
    );
    let plan = done(folder, &["plan", "--dclm", WEB, "--source", "web", "--input", "in"]);
    assert!(plan.contains("map to exact_dedup"), "{plan}");
}

#[test]
fn complaints_name_the_config_and_its_lines() {
    let folder = folder();
    let folder = folder.path();
    for (args, parts) in [
        (
            &["run", "--dclm", WEB][..],
            &["web.yaml", "several sources: choose one of other, web by --source"][..],
        ),
        (
            &["convert", WEB, "--source", "other"],
            &["DCLM config dclm/", "line 4: func: there is no step \"nothing_of_the_kind\""],
        ),
        (&["plan", "--dclm", WEB, "--source", "wed"], &["there is no source \"wed\"; did you mean \"web\"?"]),
        (
            &[
                "run",
                "--dclm",
                WEB,
                "--source",
                "web",
                "--set",
                "steps.newline_removal_modifier.max_consecutive=x",
            ],
            &["DCLM config dclm/", "line 12: steps.2."],
        ),
        (&["run", "--dclm", "none.yaml"], &["cannot read the DCLM config none.yaml"]),
        (&["run", "recipe.yaml", "--dclm", WEB], &["cannot be used with"]),
        (&["run", "--source", "web", "recipe.yaml"], &["none is given (--dclm)"]),
        (&["run"], &["required"]),
        (&["try", "in/a.jsonl"], &["give a recipe, one of DCLM's configs (--dclm) or steps (--step)"]),
    ] {
        let output = call(folder, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{args:?}: {said}");
        }
    }
}

/// A module as people have them beside DCLM: a filter, a factory of splitters, one that raises.
const MAPPERS: &str = r#"
import re
from core.constants import CONTENT

def at_least(page, characters=20):
    return [page] if len(page[CONTENT]) >= characters else []

def splitter(pattern):
    compiled = re.compile(pattern)
    def split(page):
        print("splitting", page[CONTENT])
        return [{**page, CONTENT: part} for part in compiled.split(page[CONTENT])]
    return split

splitter._is_factory = True

def picky(page):
    if "bad" in page[CONTENT]:
        raise ValueError("bad")
    page["seen"] = True
    return [page]
"#;

#[test]
fn functions_of_ones_own_run_as_in_dclm() {
    let folder = folder();
    let folder = folder.path();
    fs::create_dir_all(folder.join("dclm/baselines/core")).expect("folder");
    fs::write(folder.join("dclm/baselines/core/constants.py"), "CONTENT = 'text'\n").expect("write");
    fs::write(folder.join("dclm/lab/mappers.py"), MAPPERS).expect("write");
    let config = "- source: s\n  steps:\n    - {func: lab.mappers.at_least, characters: 4}\n    - {func: lab.mappers.splitter, pattern: ' and '}\n    - {func: lab.mappers.picky}\n";
    fs::write(folder.join("dclm/own.yaml"), config).expect("write");
    let texts = ["one and two", "no", "good and bad", "three"];
    let lines: String = texts.iter().map(|text| format!("{{\"text\": \"{text}\"}}\n")).collect();
    fs::write(folder.join("texts.jsonl"), lines).expect("write");
    done(
        folder,
        &[
            "run",
            "--dclm",
            "dclm/own.yaml",
            "--quiet",
            "--input",
            "texts.jsonl",
            "--output",
            "own",
            "--set",
            "output.format=jsonl",
            "--set",
            "output.layout=parts",
        ],
    );
    let published = published(&folder.join("own"));
    let (_, data) = published.iter().find(|(name, _)| name.ends_with(".jsonl")).expect("data");
    let kept: Vec<Value> = data
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    let kept: Vec<&str> =
        kept.iter().filter(|doc| doc["seen"] == true).filter_map(|doc| doc["text"].as_str()).collect();
    assert_eq!(kept, ["one", "two", "good", "three"]);
    let manifest: Value = serde_json::from_slice(&published["manifest.json"]).expect("JSON");
    assert_eq!(manifest["documents"]["dropped"]["external: error"], 1, "{}", manifest["documents"]);
}
