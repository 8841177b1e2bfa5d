//! `split_lines_modifier`

use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct SplitLinesModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// What lies between two entries.
    delimiter: String,
}

impl Default for Params {
    fn default() -> Self {
        Self { delimiter: "\n".to_owned() }
    }
}

impl Step for SplitLinesModifier {
    const NAME: &'static str = "split_lines_modifier";
    const DOC: &'static str = "Turns the text into a list of lines, the form in which DCLM dedups paragraphs.\n\n\
        An empty text is dropped. Steps that read the text must not follow before `join_lines_modifier`.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = r#"{delimiter: "\n"}"#;
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.delimiter.is_empty() {
            return Err(BuildError::new("a delimiter has at least one character"));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let delimiter = params.delimiter.clone();
        Ok(Built::map(move |doc| match doc.text.take() {
            Some(text) if text.as_str().is_empty() => {
                doc.text = Some(text);
                Verdict::dropped("empty")
            }
            Some(text) => {
                let lines: Vec<Value> = text.as_str().split(&*delimiter).map(Value::from).collect();
                doc.fields.set("text", lines);
                Verdict::Keep
            }
            None if doc.fields.value("text").is_some_and(Value::is_array) => Verdict::Keep,
            None => Verdict::broken("no text"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn texts_become_lists() {
        check("split_lines_modifier", r#"{"text":"a\n\nb"}"#, keep(r#"{"text":["a","","b"]}"#));
        check("split_lines_modifier", r#"{"text":["a"]}"#, keep(r#"{"text":["a"]}"#));
        check("split_lines_modifier", r#"{"text":""}"#, "drop: empty");
        check("split_lines_modifier", r#"{"text":7}"#, "broken: no text");
    }
}
