//! `citation_removal_modifier`

use super::NoParams;
use super::shared::apply;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::without_citations;

pub struct CitationRemovalModifier;

impl Step for CitationRemovalModifier {
    const NAME: &'static str = "citation_removal_modifier";
    const DOC: &'static str = "Takes out Wikipedia's marks: `[1]`, `[edit]`, `[citation needed]`.\n\n\
        A text of nothing else is dropped.";
    const ORIGIN: &'static str = "C4, arXiv 1910.10683, 2.2; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        Ok(Built::text(|text, _| {
            let edit = without_citations(text.as_str());
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn marks_go() {
        check("citation_removal_modifier", r#"{"text":"a[12] b[edit]"}"#, keep(r#"{"text":"a b"}"#));
        check("citation_removal_modifier", r#"{"text":"[1]"}"#, "drop: nothing left");
    }
}
