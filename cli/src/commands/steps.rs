//! `gristmill steps [NAME]`: the reference, made from the list of steps.

use crate::failure::{Failure, Outcome};
use gristmill_pipeline::recipe;
use gristmill_pipeline::step::Kind;
use gristmill_pipeline::{StepDef, steps};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A step; all of them in short if left out
    name: Option<String>,
    /// Every step in full
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let text = match &args.name {
        Some(name) => match steps::find(name) {
            Some(def) => page(def),
            None => {
                let error = recipe::unknown_step(name);
                return Err(Failure::request(anyhow::anyhow!(error)));
            }
        },
        None if args.all => steps::ALL.iter().map(page).collect::<Vec<_>>().join("\n"),
        None => overview(),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::job)
}

fn overview() -> String {
    let width = steps::ALL.iter().map(|def| def.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for def in steps::ALL {
        let _ = writeln!(out, "{:width$}  {}", def.name, def.summary());
    }
    out
}

fn page(def: &StepDef) -> String {
    let mut out = format!("# {}\n\n{}\n", def.name, def.doc.trim());
    if matches!(def.kind, Kind::Barrier | Kind::Selection) {
        out.push_str("\nNeeds the whole corpus: the recipe is cut into two passes here.\n");
    }
    let schema = def.params_schema();
    if let Some(Value::Object(properties)) = schema.get("properties")
        && !properties.is_empty()
    {
        out.push_str("\n## Parameters\n\n");
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in properties {
            let default = match property.get("default") {
                Some(Value::Null) | None if required.contains(&name.as_str()) => "required".to_owned(),
                Some(Value::Null) | None => "optional".to_owned(),
                Some(value) => format!("default {value}"),
            };
            let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = writeln!(
                out,
                "- `{name}` ({}; {default}): {}",
                type_of(property, &schema),
                description.replace('\n', " ")
            );
        }
    }
    let example = if def.example == "{}" { String::new() } else { format!(": {}", def.example) };
    let _ = write!(out, "\n## Example\n\n```yaml\n- {}{example}\n```\n\nSource: {}\n", def.name, def.origin);
    out
}

/// The type of a parameter in a word or two.
fn type_of(property: &Value, root: &Value) -> String {
    if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
        let target = reference.trim_start_matches('#');
        return root.pointer(target).map_or_else(|| "object".to_owned(), |p| type_of(p, root));
    }
    let list = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
            .collect()
    };
    if let Some(constant) = property.get("const") {
        return constant.as_str().map_or_else(|| constant.to_string(), str::to_owned);
    }
    if let Some(values) = property.get("enum") {
        return list(values).join(" | ");
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(options)) = property.get(key) {
            let mut names: Vec<String> =
                options.iter().map(|o| type_of(o, root)).filter(|n| n != "null").collect();
            names.dedup();
            return names.join(" | ");
        }
    }
    match property.get("type") {
        Some(Value::String(name)) if name == "array" => {
            let items = property.get("items").map_or_else(|| "any".to_owned(), |i| type_of(i, root));
            format!("list of {items}")
        }
        Some(Value::String(name)) => name.clone(),
        Some(types @ Value::Array(_)) => {
            list(types).into_iter().filter(|n| n != "null").collect::<Vec<_>>().join(" | ")
        }
        _ => "any".to_owned(),
    }
}
