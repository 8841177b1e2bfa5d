//! `uppercase_ratio_line_modifier`

use super::shared::{apply, check_share};
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{Ends, uppercase_ratio, retain};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct UppercaseRatioLineModifier;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of a line's characters, at most.
    max_ratio: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_ratio: 0.5 }
    }
}

impl Step for UppercaseRatioLineModifier {
    const NAME: &'static str = "uppercase_ratio_line_modifier";
    const DOC: &'static str = "Takes out lines with many capitals.\n\n\
        A line goes if more than `max_ratio` of its characters are upper case; empty lines stay. White space at both ends of the text goes, and a text of nothing else is dropped.";
    const ORIGIN: &'static str =
        "RefinedWeb, arXiv 2306.01116, appendix G.2; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{max_ratio: 0.5}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("max_ratio", params.max_ratio)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let max = params.max_ratio;
        Ok(Built::text(move |text, _| {
            let edit = retain(text.as_str(), Ends::Strip, |line| uppercase_ratio(line) <= max);
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_go_beyond_the_ratio() {
        let step = "uppercase_ratio_line_modifier: {max_ratio: 0.5}";
        check(step, r#"{"text":" Abc\nABc\n\nAbc\nABc"}"#, keep(r#"{"text":"Abc\n\nAbc"}"#));
        check(step, r#"{"text":"ABc\n "}"#, "drop: nothing left");
    }
}
