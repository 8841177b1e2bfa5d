//! From a recipe to a plan: inputs listed, models found, every step built once. All that can be wrong with a request
//! is found here, before anything is written. Memory does not grow with the input, and dropping the work leaves nothing
//! behind.

use crate::allow::{Allow, Denied};
use crate::filters::Filters;
use crate::index::{self, IndexProblem};
use gristmill_job::resolve::{ResolveError, Resolver};
use gristmill_job::{FilterError, IndexError, JobError, Plan, PlanError, plan};
use gristmill_pipeline::recipe::InputFormat;
use gristmill_pipeline::step::{Context, Kind, Needs};
use gristmill_pipeline::{Built, Recipe, Resources};
use gristmill_storage::{Format, InputError, Kind as StoreKind, Lister, Listing, Pattern, Stores};
use std::path::Path;

/// A job that can be submitted.
pub struct Prepared {
    pub plan: Plan,
    /// The input that was planned for.
    pub listing: Listing,
    pub resources: Resources,
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the recipe names no input; add `input:` or give --input")]
    NoInput,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Input(InputError),
    #[error(transparent)]
    Resource(#[from] ResolveError),
    #[error("step {place} of the recipe, {step}: {why}")]
    Step { place: usize, step: &'static str, why: String },
    #[error("step {place} of the recipe, {step}: {problem}")]
    Index { place: usize, step: &'static str, problem: IndexProblem },
    #[error("step {place} of the recipe, {step}: {error}")]
    Filter { place: usize, step: &'static str, error: FilterError },
    #[error("{0}")]
    Recipe(String),
    #[error(transparent)]
    Plan(PlanError),
    #[error("planning stopped: {0}; try again")]
    Stopped(#[from] tokio::task::JoinError),
}

/// What whoever asked can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrepareErrorKind {
    /// Ask again later.
    Retry,
    /// Ask for something else.
    Invalid,
    /// Ask the operator.
    Denied,
}

impl PrepareError {
    #[must_use]
    pub fn kind(&self) -> PrepareErrorKind {
        let of_store = |kind| match kind {
            StoreKind::Retry | StoreKind::Corrupt => PrepareErrorKind::Retry,
            StoreKind::Denied => PrepareErrorKind::Denied,
            StoreKind::NotFound | StoreKind::Invalid => PrepareErrorKind::Invalid,
        };
        match self {
            Self::Denied(_) => PrepareErrorKind::Denied,
            Self::Input(error) => of_store(error.kind()),
            Self::Resource(ResolveError::Store(error)) => of_store(error.kind()),
            Self::Resource(ResolveError::Io { .. }) | Self::Stopped(_) => PrepareErrorKind::Retry,
            Self::Index { problem: IndexProblem::Index(IndexError::Job(JobError::Store(error))), .. } => {
                of_store(error.kind())
            }
            Self::Index { problem: IndexProblem::Index(error), .. } if error.is_retryable() => {
                PrepareErrorKind::Retry
            }
            Self::Filter { error: FilterError::Job(JobError::Store(error)), .. } => of_store(error.kind()),
            Self::NoInput
            | Self::Resource(_)
            | Self::Step { .. }
            | Self::Index { .. }
            | Self::Filter { .. }
            | Self::Recipe(_)
            | Self::Plan(_) => PrepareErrorKind::Invalid,
        }
    }
}

impl From<PlanError> for PrepareError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Input(error) => error.into(),
            error @ PlanError::SameName { .. } => Self::Plan(error),
        }
    }
}

impl From<InputError> for PrepareError {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Refused(refusal) => match refusal.downcast::<Denied>() {
                Ok(denied) => Self::Denied(*denied),
                Err(other) => Self::Input(InputError::Refused(other)),
            },
            error => Self::Input(error),
        }
    }
}

