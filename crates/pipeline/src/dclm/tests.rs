use super::*;
use crate::Recipe;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A checkout that holds these files.
fn files(path: &str) -> Option<String> {
    const HELD: [&str; 4] = [
        "baselines/mappers/banlists/ours.txt",
        "baselines/mappers/enrichers/quality_prediction_enrichment_models/ours.bin",
        "baselines/mappers/enrichers/language_id_enrichment_models/lid.176.bin",
        "lab/mappers.py",
    ];
    HELD.contains(&path).then(|| format!("/dclm/{path}"))
}

/// Neither a checkout nor anything in the working directory.
fn nowhere(_: &str) -> Option<String> {
    None
}

fn complaints(result: Result<Translation, RecipeError>) -> String {
    match result {
        Ok(translation) => format!("no complaint:\n{}", translation.text),
        Err(error) => error.to_string(),
    }
}

/// The steps that come of a config's steps, their parameters as JSON; or what is complained of.
fn steps_of(steps: &str, files: Files) -> Value {
    let yaml = format!("- source: s\n  steps:\n{steps}\n");
    match translate(&yaml, "test", None, files) {
        Ok(translation) => {
            let value = translation.tree.to_value();
            let read = Recipe::parse(&translation.text, &[]).expect("the text is a recipe");
            assert_eq!(read.canonical, value, "text and tree say the same");
            value["steps"].clone()
        }
        Err(error) => Value::from(error.to_string()),
    }
}

#[track_caller]
fn check(entries: &str, expected: Value) {
    assert_eq!(steps_of(entries, &nowhere), expected, "{entries}");
}

