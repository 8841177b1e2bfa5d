//! The coordinator as a service: any number of jobs, any number of coordinators.
//!
//! What is asked for becomes an object before it is answered: a request, or an event in a job's log. Each coordinator
//! looks at those every few seconds, and at once where it wrote them itself, and does what they ask: plans, drives,
//! publishes, cleans up. None of it needs an agreement between coordinators: plans and records are created only if
//! absent, and all else may be done twice.

mod ask;
mod entry;
mod scaling;
mod tasks;
mod work;

pub use ask::{JobFilter, JobQuery, Page, Planned, Submission};
pub use tasks::TaskQuery;

use crate::allow::{Allow, Denied};
use crate::autoscale;
use crate::engine::Engine;
use crate::metrics::{JobViews, Metrics};
use crate::prepare::PrepareError;
use crate::view::JobView;
use entry::Entry;
use gristmill_job::lifecycle::IllegalJobEvent;
use gristmill_job::resolve::Resolver;
use gristmill_job::{AppendError, JobError, Workspace};
use gristmill_pipeline::recipe::RecipeError;
use gristmill_queue::Producer;
use gristmill_storage::{Stores, Uri};
use prometheus_client::registry::Registry;
use scaling::{Scaling, Wanted};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the workspace is searched for jobs that other coordinators took in.
const DISCOVER_EVERY: Duration = Duration::from_secs(5);
/// How often what killed writers left half written is looked for, and how old it must be to be deleted.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
const SWEEP_AGE: Duration = Duration::from_hours(24);
/// How long jobs may take to come to rest when the coordinator stops.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// What a coordinator works with.
#[derive(Clone, Debug)]
pub struct CoordinatorSettings {
    pub workspace: Uri,
    /// What recipes may read and write.
    pub allow: Allow,
    /// Keep the files that passes exchange, for debugging.
    pub keep_intermediate: bool,
    /// Where large listings are sorted.
    pub scratch: PathBuf,
    pub autoscale: autoscale::Settings,
}

/// See the module. Clones are the same coordinator.
#[derive(Clone)]
pub struct Coordinator(Arc<Inner>);

struct Inner {
    settings: CoordinatorSettings,
    workspace: Workspace,
    stores: Stores,
    resolver: Resolver,
    engine: Arc<Engine>,
    jobs: Mutex<BTreeMap<String, Arc<Entry>>>,
    running: Mutex<JoinSet<()>>,
    scaling: Scaling,
    stop: watch::Sender<bool>,
}

/// Why something asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the recipe cannot be used:\n{0}")]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("there is no job {id}")]
    NotFound { id: String },
    #[error("the key {key:?} was used for another request, job {job}; use another key")]
    KeyTaken { key: String, job: String },
    #[error(transparent)]
    Illegal(#[from] IllegalJobEvent),
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Queue(#[from] gristmill_queue::Error),
    #[error("this coordinator is stopping; ask again")]
    Stopping,
}

/// What whoever asked can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceErrorKind {
    /// Ask for something else.
    Invalid,
    NotFound,
    Denied,
    Exists,
    /// The job is in another state than this needs.
    Precondition,
    /// Ask again later.
    Unavailable,
    Internal,
}

impl ServiceError {
    #[must_use]
    pub fn kind(&self) -> ServiceErrorKind {
        use crate::prepare::PrepareErrorKind;
        match self {
            Self::Recipe(_) | Self::Invalid { .. } => ServiceErrorKind::Invalid,
            Self::Prepare(error) => match error.kind() {
                PrepareErrorKind::Retry => ServiceErrorKind::Unavailable,
                PrepareErrorKind::Invalid => ServiceErrorKind::Invalid,
                PrepareErrorKind::Denied => ServiceErrorKind::Denied,
            },
            Self::Denied(_) => ServiceErrorKind::Denied,
            Self::NotFound { .. } => ServiceErrorKind::NotFound,
            Self::KeyTaken { .. } => ServiceErrorKind::Exists,
            Self::Illegal(_) => ServiceErrorKind::Precondition,
            Self::Job(error) if error.is_retryable() => ServiceErrorKind::Unavailable,
            Self::Queue(error) if error.is_retryable() => ServiceErrorKind::Unavailable,
            Self::Job(_) | Self::Queue(_) => ServiceErrorKind::Internal,
            Self::Stopping => ServiceErrorKind::Unavailable,
        }
    }
}

impl From<AppendError> for ServiceError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Illegal(error) => Self::Illegal(error),
            AppendError::Job(error) => Self::Job(error),
        }
    }
}

