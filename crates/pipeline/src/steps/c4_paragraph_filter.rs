//! `c4_paragraph_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Text, Verdict};
use gristmill_filters::datatrove::has_paragraphs;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct C4ParagraphFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Paragraphs a page has, at least.
    min_paragraphs: usize,
    /// Characters a line has to be one.
    min_paragraph_len: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { min_paragraphs: 3, min_paragraph_len: 200 }
    }
}

impl Step for C4ParagraphFilter {
    const NAME: &'static str = "c4_paragraph_filter";
    const DOC: &'static str =
        "Drops pages with too few long lines: mC4's rule, for languages of which C4's rules know nothing.";
    const ORIGIN: &'static str =
        "mC4, arXiv 2010.11934, 3.1; huggingface/datatrove 0.10.1, pipeline/filters/c4_filters.py";
    const EXAMPLE: &'static str = "{min_paragraphs: 3, min_paragraph_len: 200}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { min_paragraphs, min_paragraph_len } = *params;
        Ok(Built::text(move |text: &mut Text, _| {
            let enough = has_paragraphs(text.as_str(), min_paragraphs, min_paragraph_len);
            Verdict::keep_if(enough, "few paragraphs")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn pages_without_paragraphs_go() {
        let page = r#"{"text":"one line\nanother one\nso"}"#;
        check("c4_paragraph_filter", page, "drop: few paragraphs");
        check("c4_paragraph_filter: {min_paragraph_len: 8}", page, "drop: few paragraphs");
        check("c4_paragraph_filter: {min_paragraphs: 2, min_paragraph_len: 8}", page, keep(page));
    }
}
