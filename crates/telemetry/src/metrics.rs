//! What every process of ours tells about itself.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

/// A registry that knows when the process started, which is about now, and which build and role it is.
#[must_use]
pub fn registry(role: &'static str, version: &'static str) -> Registry {
    let mut registry = Registry::default();
    let started = Gauge::<f64, AtomicU64>::default();
    started.set(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));
    registry.register_with_unit(
        "process_start_time",
        "When the process started, since 1970",
        Unit::Seconds,
        started,
    );
    let build = Info::new([("role", role), ("version", version)]);
    registry.register("gristmill_build", "Which program this is", build);
    registry
}