/// Every operation of DCLM: how its configs name it, with parameters that its function takes.
const OPERATIONS: &[&str] = &[
    "{func: random_sampling_filter, keep_probability: 0.5}",
    "{func: language_filter, keep_languages: [en, de], key: language_id_whole_page_fasttext, threshold: 0.65}",
    "{func: quality_filter, key: fasttext_hq_prob, threshold: 0.1, lower_better: True, key_must_exist: False}",
    "{func: url_substring_filter, banlist: [a], ignore_chars: ['-'], num_banned_substrs: 2, exact_domain_match: False, match_substrings: False, case_sensitive: True}",
    "{func: url_substring_filter, banlist_from_fname: x.txt, exact_domain_match: True}",
    "{func: url_substring_filter, banlist_from_fname: x.pkl}",
    "{func: substring_filter, banlist: lorem ipsum, location: prefix, case_sensitive: True, exact_word: True}",
    "{func: substring_filter, banlist_from_fname: x.txt, location: suffix}",
    "{func: page_length_filter, length_type: char, min_length: 1, max_length: 10}",
    "{func: page_length_filter, length_type: word, model: uniseg, ignore_punctuation: True, ignore_whitespace: False}",
    "{func: page_length_filter, length_type: sentence, tokenizer: nltk, tokenizer_lang: english}",
    "{func: page_length_filter, length_type: line, remove_empty: False}",
    "{func: page_length_filter, length_type: paragraph}",
    "{func: line_length_filter, length_type: avg, max_length: 100}",
    "{func: word_length_filter, min_length: 3, max_length: 10}",
    "{func: symbol_ratio_filter, max_symbol_to_word_ratio: 0.1}",
    "{func: bullet_count_filter, max_bullet_start_ratio: 0.9}",
    "{func: ellipsis_count_filter, max_ellipsis_end_ratio: 0.3}",
    "{func: alphabetic_word_ratio_filter, max_ratio: 0.2}",
    "{func: stop_word_filter, count_unique: True, min_stop_word: 2}",
    "{func: massive_web_repetition_filters, skip_paragraph: True}",
    "{func: repetition_filter, granularity: line, max_fraction: 0.3, count_characters: False, ignore_case: True}",
    "{func: repetition_filter, granularity: 3, max_fraction: 0.3, ngram_char_ratio: all}",
    "{func: word_removal_ratio_filter, prev_word_count_key: a, new_word_count_key: b, max_removed_ratio: 0.1, ignore_punctuation: False, model: split}",
    "{func: alphanumeric_char_ratio_filter, max_alnum_ratio: 0.25}",
    "{func: alphabetic_characters_to_tokens_filter, tokenizer_name: EleutherAI/pythia-6.9b-deduped}",
    "{func: github_extension_filter, filename_key: name, allowed_extensions: [.py]}",
    "{func: detect_lang_whole_page_enricher, model: fasttext, key_prefix: lang, overwrite: True}",
    "{func: detect_lang_whole_page_enricher, model: langdetect, seed: 0}",
    "{func: detect_lang_paragraph_enricher, model: fasttext, tokenizer: blingfire, key_prefix: lang, overwrite: True}",
    "{func: detect_lang_paragraph_enricher, model: langdetect, tokenizer: nltk}",
    "{func: classify_fasttext_hq_prob_enricher, model_filename: x.bin, key: k, overwrite: True}",
    "{func: ken_lm_perplexity_enricher, key: k, overwrite: True}",
    "{func: line_counter_enricher, paragraph_end: \"\\n\\n\", remove_empty: False, key: k, overwrite: True}",
    "{func: word_counter_enricher, key: k, overwrite: True, ignore_punctuation: False, model: split}",
    "{func: move_url_modifier}",
    "{func: key_name_modifier, old_key: content, new_key: text, allow_overwrite: True}",
    "{func: html_content_extraction_modifier}",
    "{func: newline_removal_modifier, max_consecutive: 2}",
    "{func: url_removal_modifier, tlds_filepath: baselines/mappers/iana_tlds.txt}",
    "{func: citation_removal_modifier}",
    "{func: punctuation_line_modifier, remove_ellipses: True}",
    "{func: line_length_modifier, min_length: 2, max_length: 100}",
    "{func: word_length_modifier, max_length: 1000, model: split}",
    "{func: uppercase_ratio_line_modifier, max_ratio: 0.5}",
    "{func: numeric_ratio_line_modifier, max_ratio: 0.999999}",
    "{func: counter_line_modifier}",
    "{func: substring_line_modifier, banlist: [a], case_sensitive: True, location: prefix, max_length: 10, remove_substring_only: True}",
    "{func: within_page_dedup, granularity: paragraph, normalize: False}",
    "{func: split_lines_modifier, delimiter: \"\\n\"}",
    "{func: join_lines_modifier, delimiter: \"\\n\"}",
    "{func: arxiv_appendix_modifier}",
    "{func: arxiv_comment_modifier, remove_multiline: True}",
    "{func: arxiv_macro_modifier}",
    "{func: arxiv_section_strip_modifier}",
    "{func: stackexchange_list_modifier}",
    "{func: stackexchange_answer_sort_modifier, descending: False}",
    "{func: stackexchange_html_extraction_modifier}",
    "{func: stackexchange_qa_formatter, remove_qa: True}",
    "{func: starcoder_v2_repo_splitter, max_files: 1000, delete_content: True}",
    "{func: starcoder_v2_format_modifier, add_metadata_prob: 0.5, add_sentinels: False}",
    "{func: exact_dedup, content_key: text, normalize: ccnet_dedup_normalizer, selection_key: k, selection_normalize: normalize_timestamps, selection_reverse: True}",
];

#[test]
fn every_operation_of_dclm_has_a_step() {
    for operation in OPERATIONS {
        let steps = steps_of(&format!("    - {operation}"), &nowhere);
        assert!(steps.is_array(), "{operation}: {steps}");
        let given = crate::recipe::tree::parse(operation).expect("YAML").to_value();
        let func = given["func"].as_str().expect("func");
        let step = &steps[0];
        let mut params = step[func].clone();
        // The tables of parameters are the same, but for what DCLM ignores.
        for (name, value) in given.as_object().expect("a map").iter().filter(|(name, _)| *name != "func") {
            let same = match value.as_str() {
                Some("True") => params[name] == json!(true),
                Some("False") => params[name] == json!(false),
                _ => params[name] == *value,
            };
            assert!(same, "{operation}: {step}");
            params[name] = Value::Null;
        }
    }
}

