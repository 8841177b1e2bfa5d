//! Traces by OpenTelemetry: one for each job, across coordinators and workers. Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a
//! collector (gRPC).
//!
//! ```text
//! job                                recorded by the coordinator that finds it ended
//! ├── stage                          by the coordinator that commits it
//! │   └── task                       by the worker that commits it; from enqueueing to commit
//! │       └── attempt                by every worker that tries
//! │           └── storage            a request, every try of it
//! └── publish
//! ```
//!
//! A process may die in the midst of a job, and another one goes on: so a job, a stage and a task have ids that follow from
//! their names ([`Place`]). Nobody must be told them, and spans find their parents whoever records those, and when: a span
//! is sent only once it is over. Documents have no spans.
//!
//! **Sampling** (`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`) is by job, and follows from its id as well: a job is in the traces
//! with all its spans or not at all. Workers follow what the task says (`traceparent`).
//!
//! The other variables of OpenTelemetry hold: `OTEL_SERVICE_NAME` (else `gristmill-` and the role), `OTEL_RESOURCE_ATTRIBUTES`,
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_…`. Spans that the collector does not take are dropped, which is told once; nothing waits for it.

mod ids;
mod sampling;
mod telling;

use ids::{Ids, with_span_id};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use sampling::Sampling;
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use telling::Telling;
use tokio::runtime::Runtime;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// How long the end of the process waits for the last spans to be sent.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Which jobs are traced; none while nobody has said.
static SAMPLING: OnceLock<Sampling> = OnceLock::new();

/// What sends spans, what makes them, and what is wrong with the variables.
pub(crate) type Started = (Exporting, SdkTracer, Option<String>);

/// Sends spans for as long as it is there.
pub(crate) struct Exporting {
    provider: SdkTracerProvider,
    /// The exporter's connection lives here, away from the work.
    _runtime: Runtime,
}

impl Exporting {
    /// Begins to send spans, if a collector is named.
    pub(crate) fn start(role: &'static str, version: &'static str) -> Result<Option<Started>, String> {
        let named = |name: &&str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if !ENDPOINTS.iter().any(named) {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let entered = runtime.enter();
        let exporter = SpanExporter::builder().with_tonic().build().map_err(|error| error.to_string())?;
        drop(entered);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Telling::new(exporter))
            .with_id_generator(Ids::default())
            // Whether a job is traced is decided before there is a span.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_resource(resource(role, version))
            .build();
        let tracer = provider.tracer("gristmill");
        global::set_tracer_provider(provider.clone());
        let (sampling, complaint) = Sampling::from_env();
        // Only a second call fails.
        let _ = SAMPLING.set(sampling);
        Ok(Some((Self { provider, _runtime: runtime }, tracer, complaint)))
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        // A collector that does not answer does not hold up the end.
        let _ = self.provider.shutdown_with_timeout(FLUSH_WITHIN);
    }
}

/// Makes spans of ours OpenTelemetry's, without what is the same for all of a kind: the line of code, the thread.
pub(crate) fn layer<S>(tracer: SdkTracer) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
}

fn resource(role: &str, version: &'static str) -> Resource {
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    let named = std::env::var("OTEL_SERVICE_NAME").is_ok()
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|all| all.contains("service.name="));
    if named { resource.build() } else { resource.with_service_name(format!("gristmill-{role}")).build() }
}

/// Where in a job's trace something stands: what it is of decides its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    trace: TraceId,
    span: SpanId,
}

impl Place {
    #[must_use]
    pub fn job(job: &str) -> Self {
        Self::of(job, "")
    }

    #[must_use]
    pub fn stage(job: &str, stage: usize) -> Self {
        Self::of(job, &stage.to_string())
    }

    #[must_use]
    pub fn task(job: &str, stage: usize, task: u64) -> Self {
        Self::of(job, &format!("{stage}/{task}"))
    }

    fn of(job: &str, part: &str) -> Self {
        let (trace, span) = (Sha256::digest(job), Sha256::digest(format!("{job}/{part}")));
        let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
        trace_id.iter_mut().zip(trace).for_each(|(to, from)| *to = from);
        span_id.iter_mut().zip(span).for_each(|(to, from)| *to = from);
        // Zero means none.
        (trace_id[15], span_id[7]) = (trace_id[15] | 1, span_id[7] | 1);
        Self { trace: TraceId::from_bytes(trace_id), span: SpanId::from_bytes(span_id) }
    }

    /// W3C's `traceparent`, if the job is traced.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.is_traced().then(|| format!("00-{}-{}-01", self.trace, self.span))
    }

    fn is_traced(&self) -> bool {
        SAMPLING.get().is_some_and(|sampling| sampling.takes(self.trace))
    }

    #[cfg(test)]
    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace
    }

    fn context(&self) -> Context {
        let context =
            SpanContext::new(self.trace, self.span, TraceFlags::SAMPLED, true, TraceState::default());
        Context::new().with_remote_span_context(context)
    }
}

/// A span that is over.
#[derive(Debug)]
pub struct Done<'a> {
    pub name: &'static str,
    pub began: SystemTime,
    pub attributes: Vec<(&'static str, String)>,
    /// Why it went wrong.
    pub error: Option<&'a str>,
}

/// Records what a coordinator did, if the job is traced. `place` is the span's own; none: nobody needs to know.
pub fn record(place: Option<Place>, parent: Option<Place>, done: Done<'_>) {
    if place.or(parent).is_some_and(|place| place.is_traced()) {
        send(place, parent, done);
    }
}

/// Records the task that an attempt has finished, if the attempt was told to be part of a trace.
pub fn record_task(traceparent: &str, job: &str, stage: usize, task: u64, done: Done<'_>) {
    if SAMPLING.get().is_some() && parse(traceparent).is_some() {
        send(Some(Place::task(job, stage, task)), Some(Place::stage(job, stage)), done);
    }
}

fn send(place: Option<Place>, parent: Option<Place>, done: Done<'_>) {
    let tracer = global::tracer("gristmill");
    let attributes = done.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value));
    let builder = tracer
        .span_builder(done.name)
        .with_start_time(done.began)
        .with_attributes(attributes.collect::<Vec<_>>());
    let context = parent.map_or_else(Context::new, |parent| parent.context());
    let start = || builder.start_with_context(&tracer, &context);
    let mut span = match place {
        Some(place) => with_span_id(place.trace, place.span, start),
        None => start(),
    };
    if let Some(error) = done.error {
        span.set_status(Status::error(error.to_owned()));
    }
    span.end();
}

/// Makes a span part of the trace that a task belongs to.
pub fn continue_from(span: &tracing::Span, traceparent: &str) {
    if let Some(context) = parse(traceparent) {
        // Fails where nothing is sent.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
}

/// Of W3C's `traceparent`, what this program writes: version 00.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let ("00", trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?) else {
        return None;
    };
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    (sampled && context.is_valid()).then_some(context)
}

/// The ids of the span that this thread is in, for logs.
pub(crate) fn current_ids() -> Option<(TraceId, SpanId)> {
    SAMPLING.get()?;
    let context = Context::current();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| (context.trace_id(), context.span_id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_names() {
        let (job, stage, task) = (Place::job("j"), Place::stage("j", 1), Place::task("j", 1, 1));
        assert_eq!(task, Place::task("j", 1, 1));
        assert!(job.trace == stage.trace && stage.trace == task.trace);
        assert!(job.span != stage.span && stage.span != task.span && task != Place::task("j", 11, 1));
        assert_ne!(job.trace, Place::job("k").trace);
        assert_eq!(job.traceparent(), None, "nothing is traced here");
    }

    #[test]
    fn a_traceparent_is_read_back() {
        let place = Place::task("j", 0, 7);
        let text = format!("00-{}-{}-01", place.trace, place.span);
        let context = parse(&text).expect("ours");
        assert_eq!((context.trace_id(), context.span_id()), (place.trace, place.span));
        let zeros = format!("00-{:032}-{:016}-01", 0, 0);
        for bad in ["", "00", "00-x-y-01", "01-1-2-01", &text.replace("-01", "-00"), &zeros] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
