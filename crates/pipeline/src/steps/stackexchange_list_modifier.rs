//! `stackexchange_list_modifier`

use super::NoParams;
use super::shared::edit_posts;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step};

pub struct StackexchangeListModifier;

impl Step for StackexchangeListModifier {
    const NAME: &'static str = "stackexchange_list_modifier";
    const DOC: &'static str = "Turns HTML lists in question and answers into lines with a star.\n\n\
        `<li>` and `<ol>` become a newline and `*`, their ends go. A record without a question is broken.";
    const ORIGIN: &'static str =
        "RedPajama-Data v1, stack_exchange; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        Ok(Built::map(|doc| {
            edit_posts(&mut doc.fields, |html| {
                Ok(html
                    .replace("<li>", "\n*")
                    .replace("</li>", "")
                    .replace("<ol>", "\n*")
                    .replace("</ol>", ""))
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lists_become_lines() {
        check(
            "stackexchange_list_modifier",
            r#"{"question":{"text":"<ol><li>a</li></ol>"},"answers":[{"text":"<li>b","score":1}]}"#,
            keep(r#"{"question":{"text":"\n*\n*a"},"answers":[{"text":"\n*b","score":1}]}"#),
        );
        check("stackexchange_list_modifier", "{}", "broken: no question");
    }
}