#[test]
fn a_whole_config() {
    let yaml = r#"# Of the lab.
- source: first
  steps: [{func: no_such_thing}]
# Of the web.
- source: web   # the large one
  weight: 1.0
  steps:
    # URLs
    - func: move_url_modifier
      _profile: True
    - func: url_substring_filter   # words
      banlist_from_fname: baselines/mappers/banlists/refinedweb_banned_words_soft_reverse_engineered.txt
      # two of them
      num_banned_substrs: 2
    - func: url_substring_filter
      banlist_from_fname: baselines/mappers/banlists/ours.txt
    - commit
    - func: detect_lang_whole_page_enricher
      model: fasttext
      _aggregate:
        language_id_whole_page_fasttext: {type: histogram, transform: threshold_transform, threshold: 0.9, default: "no"}
        url: histogram
    - {func: classify_fasttext_hq_prob_enricher, model_filename: ours.bin, key: hq}
    - {func: classify_fasttext_hq_prob_enricher, model_filename: fasttext_oh_eli5.bin, key: q}
    - func: random_sampling_filter
    # done
"#;
    let translation = translate(yaml, "my config", Some("web"), &files).expect("a recipe");
    let expected = r#"# Made of source web of DCLM's config my config.
# Input and output are those given to the command (--input, --output), or written here.
# Of the web.
# the large one
version: 1
name: my config
# As DCLM's code does, its slips included; `fixed` does as it is meant to do.
semantics: dclm
steps:
  # URLs
  - move_url_modifier
  # words
  # two of them
  - url_substring_filter:
      banlist_from_fname: https://raw.githubusercontent.com/mlfoundations/dclm/main/baselines/mappers/banlists/refinedweb_banned_words_soft_reverse_engineered.txt#sha256=933835a07e4bb9c50301ec6e02be2aa707256134c6e840bf12488682565ea742
      num_banned_substrs: 2
  - url_substring_filter: {banlist_from_fname: /dclm/baselines/mappers/banlists/ours.txt}
  # DCLM commits here; tasks are committed as a whole, and long ones take checkpoints
  # Needs lid.176.bin: --models /dclm/baselines/mappers/enrichers/language_id_enrichment_models
  - detect_lang_whole_page_enricher: {model: fasttext}
  - aggregate:
      key: language_id_whole_page_fasttext
      type: histogram
      transform: threshold_transform
      threshold: 0.9
      default: "no"
  - aggregate: {key: url, type: histogram}
  - classify_fasttext_hq_prob_enricher:
      model_filename: /dclm/baselines/mappers/enrichers/quality_prediction_enrichment_models/ours.bin
      key: hq
  # Needs fasttext_oh_eli5.bin in the models folder (Hugging Face: mlfoundations/fasttext-oh-eli5, openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin)
  - classify_fasttext_hq_prob_enricher: {model_filename: fasttext_oh_eli5.bin, key: q}
  # DCLM draws anew in every run; here the seed and the document decide
  - random_sampling_filter
  # done
output: {layout: dclm}
"#;
    assert_eq!(translation.text, expected);
    let read = Recipe::parse(&translation.text, &[]).expect("a recipe");
    assert_eq!(read.canonical, translation.tree.to_value());
}

#[test]
fn files_are_found_where_dclm_finds_them() {
    for (entry, expected) in [
        (
            "{func: substring_filter, banlist_from_fname: baselines/mappers/banlists/ours.txt}",
            "/dclm/baselines/mappers/banlists/ours.txt",
        ),
        // Not there: looked for in the models folder, and from the working directory.
        (
            "{func: substring_filter, banlist_from_fname: baselines/mappers/banlists/ldnoobw.txt}",
            "baselines/mappers/banlists/ldnoobw.txt",
        ),
        ("{func: substring_filter, banlist_from_fname: /lists/a.txt}", "/lists/a.txt"),
        (
            "{func: substring_filter, banlist_from_fname: 's3://lists/a.txt#sha256=0'}",
            "s3://lists/a.txt#sha256=0",
        ),
    ] {
        assert_eq!(
            steps_of(&format!("    - {entry}"), &files)[0]["substring_filter"]["banlist_from_fname"],
            expected,
            "{entry}"
        );
    }
    // Models that DCLM takes of itself.
    let found = |path: &str| Some(format!("/dclm/{path}"));
    let models = "/dclm/baselines/mappers/enrichers/quality_prediction_enrichment_models";
    assert_eq!(
        steps_of(
            "    - func: ken_lm_perplexity_enricher\n    - func: classify_fasttext_hq_prob_enricher",
            &found
        ),
        json!([
            {"ken_lm_perplexity_enricher": {"model_filename": format!("{models}/en.arpa.bin"), "tokenizer_filename": format!("{models}/en.sp.model")}},
            {"classify_fasttext_hq_prob_enricher": {"model_filename": format!("{models}/model.bin")}},
        ])
    );
    // The list of top-level domains is built in, with or without a checkout.
    let tlds = "    - {func: url_removal_modifier, tlds_filepath: baselines/mappers/iana_tlds.txt}";
    assert_eq!(
        steps_of(tlds, &found)[0]["url_removal_modifier"]["tlds_filepath"],
        "baselines/mappers/iana_tlds.txt"
    );
}

