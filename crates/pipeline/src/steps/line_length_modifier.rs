//! `line_length_modifier`

use super::shared::{apply, check_bounds};
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{Ends, has_length, retain};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct LineLengthModifier;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Words of a line, at least.
    min_length: usize,
    /// And at most.
    max_length: Option<usize>,
}

impl Step for LineLengthModifier {
    const NAME: &'static str = "line_length_modifier";
    const DOC: &'static str = "Takes out lines with too few or too many words.\n\n\
        Words are what lies between white space. Empty lines stay, blank ones have no words. A text of which nothing is left is dropped.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{min_length: 2}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_bounds(params.min_length, params.max_length)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let (min, max) = (params.min_length, params.max_length.unwrap_or(usize::MAX));
        Ok(Built::text(move |text, _| {
            let edit = retain(text.as_str(), Ends::Keep, |line| has_length(line, min, max));
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_are_measured_in_words() {
        let step = "line_length_modifier: {min_length: 2, max_length: 3}";
        check(step, r#"{"text":"a\n\na b\n \na b c\na b c d\n"}"#, keep(r#"{"text":"\na b\na b c\n"}"#));
        check(step, r#"{"text":"a"}"#, "drop: nothing left");
        check(step, r#"{"text":""}"#, "drop: nothing left");
    }
}
