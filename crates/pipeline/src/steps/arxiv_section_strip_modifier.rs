//! `arxiv_section_strip_modifier`

use super::shared::apply;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::latex::Latex;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct ArxivSectionStripModifier;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    semantics: Semantics,
}

impl Step for ArxivSectionStripModifier {
    const NAME: &'static str = "arxiv_section_strip_modifier";
    const DOC: &'static str = "Cuts LaTeX before its first section, chapter or the like.\n\n\
        A text without one is dropped.\n\n\
        `semantics: dclm`: a paragraph counts only with a subparagraph right behind it, since a bar is missing in DCLM. `fixed`: both \
        count.";
    const ORIGIN: &'static str = "RedPajama-Data v1, data_prep/arxiv/arxiv_cleaner.py; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let latex = Latex::new().map_err(|error| BuildError::new(error.to_string()))?;
        let fixed = params.semantics == Semantics::Fixed;
        Ok(Built::text(move |text, _| match latex.from_first_section(text.as_str(), fixed) {
            Some(edit) => apply(text, edit),
            None => Verdict::dropped("no section"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn preambles_go() {
        let page = r#"{"text":"pre\\section{A}b"}"#;
        check("arxiv_section_strip_modifier", page, keep(r#"{"text":"\\section{A}b"}"#));
        let page = r#"{"text":"pre\\paragraph{A}b"}"#;
        check("arxiv_section_strip_modifier", page, keep(r#"{"text":"\\paragraph{A}b"}"#));
        check("arxiv_section_strip_modifier: {semantics: dclm}", page, "drop: no section");
    }
}
