//! Where jobs stand, for Prometheus: made of the views that watchers see, when somebody asks.
//!
//! Bounded. Series are told of jobs that go on or have failed and of those that ended within [`TOLD_FOR`], of the [`JOBS_MAX`] youngest of
//! them; of each of their stages, [`REASONS_MAX`] reasons, the rarer ones together as `other`. A job's stages and steps are
//! its recipe's.

use super::{counters, gauges};
use crate::view::{JobView, StageView};
use gristmill_job::{JobState, Urgency};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long series of a job that ended are still told.
const TOLD_FOR: Duration = Duration::from_mins(15);
/// Jobs of which series are told.
const JOBS_MAX: usize = 100;
/// Reasons of one stage that are told apart.
const REASONS_MAX: usize = 100;
/// Of names that users choose.
const NAME_MAX: usize = 100;
const OTHER: &str = "other";

/// Gives the views of the jobs that a process knows.
pub struct JobViews(Box<dyn Fn() -> Vec<Arc<JobView>> + Send + Sync>);

impl JobViews {
    pub fn new(views: impl Fn() -> Vec<Arc<JobView>> + Send + Sync + 'static) -> Self {
        Self(Box::new(views))
    }

    /// Has `registry` tell where the jobs stand.
    pub fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl fmt::Debug for JobViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobViews")
    }
}

impl Collector for JobViews {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        encode(encoder, (self.0)(), crate::now_ms())
    }
}

fn encode(mut encoder: DescriptorEncoder, views: Vec<Arc<JobView>>, now_ms: u64) -> fmt::Result {
    let count = |state: JobState| views.iter().filter(|view| view.state == state).count() as f64;
    let states = STATES.map(|state| ([("state", state_name(state))], count(state)));
    gauges(&mut encoder, "gristmill_jobs", "Jobs that this workspace holds", None, states)?;

    let told = told(views, now_ms);
    jobs(&mut encoder, &told)?;
    let stages: Vec<(&str, String, &StageView, &JobView)> = told
        .iter()
        .flat_map(|view| {
            let stages = view.stages.iter().enumerate();
            stages.map(|(number, stage)| (view.id.as_str(), number.to_string(), stage, &**view))
        })
        .collect();
    stage_tasks(&mut encoder, &stages)?;
    // A stage of which nothing is known yet tells nothing: counters that begin at zero again would look like work done anew.
    let begun: Vec<_> = stages.into_iter().filter(|(_, _, stage, _)| stage.tasks_done > 0).collect();
    documents(&mut encoder, &begun)
}

/// A job's id, the stage's number, the stage, the job.
type Stage<'a> = (&'a str, String, &'a StageView, &'a JobView);

fn jobs(encoder: &mut DescriptorEncoder, told: &[Arc<JobView>]) -> fmt::Result {
    let each = || told.iter().map(|view| (view.id.as_str(), view));
    let info = each().map(|(job, view)| {
        let priority = match view.priority {
            Urgency::High => "high",
            Urgency::Normal => "normal",
            Urgency::Low => "low",
        };
        ([("job_id", job), ("name", short(&view.name)), ("priority", priority)], 1.0)
    });
    gauges(encoder, "gristmill_job_info", "What a job is called", None, info)?;
    let states = each().flat_map(|(job, view)| {
        let is = |state| f64::from(u8::from(view.state == state));
        STATES.map(|state| ([("job_id", job), ("state", state_name(state))], is(state)))
    });
    gauges(encoder, "gristmill_job_state", "1 for the state that a job is in", None, states)?;
    let submitted = each().map(|(job, view)| ([("job_id", job)], view.submitted_ms as f64 / 1000.0));
    let help = "When a job was submitted, since 1970";
    gauges(encoder, "gristmill_job_submitted_timestamp", help, Some(&Unit::Seconds), submitted)?;

    let planned = || each().filter(|(_, view)| view.planned);
    let bytes = planned().map(|(job, view)| ([("job_id", job)], view.input_bytes as f64));
    let help = "The input that a job was planned for, as stored";
    gauges(encoder, "gristmill_job_input", help, Some(&Unit::Bytes), bytes)?;
    let files = planned().map(|(job, view)| ([("job_id", job)], view.input_files as f64));
    gauges(encoder, "gristmill_job_input_files", "Files that a job was planned for", None, files)?;
    let progress = planned().filter_map(|(job, view)| {
        let tasks: u64 = view.stages.iter().map(|stage| stage.tasks).sum();
        let done: u64 = view.stages.iter().map(|stage| stage.tasks_done).sum();
        (tasks > 0).then(|| ([("job_id", job)], done as f64 / tasks as f64))
    });
    let help = "Tasks of a job that are done, of those of all its stages";
    gauges(encoder, "gristmill_job_progress_ratio", help, None, progress)?;

    let running = || planned().filter(|(_, view)| view.state == JobState::Active);
    let documents = running().map(|(job, view)| ([("job_id", job)], view.rates.documents_per_second));
    let help = "How fast the stage that runs reads documents";
    gauges(encoder, "gristmill_job_documents_per_second", help, None, documents)?;
    let tasks = running().map(|(job, view)| ([("job_id", job)], view.rates.tasks_per_second));
    let help = "How fast tasks of the stage that runs are done";
    gauges(encoder, "gristmill_job_tasks_per_second", help, None, tasks)?;
    let left = running().filter_map(|(job, view)| Some(([("job_id", job)], view.rates.stage_seconds_left?)));
    let help = "When the stage that runs will be done, at its present pace";
    gauges(encoder, "gristmill_job_stage_remaining", help, Some(&Unit::Seconds), left)
}