#[test]
fn pythons_ways_are_understood() {
    for (entry, expected) in [
        // Infinity, floats and negative numbers where we count.
        (
            "{func: page_length_filter, length_type: word, max_length: .inf}",
            json!({"page_length_filter": {"length_type": "word"}}),
        ),
        (
            "{func: word_length_modifier, max_length: .inf}",
            json!({"word_length_modifier": {"max_length": u64::MAX}}),
        ),
        ("{func: quality_filter, threshold: -.inf}", json!({"quality_filter": {"threshold": f64::MIN}})),
        (
            "{func: page_length_filter, length_type: word, min_length: 49.5, max_length: 100.5}",
            json!({"page_length_filter": {"length_type": "word", "min_length": 50, "max_length": 100}}),
        ),
        (
            "{func: line_length_modifier, min_length: -1, max_length: 1.0e+2}",
            json!({"line_length_modifier": {"min_length": 0, "max_length": 100}}),
        ),
        ("{func: word_length_filter, max_length: 10.5}", json!({"word_length_filter": {"max_length": 10.5}})),
        ("{func: stop_word_filter, min_stop_word: 0x2}", json!({"stop_word_filter": {"min_stop_word": 2}})),
        // Truth, and what is not given.
        (
            "{func: punctuation_line_modifier, remove_ellipses: yes}",
            json!({"punctuation_line_modifier": {"remove_ellipses": true}}),
        ),
        (
            "{func: punctuation_line_modifier, remove_ellipses: 1}",
            json!({"punctuation_line_modifier": {"remove_ellipses": true}}),
        ),
        (
            "{func: url_substring_filter, banlist: a, banlist_from_fname: null, ignore_chars: ~}",
            json!({"url_substring_filter": {"banlist": "a"}}),
        ),
        ("{func: exact_dedup, selection_key: null, normalize: }", json!("exact_dedup")),
        // Texts for lists.
        (
            "{func: url_substring_filter, banlist: a, ignore_chars: '-.'}",
            json!({"url_substring_filter": {"banlist": "a", "ignore_chars": ["-", "."]}}),
        ),
        (
            "{func: github_extension_filter, allowed_extensions: .py}",
            json!({"github_extension_filter": {"allowed_extensions": [".py"]}}),
        ),
        // What DCLM does not look at.
        (
            "{func: move_url_modifier, _profile: True, _safe: True, _note: x, module: y}",
            json!("move_url_modifier"),
        ),
        (
            "{func: page_length_filter, length_type: char, tokenizer: nltk, whatever: 1}",
            json!({"page_length_filter": {"length_type": "char"}}),
        ),
        (
            "{func: exact_dedup, normalize: lower, sync_to_input: True, working_dir: s3://x}",
            json!("exact_dedup"),
        ),
        (
            "{func: counter_line_modifier, _aggregate: {n: {type: percentiles, threshold: 3}}}",
            json!("counter_line_modifier"),
        ),
        // Its own functions by their places.
        (
            "{func: baselines.mappers.filters.content_filters.word_length_filter, min_length: 3}",
            json!({"word_length_filter": {"min_length": 3}}),
        ),
    ] {
        assert_eq!(steps_of(&format!("    - {entry}"), &nowhere)[0], expected, "{entry}");
    }
}

