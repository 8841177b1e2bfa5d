//! `join_lines_modifier`

use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct JoinLinesModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What comes between two entries.
    delimiter: String,
}

impl Default for Params {
    fn default() -> Self {
        Self { delimiter: "\n".to_owned() }
    }
}

impl Step for JoinLinesModifier {
    const NAME: &'static str = "join_lines_modifier";
    const DOC: &'static str = "Turns a list of lines into a text again.\n\nAn empty list is dropped; a text stays as it is.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = r#"{delimiter: "\n"}"#;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let delimiter = params.delimiter.clone();
        Ok(Built::map(move |doc| {
            if doc.text.is_some() {
                return Verdict::Keep;
            }
            let Some(Value::Array(lines)) = doc.fields.value("text") else { return Verdict::broken("no text") };
            if lines.is_empty() {
                return Verdict::dropped("empty");
            }
            let Some(lines) = lines.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() else {
                return Verdict::broken("a line is no text");
            };
            let text = lines.join(&delimiter);
            doc.set_text(text);
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lists_become_texts() {
        check("join_lines_modifier", r#"{"text":["a","","b"],"n":1}"#, keep(r#"{"text":"a\n\nb","n":1}"#));
        check("join_lines_modifier", r#"{"text":"a"}"#, keep(r#"{"text":"a"}"#));
        check("join_lines_modifier", r#"{"text":[]}"#, "drop: empty");
        check("join_lines_modifier", r#"{"text":[1]}"#, "broken: a line is no text");
        check("join_lines_modifier", r#"{"text":null}"#, "broken: no text");
    }
}