fn stage_tasks(encoder: &mut DescriptorEncoder, stages: &[Stage]) -> fmt::Result {
    let info = stages.iter().map(|(job, number, stage, _)| {
        ([("job_id", *job), ("stage", number), ("kind", stage.kind), ("title", short(&stage.title))], 1.0)
    });
    gauges(encoder, "gristmill_job_stage_info", "What a stage does", None, info)?;
    let tasks = stages.iter().flat_map(|(job, number, stage, _)| {
        let known = stage.tasks_done + stage.tasks_failed + stage.tasks_running;
        let waiting = stage.tasks.saturating_sub(known);
        let states = [
            ("waiting", waiting),
            ("running", stage.tasks_running),
            ("done", stage.tasks_done),
            ("failed", stage.tasks_failed),
        ];
        states.map(|(state, tasks)| ([("job_id", *job), ("stage", number), ("state", state)], tasks as f64))
    });
    gauges(encoder, "gristmill_job_stage_tasks", "Tasks of a stage, by where they are", None, tasks)
}

fn documents(encoder: &mut DescriptorEncoder, stages: &[Stage]) -> fmt::Result {
    type Count = fn(&StageView) -> u64;
    let bytes: [(&str, &str, Count); 2] = [
        ("gristmill_job_read", "Stored bytes of what done tasks read", |stage| stage.read_bytes),
        ("gristmill_job_written", "Stored bytes of the files that done tasks left", |stage| {
            stage.written_bytes
        }),
    ];
    for (name, help, count) in bytes {
        let samples = stages
            .iter()
            .map(|(job, number, stage, _)| ([("job_id", *job), ("stage", number.as_str())], count(stage)));
        counters(encoder, name, help, Some(&Unit::Bytes), samples)?;
    }
    let documents: [(&str, &str, Count); 3] = [
        ("gristmill_job_documents_in", "Documents that done tasks read", |stage| stage.tally.seen),
        ("gristmill_job_documents_made", "Further documents made of those", |stage| stage.tally.made),
        ("gristmill_job_documents_kept", "Documents that done tasks kept", |stage| stage.tally.kept),
    ];
    for (name, help, count) in documents {
        let samples = stages
            .iter()
            .map(|(job, number, stage, _)| ([("job_id", *job), ("stage", number.as_str())], count(stage)));
        counters(encoder, name, help, None, samples)?;
    }

    let mut samples = Vec::new();
    for (job, number, stage, _) in stages {
        for (reason, documents) in told_apart(&stage.tally.dropped) {
            let (step, reason) = reason.split_once(": ").unwrap_or((reason, ""));
            samples.push((
                [("job_id", *job), ("stage", number), ("step", step), ("reason", short(reason))],
                documents,
            ));
        }
    }
    let help = "Documents that a step dropped, by reason";
    counters(encoder, "gristmill_job_documents_dropped", help, None, samples)?;
    let mut samples = Vec::new();
    for (job, number, stage, _) in stages {
        for (reason, documents) in told_apart(&stage.tally.broken) {
            samples.push(([("job_id", *job), ("stage", number), ("reason", short(reason))], documents));
        }
    }
    let help = "Documents that are broken, by reason";
    counters(encoder, "gristmill_job_documents_broken", help, None, samples)?;
    let mut samples = Vec::new();
    for (job, number, stage, _) in stages {
        for (kind, records) in told_apart(&stage.tally.skipped) {
            samples.push(([("job_id", *job), ("stage", number), ("kind", short(kind))], records));
        }
    }
    let help = "Records that are no documents, by kind";
    counters(encoder, "gristmill_job_records_skipped", help, None, samples)?;

    let (mut met, mut passed) = (Vec::new(), Vec::new());
    for (job, number, stage, view) in stages {
        for (index, passage) in &stage.tally.steps {
            let step = view.steps.get(*index).copied().unwrap_or_default();
            let labels = vec![
                ("job_id", (*job).to_owned()),
                ("stage", number.clone()),
                ("place", format!("{:02}", index + 1)),
                ("step", step.to_owned()),
            ];
            met.push((labels.clone(), passage.seen));
            passed.push((labels, passage.out));
        }
    }
    let help = "Documents that met a step; place is the step's in the recipe";
    counters(encoder, "gristmill_job_step_documents_in", help, None, met)?;
    let help = "Documents that came out of a step";
    counters(encoder, "gristmill_job_step_documents_out", help, None, passed)
}

