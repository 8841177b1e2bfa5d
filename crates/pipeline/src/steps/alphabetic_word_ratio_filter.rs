//! `alphabetic_word_ratio_filter`

use super::shared::check_share;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct AlphabeticWordRatioFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of words without any letter, at most.
    max_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_ratio: 0.2 }
    }
}

impl Step for AlphabeticWordRatioFilter {
    const NAME: &'static str = "alphabetic_word_ratio_filter";
    const DOC: &'static str = "Drops pages of which many words have no letter.\n\n\
        Words are what lies between white space; letters are those of any script, without combining marks. A page without words is \
        dropped.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, A.1.1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{max_ratio: 0.2}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("max_ratio", params.max_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let max = params.max_ratio;
        Ok(Built::text(move |text, _| {
            let survey = text.survey();
            let ratio = survey.words_without_letter as f64 / survey.words as f64;
            Verdict::keep_if(survey.words > 0 && ratio <= max, "words without letters")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn trap_t5_letters_are_pythons() {
        // U+093E is a vowel sign: alphabetic to Rust, no letter to Python. U+001F is white space to Python.
        let step = "alphabetic_word_ratio_filter: {max_ratio: 0.5}";
        for (text, kept) in
            [("a 1", true), ("a 1 2", false), ("a \u{93e}", true), ("\u{93e}", false), ("ab\\u001f1\\u001f2", false), ("", false)]
        {
            let page = format!(r#"{{"text":"{text}"}}"#);
            check(step, &page, if kept { keep(&page) } else { "drop: words without letters".to_owned() });
        }
    }
}
