//! What a coordinator does for each job that it knows: plan, drive, publish, clean up, as its log says.

use super::entry::Entry;
use super::{Coordinator, ServiceError};
use crate::driver::{DriveError, Driver, End};
use crate::prepare::{PrepareErrorKind, prepare};
use crate::publish::Place;
use gristmill_job::{JobError, JobEvent, JobState, Plan, Urgency, VERSION};
use gristmill_pipeline::Recipe;
use gristmill_queue::Priority;
use gristmill_storage::{Created, Kind, Uri};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a job's log is looked at for what other coordinators wrote.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// The first and the longest pause after the store or the queue did not answer.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Longer than a lease, after which no attempt of an ended job can be at work without knowing.
const CLEAR_AGAIN_AFTER: Duration = Duration::from_secs(90);
/// In the output folder: whose it is.
const CLAIM: &str = "_gristmill.json";

/// Why a job did not go on.
enum Trouble {
    /// The store or the queue does not answer: the job waits.
    Later(String),
    /// The job fails.
    Final(String),
}

impl Coordinator {
    /// Works on a job until it is done or cancelled.
    pub(super) async fn work(&self, entry: &Entry) {
        tokio::select! {
            () = self.follow_log(entry) => {}
            () = self.work_on(entry) => {}
        }
    }

