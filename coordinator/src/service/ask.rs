//! What a coordinator can be asked about jobs.

use super::entry::Entry;
use super::{Coordinator, ServiceError};
use crate::index::pin;
use crate::now_ms;
use crate::prepare::prepare;
use crate::view::JobView;
use gristmill_job::lifecycle::apply;
use gristmill_job::{JobEvent, JobRequest, JobState, Plan, Urgency, VERSION, job_id};
use gristmill_pipeline::Recipe;
use gristmill_queue::TaskId;
use gristmill_storage::Created;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest job id: a slug, a dash and a digest.
const ID_MAX: usize = 64;
/// Dead letters read at once.
const LETTERS: usize = 256;

/// A job as a client hands it in.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// YAML.
    pub recipe: String,
    /// `key.path=value`.
    pub overrides: Vec<String>,
    pub priority: Urgency,
    pub labels: BTreeMap<String, String>,
    /// Part of the job's identity; may be empty.
    pub key: String,
    /// The name of the token that it comes with.
    pub by: String,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// How many at most.
    pub size: usize,
    /// As the page before gave it; empty for the first.
    pub token: String,
    /// Jobs that have all of these.
    pub labels: BTreeMap<String, String>,
    /// Jobs for which one of these holds; none means all.
    pub states: Vec<JobFilter>,
}

/// A state as clients see it: an active job is being planned or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFilter {
    Planning,
    Running,
    In(JobState),
}

/// Some of many.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; empty on the last.
    pub next: String,
}

/// What a job would do.
pub struct Planned {
    pub plan: Plan,
    pub recipe: Recipe,
}

impl JobFilter {
    fn holds(self, view: &JobView) -> bool {
        match self {
            Self::Planning => view.state == JobState::Active && !view.planned,
            Self::Running => view.state == JobState::Active && view.planned,
            Self::In(state) => view.state == state,
        }
    }
}

