//! What a worker counts, for Prometheus.
//!
//! Counted once a task, or once a second while a pass runs, never once a document. Kinds of stages, names of steps and
//! outcomes are closed lists, so the number of series does not grow with jobs. What attempts in processes of their own
//! ([`crate::isolated`]) read is not in the counts that are kept while a pass runs.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Names and values, all known beforehand.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Seconds = Counter<f64, AtomicU64>;
type Histograms = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// The counts of a process. Clones count together; nobody sees them before [`Metrics::register`].
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) lanes: Gauge,
    pub(crate) lanes_busy: Gauge,
    pub(crate) threads_abandoned: Gauge,
    attempts: Counters<2>,
    retries: Counters<1>,
    task_seconds: Histograms,
    pub(crate) documents_in: Counter,
    pub(crate) documents_kept: Counter,
    pub(crate) input_bytes: Counter,
    pub(crate) output_bytes: Counter,
    step_seconds: Family<Labels<1>, Seconds>,
    step_documents: Counters<1>,
    poison: Counters<1>,
    pub(crate) isolated_attempts: Counter,
    job_opens: Counters<1>,
    pub(crate) jobs_open: Gauge,
    pub(crate) model_bytes: Gauge,
    queue_errors: Counters<1>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            lanes: Gauge::default(),
            lanes_busy: Gauge::default(),
            threads_abandoned: Gauge::default(),
            attempts: Family::default(),
            retries: Family::default(),
            task_seconds: Family::new_with_constructor(task_seconds),
            documents_in: Counter::default(),
            documents_kept: Counter::default(),
            input_bytes: Counter::default(),
            output_bytes: Counter::default(),
            step_seconds: Family::default(),
            step_documents: Family::default(),
            poison: Family::default(),
            isolated_attempts: Counter::default(),
            job_opens: Family::default(),
            jobs_open: Gauge::default(),
            model_bytes: Gauge::default(),
            queue_errors: Family::default(),
        }
    }
}

