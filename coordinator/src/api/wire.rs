//! The only place where views become messages, and messages become what a coordinator is asked.

use crate::service::{JobFilter, Planned, ServiceError};
use crate::view::{JobView, Rates, RunningView, StageView, TaskState, TaskView};
use gristmill_job::{AttemptFailure, JobState, Urgency};
use gristmill_pipeline::Tally;
use gristmill_pipeline::stage::Stage;
use gristmill_proto::v1;
use prost_types::Timestamp;

impl From<&JobView> for v1::Job {
    fn from(view: &JobView) -> Self {
        Self {
            id: view.id.clone(),
            name: view.name.clone(),
            state: job_state(view).into(),
            reason: view.reason.clone(),
            priority: priority(view.priority).into(),
            labels: view.labels.clone().into_iter().collect(),
            output: view.output.clone(),
            submitted_at: Some(timestamp(view.submitted_ms)),
            submitted_by: view.submitted_by.clone(),
            ended_at: view.ended_ms.map(timestamp),
            stages: view.stages.iter().zip(0..).map(|(stage, number)| stage.message(number)).collect(),
            documents: Some(tally(&view.tally)),
            rates: Some(view.rates.into()),
            running: view.running.iter().map(Into::into).collect(),
            recent_failures: view.recent_failures.iter().map(failure).collect(),
            manifest: view.manifest.clone().unwrap_or_default(),
            input_files: view.input_files,
            input_bytes: view.input_bytes,
        }
    }
}

impl StageView {
    fn message(&self, number: u32) -> v1::Stage {
        v1::Stage {
            number,
            title: self.title.clone(),
            tasks: self.tasks,
            tasks_done: self.tasks_done,
            tasks_failed: self.tasks_failed,
            committed: self.committed,
            documents: Some(tally(&self.tally)),
        }
    }
}

impl From<Rates> for v1::Rates {
    fn from(rates: Rates) -> Self {
        Self {
            documents_per_second: rates.documents_per_second,
            tasks_per_second: rates.tasks_per_second,
            stage_seconds_left: rates.stage_seconds_left,
        }
    }
}

impl From<&RunningView> for v1::Attempt {
    fn from(view: &RunningView) -> Self {
        Self {
            stage: view.stage as u32,
            task: view.task,
            attempt: view.attempt,
            worker: view.worker.clone(),
            running_seconds: view.running_seconds,
            idle_seconds: view.idle_seconds,
            documents_seen: view.seen,
            documents_kept: view.kept,
        }
    }
}

impl From<&TaskView> for v1::Task {
    fn from(view: &TaskView) -> Self {
        Self {
            stage: view.stage as u32,
            number: view.task,
            state: v1::TaskState::from(view.state).into(),
            running: view.running.as_ref().map(Into::into),
            reason: view.reason.clone(),
            failures: view.failures.iter().map(failure).collect(),
            documents: view.tally.as_ref().map(tally),
        }
    }
}

impl From<TaskState> for v1::TaskState {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Waiting => Self::Waiting,
            TaskState::Running => Self::Running,
            TaskState::Done => Self::Done,
            TaskState::Failed => Self::Failed,
        }
    }
}

impl From<&Planned> for v1::PlanJobResponse {
    fn from(planned: &Planned) -> Self {
        let Planned { plan, recipe } = planned;
        let steps = |stage: &Stage| match stage {
            Stage::Map(map) => recipe.steps.get(map.steps.clone()).unwrap_or_default(),
            _ => &[],
        };
        let stages = plan.stages.iter().enumerate().map(|(number, stage)| v1::PlannedStage {
            number: number as u32,
            title: plan.title(number, &recipe.steps),
            tasks: stage.tasks,
            steps: steps(&stage.stage).iter().map(|spec| spec.def.name.to_owned()).collect(),
        });
        let resources = plan.resources.iter().map(|(name, resource)| v1::PlannedResource {
            name: name.clone(),
            found: resource.candidate.clone(),
            sha256: resource.sha256.clone(),
            bytes: resource.bytes,
        });
        Self {
            input_files: plan.input_files,
            input_bytes: plan.input_bytes,
            stages: stages.collect(),
            resources: resources.collect(),
        }
    }
}

