//! What a coordinator counts, for Prometheus: its own doings here, jobs in [`jobs`].
//!
//! Every coordinator follows every job and hears every notice of the queue, so several of them tell the same of jobs and of the
//! queue: take the maximum over coordinators, not the sum. What a coordinator does itself (leases taken back, requests
//! answered, jobs planned) is summed.

mod jobs;

pub use jobs::JobViews;

use gristmill_queue::{ClassDepth, Depth, Fate, Outcome, Priority};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Counters<const N: usize> = Family<[(&'static str, &'static str); N], Counter>;

/// The counts of a process. Clones count together; nobody sees them before [`Metrics::register`].
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The queue, and when it was measured, in milliseconds since 1970.
    queue: Arc<Mutex<Option<(Depth, u64)>>>,
    leases_expired: Counters<1>,
    tasks_ended: Counters<1>,
    queue_errors: Counter,
    plan_seconds: Histogram,
    job_waits: Counter,
    requests: Family<[(&'static str, String); 2], Counter>,
    request_seconds: Durations,
}

/// By method.
type Durations = Family<[(&'static str, String); 1], Histogram, fn() -> Histogram>;

/// From an answer out of memory to the listing of a large input.
fn request_seconds() -> Histogram {
    Histogram::new([0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            queue: Arc::default(),
            leases_expired: Family::default(),
            tasks_ended: Family::default(),
            queue_errors: Counter::default(),
            plan_seconds: Histogram::new([0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]),
            job_waits: Counter::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(request_seconds),
        }
    }
}

impl Metrics {
    /// Has `registry` tell what concerns the queue.
    pub fn register_queue(&self, registry: &mut Registry) {
        // What has never happened is told as zero, so that the first time is seen as an increase.
        for end in ["ready", "dead"] {
            drop(self.leases_expired.get_or_create(&[("fate", end)]));
        }
        for end in ["done", "dead"] {
            drop(self.tasks_ended.get_or_create(&[("outcome", end)]));
        }
        registry.register_collector(Box::new(Queue(Arc::clone(&self.queue))));
        let registry = registry.sub_registry_with_prefix("gristmill_queue");
        registry.register(
            "leases_expired",
            "Leases that ran out and were taken back here, by what became of their tasks",
            self.leases_expired.clone(),
        );
        registry.register("tasks_ended", "Tasks that ended, as the queue tells", self.tasks_ended.clone());
        registry.register(
            "errors",
            "Calls of the queue that failed after all patience",
            self.queue_errors.clone(),
        );
    }

    /// Has `registry` tell all of it.
    pub fn register(&self, registry: &mut Registry) {
        self.register_queue(registry);
        let registry = registry.sub_registry_with_prefix("gristmill_coordinator");
        registry.register_with_unit(
            "plan_duration",
            "How long it took to check, list and plan a job",
            Unit::Seconds,
            self.plan_seconds.clone(),
        );
        registry.register(
            "job_waits",
            "Times that a job was put off, since the store or the queue did not answer",
            self.job_waits.clone(),
        );
        registry.register("requests", "Requests answered, by gRPC's codes", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "How long requests took; of a stream, until its beginning",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
    }

    pub(crate) fn measured(&self, depth: Depth) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some((depth, crate::now_ms()));
    }

    pub(crate) fn lease_expired(&self, fate: Fate) {
        let fate = match fate {
            Fate::Ready => "ready",
            Fate::Dead => "dead",
        };
        self.leases_expired.get_or_create(&[("fate", fate)]).inc();
    }

    pub(crate) fn task_ended(&self, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Done(_) => "done",
            Outcome::Dead(_) => "dead",
        };
        self.tasks_ended.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn queue_failed(&self) {
        self.queue_errors.inc();
    }

    pub(crate) fn planned(&self, took: Duration) {
        self.plan_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn answered(&self, method: String, code: &str, took: Duration) {
        self.request_seconds.get_or_create(&[("method", method.clone())]).observe(took.as_secs_f64());
        self.requests.get_or_create(&[("method", method), ("code", code.to_owned())]).inc();
    }

    pub(crate) fn job_waits(&self) {
        self.job_waits.inc();
    }
}

/// The queue as it was measured last.
#[derive(Debug)]
struct Queue(Arc<Mutex<Option<(Depth, u64)>>>);

impl Collector for Queue {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let measured = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((depth, at_ms)) = measured else { return Ok(()) };
        let classes = || Priority::ALL.iter().map(|priority| priority.name()).zip(&depth.classes);
        let states = |class: &ClassDepth| {
            [
                ("ready", class.ready),
                ("leased", class.leased),
                ("delayed", class.delayed),
                ("dead", class.dead),
            ]
        };
        let tasks = classes().flat_map(|(priority, class)| {
            states(class).map(|(state, tasks)| ([("priority", priority), ("state", state)], tasks as f64))
        });
        let help = "Tasks in the queue; of a stage it holds those that come next, not all";
        gauges(&mut encoder, "gristmill_queue_tasks", help, None, tasks)?;
        let oldest = classes().map(|(priority, class)| {
            ([("priority", priority)], class.oldest.unwrap_or_default().as_secs_f64())
        });
        let help = "How long the first task in line has been ready; 0 where none is";
        gauges(&mut encoder, "gristmill_queue_oldest_ready", help, Some(&Unit::Seconds), oldest)?;
        let help = "When the queue was measured last, since 1970";
        let at = [(NO_LABELS, at_ms as f64 / 1000.0)];
        gauges(&mut encoder, "gristmill_queue_measured_timestamp", help, Some(&Unit::Seconds), at)
    }
}

/// For samples without labels.
const NO_LABELS: [(&str, &str); 0] = [];

/// A family of gauges.
fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    samples: impl IntoIterator<Item = (L, f64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in samples {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// A family of counters.
fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    samples: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
    for (labels, value) in samples {
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}
