//! The indexes that a recipe names: pinned to a generation before the job is planned, and looked at while it is.
//!
//! A recipe that leaves the generation open is pinned to the latest there is when the job is handed in: its request (its plan,
//! where there is no service) names the generation. That is written once, so that the job keeps its generation whatever comes after,
//! who hands in the same again is told of the same job, and its manifest says which documents it met.

use crate::prepare::PrepareError;
use gristmill_job::index::{Generation, Index, IndexError};
use gristmill_job::{JobError, Plan, PlannedIndex};
use gristmill_pipeline::IndexUse;
use gristmill_pipeline::Recipe;
use gristmill_pipeline::recipe::StepSpec;
use gristmill_storage::{Stores, Uri};
use serde_json::Value;
use std::collections::BTreeMap;

/// The recipe with every index pinned. `begun`: a plan for the same recipe, if the job was begun before.
pub async fn pin(stores: &Stores, recipe: Recipe, begun: Option<&Plan>) -> Result<Recipe, PrepareError> {
    let mut pins = BTreeMap::new();
    for (spec, used) in indexed(&recipe) {
        let before = begun.and_then(|plan| plan.indexes.get(&spec.index)).map(|planned| planned.generation);
        let generation = match before {
            Some(before) if used.generation.is_none_or(|asked| asked == before) => before,
            _ => now(stores, used).await.map_err(|error| at_step(spec, error))?,
        };
        pins.insert(spec.index, generation);
    }
    if pins.is_empty() {
        return Ok(recipe);
    }
    recipe.pinned(&pins).map_err(|error| PrepareError::Recipe(error.to_string()))
}

async fn now(stores: &Stores, used: &IndexUse) -> Result<u64, IndexProblem> {
    let index = open(stores, used)?;
    let latest = index.latest().await?;
    match used.generation {
        None if latest == 0 && !used.extend => Err(IndexError::Missing { at: used.at.clone() }.into()),
        None => Ok(latest),
        Some(generation) if used.extend && generation < latest => {
            Err(IndexProblem::Old { at: used.at.clone(), generation, latest })
        }
        Some(generation) => Ok(generation),
    }
}

/// What a pinned recipe's indexes are, for the plan.
pub(crate) async fn planned(
    stores: &Stores,
    recipe: &Recipe,
    job: &str,
    input_sha256: &str,
) -> Result<BTreeMap<usize, PlannedIndex>, PrepareError> {
    let mut all: BTreeMap<usize, PlannedIndex> = BTreeMap::new();
    for (spec, used) in indexed(recipe) {
        let joins_by = joins_by(spec, recipe.head.seed);
        let looked = look(stores, used, &joins_by, (job, input_sha256)).await;
        let generation = looked.map_err(|error| at_step(spec, error))?;
        let is_same = |other: &PlannedIndex| other.extend && Uri::are_same(&other.at, &used.at);
        if used.extend && all.values().any(is_same) {
            return Err(at_step(spec, IndexProblem::Twice { at: used.at.clone() }));
        }
        let planned = PlannedIndex {
            at: used.at.clone(),
            generation: generation.generation,
            sha256: generation.sha256(),
            segments: generation.segments(),
            documents: generation.documents(),
            extend: used.extend,
        };
        all.insert(spec.index, planned);
    }
    Ok(all)
}

async fn look(
    stores: &Stores,
    used: &IndexUse,
    joins_by: &Value,
    (job, input_sha256): (&str, &str),
) -> Result<Generation, IndexProblem> {
    let index = open(stores, used)?;
    if let (Some(generation), true) = (used.generation, used.extend) {
        // That another comes first is found out again before anything is published; here it has cost nothing yet.
        index.written(generation + 1, job, input_sha256).await?;
    }
    let generation = match used.generation {
        Some(0) => return Ok(Generation::empty(joins_by.clone())),
        None => return Err(IndexError::Missing { at: used.at.clone() }.into()),
        Some(generation) => index.generation(generation).await?,
    };
    if generation.joins_by != *joins_by {
        let (there, here) = (&generation.joins_by, joins_by);
        let (there, here) = (there.to_string(), here.to_string());
        return Err(IndexProblem::Differs { at: used.at.clone(), there, here });
    }
    let same = generation.parts.iter().find(|part| part.input_sha256 == input_sha256);
    if let Some(part) = same {
        let (at, generation, job) = (used.at.clone(), part.generation, part.job.clone());
        let before = generation.saturating_sub(1);
        return Err(if index.is_removed(before).await? {
            IndexProblem::SameInputForGood { at, generation, job, before }
        } else {
            IndexProblem::SameInput { at, generation, job, before }
        });
    }
    Ok(generation)
}

/// What an index must have been made by.
pub(crate) fn joins_by(spec: &StepSpec, seed: u64) -> Value {
    let mut joins_by = spec.parsed.joins_by(seed);
    if let Some(joins_by) = joins_by.as_object_mut() {
        joins_by.insert("step".to_owned(), spec.def.name.into());
    }
    joins_by
}

/// The steps that name an index.
fn indexed(recipe: &Recipe) -> impl Iterator<Item = (&StepSpec, &IndexUse)> {
    recipe.steps.iter().filter_map(|spec| Some((&**spec, spec.parsed.index()?)))
}

fn open(stores: &Stores, used: &IndexUse) -> Result<Index, IndexProblem> {
    let at: Uri = used.at.parse().map_err(JobError::from).map_err(IndexError::from)?;
    Ok(Index::open(stores, &at).map_err(IndexError::from)?)
}

fn at_step(spec: &StepSpec, problem: IndexProblem) -> PrepareError {
    PrepareError::Index { place: spec.index, step: spec.def.name, problem }
}

/// Why a job cannot use an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexProblem {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(
        "{at} is at generation {latest}, and only its latest can be extended: leave out `generation: {generation}`, or `extend`"
    )]
    Old { at: String, generation: u64, latest: u64 },
    #[error(
        "the index {at} is of a dedup that joins otherwise: it was made with {there}, and this step has {here}; give the step those parameters, or an index of its own"
    )]
    Differs { at: String, there: String, here: String },
    #[error(
        "the input of this job is in the index {at} since generation {generation}, by job {job}: every document would be a duplicate of itself; to run it again, name the generation before, `generation: {before}`, and leave out `extend`"
    )]
    SameInput { at: String, generation: u64, job: String, before: u64 },
    #[error(
        "the input of this job is in the index {at} since generation {generation}, by job {job}: every document would be a duplicate of itself; generation {before}, against which it was run, is gone by a takedown, so that it can be run again without `index` only"
    )]
    SameInputForGood { at: String, generation: u64, job: String, before: u64 },
    #[error("the index {at} is named twice, and one job can extend it once: give each step its own")]
    Twice { at: String },
}