fn job_state(view: &JobView) -> v1::JobState {
    match view.state {
        JobState::Active if view.planned => v1::JobState::Running,
        JobState::Active => v1::JobState::Planning,
        JobState::Paused => v1::JobState::Paused,
        JobState::Failed => v1::JobState::Failed,
        JobState::Done => v1::JobState::Done,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

fn priority(urgency: Urgency) -> v1::Priority {
    match urgency {
        Urgency::High => v1::Priority::High,
        Urgency::Normal => v1::Priority::Normal,
        Urgency::Low => v1::Priority::Low,
    }
}

fn tally(tally: &Tally) -> v1::Tally {
    v1::Tally {
        seen: tally.seen,
        kept: tally.kept,
        made: tally.made,
        dropped: tally.dropped.clone().into_iter().collect(),
        broken: tally.broken.clone().into_iter().collect(),
        skipped: tally.skipped.clone().into_iter().collect(),
        extracted_by: tally.extracted_by.clone().into_iter().collect(),
    }
}

fn failure(failure: &AttemptFailure) -> v1::AttemptFailure {
    v1::AttemptFailure {
        stage: failure.stage as u32,
        task: failure.task,
        attempt: failure.attempt,
        worker: failure.worker.clone(),
        at: Some(timestamp(failure.at_ms)),
        error: failure.error.clone(),
    }
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp { seconds: (ms / 1000) as i64, nanos: (ms % 1000 * 1_000_000) as i32 }
}

/// Number on the wire → how urgent a job is.
pub(super) fn urgency(number: i32) -> Result<Urgency, ServiceError> {
    match v1::Priority::try_from(number) {
        Ok(v1::Priority::High) => Ok(Urgency::High),
        Ok(v1::Priority::Normal | v1::Priority::Unspecified) => Ok(Urgency::Normal),
        Ok(v1::Priority::Low) => Ok(Urgency::Low),
        Err(_) => Err(unknown("priority", number)),
    }
}

/// Numbers on the wire → which jobs to list.
pub(super) fn job_filters(numbers: &[i32]) -> Result<Vec<JobFilter>, ServiceError> {
    let filter = |&number: &i32| match v1::JobState::try_from(number) {
        Ok(v1::JobState::Planning) => Ok(JobFilter::Planning),
        Ok(v1::JobState::Running) => Ok(JobFilter::Running),
        Ok(v1::JobState::Paused) => Ok(JobFilter::In(JobState::Paused)),
        Ok(v1::JobState::Done) => Ok(JobFilter::In(JobState::Done)),
        Ok(v1::JobState::Failed) => Ok(JobFilter::In(JobState::Failed)),
        Ok(v1::JobState::Cancelled) => Ok(JobFilter::In(JobState::Cancelled)),
        Ok(v1::JobState::Unspecified) | Err(_) => Err(unknown("states", number)),
    };
    numbers.iter().map(filter).collect()
}

/// Numbers on the wire → which tasks to list.
pub(super) fn task_states(numbers: &[i32]) -> Result<Vec<TaskState>, ServiceError> {
    let state = |&number: &i32| match v1::TaskState::try_from(number) {
        Ok(v1::TaskState::Waiting) => Ok(TaskState::Waiting),
        Ok(v1::TaskState::Running) => Ok(TaskState::Running),
        Ok(v1::TaskState::Done) => Ok(TaskState::Done),
        Ok(v1::TaskState::Failed) => Ok(TaskState::Failed),
        Ok(v1::TaskState::Unspecified) | Err(_) => Err(unknown("states", number)),
    };
    numbers.iter().map(state).collect()
}

fn unknown(field: &'static str, number: i32) -> ServiceError {
    ServiceError::Invalid { field, why: format!("this coordinator knows no value {number} here") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_active_job_is_planned_first() {
        let check = |state: JobState, planned: bool, expected: v1::JobState| {
            let view = JobView { state, planned, ..JobView::new("j", "n", "/out") };
            assert_eq!(v1::Job::from(&view).state(), expected);
        };
        check(JobState::Active, false, v1::JobState::Planning);
        check(JobState::Active, true, v1::JobState::Running);
        check(JobState::Paused, false, v1::JobState::Paused);
        check(JobState::Failed, true, v1::JobState::Failed);
        check(JobState::Done, true, v1::JobState::Done);
        check(JobState::Cancelled, false, v1::JobState::Cancelled);
    }

    #[test]
    fn a_view_is_told_whole() {
        let mut documents = Tally { seen: 7, kept: 4, ..Tally::default() };
        documents.dropped.insert("language_filter: other".to_owned(), 2);
        documents.broken.insert("poison".to_owned(), 1);
        let running = RunningView {
            stage: 1,
            task: 9,
            attempt: 2,
            worker: "w".to_owned(),
            running_seconds: 1.5,
            idle_seconds: 0.5,
            seen: 3,
            kept: 2,
        };
        let view = JobView {
            submitted_ms: 1_700_000_000_123,
            ended_ms: Some(1_700_000_001_000),
            labels: [("crawl".to_owned(), "2024".to_owned())].into(),
            priority: Urgency::High,
            stages: vec![StageView::default(), StageView { tasks: 5, tasks_done: 2, ..StageView::default() }],
            tally: documents,
            rates: Rates { stage_seconds_left: Some(3.0), ..Rates::default() },
            running: vec![running],
            ..JobView::new("j", "n", "/out")
        };
        let job = v1::Job::from(&view);
        assert_eq!(job.submitted_at, Some(Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }));
        assert_eq!(job.ended_at, Some(Timestamp { seconds: 1_700_000_001, nanos: 0 }));
        assert_eq!(job.labels.get("crawl").map(String::as_str), Some("2024"));
        assert_eq!(job.priority(), v1::Priority::High);
        assert_eq!(job.stages.iter().map(|s| (s.number, s.tasks_done)).collect::<Vec<_>>(), [(0, 0), (1, 2)]);
        let told = job.documents.expect("documents");
        let sum = told.kept + told.dropped.values().sum::<u64>() + told.broken.values().sum::<u64>();
        assert_eq!((told.seen, sum), (7, 7));
        assert_eq!(job.running.first().map(|a| (a.stage, a.task, a.documents_seen)), Some((1, 9, 3)));
        assert_eq!(job.rates.and_then(|r| r.stage_seconds_left), Some(3.0));
    }

    #[test]
    fn numbers_that_mean_nothing_are_refused() {
        assert_eq!(urgency(0).ok(), Some(Urgency::Normal));
        assert_eq!(urgency(v1::Priority::Low.into()).ok(), Some(Urgency::Low));
        assert!(urgency(9).is_err());
        assert_eq!(job_filters(&[1, 2]).ok(), Some(vec![JobFilter::Planning, JobFilter::Running]));
        assert!(job_filters(&[0]).is_err());
        assert_eq!(task_states(&[4]).ok(), Some(vec![TaskState::Failed]));
        assert!(task_states(&[5]).is_err());
    }
}
