//! `word_length_filter`

use super::shared::check_bounds;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct WordLengthFilter;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Characters of a word, on average, at least.
    min_length: f64,
    /// And at most.
    max_length: Option<f64>,
}

impl Step for WordLengthFilter {
    const NAME: &'static str = "word_length_filter";
    const DOC: &'static str = "Keeps pages whose words have a usual length on average.\n\n\
        Words are what lies between white space; bounds are inclusive. A page without words is dropped.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, A.1.1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{min_length: 3, max_length: 10}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_bounds(params.min_length, params.max_length)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let (min, max) = (params.min_length, params.max_length.unwrap_or(f64::INFINITY));
        Ok(Built::text(move |text, _| {
            let survey = text.survey();
            let average = survey.word_chars as f64 / survey.words as f64;
            // Without words it is no number, and in no range.
            Verdict::keep_if((min..=max).contains(&average), "word length")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn averages_are_of_code_points() {
        let step = "word_length_filter: {min_length: 3, max_length: 3.5}";
        for (text, kept) in [("äöü äöüß", true), ("ab cde", false), ("abcd abcd", false), (" ", false), ("", false)] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            check(step, &page, if kept { keep(&page) } else { "drop: word length".to_owned() });
        }
    }
}
