//! `gopher_quality_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::datatrove::Gopher;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct GopherQualityFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Words that are not punctuation, at least.
    min_doc_words: Option<usize>,
    /// And at most.
    max_doc_words: Option<usize>,
    /// Characters of such a word on average, at least.
    min_avg_word_length: Option<f64>,
    /// And at most.
    max_avg_word_length: Option<f64>,
    /// Hashes per word, and ellipses per word, each at most.
    max_symbol_word_ratio: Option<f64>,
    /// The share of lines that start with `•` or `-`, at most.
    max_bullet_lines_ratio: Option<f64>,
    /// The share of lines that end in an ellipsis, at most.
    max_ellipsis_lines_ratio: Option<f64>,
    /// The share of words with a letter, at least (the name is datatrove's).
    max_non_alpha_words_ratio: Option<f64>,
    /// Distinct stop words, at least.
    min_stop_words: Option<usize>,
    /// In place of Gopher's eight; compared as they are written.
    stop_words: Option<Vec<String>>,
}

impl Default for Params {
    fn default() -> Self {
        let rules = Gopher::default();
        Self {
            min_doc_words: rules.min_doc_words,
            max_doc_words: rules.max_doc_words,
            min_avg_word_length: rules.min_avg_word_length,
            max_avg_word_length: rules.max_avg_word_length,
            max_symbol_word_ratio: rules.max_symbol_word_ratio,
            max_bullet_lines_ratio: rules.max_bullet_lines_ratio,
            max_ellipsis_lines_ratio: rules.max_ellipsis_lines_ratio,
            max_non_alpha_words_ratio: rules.max_non_alpha_words_ratio,
            min_stop_words: rules.min_stop_words,
            stop_words: None,
        }
    }
}

impl Step for GopherQualityFilter {
    const NAME: &'static str = "gopher_quality_filter";
    const DOC: &'static str = "Drops pages that do not look like prose: all of Gopher's quality rules in one step.\n\n\
        As datatrove has them; `null` or 0 turns a rule off. A page without words or lines passes the rules that count them, where datatrove fails. DCLM has the same rules as steps of their own (`page_length_filter`, \
        `word_length_filter`, …), in a slightly other reading. Words are Unicode's, where datatrove has spaCy's.";
    const ORIGIN: &'static str = "Gopher, arXiv 2112.11446, A.1.1; huggingface/datatrove 0.10.1, pipeline/filters/gopher_quality_filter.py";
    const EXAMPLE: &'static str = "{min_doc_words: 50, max_doc_words: 100000, min_stop_words: 2}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let rules = Gopher {
            min_doc_words: params.min_doc_words,
            max_doc_words: params.max_doc_words,
            min_avg_word_length: params.min_avg_word_length,
            max_avg_word_length: params.max_avg_word_length,
            max_symbol_word_ratio: params.max_symbol_word_ratio,
            max_bullet_lines_ratio: params.max_bullet_lines_ratio,
            max_ellipsis_lines_ratio: params.max_ellipsis_lines_ratio,
            max_non_alpha_words_ratio: params.max_non_alpha_words_ratio,
            min_stop_words: params.min_stop_words,
            stop_words: match params.stop_words {
                Some(words) => words.into_iter().collect(),
                None => Gopher::default().stop_words,
            },
        };
        Ok(Built::text(move |text, _| rules.judge(text.as_str()).map_or(Verdict::Keep, Verdict::dropped)))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn rules_can_be_off() {
        let page = r#"{"text":"The end of a story with some words"}"#;
        check("gopher_quality_filter", page, "drop: too short");
        check("gopher_quality_filter: {min_doc_words: null}", page, keep(page));
        check(
            "gopher_quality_filter: {min_doc_words: 1, stop_words: [the, a, b]}",
            page,
            "drop: no stop words",
        );
        check(
            "gopher_quality_filter: {min_doc_words: 1, max_avg_word_length: 3.3}",
            page,
            "drop: word length",
        );
    }
}
