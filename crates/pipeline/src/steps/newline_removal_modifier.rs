//! `newline_removal_modifier`

use super::shared::apply;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::collapse_newlines;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct NewlineRemovalModifier;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Newlines in a row that stay.
    max_consecutive: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_consecutive: 2 }
    }
}

impl Step for NewlineRemovalModifier {
    const NAME: &'static str = "newline_removal_modifier";
    const DOC: &'static str = "Shortens runs of newlines.\n\nA run of more than `max_consecutive` is cut to that many.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{max_consecutive: 2}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let max = params.max_consecutive;
        Ok(Built::text(move |text, _| {
            let edit = collapse_newlines(text.as_str(), max);
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn runs_are_shortened() {
        check("newline_removal_modifier", r#"{"text":"a\n\n\n\nb\n"}"#, keep(r#"{"text":"a\n\nb\n"}"#));
        check("newline_removal_modifier: {max_consecutive: 0}", r#"{"text":"\n"}"#, keep(r#"{"text":""}"#));
    }
}
