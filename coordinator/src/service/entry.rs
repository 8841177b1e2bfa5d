//! A job that this coordinator knows.

use super::{Coordinator, ServiceError};
use crate::driver::{job_tally, trace_end};
use crate::view::{JobView, Rates, StageView};
use gristmill_job::{Job, JobEvent, JobLog, JobRequest, JobState, LogEntry};
use gristmill_pipeline::Recipe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, Notify, watch};

pub(super) struct Entry {
    pub(super) request: JobRequest,
    pub(super) job: Job,
    pub(super) view: watch::Sender<Arc<JobView>>,
    /// What the log says.
    pub(super) state: watch::Sender<JobState>,
    pub(super) log: Mutex<JobLog>,
    /// Rung when this coordinator wrote to the log itself.
    pub(super) bell: Notify,
    /// Whether the view of a job that ended has been filled in from its objects.
    filled: AtomicBool,
}

impl Coordinator {
    /// Makes the job known to this coordinator and begins to work on it.
    pub(super) async fn take_up(&self, request: JobRequest) -> Result<Arc<Entry>, ServiceError> {
        let job = self.0.workspace.job(&request.job)?;
        let log = job.log().await?;
        let (view, _) = watch::channel(Arc::new(first_view(&request, &log)));
        let (state, _) = watch::channel(log.state);
        let entry = Arc::new(Entry {
            job,
            view,
            state,
            log: Mutex::new(log),
            bell: Notify::new(),
            filled: AtomicBool::new(false),
            request,
        });
        let mut entries = self.entries();
        if let Some(known) = entries.get(&entry.request.job) {
            return Ok(Arc::clone(known));
        }
        entries.insert(entry.request.job.clone(), Arc::clone(&entry));
        drop(entries);
        let (coordinator, working) = (self.clone(), Arc::clone(&entry));
        self.spawn(async move { coordinator.work(&working).await });
        Ok(entry)
    }

    /// Adds an event to a job's log.
    pub(super) async fn record(&self, entry: &Entry, event: JobEvent, by: &str) -> Result<(), ServiceError> {
        let mut log = entry.log.lock().await;
        let noted = LogEntry { event: event.clone(), at_ms: crate::now_ms(), by: by.to_owned() };
        let result = entry.job.append(&mut log, noted).await;
        entry.show(&log);
        if result.is_ok() {
            let view = entry.view.borrow();
            match &event {
                JobEvent::Done => trace_end(&view, None),
                JobEvent::Failed { reason } => trace_end(&view, Some(reason)),
                JobEvent::Cancelled { .. } => trace_end(&view, Some("cancelled")),
                _ => {}
            }
        }
        drop(log);
        entry.bell.notify_one();
        Ok(result?)
    }

    /// Reads what was added to a job's log.
    pub(super) async fn refresh(&self, entry: &Entry) -> Result<(), ServiceError> {
        let mut log = entry.log.lock().await;
        entry.job.refresh(&mut log).await?;
        entry.show(&log);
        Ok(())
    }

    /// Fills in the view of a job that nobody drives any more.
    pub(super) async fn look_up(&self, entry: &Entry) -> Result<(), ServiceError> {
        let ended = entry.state.borrow().is_final() || *entry.state.borrow() == JobState::Failed;
        if !ended || entry.filled.load(Ordering::Acquire) || !entry.view.borrow().stages.is_empty() {
            return Ok(());
        }
        let Some(plan) = entry.job.plan().await? else {
            entry.filled.store(true, Ordering::Release);
            return Ok(());
        };
        let recipe = Recipe::from_canonical(&plan.recipe)?;
        let mut committed = Vec::new();
        let mut stages = Vec::new();
        for (number, planned) in plan.stages.iter().enumerate() {
            let mut stage = StageView {
                title: plan.title(number, &recipe.steps),
                kind: planned.stage.kind(),
                tasks: planned.tasks,
                ..StageView::default()
            };
            if let Some(record) = entry.job.stage(number).await? {
                stage.commit(&record);
                committed.push(record);
            } else {
                stage.tasks_failed = entry.job.failed_tasks(number).await?.len() as u64;
            }
            stages.push(stage);
        }
        entry.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.planned = true;
            view.input_files = plan.input_files;
            view.input_bytes = plan.input_bytes;
            view.steps = recipe.steps.iter().map(|step| step.def.name).collect();
            view.tally = job_tally(&committed, None);
            view.stages = stages;
        });
        entry.filled.store(true, Ordering::Release);
        Ok(())
    }
}

impl Entry {
    /// Brings state and view up to the log.
    fn show(&self, log: &JobLog) {
        self.view.send_if_modified(|view| {
            let (ended, manifest) = end(&self.request, log);
            if view.state == log.state && view.reason == log.reason() && view.ended_ms == ended {
                return false;
            }
            let view = Arc::make_mut(view);
            view.state = log.state;
            log.reason().clone_into(&mut view.reason);
            view.ended_ms = ended;
            view.manifest = manifest;
            if log.state != JobState::Active {
                view.rates = Rates::default();
            }
            if log.state.is_final() || log.state == JobState::Failed {
                view.running.clear();
                view.stages.iter_mut().for_each(|stage| stage.tasks_running = 0);
            }
            true
        });
        self.state.send_if_modified(|state| std::mem::replace(state, log.state) != log.state);
    }

    /// Where the dataset goes, as the recipe says.
    pub(super) fn output(&self) -> &str {
        output(&self.request)
    }
}

pub(super) fn output(request: &JobRequest) -> &str {
    request.recipe.pointer("/output/path").and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// When the job ended, and its manifest.
fn end(request: &JobRequest, log: &JobLog) -> (Option<u64>, Option<String>) {
    let ended = log.state.is_final() || log.state == JobState::Failed;
    let manifest = (log.state == JobState::Done)
        .then(|| format!("{}/manifest.json", output(request).trim_end_matches('/')));
    (ended.then(|| log.since_ms()).flatten(), manifest)
}

fn first_view(request: &JobRequest, log: &JobLog) -> JobView {
    let (ended_ms, manifest) = end(request, log);
    let name = request.recipe.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
    JobView {
        state: log.state,
        reason: log.reason().to_owned(),
        priority: request.priority,
        labels: request.labels.clone(),
        submitted_ms: request.submitted_ms,
        submitted_by: request.submitted_by.clone(),
        ended_ms,
        manifest,
        ..JobView::new(&request.job, name, output(request))
    }
}
