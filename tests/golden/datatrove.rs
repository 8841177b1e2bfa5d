//! datatrove: the verdicts of its filters and the texts of its modifiers, held against ours, on real documents and edits of them.
//!
//! Its tokenisers are told our words and sentences, so that what is compared is the rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gristmill_filters::{datatrove, python as py, sentences};
use gristmill_pipeline::recipe::{parse_steps, tree};
use gristmill_pipeline::resources::{Resource, Resources};
use gristmill_pipeline::{Chain, Document, Tally};
use gristmill_tests::{jsonl, python, shared};
use serde_json::{Map, Value, json};

/// Label → step, datatrove's parameters and, where they differ, ours.
fn operators(folder: &Path) -> BTreeMap<&'static str, (&'static str, Value, Option<Value>)> {
    let lists = json!({"en": folder.join("en"), "ja": folder.join("ja")});
    let bad = |language: &str| {
        (
            "c4_badwords_filter",
            json!({"lists": lists, "language": language}),
            Some(json!({"banlists": {"en": "en", "ja": "ja"}, "default_language": language})),
        )
    };
    let same = |step, params| (step, params, None);
    let pii = |params: Value| {
        let mut ours = params.clone();
        ours["keep_versions"] = json!(false);
        ours["remove_ipv6"] = json!(false);
        ("pii_masking_modifier", params, Some(ours))
    };
    BTreeMap::from([
        ("gopher", same("gopher_quality_filter", json!({}))),
        ("gopher, short", same("gopher_quality_filter", json!({"min_doc_words": 5, "max_doc_words": 300}))),
        (
            "gopher, long words",
            same("gopher_quality_filter", json!({"min_avg_word_length": 4, "max_avg_word_length": 5})),
        ),
        (
            "gopher, symbols",
            same("gopher_quality_filter", json!({"min_doc_words": 1, "max_symbol_word_ratio": 0.01})),
        ),
        (
            "gopher, lines",
            same(
                "gopher_quality_filter",
                json!({"min_doc_words": null, "max_bullet_lines_ratio": 0.1, "max_ellipsis_lines_ratio": 0.02}),
            ),
        ),
        (
            "gopher, letters",
            same("gopher_quality_filter", json!({"min_doc_words": 0, "max_non_alpha_words_ratio": 0.9})),
        ),
        (
            "gopher, stop words",
            same(
                "gopher_quality_filter",
                json!({"min_doc_words": 1, "min_stop_words": 3, "stop_words": ["the", "a", "is", "der", "."]}),
            ),
        ),
        (
            "gopher, off",
            same(
                "gopher_quality_filter",
                json!({
            "min_doc_words": 0, "max_doc_words": 0, "min_avg_word_length": 0, "max_avg_word_length": 0, "max_symbol_word_ratio": 0,
            "max_bullet_lines_ratio": 0, "max_ellipsis_lines_ratio": 0, "max_non_alpha_words_ratio": 0, "min_stop_words": 0}),
            ),
        ),
        ("repetition", same("gopher_repetition_filter", json!({}))),
        (
            "repetition, lines",
            same(
                "gopher_repetition_filter",
                json!({"dup_line_frac": 0.05, "dup_para_frac": null, "top_n_grams": [], "dup_n_grams": []}),
            ),
        ),
        (
            "repetition, paragraphs",
            same(
                "gopher_repetition_filter",
                json!({"dup_line_frac": 0, "dup_line_char_frac": null, "dup_para_frac": 0.02, "dup_para_char_frac": 0.01, "top_n_grams": [], "dup_n_grams": []}),
            ),
        ),
        (
            "repetition, top",
            same(
                "gopher_repetition_filter",
                json!({"top_n_grams": [[1, 0.05], [2, 0.02], [7, 0.01]], "dup_n_grams": []}),
            ),
        ),
        (
            "repetition, duplicates",
            same(
                "gopher_repetition_filter",
                json!({"top_n_grams": [], "dup_n_grams": [[1, 0.5], [2, 0.1], [3, 0.05], [12, 0.01]]}),
            ),
        ),
        ("fineweb", same("fineweb_quality_filter", json!({}))),
        (
            "fineweb, punctuation",
            same(
                "fineweb_quality_filter",
                json!({"line_punct_thr": 0.4, "line_punct_exclude_zero": true, "stop_chars": [".", "'", "\"", "!", "?", "..."]}),
            ),
        ),
        (
            "fineweb, lines",
            same(
                "fineweb_quality_filter",
                json!({"line_punct_thr": 0, "short_line_thr": 0.3, "short_line_length": 60, "char_duplicates_ratio": 1, "new_line_ratio": 1}),
            ),
        ),
        (
            "fineweb, copies",
            same(
                "fineweb_quality_filter",
                json!({"line_punct_thr": 0, "short_line_thr": 1, "char_duplicates_ratio": 0.1, "new_line_ratio": 0.1}),
            ),
        ),
        ("c4", same("c4_quality_filter", json!({}))),
        ("c4, as FineWeb", same("c4_quality_filter", json!({"filter_no_terminal_punct": false}))),
        (
            "c4, sentences",
            same("c4_quality_filter", json!({"split_paragraph": false, "min_words_per_line": 5})),
        ),
        (
            "c4, few rules",
            same(
                "c4_quality_filter",
                json!({
            "remove_citations": false, "filter_no_terminal_punct": false, "min_num_sentences": -1, "min_words_per_line": -1, "max_word_length": -1,
            "filter_lorem_ipsum": false, "filter_javascript": false, "filter_curly_bracket": false, "filter_policy": false}),
            ),
        ),
        (
            "c4, blank lines",
            same(
                "c4_quality_filter",
                json!({
            "filter_no_terminal_punct": false, "min_num_sentences": 20, "min_words_per_line": -1, "max_word_length": 12, "filter_curly_bracket": false}),
            ),
        ),
        ("c4, paragraphs", same("c4_paragraph_filter", json!({}))),
        ("bad words", bad("en")),
        ("bad words, anywhere", bad("ja")),
        ("pii", pii(json!({}))),
        ("pii, all addresses", pii(json!({"only_remove_public_ips": false, "ip_replacement": "IP"}))),
        ("pii, mail", pii(json!({"remove_ips": false, "email_replacement": ["<1>", "<2>", "<3>"]}))),
        ("pii, none", pii(json!({"remove_emails": false, "remove_ips": false}))),
    ])
}

