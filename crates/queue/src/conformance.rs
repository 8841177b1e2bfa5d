//! One suite for every queue: what a queue promises, put to the test through the two roles.
//!
//! Each case gets a queue of its own. All that happens is also held against [`crate::lifecycle::apply`] by
//! [`observed::Observed`]. Time is tokio's: a queue in memory runs the suite in no time under
//! `tokio::test(start_paused = true)`, a queue elsewhere in some twenty seconds.

mod cases;
mod crowd;
mod observed;
mod walk;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Consumer, Depth, Producer, Settings};

/// A future in a box.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes a worker's side of a queue, by name and seed.
pub type MakeConsumer = Box<dyn Fn(&str, u64) -> Arc<dyn Consumer> + Send + Sync>;

/// Looks at what the roles of a queue do not show, given what they do. Panics when something is wrong.
pub type Audit = Box<dyn Fn(Depth) -> BoxFuture<()> + Send + Sync>;

/// A fresh queue to test.
pub struct Rig {
    /// The coordinator's side.
    pub producer: Arc<dyn Producer>,
    /// The workers' side.
    pub consumer: MakeConsumer,
    /// What is checked beyond the roles.
    pub audit: Audit,
}

/// Makes a fresh queue by these rules, whose prefix may be changed.
pub type Make<'a> = &'a (dyn Fn(Settings) -> Rig + Sync);

/// Short times, so that a queue in real time is done soon.
pub fn settings() -> Settings {
    Settings {
        lease: Duration::from_millis(400),
        max_attempts: 3,
        backoff_base: Duration::from_millis(80),
        backoff_max: Duration::from_millis(200),
        ..Settings::default()
    }
}

/// Runs the whole suite.
///
/// # Panics
/// When the queue does not keep a promise.
pub async fn run(make: Make<'_>) {
    cases::run(make).await;
    crowd::run(make).await;
    for seed in 0..4 {
        walk::run(make, seed).await;
    }
}
