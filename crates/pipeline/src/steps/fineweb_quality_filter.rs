//! `fineweb_quality_filter`

use super::shared::check_share;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::datatrove::FineWeb;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct FinewebQualityFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of lines that end in punctuation, at least.
    line_punct_thr: f64,
    /// Pages without any such line pass.
    line_punct_exclude_zero: bool,
    /// What such lines end in. By default what ends sentences in all scripts; the paper has `.`, `'`, `"`, `!` and `?`.
    stop_chars: Option<Vec<String>>,
    /// The share of short lines, at most.
    short_line_thr: f64,
    /// Characters a short line has, at most.
    short_line_length: usize,
    /// The share of characters in lines that were there before, at most.
    char_duplicates_ratio: f64,
    /// Newlines per word, at most.
    new_line_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        let rules = FineWeb::default();
        Self {
            line_punct_thr: rules.line_punct,
            line_punct_exclude_zero: rules.line_punct_exclude_zero,
            stop_chars: rules.stop_chars,
            short_line_thr: rules.short_line,
            short_line_length: rules.short_line_length,
            char_duplicates_ratio: rules.char_duplicates,
            new_line_ratio: rules.new_line,
        }
    }
}

impl Step for FinewebQualityFilter {
    const NAME: &'static str = "fineweb_quality_filter";
    const DOC: &'static str = "Drops pages that are lists, menus or repeat lines: FineWeb's own rules.\n\n\
        Dropped are pages of which few lines end in punctuation, of which many lines are short, whose repeated lines (copies after the \
        first) have many of the characters, and with many newlines per word. Words are Unicode's, where datatrove has spaCy's.";
    const ORIGIN: &'static str = "FineWeb, arXiv 2406.17557, 3.5; huggingface/datatrove 0.10.1, pipeline/filters/fineweb_quality_filter.py";
    const EXAMPLE: &'static str = "{line_punct_thr: 0.12, short_line_thr: 0.67, char_duplicates_ratio: 0.01}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("line_punct_thr", params.line_punct_thr)?;
        check_share("short_line_thr", params.short_line_thr)?;
        check_share("char_duplicates_ratio", params.char_duplicates_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let rules = FineWeb {
            line_punct: params.line_punct_thr,
            line_punct_exclude_zero: params.line_punct_exclude_zero,
            stop_chars: params.stop_chars,
            short_line: params.short_line_thr,
            short_line_length: params.short_line_length,
            char_duplicates: params.char_duplicates_ratio,
            new_line: params.new_line_ratio,
        };
        Ok(Built::text(move |text, _| rules.judge(text.as_str()).map_or(Verdict::Keep, Verdict::dropped)))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lists_go() {
        let page = r#"{"text":"This is a line of a page that ends as it should.\nHome"}"#;
        check("fineweb_quality_filter", page, keep(page));
        check("fineweb_quality_filter: {short_line_thr: 0.4}", page, "drop: short lines");
        check("fineweb_quality_filter: {line_punct_thr: 0.6}", page, "drop: few lines end in punctuation");
        check("fineweb_quality_filter: {stop_chars: ['!']}", page, "drop: few lines end in punctuation");
        check("fineweb_quality_filter", r#"{"text":""}"#, "drop: empty");
    }
}
