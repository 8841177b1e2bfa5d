//! A job as a worker sees it: its plan, its recipe, its models. Opened once, shared by all lanes.

use crate::indexed::OpenIndex;
use crate::{Metrics, TaskError};
use gristmill_job::resolve::{ResolveError, Resolver};
use gristmill_job::{INPUTS_PAGE, Job, Plan, Slice, VERSION};
use gristmill_pipeline::{Recipe, Resources};
use gristmill_storage::{Stores, Uri};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

pub struct OpenJob {
    pub job: Job,
    pub plan: Plan,
    pub recipe: Recipe,
    pub resources: Arc<Resources>,
    pub stores: Stores,
    /// Those of the plan, by the places of the steps.
    pub(crate) indexes: BTreeMap<usize, Arc<OpenIndex>>,
    inputs: Mutex<Option<InputsPage>>,
}

/// A page's number and what its tasks read.
type InputsPage = (u64, Vec<Vec<Slice>>);

impl OpenJob {
    /// The part of the input that a task of the first stage reads; nothing for other stages. Tasks come nearly in order, so
    /// the page that was read last is kept.
    pub(crate) async fn inputs(&self, stage: usize, task: u64) -> Result<Vec<Slice>, TaskError> {
        if stage > 0 {
            return Ok(Vec::new());
        }
        let number = task / INPUTS_PAGE;
        let mut kept = self.inputs.lock().await;
        let page = match kept.take().filter(|(present, _)| *present == number) {
            Some((_, page)) => page,
            None => self.job.inputs_page(&self.plan, number).await?,
        };
        let inputs = page.get((task % INPUTS_PAGE) as usize).cloned();
        *kept = Some((number, page));
        inputs.ok_or_else(|| TaskError::fatal(format!("the plan has no task {task}")))
    }
}

/// Jobs that stay open: a worker of a busy cluster sees a few at a time.
const OPEN_JOBS: usize = 4;

/// The jobs that this worker has open, the last used first.
pub(crate) struct Jobs {
    stores: Stores,
    workspace: Uri,
    resolver: Resolver,
    metrics: Metrics,
    open: Mutex<Vec<Arc<OpenJob>>>,
}

impl Jobs {
    pub(crate) fn new(stores: Stores, workspace: Uri, resolver: Resolver, metrics: Metrics) -> Self {
        Self { stores, workspace, resolver, metrics, open: Mutex::default() }
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Arc<OpenJob>, TaskError> {
        // Held while a job is opened: two lanes must not load one model twice.
        let mut open = self.open.lock().await;
        if let Some(place) = open.iter().position(|job| job.job.id == id) {
            let job = open.remove(place);
            open.insert(0, Arc::clone(&job));
            self.metrics.opened_job("cached");
            return Ok(job);
        }
        let loaded = self.load(id).await;
        self.metrics.opened_job(if loaded.is_ok() { "loaded" } else { "failed" });
        let job = Arc::new(loaded?);
        open.insert(0, Arc::clone(&job));
        open.truncate(OPEN_JOBS);
        self.metrics.jobs_open.set(open.len() as i64);
        let models = open.iter().flat_map(|job| job.plan.resources.values()).map(|model| model.bytes);
        self.metrics.model_bytes.set(models.sum::<u64>() as i64);
        Ok(job)
    }

    async fn load(&self, id: &str) -> Result<OpenJob, TaskError> {
        let job = Job::open(&self.stores, &self.workspace, id)?;
        let plan = job
            .plan()
            .await?
            .ok_or_else(|| TaskError::fatal(format!("there is no job {id} in the workspace")))?;
        if plan.version != VERSION {
            return Err(TaskError::fatal(format!(
                "job {id} was planned by version {}, this worker is {VERSION} and might write other bytes",
                plan.version
            )));
        }
        let recipe = Recipe::from_canonical(&plan.recipe).map_err(|e| TaskError::fatal(e.to_string()))?;
        let resources =
            self.resolver.fetch(&plan.resources, &self.workspace).await.map_err(|error| match error {
                ResolveError::Store(error) => error.into(),
                error => TaskError::fatal(error.to_string()),
            })?;
        let mut indexes = BTreeMap::new();
        for (step, planned) in &plan.indexes {
            indexes.insert(*step, Arc::new(OpenIndex::open(&self.stores, planned).await?));
        }
        Ok(OpenJob {
            indexes,
            job,
            plan,
            recipe,
            resources: Arc::new(resources),
            stores: self.stores.clone(),
            inputs: Mutex::default(),
        })
    }
}