#[test]
fn functions_of_ones_own_are_run_by_python() {
    let entry = "    - {func: lab.mappers.shout, volume: .inf, tags: [a], _profile: yes}";
    let steps = steps_of(entry, &files);
    let step = &steps[0]["external"];
    let command = step["command"].as_array().expect("a command");
    assert_eq!(json!(command[3..]), json!(["mappers", "shout", "{\"volume\":Infinity,\"tags\":[\"a\"]}"]));
    assert_eq!(step["files"], json!(["/dclm/lab/mappers.py"]));
    assert_eq!(step["environment"], json!({"PYTHONPATH": "/dclm:/dclm/baselines"}));
    assert_eq!(step["reasons"], json!(["error"]));
    for missing in ["other.shout", ".relative.shout"] {
        let said = steps_of(&format!("    - func: {missing}"), &files);
        let said = said.as_str().expect("a complaint");
        assert!(
            said.starts_with("line 3: func: ") && said.contains("- external: {command: [python3, "),
            "{said}"
        );
    }
}

#[test]
fn complaints_name_the_lines_of_the_config() {
    for (entries, expected) in [
        (
            "    - func: word_lenght_filter",
            "line 3: func: there is no step \"word_lenght_filter\"; did you mean \"word_length_filter\"?; `gristmill steps` lists them",
        ),
        (
            "    - func: word_length_filter\n      min_lenght: 3",
            "line 4: word_length_filter.min_lenght: unknown field `min_lenght`, expected `min_length` or `max_length`; did you mean \"min_length\"?",
        ),
        (
            "    - func: language_filter\n      keep_languages:\n      - no",
            "line 5: language_filter.keep_languages.[0]: invalid type: boolean `false`, expected a string; PyYAML reads yes, no, on and off as booleans: put quotes around what is text",
        ),
        (
            "    - func: quality_filter\n      threshold: 1e-3",
            "line 4: quality_filter.threshold: invalid type: string \"1e-3\", expected f64; PyYAML reads it as text: a number has no quotes, and before an exponent a dot, as in 1.0e-3",
        ),
        (
            "    - func: line_length_modifier\n      min_length: None",
            "line 4: line_length_modifier.min_length: invalid type: string \"None\", expected usize; PyYAML reads None as text, so write null or leave it out",
        ),
        ("    - commits", "line 3: a step is `commit`, or a map with `func`"),
        ("    - move_url_modifier", "line 3: write `func: move_url_modifier`"),
        ("    - name: move_url_modifier", "line 3: a step needs `func: NAME`"),
        ("    - func: [a]", "line 3: func: the name of a function is a text"),
        (
            "    - func: counter_line_modifier\n      _aggregate: histogram",
            "line 4: _aggregate: _aggregate is a map from keys to what is wanted of them",
        ),
        (
            "    - func: counter_line_modifier\n      _aggregate:\n        k: 1",
            "line 5: _aggregate.k: an aggregate is its type, or a map with `type`",
        ),
        (
            "    - func: counter_line_modifier\n      _aggregate:\n        k: mean",
            "line 5: aggregate.type: unknown variant `mean`, expected `percentiles` or `histogram`",
        ),
        // All at once.
        (
            "    - func: a\n    - func: b",
            "line 3: func: there is no step \"a\"; `gristmill steps` lists them\nline 4: func: there is no step \"b\"; `gristmill steps` lists them",
        ),
    ] {
        check(entries, Value::from(expected));
    }
}