/// Checks a recipe, its indexes pinned ([`pin`](crate::pin)), against the world and plans it as the job `job`. Large listings are
/// sorted in the folder `scratch`. `begun`: the plan of the job, if it was begun before; its indexes were looked at then.
pub async fn prepare(
    stores: &Stores,
    resolver: &Resolver,
    recipe: &Recipe,
    job: &str,
    allow: &Allow,
    scratch: &Path,
    begun: Option<&Plan>,
) -> Result<Prepared, PrepareError> {
    allow.check_recipe(recipe)?;
    let (planned, resources) = resolver.resolve(&allow.models(recipe)?).await?;
    let cx = Context { resources: &resources, seed: recipe.head.seed };
    let (mut has_alternatives, mut filters) = (false, Filters::default());
    for spec in &recipe.steps {
        let at = |why: String| PrepareError::Step { place: spec.index, step: spec.def.name, why };
        let built = spec.parsed.build(&cx).map_err(|e| at(e.to_string()))?;
        if matches!(built, Built::Alternatives(_)) && std::mem::replace(&mut has_alternatives, true) {
            return Err(at("there may be one step that tries several extractors".to_owned()));
        }
        if let Built::Bloom(bloom) = built {
            filters.add(spec, bloom)?;
        }
    }
    let patterns: Vec<Pattern> = recipe
        .head
        .input
        .list()
        .into_iter()
        .map(|(text, format)| Pattern { text, format: format.map(storage_format) })
        .collect();
    if patterns.is_empty() {
        return Err(PrepareError::NoInput);
    }
    let mut lister = Lister::new(stores).scratch(scratch);
    if let Some(guard) = allow.guard() {
        lister = lister.guard(guard);
    }
    let listing = lister.list(&patterns).await?;
    check_order(recipe, &listing)?;
    let indexes = match begun {
        Some(begun) => begun.indexes.clone(),
        None => index::planned(stores, recipe, job, listing.sha256()).await?,
    };
    let begun_with = filters.planned(stores).await?;
    // The plan counts tasks by reading the listing once more, which blocks.
    let (job, for_plan, listed) = (job.to_owned(), recipe.clone(), listing.clone());
    let planned = move || plan(&job, &for_plan, &listed, planned, indexes, begun_with);
    let plan = tokio::task::spawn_blocking(planned).await??;
    filters.check_saves(stores, &plan).await?;
    Ok(Prepared { plan, listing, resources })
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
fn check_order(recipe: &Recipe, listing: &Listing) -> Result<(), PrepareError> {
    let is_page = |format| matches!(format, Format::Warc | Format::Arc | Format::Html);
    let Some((_, pages)) = listing.kinds().iter().find(|((format, _), _)| is_page(*format)) else {
        return Ok(());
    };
    let reads_text = recipe.steps.iter().find(|s| s.def.needs == Needs::Text);
    let extracts = recipe.steps.iter().find(|s| s.def.needs == Needs::Body);
    match (reads_text, extracts) {
        (Some(reader), extractor) if extractor.is_none_or(|e| e.index > reader.index) => {
            Err(PrepareError::Step {
                place: reader.index,
                step: reader.def.name,
                why: format!(
                    "{} holds pages, and this step needs text; put `extract_text` before it",
                    pages.first
                ),
            })
        }
        (None, None) if recipe.steps.iter().all(|s| s.def.kind == Kind::Map) => Err(PrepareError::Step {
            place: 0,
            step: "extract_text",
            why: format!("{} holds pages, and no step makes text of them; add `extract_text`", pages.first),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_job::job_id;
    use gristmill_storage::fault::{Fault, Faults, Faulty};
    use gristmill_storage::meter::Op;
    use gristmill_storage::{MemoryStore, Settings, Store, Uri};
    use std::sync::Arc;

    /// A bucket with two files, and lists that name what they should not.
    async fn world(faults: &Arc<Faults>) -> Stores {
        let store = Faulty::new(Arc::new(MemoryStore::new("w")), Arc::clone(faults));
        for (key, data) in [
            ("in/a.jsonl", "{}"),
            ("in/b.html", "<p>"),
            ("lists/escaping.txt", "../in/a.jsonl"),
            ("lists/evil.txt", "memory://w/in/a.jsonl\n/etc/passwd"),
        ] {
            store.put(key, data.into()).await.expect("puts");
        }
        let stores = Stores::new(Settings::default());
        stores.replace(&"memory://w/".parse().expect("URI"), Arc::new(store)).expect("is replaced");
        stores
    }

    async fn kind(yaml: &str, faults: &Arc<Faults>) -> Result<u64, (PrepareErrorKind, String)> {
        let stores = world(faults).await;
        let resolver = Resolver::new(stores.clone(), "/nowhere".into(), "/nowhere".into());
        let steps = if yaml.contains("steps:") { "" } else { "steps: []\n" };
        let recipe = Recipe::parse(&format!("name: x\n{steps}{yaml}\n"), &[]).expect(yaml);
        let allow = Allow::only(vec!["memory://w".parse::<Uri>().expect("URI")]);
        let prepared =
            prepare(&stores, &resolver, &recipe, &job_id(&recipe, &[]), &allow, &std::env::temp_dir(), None)
                .await;
        prepared.map(|p| p.plan.input_files).map_err(|error| (error.kind(), error.to_string()))
    }

    #[tokio::test]
    async fn what_is_wrong_says_what_can_be_done() {
        use PrepareErrorKind::{Denied, Invalid};
        let faults = Arc::default();
        assert_eq!(kind("input: memory://w/in/a.jsonl", &faults).await, Ok(1));
        for (yaml, expected, part) in [
            ("", Invalid, "names no input"),
            ("input: memory://w/none", Invalid, "nothing there matches"),
            ("input: memory://w/in/b.html", Invalid, "add `extract_text`"),
            ("input: memory://w/lists/escaping.txt", Invalid, "may not"),
            ("input: memory://w/lists/evil.txt", Denied, "listed input /etc/passwd is not allowed here"),
            ("input: file:///etc/passwd", Denied, "input /etc/passwd is not allowed here"),
            ("input: memory://w/in/a.jsonl\noutput: {path: /tmp}", Denied, "output /tmp is not allowed here"),
            (
                "input: memory://w/in/a.jsonl\nsteps: [{bff_dedup: {save: s3://other/f}}]",
                Denied,
                "filter s3://other/f is not allowed here",
            ),
        ] {
            let (kind, error) = kind(yaml, &faults).await.expect_err(yaml);
            assert!(kind == expected && error.contains(part), "{yaml}: {kind:?} {error}");
        }
        faults.every(Op::List, Fault::Fail);
        let outage = kind("input: memory://w/in/*.jsonl", &faults).await.expect_err("an outage");
        assert_eq!(outage.0, PrepareErrorKind::Retry, "{}", outage.1);
    }
}
