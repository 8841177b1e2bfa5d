//! The tasks of a job, as objects and queue have them.

use super::ask::Page;
use super::entry::Entry;
use super::{Coordinator, ServiceError};
use crate::driver::running_view;
use crate::view::{RunningView, TaskState, TaskView};
use gristmill_job::{PAGE_TASKS, TaskRecord, pages, tasks_of_page};
use std::collections::{BTreeMap, BTreeSet};

/// Running attempts asked about at once.
const ASKED_MAX: usize = 20_000;

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    pub job: String,
    /// None: of the stage that runs, or ran last.
    pub stage: Option<usize>,
    /// Tasks in one of these states; none means all.
    pub states: Vec<TaskState>,
    /// How many at most.
    pub size: usize,
    /// As the page before gave it; empty for the first.
    pub token: String,
}

impl Coordinator {
    /// The tasks of a stage, by number.
    pub async fn tasks(&self, query: &TaskQuery) -> Result<Page<TaskView>, ServiceError> {
        let entry = self.entry(&query.job).await?;
        let Some(plan) = entry.job.plan().await? else {
            return Ok(Page { items: Vec::new(), next: String::new() });
        };
        let stage = match query.stage {
            Some(stage) if stage < plan.stages.len() => stage,
            Some(stage) => {
                let why = format!("the job has stages 0 to {}, and no {stage}", plan.stages.len() - 1);
                return Err(ServiceError::Invalid { field: "stage", why });
            }
            None => self.stage_at_work(&entry, plan.stages.len()).await?,
        };
        let from: u64 = match query.token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| ServiceError::Invalid {
                field: "page_token",
                why: "it is not one that a page of tasks gave".to_owned(),
            })?,
        };
        let tasks = plan.stages.get(stage).map_or(0, |s| s.tasks);
        let mut look = Look::new(self, &entry, stage, tasks).await?;
        let mut items = Vec::new();
        let mut task = from;
        while task < tasks && items.len() < query.size {
            let (found, next) = look.next(task, &query.states).await?;
            items.extend(found);
            task = next;
        }
        for item in &mut items {
            if item.state != TaskState::Done {
                item.failures = entry.job.failures(stage, item.task).await?;
            }
        }
        Ok(Page { items, next: if task < tasks { task.to_string() } else { String::new() } })
    }

    async fn stage_at_work(&self, entry: &Entry, stages: usize) -> Result<usize, ServiceError> {
        for stage in 0..stages {
            if entry.job.stage(stage).await?.is_none() {
                return Ok(stage);
            }
        }
        Ok(stages.saturating_sub(1))
    }
}

/// One look at a stage: what runs and what failed, and the records of the page in hand.
struct Look<'a> {
    entry: &'a Entry,
    stage: usize,
    tasks: u64,
    running: BTreeMap<u64, RunningView>,
    failed: BTreeSet<u64>,
    /// Number, records if the page is written, else the tasks of it that are done.
    page: Option<(u64, Option<Vec<TaskRecord>>, BTreeSet<u64>)>,
}

impl<'a> Look<'a> {
    async fn new(
        coordinator: &Coordinator,
        entry: &'a Entry,
        stage: usize,
        tasks: u64,
    ) -> Result<Self, ServiceError> {
        let id = &entry.request.job;
        let running = coordinator.0.engine.producer().running(Some(id), ASKED_MAX).await?;
        let running = running.into_iter().filter_map(|r| running_view(r, id));
        let running = running.filter(|r| r.stage == stage).map(|r| (r.task, r)).collect();
        let failed = entry.job.failed_tasks(stage).await?.into_iter().collect();
        Ok(Self { entry, stage, tasks, running, failed, page: None })
    }

    /// The first task from `task` on that is in one of `states`, and where to look next. A page at a time, so that a
    /// look for what runs passes over a page that is done at once.
    async fn next(
        &mut self,
        task: u64,
        states: &[TaskState],
    ) -> Result<(Option<TaskView>, u64), ServiceError> {
        let wanted = |state| states.is_empty() || states.contains(&state);
        if !wanted(TaskState::Done) && !wanted(TaskState::Waiting) {
            // Only tasks that are known by name.
            let running = self.running.range(task..).next().map(|(task, _)| *task);
            let failed = self.failed.range(task..).next().copied();
            let running = running.filter(|_| wanted(TaskState::Running));
            let failed = failed.filter(|_| wanted(TaskState::Failed));
            let Some(next) = running.into_iter().chain(failed).min() else { return Ok((None, self.tasks)) };
            let view = self.view(next).await?;
            return Ok((Some(view).filter(|view| wanted(view.state)), next + 1));
        }
        let number = task / PAGE_TASKS;
        self.open_page(number).await?;
        let all_done = self.page.as_ref().is_some_and(|(_, records, _)| records.is_some());
        if all_done && !wanted(TaskState::Done) {
            return Ok((None, tasks_of_page(number, self.tasks).end));
        }
        let view = self.view(task).await?;
        Ok((Some(view).filter(|view| wanted(view.state)), task + 1))
    }

    async fn open_page(&mut self, number: u64) -> Result<(), ServiceError> {
        if self.page.as_ref().is_some_and(|(open, ..)| *open == number) {
            return Ok(());
        }
        debug_assert!(number < pages(self.tasks));
        let records = self.entry.job.page(self.stage, number).await?;
        let done = match &records {
            Some(_) => BTreeSet::new(),
            None => self.entry.job.done_tasks(self.stage, number).await?.into_iter().collect(),
        };
        self.page = Some((number, records, done));
        Ok(())
    }

    async fn view(&mut self, task: u64) -> Result<TaskView, ServiceError> {
        self.open_page(task / PAGE_TASKS).await?;
        let record = match &self.page {
            Some((_, Some(records), _)) => records.iter().find(|record| record.task == task).cloned(),
            Some((_, None, done)) if done.contains(&task) => self.entry.job.record(self.stage, task).await?,
            _ => None,
        };
        let failed = if self.failed.contains(&task) {
            self.entry.job.failed_task(self.stage, task).await?
        } else {
            None
        };
        let running = self.running.get(&task).cloned();
        let state = match (&record, &failed, &running) {
            (Some(_), ..) => TaskState::Done,
            (None, Some(_), _) => TaskState::Failed,
            (None, None, Some(_)) => TaskState::Running,
            (None, None, None) => TaskState::Waiting,
        };
        Ok(TaskView {
            stage: self.stage,
            task,
            state,
            running: running.filter(|_| state == TaskState::Running),
            reason: failed.filter(|_| state == TaskState::Failed).map(|f| f.reason).unwrap_or_default(),
            failures: Vec::new(),
            tally: record.map(|record| record.tally),
        })
    }
}