#[test]
fn sources_are_chosen() {
    let step = "steps: [{func: move_url_modifier}]";
    let two = format!("- {{source: a, {step}}}\n- {{source: b, {step}}}\n");
    for (yaml, source, expected) in [
        (&*two, None, "this config has several sources: choose one of a, b by --source"),
        (&two, Some("c"), "there is no source \"c\"; did you mean \"a\"?; this config has a, b"),
        ("- source: a\n", None, "line 1: a: a source needs `steps`"),
        ("- steps: []\n", None, "line 1: a source needs its name: `source: NAME`"),
        ("- source: 1\n  steps: []\n", None, "line 1: source: the name of a source is a text"),
        (
            "- source: a\n  steps: x\n- b\n",
            None,
            "line 2: steps: steps is a list, one `func: NAME` an entry\nline 3: a source is a map with `source` and `steps`",
        ),
        (
            "pipeline:\n  - name: lowercase\n",
            None,
            "line 2: pipeline: a source is a map with `source` and `steps`",
        ),
        ("text", None, "line 1: a config of DCLM is a list of sources: `- source: NAME`, and its `steps`"),
        ("[]", None, "this config has no source"),
    ] {
        assert_eq!(complaints(translate(yaml, "x", source, &nowhere)), expected, "{yaml}");
    }
    for (yaml, source) in [
        (&*two, Some("b")),
        // Older ways.
        (&format!("a:\n  {step}\nb:\n  {step}\n"), Some("a")),
        (&format!("source: a\n{step}\n"), None),
        (&format!("{step}\n"), None),
    ] {
        let translation = translate(yaml, "x", source, &nowhere).expect(yaml);
        assert_eq!(translation.tree.to_value()["steps"], json!(["move_url_modifier"]), "{yaml}");
    }
    // Of two with one name DCLM takes the last.
    let twice = format!("- {{source: a, steps: []}}\n- {{source: a, {step}}}\n");
    let translation = translate(&twice, "x", None, &nowhere).expect("a recipe");
    assert_eq!(translation.tree.to_value()["steps"], json!(["move_url_modifier"]));
}

#[test]
fn overrides_complain_in_lines_of_the_config() {
    let yaml = "- source: a\n  steps:\n\n    - func: word_length_filter\n      min_length: 3\n";
    let tree = translate(yaml, "x", None, &nowhere).expect("a recipe").tree;
    let set = |text: &str| Recipe::from_tree(tree.clone(), &[text.to_owned()]);
    assert_eq!(
        set("steps.0.min_length=4").expect("a recipe").canonical["steps"][0]["word_length_filter"]["min_length"],
        4
    );
    let said = set("steps.0.min_length=x").err().expect("a complaint").to_string();
    assert!(said.starts_with("line 4: steps.0."), "{said}");
}

#[test]
fn nothing_in_a_config_breaks_out_of_its_place() {
    let yaml = "- source: \"a\\nb: 1\"\n  steps:\n    - commit\n    # x\u{85}- y\n    - {func: substring_filter, banlist: \"x\\n- y\"}\n";
    let translation = translate(yaml, "n\nsteps: []", None, &nowhere).expect("a recipe");
    let read = Recipe::parse(&translation.text, &[]).expect("a recipe");
    assert_eq!(read.canonical, translation.tree.to_value());
    assert_eq!(read.head.name, "n\nsteps: []");
}

/// Parts of configs, put together at random.
fn configs() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "0.5",
        ".inf",
        "-.inf",
        "1e3",
        "yes",
        "None",
        "null",
        "word",
        "[a, 'b']",
        "[no]",
        "'{'",
        "{type: histogram}",
        "char",
        "x.txt",
        "\"\\n\"",
        "*a",
        "&a 7",
    ]);
    let param = prop::sample::select(vec![
        "min_length",
        "max_length",
        "length_type",
        "banlist",
        "banlist_from_fname",
        "ignore_chars",
        "threshold",
        "key",
        "model",
        "_aggregate",
        "_x",
        "remove_empty",
        "delimiter",
    ]);
    let func = prop::sample::select(OPERATIONS)
        .prop_map(|operation| operation.split([' ', ',', '}']).nth(1).unwrap_or_default().to_owned());
    let step = (func, prop::collection::vec((param, value), 0..3)).prop_map(|(func, params)| {
        let params: String = params.iter().map(|(name, value)| format!("      {name}: {value}\n")).collect();
        format!("    - func: {func} # c\n{params}")
    });
    prop::collection::vec(step, 0..4).prop_map(|steps| format!("- source: s\n  steps:\n{}", steps.concat()))
}

proptest! {
    #[test]
    fn whatever_is_translated_is_a_recipe(yaml in configs()) {
        if let Ok(translation) = translate(&yaml, "x", None, &files) {
            let read = Recipe::parse(&translation.text, &[]).expect("a recipe");
            prop_assert_eq!(read.canonical, translation.tree.to_value());
        }
    }

    #[test]
    fn any_text_is_translated_or_refused(yaml in "[-a-z:, \\n'\"{}\\[\\]&*#]{0,80}") {
        let _ = translate(&yaml, "x", None, &files);
    }
}
