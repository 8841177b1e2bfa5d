//! The JSON schema of recipes, for editors.

use super::Head;
use crate::steps;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

/// A JSON schema (draft 2020-12) of the whole recipe language, every step's parameters included.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let mut root = generator.root_schema_for::<Head>().to_value();
    let entries: Vec<Value> = steps::ALL
        .iter()
        .map(|def| {
            let mut params = vec![def.schema(&mut generator).to_value(), json!({ "type": "null" })];
            if def.short.is_some() {
                params.push(json!({ "type": ["string", "number"] }));
            }
            json!({
                "type": "object",
                "description": def.summary(),
                "properties": { def.name: { "anyOf": params } },
                "required": [def.name],
                "additionalProperties": false,
            })
        })
        .collect();
    let names: Vec<&str> = steps::ALL.iter().map(|def| def.name).collect();
    let steps = json!({
        "description": "What happens to a document, from top to bottom",
        "type": "array",
        "items": { "anyOf": [{ "enum": names }, { "oneOf": entries }] },
    });
    let definitions = generator.take_definitions(true);
    if let Value::Object(root) = &mut root {
        root.insert("title".to_owned(), json!("gristmill recipe"));
        entry(root, "properties").insert("steps".to_owned(), steps);
        let defs = entry(root, "$defs");
        for (name, definition) in definitions {
            defs.entry(name).or_insert(definition);
        }
        if let Some(Value::Array(required)) = root.get_mut("required") {
            required.push(json!("steps"));
        }
    }
    root
}

fn entry<'m>(map: &'m mut Map<String, Value>, name: &str) -> &'m mut Map<String, Value> {
    let value = map.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(inner) => inner,
        _ => unreachable!("made an object just above"),
    }
}