/// The jobs of which series are told, the youngest first.
fn told(mut views: Vec<Arc<JobView>>, now_ms: u64) -> Vec<Arc<JobView>> {
    let since = now_ms.saturating_sub(TOLD_FOR.as_millis() as u64);
    // A job that failed waits for somebody, who is told as long as it does.
    views.retain(|view| view.state == JobState::Failed || view.ended_ms.is_none_or(|ended| ended >= since));
    views.sort_by(|a, b| (b.submitted_ms, &b.id).cmp(&(a.submitted_ms, &a.id)));
    views.truncate(JOBS_MAX);
    views
}

/// The most frequent reasons, and all others as one.
fn told_apart(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut counts: Vec<(&str, u64)> =
        counts.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    counts.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    let others: u64 = counts.iter().skip(REASONS_MAX).map(|(_, count)| count).sum();
    counts.truncate(REASONS_MAX);
    if others > 0 {
        counts.push((OTHER, others));
    }
    counts
}

const STATES: [JobState; 5] =
    [JobState::Active, JobState::Paused, JobState::Failed, JobState::Cancelled, JobState::Done];

fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Active => "active",
        JobState::Paused => "paused",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Done => "done",
    }
}

fn short(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_pipeline::Tally;

    const NOW: u64 = 1_000_000_000;

    fn text(views: Vec<JobView>) -> String {
        #[derive(Debug)]
        struct Now(Vec<Arc<JobView>>);
        impl Collector for Now {
            fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
                encode(encoder, self.0.clone(), NOW)
            }
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Now(views.into_iter().map(Arc::new).collect())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        text
    }

    #[test]
    fn a_job_tells_where_it_stands() {
        let mut tally = Tally { seen: 10, kept: 6, ..Tally::default() };
        tally.dropped.insert("url_filter: a \"banned\" domain".to_owned(), 4);
        tally.passed(2, 6);
        let stage = StageView {
            title: "map to output".to_owned(),
            kind: "map",
            tasks: 5,
            tasks_done: 2,
            tasks_running: 1,
            read_bytes: 77,
            tally,
            ..StageView::default()
        };
        let mut view = JobView::new("j-1", "crawl", "out");
        view.planned = true;
        view.steps = vec!["a", "b", "url_filter"];
        view.stages = vec![stage, StageView { tasks: 5, ..StageView::default() }];
        view.rates.stage_seconds_left = Some(12.5);
        let text = text(vec![view]);
        let expected = [
            "gristmill_jobs{state=\"active\"} 1.0",
            "gristmill_job_info{job_id=\"j-1\",name=\"crawl\",priority=\"normal\"} 1.0",
            "gristmill_job_state{job_id=\"j-1\",state=\"done\"} 0.0",
            "gristmill_job_progress_ratio{job_id=\"j-1\"} 0.2",
            "gristmill_job_stage_tasks{job_id=\"j-1\",stage=\"0\",state=\"waiting\"} 2.0",
            "gristmill_job_stage_tasks{job_id=\"j-1\",stage=\"1\",state=\"waiting\"} 5.0",
            "gristmill_job_read_bytes_total{job_id=\"j-1\",stage=\"0\"} 77",
            "gristmill_job_documents_in_total{job_id=\"j-1\",stage=\"0\"} 10",
            "gristmill_job_documents_dropped_total{job_id=\"j-1\",stage=\"0\",step=\"url_filter\",reason=\"a \\\"banned\\\" domain\"} 4",
            "gristmill_job_step_documents_out_total{job_id=\"j-1\",stage=\"0\",place=\"03\",step=\"url_filter\"} 6",
            "gristmill_job_stage_remaining_seconds{job_id=\"j-1\"} 12.5",
        ];
        for line in expected {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
        }
        assert!(
            !text.contains("documents_in_total{job_id=\"j-1\",stage=\"1\"}"),
            "not begun, or not known yet"
        );
    }

    #[test]
    fn jobs_and_reasons_are_bounded() {
        let view = |id: usize, ended_ms: Option<u64>| {
            let mut view = JobView::new(&format!("j{id:03}"), &"n".repeat(1000), "out");
            view.submitted_ms = id as u64;
            view.ended_ms = ended_ms;
            view
        };
        let mut views: Vec<JobView> = (0..150).map(|id| view(id, None)).collect();
        views.push(view(200, Some(NOW - 10_000)));
        views.push(view(201, Some(NOW - 16 * 60_000)));
        let text = text(views);
        let jobs = text.lines().filter(|line| line.starts_with("gristmill_job_info{")).count();
        assert_eq!(jobs, JOBS_MAX);
        assert!(
            text.contains("j200")
                && text.contains("j149")
                && !text.contains("j201")
                && !text.contains("j000")
        );
        assert!(text.lines().all(|line| line.len() < 300), "{text}");
        let counts: BTreeMap<String, u64> = (0..500).map(|n| (format!("s: r{n:03}"), 1000 - n)).collect();
        let told = told_apart(&counts);
        assert_eq!(told.len(), REASONS_MAX + 1);
        assert_eq!(told.iter().map(|(_, n)| n).sum::<u64>(), counts.values().sum::<u64>(), "none vanishes");
        assert_eq!((told[0].0, told[100].0), ("s: r000", OTHER));
    }
}