impl Coordinator {
    /// Starts its loops; they go on until [`Coordinator::stop`].
    pub fn start(
        settings: CoordinatorSettings,
        stores: Stores,
        resolver: Resolver,
        producer: Arc<dyn Producer>,
    ) -> Result<Self, ServiceError> {
        let workspace = Workspace::open(&stores, &settings.workspace)?;
        let allow = settings.allow.guarding(&settings.workspace);
        let scaling = Scaling::new(settings.autoscale);
        let settings = CoordinatorSettings { allow, ..settings };
        let (stop, _) = watch::channel(false);
        let coordinator = Self(Arc::new(Inner {
            settings,
            workspace,
            stores,
            resolver,
            engine: Engine::start(producer),
            jobs: Mutex::default(),
            running: Mutex::default(),
            scaling,
            stop,
        }));
        let discovering = coordinator.clone();
        coordinator.spawn(async move { discovering.discover().await });
        let sweeping = coordinator.clone();
        coordinator.spawn(async move { sweeping.sweep().await });
        let watching = coordinator.clone();
        coordinator.spawn(async move { watching.watch_work().await });
        Ok(coordinator)
    }

    /// Ends all loops. Jobs stay where they are, and any coordinator goes on with them.
    pub async fn stop(&self) {
        self.0.stop.send_replace(true);
        let mut running = std::mem::take(&mut *self.running());
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            running.shutdown().await;
        }
        self.0.engine.stop();
    }

    /// Has `registry` tell what the coordinator does, and where queue and jobs stand.
    pub fn register(&self, registry: &mut Registry) {
        self.0.engine.metrics().register(registry);
        let coordinator = self.clone();
        JobViews::new(move || coordinator.views()).register(registry);
        registry.register_collector(Box::new(Wanted(self.clone())));
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.0.engine.metrics()
    }

    /// Whether the store and the queue answer; if not, what they say.
    pub async fn ready(&self) -> Result<(), String> {
        if *self.0.stop.borrow() {
            return Err(ServiceError::Stopping.to_string());
        }
        self.0.workspace.request("ready").await.map_err(|e| e.to_string())?;
        self.0.engine.producer().depth().await.map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Runs until the coordinator stops.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.0.stop.subscribe();
        let mut running = self.running();
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    fn running(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the jobs of the workspace that this coordinator does not know yet.
    async fn discover(&self) {
        loop {
            if let Err(error) = self.discover_once().await {
                tracing::warn!("cannot list the jobs of {}: {error}", self.0.workspace.uri());
            }
            tokio::time::sleep(DISCOVER_EVERY).await;
        }
    }

    /// Removes unfinished uploads of workers that were killed: nobody sees them, but they are paid for.
    async fn sweep(&self) {
        loop {
            match self.0.workspace.sweep(SWEEP_AGE).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, "removed what killed writers left half written"),
                Err(error) => tracing::warn!("cannot sweep {}: {error}", self.0.workspace.uri()),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    async fn discover_once(&self) -> Result<(), ServiceError> {
        for id in self.0.workspace.jobs().await? {
            let known = self.entries().contains_key(&id);
            if !known && let Some(request) = self.0.workspace.request(&id).await? {
                self.take_up(request).await?;
            }
        }
        Ok(())
    }

    /// The job's entry; a job that another coordinator has just taken in is taken up.
    async fn entry(&self, id: &str) -> Result<Arc<Entry>, ServiceError> {
        if *self.0.stop.borrow() {
            return Err(ServiceError::Stopping);
        }
        if let Some(entry) = self.entries().get(id) {
            return Ok(Arc::clone(entry));
        }
        let not_found = || ServiceError::NotFound { id: id.to_owned() };
        if !ask::is_job_id(id) {
            return Err(not_found());
        }
        let request = self.0.workspace.request(id).await?.ok_or_else(not_found)?;
        self.take_up(request).await
    }

    /// Where a job stands.
    pub async fn job(&self, id: &str) -> Result<JobView, ServiceError> {
        let entry = self.entry(id).await?;
        self.look_up(&entry).await?;
        Ok((**entry.view.borrow()).clone())
    }

    /// Where a job stands, and every change of it.
    pub async fn watch(&self, id: &str) -> Result<watch::Receiver<Arc<JobView>>, ServiceError> {
        let entry = self.entry(id).await?;
        self.look_up(&entry).await?;
        Ok(entry.view.subscribe())
    }

    /// The name of the token that a job came with.
    pub async fn owner(&self, id: &str) -> Result<String, ServiceError> {
        Ok(self.entry(id).await?.request.submitted_by.clone())
    }
}
