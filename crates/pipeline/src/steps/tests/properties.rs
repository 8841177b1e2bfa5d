//! What no text may make a step do: panic, grow the text, or remember the document before.

use crate::recipe::{parse_steps_as, tree};
use crate::resources::{Resource, Resources};
use crate::step::{Kind, Semantics};
use crate::steps::ALL;
use crate::{Chain, Document, Tally, Text, Verdict};
use proptest::test_runner::{Config, TestRunner};
use proptest::{prop_assert, prop_assert_eq};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps that need a model, whose tests load one, and the one that makes the text.
const ELSEWHERE: [&str; 9] = [
    "url_blocklist_filter",
    "alphabetic_characters_to_tokens_filter",
    "external",
    "detect_lang_whole_page_enricher",
    "detect_lang_paragraph_enricher",
    "classify_fasttext_hq_prob_enricher",
    "fasttext",
    "ken_lm_perplexity_enricher",
    "extract_text",
];

/// Steps that put something in the place of what they find, which may be longer.
const MAY_GROW: [&str; 3] = ["pii_masking_modifier", "ftfy_modifier", "html_content_extraction_modifier"];

/// Parameters that the examples of the steps do not have.
const MORE: &str = r"
- url_blocklist_filter: {domains: list, urls: list}
- url_substring_filter: {banlist: [a, ab, é, ''], exact_domain_match: true, ignore_chars: [www, '.']}
- url_substring_filter: {banlist: [a, ab, é, '-'], match_substrings: false, ignore_chars: ['-']}
- newline_removal_modifier: {max_consecutive: 0}
- page_length_filter: {length_type: char, max_length: 20}
- page_length_filter: {length_type: paragraph, remove_empty: false}
- page_length_filter: {length_type: word, model: uniseg}
- line_length_modifier: {min_length: 1, max_length: 2}
- line_length_filter: {length_type: avg, max_length: 5}
- uppercase_ratio_line_modifier: {max_ratio: 0}
- numeric_ratio_line_modifier: {max_ratio: 0}
- word_length_modifier: {max_length: 1, model: uniseg}
- punctuation_line_modifier: {remove_ellipses: true}
- within_page_dedup: {granularity: line, normalize: true}
- within_page_dedup: {granularity: paragraph, normalize: false}
- repetition_filter: {granularity: line, max_fraction: 0, count_characters: true, ignore_case: true}
- repetition_filter: {granularity: 1, max_fraction: 0, ngram_char_ratio: most_common}
- repetition_filter: {granularity: 3, max_fraction: 0, ngram_char_ratio: all}
- massive_web_repetition_filters: {skip_paragraph: true}
- substring_line_modifier: {banlist: [a, é, '[bc]+'], remove_substring_only: true}
- substring_line_modifier: {banlist: [a, '...'], location: suffix, remove_substring_only: true}
- substring_line_modifier: {banlist: [a, '{'], location: prefix, remove_substring_only: true, case_sensitive: true}
- substring_line_modifier: {banlist: sign-in, max_length: 1}
- substring_filter: {banlist: [a b, '{'], location: suffix, exact_word: true}
- substring_filter: {banlist: ['a.', é], location: prefix}
- word_counter_enricher: {key: n, model: split, ignore_punctuation: false}
- line_counter_enricher: {key: n}
";

/// Chains of one step each: every map of the list as in its example, and [`MORE`], in both readings.
fn chains() -> Vec<(String, Chain)> {
    let examples: Vec<String> = ALL
        .iter()
        .filter(|def| def.kind == Kind::Map && !ELSEWHERE.contains(&def.name))
        .map(|def| format!("- {}: {}\n", def.name, def.example))
        .collect();
    let list = tree::parse(&format!("{}{}", examples.concat(), MORE.trim_start())).expect("YAML");
    let mut chains = Vec::new();
    for semantics in [Semantics::Dclm, Semantics::Fixed] {
        let mut complaints = Vec::new();
        for spec in parse_steps_as(&list, semantics, &mut complaints) {
            let wanted = spec.parsed.resources();
            let found: BTreeMap<String, Resource> = wanted
                .into_iter()
                .map(|wanted| {
                    let bytes = Arc::new(b"a\n\nab c\n\xc3\xa9\n".to_vec());
                    (wanted.name, Resource { bytes, found: "list".to_owned(), sha256: String::new() })
                })
                .collect();
            let name = format!("{} #{} {semantics:?}", spec.def.name, spec.index);
            chains
                .push((name.clone(), Chain::new(&[spec], Arc::new(Resources::new(found)), 7).expect(&name)));
        }
        assert_eq!(complaints, []);
    }
    chains
}

