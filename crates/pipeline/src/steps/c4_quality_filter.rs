//! `c4_quality_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::datatrove::{C4, C4Quality};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct C4QualityFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Lines are what lies between line ends. False: sentences.
    split_paragraph: bool,
    /// Take out `[1]`, `[edit]`, `[citation needed]`.
    remove_citations: bool,
    /// Take out lines that do not end in `.`, `?`, `!`, `"` or `'`, or that end in `...`.
    filter_no_terminal_punct: bool,
    /// Sentences that are left, at least; `null` turns the rule off, as -1 does in datatrove.
    min_num_sentences: Option<i64>,
    /// Words of a line, at least.
    min_words_per_line: Option<i64>,
    /// Characters of a line's longest word, at most.
    max_word_length: Option<i64>,
    /// Drop pages with `lorem ipsum`.
    filter_lorem_ipsum: bool,
    /// Take out lines with `javascript`.
    filter_javascript: bool,
    /// Drop pages with `{`.
    filter_curly_bracket: bool,
    /// Take out lines on cookies, privacy policies and terms of use.
    filter_policy: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            split_paragraph: true,
            remove_citations: true,
            filter_no_terminal_punct: true,
            min_num_sentences: Some(5),
            min_words_per_line: Some(3),
            max_word_length: Some(1000),
            filter_lorem_ipsum: true,
            filter_javascript: true,
            filter_curly_bracket: true,
            filter_policy: true,
        }
    }
}

impl Step for C4QualityFilter {
    const NAME: &'static str = "c4_quality_filter";
    const DOC: &'static str = "C4's rules: takes out lines that are no sentences, drops pages of placeholders, code and few sentences.\n\n\
        As datatrove has them; FineWeb uses them with `filter_no_terminal_punct: false`. Lines are stripped, and joined again by \
        newlines.";
    const ORIGIN: &'static str = "C4, arXiv 1910.10683, 2.2; huggingface/datatrove 0.10.1, pipeline/filters/c4_filters.py";
    const EXAMPLE: &'static str = "{filter_no_terminal_punct: false}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        // Less than nothing is off, as in datatrove.
        let limit = |number: Option<i64>| number.and_then(|n| usize::try_from(n).ok());
        let rules = C4 {
            split_paragraph: params.split_paragraph,
            remove_citations: params.remove_citations,
            filter_no_terminal_punct: params.filter_no_terminal_punct,
            min_num_sentences: limit(params.min_num_sentences),
            min_words_per_line: limit(params.min_words_per_line),
            max_word_length: limit(params.max_word_length),
            filter_lorem_ipsum: params.filter_lorem_ipsum,
            filter_javascript: params.filter_javascript,
            filter_curly_bracket: params.filter_curly_bracket,
            filter_policy: params.filter_policy,
        };
        Ok(Built::text(move |text, _| match rules.judge(text.as_str()) {
            C4Quality::Dropped(reason) => Verdict::dropped(reason),
            C4Quality::Kept(new) => {
                if new != text.as_str() {
                    text.set(new);
                }
                Verdict::Keep
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_and_pages_go() {
        let page = r#"{"text":"One is here.[1] Two is here. \nMenu of things\nHere is javascript for you.\nThree is here!"}"#;
        check("c4_quality_filter", page, "drop: few sentences");
        let kept = keep(r#"{"text":"One is here. Two is here.\nThree is here!"}"#);
        check("c4_quality_filter: {min_num_sentences: 3}", page, kept);
        let kept = keep(r#"{"text":"One is here. Two is here.\nMenu of things\nThree is here!"}"#);
        check("c4_quality_filter: {min_num_sentences: -1, filter_no_terminal_punct: false}", page, kept);
    }
}
