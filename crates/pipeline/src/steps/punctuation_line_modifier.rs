//! `punctuation_line_modifier`

use super::shared::apply;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{Ends, ends_in_punctuation, retain};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct PunctuationLineModifier;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// An ellipsis is no end of a sentence, as in C4.
    remove_ellipses: bool,
}

impl Step for PunctuationLineModifier {
    const NAME: &'static str = "punctuation_line_modifier";
    const DOC: &'static str = "Takes out lines that do not end in punctuation.\n\n\
        Ends are `.`, `!`, `?`, `\"` and `…`, white space aside; empty lines stay. A text of which nothing is left is dropped.";
    const ORIGIN: &'static str = "C4, arXiv 1910.10683, 2.2; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{remove_ellipses: true}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let ellipsis = !params.remove_ellipses;
        Ok(Built::text(move |text, _| {
            let edit =
                retain(text.as_str(), Ends::Keep, |line| line.is_empty() || ends_in_punctuation(line, ellipsis));
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_end_in_punctuation() {
        let page = r#"{"text":"a.\nb\n\nc… \nd?"}"#;
        check("punctuation_line_modifier", page, keep(r#"{"text":"a.\n\nc… \nd?"}"#));
        check("punctuation_line_modifier: {remove_ellipses: true}", page, keep(r#"{"text":"a.\n\nd?"}"#));
        check("punctuation_line_modifier", r#"{"text":"a"}"#, "drop: nothing left");
    }
}
