//! From a recipe to a plan: inputs listed, models found, every step built once. All that can be wrong with a request
//! is found here, before anything is written.

use gristmill_job::resolve::{ResolveError, Resolver};
use gristmill_job::{Plan, Slice, plan};
use gristmill_pipeline::recipe::InputFormat;
use gristmill_pipeline::step::{Context, Kind, Needs};
use gristmill_pipeline::{Recipe, Resources};
use gristmill_storage::{Format, Input, InputError, Stores, expand};
use std::collections::BTreeMap;

/// A job that can be submitted.
pub struct Prepared {
    pub plan: Plan,
    /// For each task of the first stage, its part of the input.
    pub inputs: Vec<Vec<Slice>>,
    pub resources: Resources,
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the recipe names no input; add `input:` or give --input")]
    NoInput,
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Resource(#[from] ResolveError),
    #[error("step {place} of the recipe, {step}: {why}")]
    Step { place: usize, step: &'static str, why: String },
}

/// Checks a recipe against the world and plans it.
pub async fn prepare(
    stores: &Stores,
    resolver: &Resolver,
    recipe: &Recipe,
) -> Result<Prepared, PrepareError> {
    let wanted: Vec<_> = recipe.steps.iter().flat_map(|spec| spec.parsed.resources()).collect();
    let (planned, resources) = resolver.resolve(&wanted).await?;
    let cx = Context { resources: &resources, seed: recipe.head.seed };
    for spec in &recipe.steps {
        let at = |why: String| PrepareError::Step { place: spec.index, step: spec.def.name, why };
        spec.parsed.build(&cx).map_err(|e| at(e.to_string()))?;
    }
    let files = list(stores, recipe).await?;
    check_order(recipe, &files)?;
    let (plan, inputs) = plan(recipe, &files, planned);
    Ok(Prepared { plan, inputs, resources })
}

async fn list(stores: &Stores, recipe: &Recipe) -> Result<Vec<Input>, PrepareError> {
    let mut by_format: BTreeMap<Option<Format>, Vec<String>> = BTreeMap::new();
    for (path, format) in recipe.head.input.list() {
        by_format.entry(format.map(storage_format)).or_default().push(path);
    }
    if by_format.is_empty() {
        return Err(PrepareError::NoInput);
    }
    let mut files = Vec::new();
    for (format, patterns) in by_format {
        files.extend(expand(stores, &patterns, format).await?);
    }
    files.sort_by(|a, b| (&a.name, &a.uri).cmp(&(&b.name, &b.uri)));
    files.dedup_by(|a, b| a.uri == b.uri);
    Ok(files)
}

fn storage_format(format: InputFormat) -> Format {
    match format {
        InputFormat::Warc => Format::Warc,
        InputFormat::Arc => Format::Arc,
        InputFormat::Wet => Format::Wet,
        InputFormat::Jsonl => Format::Jsonl,
        InputFormat::Parquet => Format::Parquet,
        InputFormat::Html => Format::Html,
    }
}

/// Pages need a step that makes text of them, and before any step that reads it.
fn check_order(recipe: &Recipe, files: &[Input]) -> Result<(), PrepareError> {
    let pages = files.iter().find(|f| matches!(f.format, Format::Warc | Format::Arc | Format::Html));
    let Some(page) = pages else { return Ok(()) };
    let reads_text = recipe.steps.iter().find(|s| s.def.needs == Needs::Text);
    let extracts = recipe.steps.iter().find(|s| s.def.needs == Needs::Body);
    match (reads_text, extracts) {
        (Some(reader), extractor) if extractor.is_none_or(|e| e.index > reader.index) => {
            Err(PrepareError::Step {
                place: reader.index,
                step: reader.def.name,
                why: format!(
                    "{} holds pages, and this step needs text; put `extract_text` before it",
                    page.uri
                ),
            })
        }
        (None, None) if recipe.steps.iter().all(|s| s.def.kind == Kind::Map) => Err(PrepareError::Step {
            place: 0,
            step: "extract_text",
            why: format!("{} holds pages, and no step makes text of them; add `extract_text`", page.uri),
        }),
        _ => Ok(()),
    }
}