/// Whether such an id can exist: whatever else is asked for is not looked for in the workspace.
pub(super) fn is_job_id(id: &str) -> bool {
    (1..=ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Coordinator {
    /// Takes a job in. What can be known without listing its input is checked first. Says whether it is new.
    pub async fn submit(&self, submission: Submission) -> Result<(JobView, bool), ServiceError> {
        let recipe = Recipe::parse(&submission.recipe, &submission.overrides)?;
        self.check(&recipe)?;
        let output = recipe.head.output.path.clone().unwrap_or_default();
        if output.is_empty() {
            let why = "the recipe names no output; add `output: {path: …}` or give --output".to_owned();
            return Err(ServiceError::Invalid { field: "recipe", why });
        }
        let job = job_id(&recipe, &[&output, &submission.key]);
        let workspace = &self.0.workspace;
        // A request that is there counts as it is, with the generations of indexes that it was pinned to.
        let new = workspace.request(&job).await?.is_none() && self.request(&job, recipe, submission).await?;
        let entry = self.entry(&job).await?;
        self.look_up(&entry).await?;
        Ok((entry.snapshot(), new))
    }

    /// Writes a job's request. Says whether this one is what is stored.
    async fn request(&self, job: &str, recipe: Recipe, submission: Submission) -> Result<bool, ServiceError> {
        let recipe = pin(&self.0.stores, recipe, None).await?;
        let workspace = &self.0.workspace;
        if !submission.key.is_empty() {
            let bound = workspace.bind_key(&submission.key, job).await?;
            if bound != job {
                return Err(ServiceError::KeyTaken { key: submission.key, job: bound });
            }
        }
        let request = JobRequest {
            job: job.to_owned(),
            version: VERSION.to_owned(),
            recipe: recipe.canonical,
            priority: submission.priority,
            labels: submission.labels,
            submitted_ms: now_ms(),
            submitted_by: submission.by,
        };
        // Of two coordinators that are asked at once one decides. Where only the answer was lost, what is stored tells.
        Ok(workspace.submit(&request).await? == Created::New
            || workspace.request(job).await? == Some(request))
    }

    /// What a job would do, without running it.
    pub async fn plan(&self, recipe: &str, overrides: &[String]) -> Result<Planned, ServiceError> {
        let recipe = Recipe::parse(recipe, overrides)?;
        self.check(&recipe)?;
        let output = recipe.head.output.path.clone().unwrap_or_default();
        let inner = &self.0;
        let job = job_id(&recipe, &[&output, ""]);
        let recipe = pin(&self.0.stores, recipe, None).await?;
        let prepared = prepare(
            &inner.stores,
            &inner.resolver,
            &recipe,
            &job,
            &inner.settings.allow,
            &inner.settings.scratch,
            None,
        )
        .await?;
        Ok(Planned { plan: prepared.plan, recipe })
    }

    fn check(&self, recipe: &Recipe) -> Result<(), ServiceError> {
        self.0.settings.allow.check_recipe(recipe)?;
        Ok(())
    }

    /// Jobs, the latest first. Without running attempts and failures.
    pub async fn jobs(&self, query: &JobQuery) -> Result<Page<JobView>, ServiceError> {
        let mut entries: Vec<Arc<Entry>> = self.entries().values().map(Arc::clone).collect();
        let place =
            |entry: &Entry| format!("{:016x}-{}", u64::MAX - entry.request.submitted_ms, entry.request.job);
        entries.sort_by_cached_key(|entry| place(entry));
        let mut items = Vec::new();
        let mut rest = entries.into_iter().filter(|entry| place(entry) > query.token).peekable();
        let mut last = String::new();
        while items.len() < query.size
            && let Some(entry) = rest.next()
        {
            last = place(&entry);
            let has = |(key, value): (&String, &String)| entry.request.labels.get(key) == Some(value);
            if !query.labels.iter().all(has) {
                continue;
            }
            self.look_up(&entry).await?;
            let mut view = entry.snapshot();
            if query.states.is_empty() || query.states.iter().any(|filter| filter.holds(&view)) {
                view.running.clear();
                view.recent_failures.clear();
                items.push(view);
            }
        }
        Ok(Page { items, next: if rest.peek().is_some() { last } else { String::new() } })
    }

    /// Hands out no further task of a job.
    pub async fn pause(&self, id: &str, by: &str) -> Result<JobView, ServiceError> {
        self.tell(id, JobEvent::Paused, by).await
    }

    /// Goes on with a paused job.
    pub async fn resume(&self, id: &str, by: &str) -> Result<JobView, ServiceError> {
        self.tell(id, JobEvent::Resumed, by).await
    }

    /// Ends a job for good.
    pub async fn cancel(&self, id: &str, by: &str, reason: &str) -> Result<JobView, ServiceError> {
        let reason = match (reason, by) {
            ("", "") => "cancelled".to_owned(),
            ("", by) => format!("cancelled by {by}"),
            (reason, _) => reason.to_owned(),
        };
        self.tell(id, JobEvent::Cancelled { reason }, by).await
    }

    /// Gives the failed tasks of a job a new budget of attempts. Says how many there were.
    pub async fn retry(&self, id: &str, by: &str) -> Result<(JobView, u64), ServiceError> {
        let entry = self.entry(id).await?;
        self.refresh(&entry).await?;
        apply(*entry.state.borrow(), &JobEvent::Retried)?;
        let mut tasks = 0;
        if let Some(plan) = entry.job.plan().await? {
            for stage in 0..plan.stages.len() {
                tasks += entry.job.failed_tasks(stage).await?.len() as u64;
                entry.job.forget_failed(stage).await?;
            }
        }
        let producer = self.0.engine.producer();
        let mut after: Option<TaskId> = None;
        loop {
            let page = producer.dead_letters(id, after.as_ref(), LETTERS).await?;
            let ids: Vec<TaskId> = page.letters.into_iter().map(|letter| letter.task.id).collect();
            producer.revive(&ids).await?;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.record(&entry, JobEvent::Retried, by).await?;
        Ok((entry.snapshot(), tasks))
    }

    async fn tell(&self, id: &str, event: JobEvent, by: &str) -> Result<JobView, ServiceError> {
        let entry = self.entry(id).await?;
        self.record(&entry, event, by).await?;
        self.look_up(&entry).await?;
        Ok(entry.snapshot())
    }
}

impl Entry {
    fn snapshot(&self) -> JobView {
        (**self.view.borrow()).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_cannot_exist_are_not_looked_for() {
        for (id, expected) in [
            ("my-data-0123456789ab", true),
            ("", false),
            ("../../secrets", false),
            ("a/b", false),
            ("ä", false),
        ] {
            assert_eq!(is_job_id(id), expected, "{id}");
        }
        assert!(!is_job_id(&"a".repeat(65)));
    }
}
