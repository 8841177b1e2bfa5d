//! `c4_badwords_filter`

use super::shared::{check_share, read_list};
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Fields, Step, Verdict};
use gristmill_filters::datatrove::BadWords;
use gristmill_filters::sampling::is_sampled;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct C4BadwordsFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A list for each language, one word or phrase a line. In `ja`, `th` and `zh` words are found anywhere, else only whole ones.
    banlists: BTreeMap<String, String>,
    /// The field with the page's language: its name, or a likelihood for each.
    #[serde(default = "language")]
    language_key: String,
    /// The language of pages without that field.
    #[serde(default = "english")]
    default_language: String,
    /// Pages in a language without a list are broken; else they are kept.
    #[serde(default = "yes")]
    fail_on_missing_language: bool,
    /// The share of pages with bad words to keep, chosen by their ids.
    #[serde(default)]
    keep_fraction: f64,
}

fn language() -> String {
    "language".to_owned()
}

fn english() -> String {
    "en".to_owned()
}

fn yes() -> bool {
    true
}

impl Step for C4BadwordsFilter {
    const NAME: &'static str = "c4_badwords_filter";
    const DOC: &'static str = "Drops pages with a word from their language's list of dirty, naughty, obscene and otherwise bad words.\n\n\
        C4 has LDNOOBW's list, for English at commit 25e679f, datatrove the other 27 languages' at 5faf2ba; C4 leaves four words out that are \
        parts of good ones in Japanese and Chinese. A page of which a share is kept is chosen by its id, where datatrove draws lots.";
    const ORIGIN: &'static str = "C4, arXiv 1910.10683, 2.2; LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words; \
        huggingface/datatrove 0.10.1, pipeline/filters/c4_filters.py";
    const EXAMPLE: &'static str =
        "{banlists: {en: ldnoobw/en, ja: ldnoobw/ja}, keep_fraction: 0.0, fail_on_missing_language: false}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.banlists.is_empty() {
            return Err(BuildError::new("banlists names no list"));
        }
        check_share("keep_fraction", params.keep_fraction)
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        params.banlists.values().map(|list| Wanted::named(list)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let mut lists: BTreeMap<String, Arc<BadWords>> = BTreeMap::new();
        for (language, name) in &params.banlists {
            let words = cx.resources.shared(&format!("bad words of {language}: {name}"), || {
                BadWords::new(read_list(cx.resources, name)?.iter().map(String::as_str), language)
                    .ok_or_else(|| BuildError::new(format!("{name} is too long a list")))
            })?;
            lists.insert(language.clone(), words);
        }
        let (params, seed) = (params.clone(), cx.seed);
        Ok(Built::map(move |doc| {
            let language = language_of(&doc.fields, &params.language_key).unwrap_or(&params.default_language);
            let bad = match lists.get(language) {
                Some(words) => doc.text.as_ref().is_some_and(|text| words.is_match(text.as_str())),
                None if params.fail_on_missing_language => {
                    return Verdict::broken("no list of bad words for its language");
                }
                None => false,
            };
            Verdict::keep_if(!bad || is_sampled(&doc.id, seed, params.keep_fraction), "bad words")
        }))
    }
}

/// The language that a field names, or the likeliest of those it has.
fn language_of<'d>(fields: &'d Fields, key: &str) -> Option<&'d str> {
    match fields.value(key)? {
        Value::String(language) => Some(language),
        Value::Object(languages) => {
            let likelihood = |value: &Value| value.as_f64().unwrap_or(0.0);
            let likeliest = languages.iter().max_by(|(_, a), (_, b)| likelihood(a).total_cmp(&likelihood(b)));
            likeliest.map(|(language, _)| language.as_str())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, check_with, keep};

    #[test]
    fn bad_words_drop_the_page() {
        let lists = [("en", "bad\nworse one\n")];
        for (text, dropped) in [("so Bad", true), ("badge", false), ("a worse one!", true)] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            let expected = if dropped { "drop: bad words".to_owned() } else { keep(&page) };
            check_with(&lists, "c4_badwords_filter: {banlists: {en: en}}", &page, expected);
            let all = "c4_badwords_filter: {banlists: {en: en}, keep_fraction: 1}";
            check_with(&lists, all, &page, keep(&page));
        }
        check("c4_badwords_filter: {banlists: {}}", "{}", "refused: banlists names no list");
    }

    #[test]
    fn each_language_has_its_list() {
        let lists = [("en", "bad"), ("ja", "悪い")];
        let step = "c4_badwords_filter: {banlists: {en: en, ja: ja}}";
        for (page, expected) in [
            (r#"{"text":"bad","language":"ja"}"#, None),
            (r#"{"text":"これは悪いです","language":"ja"}"#, Some("drop: bad words")),
            (r#"{"text":"bad","language":{"ja":0.2,"en":0.7}}"#, Some("drop: bad words")),
            (r#"{"text":"bad","language":{}}"#, Some("drop: bad words")),
            (r#"{"text":"bad","language":"xx"}"#, Some("broken: no list of bad words for its language")),
        ] {
            let expected = expected.map_or_else(|| keep(page), str::to_owned);
            check_with(&lists, step, page, expected);
        }
        let page = r#"{"text":"bad","lang":"xx"}"#;
        let step =
            "c4_badwords_filter: {banlists: {en: en}, language_key: lang, fail_on_missing_language: false}";
        check_with(&lists[..1], step, page, keep(page));
        let step = "c4_badwords_filter: {banlists: {de: en}, default_language: de}";
        check_with(&lists[..1], step, page, "drop: bad words");
    }
}
