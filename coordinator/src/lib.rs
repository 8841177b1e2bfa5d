//! The coordinator: plans jobs, enqueues their tasks, commits their stages, publishes their datasets. Never opens a
//! document.
//!
//! - [`prepare`]: recipe → checked plan, before anything is written.
//! - [`pin`]: the generation of every index that a recipe names.
//! - [`driver`]: a reconciler for one job. It looks at what the objects say is done, enqueues what is ready, waits for
//!   news, and commits what is complete; started again after a crash, it goes on where the objects stand.
//! - [`engine`]: what the drivers of a process share.
//! - [`publish`]: the only writer of a dataset's files and its manifest.
//! - [`service`]: any number of jobs, as they are submitted.
//! - [`api`]: its gRPC side.
//! - [`autoscale`]: how many workers there should be.
//! - [`metrics`]: what all of it tells Prometheus.

pub mod allow;
pub mod api;
pub mod autoscale;
mod bits;
pub mod driver;
pub mod engine;
mod filters;
mod index;
pub mod metrics;
pub mod prepare;
pub mod publish;
pub mod service;
mod stage_run;
pub mod view;
mod window;

pub use allow::{Allow, Denied};
pub use autoscale::Settings as AutoscaleSettings;
pub use driver::{DriveError, Driver, End, trace_end};
pub use engine::Engine;
pub use index::{IndexProblem, pin};
pub use metrics::{JobViews, Metrics};
pub use prepare::{PrepareError, Prepared, prepare};
pub use service::{
    Coordinator, CoordinatorSettings, JobFilter, JobQuery, Page, Planned, ServiceError, ServiceErrorKind,
    Submission, TaskQuery,
};
pub use view::{JobView, Rates, RunningView, StageView, TaskState, TaskView};

/// Milliseconds since 1970, for people: nothing is decided by it.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