/// Lists of words that are frequent enough to be found.
const BAD_WORDS: [(&str, &str); 2] =
    [("en", "agreement\nof any kind\nc++\nsoft-ware\n"), ("ja", "ever\n性\nsm\nこと\n")];

/// Needs a Python with `datatrove`, whose pip package asks for a newer numpy than fastText's allows: installed without its dependencies.
#[test]
fn filters_say_what_datatrove_says() {
    let Some(python) = python("datatrove.pipeline.filters.c4_filters") else { return };
    let Some(documents) = shared("golden/docs.jsonl.zst") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (language, words) in BAD_WORDS {
        std::fs::write(folder.path().join(language), words).expect("a list");
    }
    let operators = operators(folder.path());
    let texts = texts(&jsonl(&documents));

    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    let theirs: Map<String, Value> = operators
        .iter()
        .map(|(label, (step, params, _))| ((*label).to_owned(), json!([step, params])))
        .collect();
    let mut lines = Value::Object(theirs).to_string();
    for text in &texts {
        lines.push('\n');
        lines.push_str(&told(text).to_string());
    }
    std::fs::write(&input, lines).expect("room on the disk");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/datatrove_filters.py");
    let status = Command::new(python).arg(&script).arg(&input).arg(&output).status().expect("python starts");
    assert!(status.success(), "{} failed", script.display());

    let said = jsonl(&output);
    assert_eq!(said.len(), texts.len());
    let (mut table, mut differences) = (Vec::new(), Vec::new());
    for (label, (step, params, ours)) in &operators {
        let mut chain = chain(step, ours.as_ref().unwrap_or(params));
        let (mut dropped, mut failed, mut equal) = (0, 0, 0);
        for (text, said) in texts.iter().zip(&said) {
            let theirs = &said[*label];
            if theirs.get("error").is_some() {
                failed += 1;
                continue;
            }
            let ours = outcome(&mut chain, text, theirs.is_string());
            dropped += usize::from(theirs == &json!(false));
            if ours == *theirs {
                equal += 1;
            } else {
                differences.push(format!("{label}: {ours}, datatrove: {theirs}, of {text:?}"));
            }
        }
        table.push(format!(
            "{label:25} {equal}/{}, {dropped} dropped, {failed} fail there",
            texts.len() - failed
        ));
    }
    eprintln!("{}", table.join("\n"));
    assert!(
        differences.is_empty(),
        "{}:\n{}",
        differences.len(),
        differences[..differences.len().min(9)].join("\n")
    );
}