/// Tasks are made to take minutes; those of small jobs take less, joins of large ones more.
fn task_seconds() -> Histogram {
    Histogram::new([0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0])
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// An error; another attempt may do better.
    Retry,
    /// An error that no attempt gets around.
    Dead,
    /// Given back, since the worker stops.
    Released,
    /// Its lease ran out, or its job was cancelled.
    Lost,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Dead => "dead",
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

impl Metrics {
    /// Has `registry` tell these counts.
    pub fn register(&self, registry: &mut Registry) {
        // What has never happened is told as zero, so that the first time is seen as an increase.
        let known = [
            (&self.poison, "cause", &["hang", "death"][..]),
            (&self.job_opens, "outcome", &["cached", "loaded", "failed"]),
            (&self.queue_errors, "call", &["claim", "heartbeat", "settle"]),
        ];
        for (family, label, values) in known {
            for value in values {
                drop(family.get_or_create(&[(label, *value)]));
            }
        }
        let registry = registry.sub_registry_with_prefix("gristmill_worker");
        registry.register("lanes", "Tasks that this worker works on at once", self.lanes.clone());
        registry.register("lanes_busy", "Lanes that have a task now", self.lanes_busy.clone());
        registry.register(
            "threads_abandoned",
            "Threads that were left behind in documents that hang, and still run",
            self.threads_abandoned.clone(),
        );
        registry.register("attempts", "Attempts at tasks that ended, by how", self.attempts.clone());
        registry.register("retries", "Attempts that were not the first at their task", self.retries.clone());
        registry.register_with_unit(
            "task_duration",
            "How long the attempts took that finished their task, from claim to commit",
            Unit::Seconds,
            self.task_seconds.clone(),
        );
        registry.register("documents_in", "Documents read so far", self.documents_in.clone());
        registry.register(
            "documents_kept",
            "Of the documents read, those that the pass kept",
            self.documents_kept.clone(),
        );
        let bytes = [
            ("input", "Stored bytes that finished tasks read of their input", &self.input_bytes),
            ("output", "Stored bytes of the files that finished tasks left", &self.output_bytes),
        ];
        for (name, help, counter) in bytes {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
        registry.register_with_unit(
            "step",
            "How long lanes were in a step, all documents together",
            Unit::Seconds,
            self.step_seconds.clone(),
        );
        registry.register("step_documents", "Documents that met a step", self.step_documents.clone());
        registry.register("poison_documents", "Documents that hang or kill the program", self.poison.clone());
        registry.register(
            "isolated_attempts",
            "Attempts made in processes of their own",
            self.isolated_attempts.clone(),
        );
        registry.register(
            "job_opens",
            "Looks at the jobs kept open, with their plans and models, by what was found",
            self.job_opens.clone(),
        );
        registry.register("jobs_open", "Jobs kept open, with their plans and models", self.jobs_open.clone());
        registry.register_with_unit(
            "model",
            "Models and lists of the jobs kept open",
            Unit::Bytes,
            self.model_bytes.clone(),
        );
        registry.register(
            "queue_errors",
            "Calls of the queue that failed after all patience",
            self.queue_errors.clone(),
        );
    }

    /// An attempt ended. `number`: 1 for the first at its task.
    pub(crate) fn attempted(&self, kind: &'static str, number: u32, outcome: Outcome, took: Duration) {
        self.attempts.get_or_create(&[("kind", kind), ("outcome", outcome.name())]).inc();
        if number > 1 {
            self.retries.get_or_create(&[("kind", kind)]).inc();
        }
        if outcome == Outcome::Done {
            self.task_seconds.get_or_create(&[("kind", kind)]).observe(took.as_secs_f64());
        }
    }

    /// So many documents met a step.
    pub(crate) fn stepped(&self, step: &'static str, documents: u64, took: Duration) {
        self.step_seconds.get_or_create(&[("step", step)]).inc_by(took.as_secs_f64());
        self.step_documents.get_or_create(&[("step", step)]).inc_by(documents);
    }

    /// A document was found that hangs, or else one that kills the process.
    pub(crate) fn poisoned(&self, hangs: bool) {
        self.poison.get_or_create(&[("cause", if hangs { "hang" } else { "death" })]).inc();
    }

    pub(crate) fn opened_job(&self, found: &'static str) {
        self.job_opens.get_or_create(&[("outcome", found)]).inc();
    }

    pub(crate) fn queue_failed(&self, call: &'static str) {
        self.queue_errors.get_or_create(&[("call", call)]).inc();
    }
}

/// Counts a lane as busy for as long as it is there.
pub(crate) struct Busy(Gauge);

impl Busy {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        metrics.lanes_busy.inc();
        Self(metrics.lanes_busy.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_how_they_end() {
        let metrics = Metrics::default();
        metrics.attempted("map", 1, Outcome::Retry, Duration::from_secs(9));
        metrics.attempted("map", 2, Outcome::Done, Duration::from_secs(2));
        metrics.stepped("url_filter", 20, Duration::from_millis(500));
        let busy = Busy::new(&metrics);
        let told = |metrics: &Metrics| {
            let mut registry = Registry::default();
            metrics.register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
            text
        };
        let text = told(&metrics);
        let expected = [
            "gristmill_worker_attempts_total{kind=\"map\",outcome=\"retry\"} 1\n",
            "gristmill_worker_attempts_total{kind=\"map\",outcome=\"done\"} 1\n",
            "gristmill_worker_retries_total{kind=\"map\"} 1\n",
            "gristmill_worker_task_duration_seconds_sum{kind=\"map\"} 2.0\n",
            "gristmill_worker_step_seconds_total{step=\"url_filter\"} 0.5\n",
            "gristmill_worker_step_documents_total{step=\"url_filter\"} 20\n",
            "gristmill_worker_lanes_busy 1\n",
        ];
        for line in expected {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        drop(busy);
        assert!(told(&metrics).contains("gristmill_worker_lanes_busy 0\n"));
    }
}
