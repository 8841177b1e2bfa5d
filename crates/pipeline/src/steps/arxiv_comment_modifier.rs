//! `arxiv_comment_modifier`

use super::shared::apply;
use crate::step::{Context, Semantics};
use crate::{BuildError, Built, Step};
use gristmill_filters::latex::Latex;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct ArxivCommentModifier;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Also what stands between `\begin{comment}` and `\end{comment}`.
    remove_multiline: bool,
    semantics: Semantics,
}

impl Step for ArxivCommentModifier {
    const NAME: &'static str = "arxiv_comment_modifier";
    const DOC: &'static str = "Takes comments out of LaTeX.\n\nA text of nothing else is dropped.\n\n\
        `semantics: dclm`: a comment that does not start its line takes the character before it along: `f(x)%` and what \
        follows becomes `f(x`. `fixed`: that character stays.";
    const ORIGIN: &'static str = "RedPajama-Data v1, data_prep/arxiv/arxiv_cleaner.py; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{remove_multiline: true}";
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let latex = Latex::new().map_err(|error| BuildError::new(error.to_string()))?;
        let (blocks, fixed) = (params.remove_multiline, params.semantics == Semantics::Fixed);
        Ok(Built::text(move |text, _| {
            let edit = latex.without_comments(text.as_str(), blocks, fixed);
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn comments_go() {
        let page = r#"{"text":"%x\na %b\nc"}"#;
        check("arxiv_comment_modifier", page, keep(r#"{"text":"a \nc"}"#));
        check("arxiv_comment_modifier: {semantics: dclm}", page, keep(r#"{"text":"a\nc"}"#));
        check("arxiv_comment_modifier", r#"{"text":"%x"}"#, "drop: nothing left");
    }
}