/// What becomes of a text: true or false, or the text itself where datatrove told it.
fn outcome(chain: &mut Chain, text: &str, tell: bool) -> Value {
    let doc = Document::from_json(&json!({"text": text}).to_string(), || "id".to_owned()).expect("a record");
    let mut ended = chain.apply(doc, &mut Tally::default()).expect("no programs are run");
    let end = ended.pop().expect("an end");
    if !end.verdict.is_keep() {
        return json!(false);
    }
    if tell { json!(end.doc.text.as_ref().map(gristmill_pipeline::Text::as_str)) } else { json!(true) }
}

fn chain(step: &str, params: &Value) -> Chain {
    let steps = json!([{ step: params }]).to_string();
    let mut complaints = Vec::new();
    let specs = parse_steps(&tree::parse(&steps).expect("JSON is YAML"), &mut complaints);
    assert_eq!(complaints, [], "{steps}");
    let list = |(name, words): (&str, &str)| {
        let bytes = Arc::new(words.as_bytes().to_vec());
        (name.to_owned(), Resource { bytes, found: name.to_owned(), sha256: String::new() })
    };
    let resources = Resources::new(BAD_WORDS.into_iter().map(list).collect());
    Chain::new(&specs, Arc::new(resources), 0).expect("a chain")
}

/// The documents, and edits of them that meet the rules' edges.
fn texts(documents: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> =
        documents.iter().filter_map(|row| row["text"].as_str()).map(str::to_owned).collect();
    texts.sort();
    texts.dedup();
    let with = |text: &str, index: usize| match index % 9 {
        0 => text.replace(". ", ".\n\n"),
        1 => format!("{text}\n{text}"),
        2 => text.replace(' ', "... "),
        3 => text.replace('\n', "\n- "),
        4 => text.replace("the ", "a[1].b@c.example, 8.8.8.8.8, v10.0.0.1 x!y@[1.2.3.4] é.f..g@h-i.example "),
        5 => text.replace("and ", "Lorem[edit] # 12 % privacy policy "),
        6 => text.chars().take(200).collect(),
        7 => text.replace(['a', 'e'], "…"),
        _ => text.to_uppercase(),
    };
    let edits: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| with(&text.chars().take(4000).collect::<String>(), index))
        .collect();
    texts.extend(edits);
    texts.extend(
        ["", " ", "\n", "...", "# #", "- a", "[1] [2] [3]", "a.\n\nb.\n\na.", "Use of cookies here. {"]
            .map(str::to_owned),
    );
    texts
}

/// A text with its words, and the ends of sentences of whatever the filters may ask for.
fn told(text: &str) -> Value {
    let mut asked: Vec<String> = vec![text.to_owned()];
    for line in py::lines(text).map(py::strip) {
        asked.push(line.to_owned());
        asked.push(uncited(line));
    }
    let ends: Map<String, Value> = asked.into_iter().map(|part| (part.clone(), ends(&part))).collect();
    json!({"text": text, "words": datatrove::words(text).collect::<Vec<_>>(), "sentences": ends})
}

fn uncited(line: &str) -> String {
    use gristmill_filters::lines::{Edit, without_citations};
    match without_citations(line) {
        Edit::Unchanged => line.to_owned(),
        Edit::Changed(new) => new,
        Edit::Gone => String::new(),
    }
}

/// Where sentences end, in characters.
fn ends(text: &str) -> Value {
    let mut at = 0;
    let ends = sentences::sentences(text).map(|sentence| {
        let start = text.get(at..).and_then(|rest| rest.find(sentence)).expect("a part of the text");
        at += start + sentence.len();
        text.get(..at).expect("a part of the text").chars().count()
    });
    ends.collect::<Vec<_>>().into()
}
