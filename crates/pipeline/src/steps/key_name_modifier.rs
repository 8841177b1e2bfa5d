//! `key_name_modifier`

use crate::step::{Context, Needs};
use crate::{BuildError, Built, Document, Field, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct KeyNameModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    old_key: String,
    new_key: String,
    /// Replace a field that has the new name; otherwise such a page stays as it is.
    allow_overwrite: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { old_key: "content".to_owned(), new_key: "text".to_owned(), allow_overwrite: false }
    }
}

impl Step for KeyNameModifier {
    const NAME: &'static str = "key_name_modifier";
    const DOC: &'static str = "Gives a field another name.\n\nA page without the field stays as it is.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{old_key: content, new_key: text}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.old_key.is_empty() || params.new_key.is_empty() {
            return Err(BuildError::new("a field needs a name"));
        }
        Ok(())
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        Ok(Built::map(move |doc| {
            let Params { old_key, new_key, allow_overwrite } = &params;
            let has = |doc: &Document, key: &str| doc.fields.contains(key) && (key != "text" || has_text(doc));
            if old_key == new_key || !has(doc, old_key) || (has(doc, new_key) && !allow_overwrite) {
                return Verdict::Keep;
            }
            match (&**old_key, &**new_key) {
                (old, "text") => {
                    let value = doc.fields.value(old).cloned();
                    doc.fields.remove(old);
                    put_text(doc, value.unwrap_or_default());
                }
                ("text", new) => {
                    let value = take_text(doc);
                    doc.fields.set(new, value);
                }
                (old, new) => {
                    doc.fields.rename(old, new);
                }
            }
            Verdict::Keep
        }))
    }
}

/// A record of a web archive has a place for its text before it has one.
fn has_text(doc: &Document) -> bool {
    doc.text.is_some() || !matches!(doc.fields.get("text"), Some(Field::Text))
}

fn put_text(doc: &mut Document, value: Value) {
    match value {
        Value::String(text) => {
            doc.fields.remove("text");
            doc.text = None;
            doc.set_text(text);
        }
        other => {
            doc.text = None;
            doc.fields.set("text", other);
        }
    }
}

fn take_text(doc: &mut Document) -> Value {
    let value = match doc.text.take() {
        Some(text) => Value::String(text.into_string()),
        None => doc.fields.value("text").cloned().unwrap_or_default(),
    };
    doc.fields.remove("text");
    value
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn fields_change_their_names() {
        for (params, page, expected) in [
            ("", r#"{"content":"a","b":1}"#, r#"{"b":1,"text":"a"}"#),
            ("", r#"{"content":"a","text":"b"}"#, r#"{"content":"a","text":"b"}"#),
            ("allow_overwrite: true", r#"{"content":"a","text":"b"}"#, r#"{"text":"a"}"#),
            ("", r#"{"content":["a"]}"#, r#"{"text":["a"]}"#),
            ("", r#"{"b":1}"#, r#"{"b":1}"#),
            ("old_key: text, new_key: raw", r#"{"text":"a","b":1}"#, r#"{"b":1,"raw":"a"}"#),
            ("old_key: a, new_key: b", r#"{"a":1.0}"#, r#"{"b":1.0}"#),
        ] {
            check(&format!("key_name_modifier: {{{params}}}"), page, keep(expected));
        }
    }
}
