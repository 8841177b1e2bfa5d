//! `line_counter_enricher`

use super::shared::{add_field, check_key};
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::python::{self, Pattern};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct LineCounterEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What ends a line: a pattern. `\n\n` counts paragraphs.
    paragraph_end: String,
    /// Leave out blank lines.
    remove_empty: bool,
    /// The field that holds the count.
    key: String,
    /// Replace a field that is there; otherwise such a page is broken.
    overwrite: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            paragraph_end: "\n".to_owned(),
            remove_empty: true,
            key: "num_lines".to_owned(),
            overwrite: false,
        }
    }
}

fn pattern(params: &Params) -> Result<Pattern, BuildError> {
    let pattern =
        Pattern::new(&params.paragraph_end, false).map_err(|error| BuildError::new(error.to_string()))?;
    if pattern.captures() {
        return Err(BuildError::new(
            "paragraph_end has a group, which Python would count among the lines; write (?:…)",
        ));
    }
    Ok(pattern)
}

impl Step for LineCounterEnricher {
    const NAME: &'static str = "line_counter_enricher";
    const DOC: &'static str = "Writes the number of lines, or of paragraphs, into a field.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/enrichers/enrichers.py";
    const EXAMPLE: &'static str = "{key: num_lines}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        pattern(params)?;
        check_key(&params.key)
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let (params, pattern) = (params.clone(), pattern(params)?);
        Ok(Built::text(move |text, fields| {
            let lines = match (&*params.paragraph_end, params.remove_empty) {
                ("\n", true) => text.survey().lines,
                ("\n", false) => text.survey().newlines + 1,
                (_, remove) => {
                    let mut lines = 0;
                    pattern.split(text.as_str(), |line| {
                        lines += usize::from(!remove || !python::is_blank(line))
                    });
                    lines
                }
            };
            add_field(fields, &params.key, params.overwrite, lines)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lines_and_paragraphs_are_counted() {
        for (params, expected) in [
            ("", 3),
            ("remove_empty: false", 5),
            (r#"paragraph_end: "\n\n""#, 2),
            ("paragraph_end: '[b-y]'", 1),
        ] {
            let page = r#"{"text":"a\na\n \n\na"}"#;
            let kept = keep(&format!(r#"{{"text":"a\na\n \n\na","num_lines":{expected}}}"#));
            check(&format!("line_counter_enricher: {{{params}}}"), page, kept);
        }
        check(
            "line_counter_enricher: {paragraph_end: '(a)|b'}",
            "{}",
            "refused: paragraph_end has a group, which Python would count among the lines; write (?:…)",
        );
    }
}