/// What one step makes of a record: its verdict and the record, for each document that it becomes.
fn walk(chain: &mut Chain, record: &str) -> Vec<(Verdict, String)> {
    let doc = Document::from_json(record, || "id".to_owned()).expect(record);
    let mut tally = Tally::default();
    let ended = chain.apply(doc, &mut tally).expect("no programs are run");
    assert_eq!(tally.balance(), Ok(()));
    let told = ended.into_iter().map(|ended| {
        let mut out = Vec::new();
        ended.doc.write_json(&mut out);
        (ended.verdict, String::from_utf8(out).expect("UTF-8"))
    });
    told.collect()
}

/// Text made of what the rules look at, and of anything.
const TEXTS: &str = concat!(
    r#"([a-cA-C09 .,:/@#{}\[\]"'*\-_\n\r\t\x00\x0b\x0c\x1c\x1f]"#,
    "|[éÉßİıſς²٣½日アא\u{85}\u{a0}\u{ad}\u{301}\u{93e}\u{200d}\u{200e}\u{2028}\u{3000}\u{1f1e9}…●•😀]",
    r"|\PC|\n\n\n|a\.com/b|https://|1\.2\.3\.4|\.\.\.|\. \. \.|the |3 likes|Read more|sign-in|\[edit\]){0,24}",
);
const URLS: &str = r"([a-c:/@.\-\[\]?#é\n ]|https?://|www\.|a\.example){0,12}";

#[test]
fn any_text_costs_itself_alone() {
    let chains = RefCell::new(chains());
    let config = Config { failure_persistence: None, ..Config::with_cases(300) };
    let pages = (proptest::collection::vec(TEXTS, 1..4), URLS);
    TestRunner::new(config)
        .run(&pages, |(texts, url)| {
            for (name, chain) in chains.borrow_mut().iter_mut() {
                let forth: Vec<_> = texts.iter().map(|text| walk(chain, &record(text, &url))).collect();
                for (text, (verdict, out)) in texts
                    .iter()
                    .zip(&forth)
                    .flat_map(|(text, ended)| ended.iter().map(move |end| (text, end)))
                {
                    if let Verdict::Broken(reason) = verdict {
                        prop_assert!(!reason.starts_with("panic"), "{}: {} on {:?}", name, reason, text);
                    }
                    let after = Document::from_json(out, String::new).expect("a record");
                    let after = after.text.as_ref().map_or("", Text::as_str);
                    let may_grow = MAY_GROW.iter().any(|step| name.starts_with(step));
                    prop_assert!(
                        may_grow || after.len() <= text.len(),
                        "{} makes {:?} of {:?}",
                        name,
                        after,
                        text
                    );
                }
                // A lane's buffers hold what the documents before left in them, so the other way round they hold something else.
                let mut back: Vec<_> =
                    texts.iter().rev().map(|text| walk(chain, &record(text, &url))).collect();
                back.reverse();
                prop_assert_eq!(&back, &forth, "{} on {:?}", name, texts);
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// A record with all fields that a step asks for.
fn record(text: &str, url: &str) -> String {
    serde_json::json!({
        "text": text, "url": url, "previous_word_count": 3, "metadata": {"WARC-Target-URI": url},
        "language_id_whole_page_fasttext": {"en": 0.7}, "fasttext_hq_prob": 0.5, "quality_a": 0.5, "quality_b": 0.25,
    })
    .to_string()
}
