//! `arxiv_appendix_modifier`

use super::NoParams;
use super::shared::apply;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::latex::Latex;

pub struct ArxivAppendixModifier;

impl Step for ArxivAppendixModifier {
    const NAME: &'static str = "arxiv_appendix_modifier";
    const DOC: &'static str = "Cuts LaTeX at its appendix or bibliography.\n\nA text of nothing else is dropped.";
    const ORIGIN: &'static str = "RedPajama-Data v1, data_prep/arxiv/arxiv_cleaner.py; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        let latex = Latex::new().map_err(|error| BuildError::new(error.to_string()))?;
        Ok(Built::text(move |text, _| {
            let edit = latex.without_appendix(text.as_str());
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn appendices_go() {
        check("arxiv_appendix_modifier", r#"{"text":"a\\appendix b"}"#, keep(r#"{"text":"a"}"#));
        check("arxiv_appendix_modifier", r#"{"text":"\\appendix"}"#, "drop: nothing left");
    }
}