    async fn follow_log(&self, entry: &Entry) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = entry.bell.notified() => {}
            }
            if let Err(error) = self.refresh(entry).await {
                tracing::warn!(job = entry.request.job, "cannot read the job's log: {error}");
            }
        }
    }

    async fn work_on(&self, entry: &Entry) {
        let mut state = entry.state.subscribe();
        let mut pause = PAUSE_MIN;
        loop {
            let now = *state.borrow_and_update();
            let result = match now {
                JobState::Active => self.go_on(entry).await,
                // What was in hand when it was paused may be the end of it, so it is followed still.
                JobState::Paused => match entry.job.plan().await {
                    Ok(Some(_)) => self.go_on(entry).await,
                    Ok(None) => Ok(()),
                    Err(error) => Err(trouble(error.is_retryable(), &error)),
                },
                JobState::Failed => Ok(()),
                JobState::Done | JobState::Cancelled => match self.clear(entry, now).await {
                    Ok(()) => return,
                    Err(error) => Err(Trouble::Later(error.to_string())),
                },
            };
            match result {
                Ok(()) => {
                    pause = PAUSE_MIN;
                    if *entry.state.borrow() == now && state.changed().await.is_err() {
                        return;
                    }
                }
                Err(Trouble::Later(why)) => {
                    tracing::warn!(job = entry.request.job, "the job waits: {why}");
                    self.0.engine.metrics().job_waits();
                    let _ = tokio::time::timeout(pause, state.changed()).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(Trouble::Final(reason)) => {
                    tracing::warn!(job = entry.request.job, "the job failed: {reason}");
                    self.note(entry, JobEvent::Failed { reason }).await;
                }
            }
        }
    }

    /// Adds what the coordinator found to the log. Another coordinator may have found it first, or an operator may have
    /// cancelled the job meanwhile: then the log says so.
    async fn note(&self, entry: &Entry, event: JobEvent) {
        if let Err(error) = self.record(entry, event, "").await
            && !matches!(error, ServiceError::Illegal(_))
        {
            tracing::warn!(job = entry.request.job, "cannot write to the job's log: {error}");
            tokio::time::sleep(PAUSE_MIN).await;
        }
    }

    /// Plans the job if that is not done, and drives it.
    async fn go_on(&self, entry: &Entry) -> Result<(), Trouble> {
        if entry.request.version != VERSION {
            return Err(Trouble::Final(format!(
                "the job was submitted to version {}, and this is {VERSION}, which might write other bytes; submit it again with another key",
                entry.request.version
            )));
        }
        let retry = |error: JobError| trouble(error.is_retryable(), &error);
        let plan = match entry.job.plan().await.map_err(retry)? {
            Some(plan) => plan,
            None => self.plan_job(entry).await?,
        };
        let recipe = Recipe::from_canonical(&plan.recipe).map_err(|e| Trouble::Final(e.to_string()))?;
        let output: Uri = entry.output().parse().map_err(|e| trouble(false, &e))?;
        let driver = Driver {
            job: entry.job.clone(),
            plan: Arc::new(plan),
            recipe,
            stores: self.0.stores.clone(),
            engine: Arc::clone(&self.0.engine),
            priority: priority(entry.request.priority),
            output,
            keep_intermediate: self.0.settings.keep_intermediate,
            view: entry.view.clone(),
        };
        match driver.run(entry.state.subscribe()).await {
            Ok(End::Done(_)) => {
                self.note(entry, JobEvent::Done).await;
                Ok(())
            }
            Ok(End::Failed(reason)) => Err(Trouble::Final(reason)),
            Ok(End::Left) => Ok(()),
            Err(error) => Err(trouble(DriveError::is_retryable(&error), &error)),
        }
    }

    async fn plan_job(&self, entry: &Entry) -> Result<Plan, Trouble> {
        let retry = |error: JobError| trouble(error.is_retryable(), &error);
        let recipe =
            Recipe::from_canonical(&entry.request.recipe).map_err(|e| Trouble::Final(e.to_string()))?;
        self.claim_output(entry).await?;
        let (inner, began) = (&self.0, Instant::now());
        let prepared = prepare(
            &inner.stores,
            &inner.resolver,
            &recipe,
            &entry.request.job,
            &inner.settings.allow,
            &inner.settings.scratch,
            None,
        )
        .await
        .map_err(|e| trouble(e.kind() == PrepareErrorKind::Retry, &e))?;
        inner.engine.metrics().planned(began.elapsed());
        // Before the plan: whoever reads that finds them.
        for name in prepared.plan.resources.keys() {
            if let Ok(resource) = prepared.resources.get(name) {
                inner.workspace.keep(resource).await.map_err(retry)?;
            }
        }
        entry.job.submit(&prepared.plan, &prepared.listing).await.map_err(retry)?;
        // If another coordinator was first, its plan counts.
        let plan = entry.job.plan().await.map_err(retry)?;
        plan.ok_or_else(|| Trouble::Later("the plan is written but cannot be read yet".to_owned()))
    }

    /// Two jobs must not write to one place: the first that claims it has it.
    async fn claim_output(&self, entry: &Entry) -> Result<(), Trouble> {
        let id = &entry.request.job;
        let output: Uri = entry.output().parse().map_err(|e| trouble(false, &e))?;
        let store = |error: gristmill_storage::StoreError| trouble(error.kind() == Kind::Retry, &error);
        let place = Place::open(&self.0.stores, &output).map_err(store)?;
        let (claim, manifest) = (place.key(CLAIM), place.key("manifest.json"));
        let taken = |by: &str| {
            Trouble::Final(format!(
                "{output} holds {by}; choose another output, cancel that job, or delete what is there"
            ))
        };
        let unclaimed = match place.store().get(&claim, None).await {
            Ok(_) => false,
            Err(error) if error.kind() == Kind::NotFound => true,
            Err(error) => return Err(store(error)),
        };
        if unclaimed {
            match place.store().stat(&manifest).await {
                Ok(_) => return Err(taken("a dataset that this job did not write")),
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(store(error)),
            }
            let mine = serde_json::json!({ "job": id, "workspace": self.0.workspace.uri().to_string() });
            if place.store().create(&claim, mine.to_string().into()).await.map_err(store)? == Created::New {
                return Ok(());
            }
        }
        let bytes = place.store().get(&claim, None).await.map_err(store)?;
        let claimed: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match claimed.get("job").and_then(serde_json::Value::as_str) {
            Some(job) if job == id => Ok(()),
            Some(job) => Err(taken(&format!("the output of job {job}"))),
            None => Err(taken("something that is no dataset of gristmill")),
        }
    }

    /// A cancelled job that published nothing gives its output up, for the next try to write there.
    async fn give_up_output(&self, entry: &Entry) -> Result<(), ServiceError> {
        let Ok(output) = entry.output().parse::<Uri>() else { return Ok(()) };
        let place = Place::open(&self.0.stores, &output).map_err(JobError::from)?;
        let claim = place.key(CLAIM);
        let claimed: serde_json::Value = match place.store().get(&claim, None).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            Err(error) => return Err(JobError::from(error).into()),
        };
        let mine = claimed.get("job").and_then(serde_json::Value::as_str) == Some(&entry.request.job);
        let data = place.store().list_page(&place.key("data/"), None, 1).await.map_err(JobError::from)?;
        if mine && data.entries.is_empty() {
            place.store().delete(&[claim]).await.map_err(JobError::from)?;
        }
        Ok(())
    }

    /// Deletes what a job that ended leaves behind: its tasks in the queue, and the files that passes exchanged. An
    /// attempt that is running still learns from its next heartbeat that it is not wanted; what it writes until then
    /// goes in a second round.
    async fn clear(&self, entry: &Entry, state: JobState) -> Result<(), ServiceError> {
        if entry.job.is_cleared().await? {
            return Ok(());
        }
        if state == JobState::Cancelled {
            self.give_up_output(entry).await?;
        }
        for pause in [CLEAR_AGAIN_AFTER, Duration::ZERO] {
            self.0.engine.producer().forget_job(&entry.request.job).await?;
            if state == JobState::Cancelled || !self.0.settings.keep_intermediate {
                entry.job.clear_data().await?;
            }
            tokio::time::sleep(pause).await;
        }
        entry.job.set_cleared().await?;
        Ok(())
    }
}

fn trouble(retryable: bool, error: &dyn std::error::Error) -> Trouble {
    if retryable { Trouble::Later(error.to_string()) } else { Trouble::Final(error.to_string()) }
}

fn priority(urgency: Urgency) -> Priority {
    match urgency {
        Urgency::High => Priority::High,
        Urgency::Normal => Priority::Normal,
        Urgency::Low => Priority::Low,
    }
}
