//! `gopher_repetition_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::datatrove::GopherRepetition;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct GopherRepetitionFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of lines that were there before, at most.
    dup_line_frac: Option<f64>,
    /// The share of paragraphs that were there before, at most.
    dup_para_frac: Option<f64>,
    /// The share of characters in such lines, at most.
    dup_line_char_frac: Option<f64>,
    /// The share of characters in such paragraphs, at most.
    dup_para_char_frac: Option<f64>,
    /// Sizes, and the share of characters of the most common n-gram, at most.
    top_n_grams: Vec<(usize, f64)>,
    /// Sizes, and the share of characters in n-grams that were there before, at most.
    dup_n_grams: Vec<(usize, f64)>,
}

impl Default for Params {
    fn default() -> Self {
        let rules = GopherRepetition::default();
        Self {
            dup_line_frac: rules.dup_line_frac,
            dup_para_frac: rules.dup_para_frac,
            dup_line_char_frac: rules.dup_line_char_frac,
            dup_para_char_frac: rules.dup_para_char_frac,
            top_n_grams: rules.top_n_grams,
            dup_n_grams: rules.dup_n_grams,
        }
    }
}

impl Step for GopherRepetitionFilter {
    const NAME: &'static str = "gopher_repetition_filter";
    const DOC: &'static str = "Drops pages that repeat themselves: Gopher's repetition rules as datatrove has them.\n\n\
        Only copies after the first count, words include punctuation, the most common n-gram also the blanks between them, and shares are of the whole \
        text; `massive_web_repetition_filters` is DCLM's reading of the same rules. `null` or 0 turns a rule on lines and paragraphs off. Words are Unicode's, where datatrove \
        has spaCy's.";
    const ORIGIN: &'static str = "Gopher, arXiv 2112.11446, table A1; huggingface/datatrove 0.10.1, pipeline/filters/gopher_repetition_filter.py";
    const EXAMPLE: &'static str = "{dup_line_frac: 0.3, top_n_grams: [[2, 0.2], [3, 0.18], [4, 0.16]]}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.top_n_grams.iter().chain(&params.dup_n_grams).any(|(size, _)| !(1..1000).contains(size)) {
            return Err(BuildError::new("n-grams have 1 to 999 words"));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let rules = GopherRepetition {
            dup_line_frac: params.dup_line_frac,
            dup_para_frac: params.dup_para_frac,
            dup_line_char_frac: params.dup_line_char_frac,
            dup_para_char_frac: params.dup_para_char_frac,
            top_n_grams: params.top_n_grams,
            dup_n_grams: params.dup_n_grams,
        };
        Ok(Built::text(move |text, _| rules.judge(text.as_str()).map_or(Verdict::Keep, Verdict::dropped)))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn copies_after_the_first_count() {
        let page = r#"{"text":"one line\ntwo lines\none line"}"#;
        check("gopher_repetition_filter", page, "drop: duplicate lines");
        let step = "gopher_repetition_filter: {dup_line_frac: 0.34, dup_line_char_frac: null, top_n_grams: [], dup_n_grams: []}";
        check(step, page, keep(page));
        check(
            "gopher_repetition_filter: {top_n_grams: [[0, 0.1]]}",
            page,
            "refused: n-grams have 1 to 999 words",
        );
    }
}
