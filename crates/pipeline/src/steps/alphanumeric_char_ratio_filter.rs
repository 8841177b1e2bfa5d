//! `alphanumeric_char_ratio_filter`

use super::shared::check_share;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::python::is_alnum;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct AlphanumericCharRatioFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of letters and digits, at least (the name is DCLM's).
    max_alnum_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_alnum_ratio: 0.25 }
    }
}

impl Step for AlphanumericCharRatioFilter {
    const NAME: &'static str = "alphanumeric_char_ratio_filter";
    const DOC: &'static str = "Drops pages of which few characters are letters or digits.\n\nAn empty page is dropped.";
    const ORIGIN: &'static str = "RedPajama-Data v1, github; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{max_alnum_ratio: 0.25}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("max_alnum_ratio", params.max_alnum_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let min = params.max_alnum_ratio;
        Ok(Built::text(move |text, _| {
            let (mut chars, mut alnum) = (0_usize, 0_usize);
            for char in text.as_str().chars() {
                chars += 1;
                alnum += usize::from(is_alnum(char));
            }
            Verdict::keep_if(chars > 0 && alnum as f64 / chars as f64 >= min, "few letters and digits")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn the_ratio_is_a_minimum() {
        let step = "alphanumeric_char_ratio_filter: {max_alnum_ratio: 0.5}";
        for (text, kept) in [("a-", true), ("²-", true), ("a--", false), ("", false)] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            check(step, &page, if kept { keep(&page) } else { "drop: few letters and digits".to_owned() });
        }
    }
}
