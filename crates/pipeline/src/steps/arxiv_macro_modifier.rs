//! `arxiv_macro_modifier`

use super::shared::apply;
use crate::step::{Context, NO_TEXT, Needs, Semantics};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::latex::Latex;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct ArxivMacroModifier;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    semantics: Semantics,
}

impl Step for ArxivMacroModifier {
    const NAME: &'static str = "arxiv_macro_modifier";
    const DOC: &'static str = "Puts the values of LaTeX macros without arguments in their place.\n\n\
        Macros are those of `\\newcommand` and `\\def` whose definition ends its line; they are expanded one after another, within sixteen \
        times the length of the text.\n\n\
        `semantics: dclm`: a page with a macro value that is not plain ASCII is broken, since DCLM raises there. `fixed`: it is not.";
    const ORIGIN: &'static str = "RedPajama-Data v1, data_prep/arxiv/arxiv_cleaner.py; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    const NEEDS: Needs = Needs::Nothing;
    const HAS_SEMANTICS: bool = true;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let latex = Latex::new().map_err(|error| BuildError::new(error.to_string()))?;
        let fixed = params.semantics == Semantics::Fixed;
        Ok(Built::map(move |doc| {
            // DCLM takes a page without a text for one with an empty text here, and only here.
            let Some(text) = &mut doc.text else {
                let absent = !doc.fields.contains("text");
                return if absent { Verdict::dropped("nothing left") } else { Verdict::broken(NO_TEXT) };
            };
            match latex.expand_macros(text.as_str(), fixed) {
                Ok(edit) => apply(text, edit),
                Err(error) => Verdict::broken(error.to_string()),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn macros_are_expanded() {
        let page = r#"{"text":"\\def\\e{é}\n\\e+1"}"#;
        check("arxiv_macro_modifier", page, keep(r#"{"text":"\\defé{é}\né+1"}"#));
        check("arxiv_macro_modifier: {semantics: dclm}", page, "broken: a macro's value is not plain ASCII");
    }
}
