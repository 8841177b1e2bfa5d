//! `within_page_dedup`

use super::shared::apply;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{self, without_repeats};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct WithinPageDedup;

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What is compared.
    granularity: Granularity,
    /// Compare without white space at both ends and in lower case.
    normalize: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Granularity {
    Line,
    Paragraph,
}

impl Default for Params {
    fn default() -> Self {
        Self { granularity: Granularity::Line, normalize: true }
    }
}

impl Step for WithinPageDedup {
    const NAME: &'static str = "within_page_dedup";
    const DOC: &'static str = "Keeps the first of equal lines or paragraphs of a page.\n\nEmpty ones all stay.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{granularity: line, normalize: true}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { granularity, normalize } = *params;
        let granularity = match granularity {
            Granularity::Line => lines::Granularity::Line,
            Granularity::Paragraph => lines::Granularity::Paragraph,
        };
        Ok(Built::text(move |text, _| {
            let edit = without_repeats(text.as_str(), granularity, normalize);
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn copies_go() {
        let page = r#"{"text":"A\na\n\n\nb\n\n a"}"#;
        check("within_page_dedup", page, keep(r#"{"text":"A\n\n\nb\n"}"#));
        check("within_page_dedup: {normalize: false}", page, keep(page));
        let page = r#"{"text":"a\n\nb\n\na\n\nc"}"#;
        check("within_page_dedup: {granularity: paragraph}", page, keep(r#"{"text":"a\n\nb\n\nc"}"#));
    }
}
