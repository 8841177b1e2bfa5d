//! Ids of spans: random ones, or those that were asked for.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use std::cell::Cell;

thread_local! {
    static NEXT: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Has the span that `start` starts on this thread get these ids; where it has a parent, the trace is the parent's.
pub(super) fn with_span_id<T>(trace: TraceId, span: SpanId, start: impl FnOnce() -> T) -> T {
    NEXT.set(Some((trace, span)));
    let started = start();
    NEXT.set(None);
    started
}

#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.get().map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}
