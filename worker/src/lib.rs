//! The worker: takes a task, streams bytes through steps, writes objects. Keeps no state.
//!
//! Every lane is a loop: claim a task, hold its lease by heartbeats while a plain thread does the work, commit its
//! record, tell the queue. Lanes share nothing but models. A worker may be killed at any moment: what it wrote
//! without a record is an orphan, and the task is somebody else's once its lease has run out.

mod error;
mod files;
mod frames;
mod identities;
mod lane;
mod open_job;
pub mod progress;
mod ranged;
pub mod reading;
mod task;

pub use error::{TaskError, TaskErrorKind};
pub use open_job::OpenJob;
pub use progress::Progress;

use gristmill_job::resolve::Resolver;
use gristmill_queue::Consumer;
use gristmill_storage::{Stores, Uri};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a worker works with.
#[derive(Clone)]
pub struct Worker {
    pub stores: Stores,
    pub workspace: Uri,
    pub resolver: Resolver,
    pub consumer: Arc<dyn Consumer>,
    /// Tasks worked on at once, each on a thread of its own.
    pub lanes: usize,
    /// Where sorted runs are spilled.
    pub scratch: PathBuf,
    /// How often a lane says that it is alive.
    pub heartbeat: Duration,
    pub progress: Arc<Progress>,
}

impl Worker {
    /// Works until `stop` turns true; the tasks in hand are then given back.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let jobs = Arc::new(open_job::Jobs::new(&self));
        let worker = Arc::new(self);
        let lanes: Vec<_> = (0..worker.lanes)
            .map(|_| tokio::spawn(lane::run(Arc::clone(&worker), Arc::clone(&jobs), stop.clone())))
            .collect();
        for lane in lanes {
            if let Err(error) = lane.await {
                tracing::error!("a lane ended: {error}");
            }
        }
    }
}
