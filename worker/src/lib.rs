//! The worker: takes a task, streams bytes through steps, writes objects. Keeps no state.
//!
//! Every lane is a loop: claim a task, hold its lease by heartbeats while a plain thread does the work, commit its
//! record, tell the queue. Lanes share nothing but models. A worker may be killed at any moment: what it wrote
//! without a record is an orphan, and the task is somebody else's once its lease has run out. Long map tasks go on from
//! the last checkpoint then.
//!
//! A document costs at most itself. One that hangs is left behind with its thread (`watch.rs`); one that kills the process is
//! found by making the next attempt in a process of its own ([`isolated`]). Either is noted as poison, counted as
//! broken, and the rest of its task goes on.
//!
//! **Scratch disk.** Only global dedups use it. A lane spills at most the keys of its task (16 bytes a key beside the 32 MiB
//! in memory), a bucket task at most its key range twice over, and only with more than 256 files. Scratch files have no
//! name, so nothing is left of a killed worker.

mod error;
pub mod external;
mod files;
mod filter_memory;
mod frames;
mod hand;
mod indexed;
pub mod isolated;
mod lane;
mod metrics;
pub mod notes;
mod open_job;
mod ranged;
mod ranks;
pub mod reading;
mod task;
mod watch;

pub use error::{TaskError, TaskErrorKind};
pub use isolated::Isolation;
pub use metrics::Metrics;
pub use notes::Notes;
pub use open_job::OpenJob;

use gristmill_job::resolve::Resolver;
use gristmill_queue::Consumer;
use gristmill_storage::{Stores, Uri};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long an attempt that is told to stop may take to come to the end of its document.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What a worker works with.
#[derive(Clone)]
pub struct Worker {
    pub stores: Stores,
    pub workspace: Uri,
    pub resolver: Resolver,
    pub consumer: Arc<dyn Consumer>,
    /// For messages: which machine, which process.
    pub name: String,
    /// Tasks worked on at once, each on a thread of its own.
    pub lanes: usize,
    /// Where sorted runs are spilled.
    pub scratch: PathBuf,
    /// How often a lane says that it is alive and how far it is: three times a lease or more.
    pub heartbeat: Duration,
    /// How often a long map task takes a checkpoint. A task is long if it takes longer than that.
    pub checkpoint_every: Duration,
    /// How attempts get a process of their own. None: they never do.
    pub isolation: Option<Isolation>,
    /// Whether users' programs (the step `external`) may be run.
    pub allow_external: bool,
    /// Bytes of memory for the Bloom filters of all lanes together. None: three quarters of the machine's, or the container's.
    pub filter_memory: Option<u64>,
    pub metrics: Metrics,
}

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// Threads that hang burn its cores: it gave back nothing and finished what it had, and a fresh process should take its
    /// place.
    Worn,
}

impl Worker {
    /// Works until `stop` turns true; the tasks in hand are then given back, within 25 s. With [`Isolation::renew`] it also
    /// ends, after its present tasks, once threads were left behind.
    pub async fn run(self, stop: tokio::sync::watch::Receiver<bool>) -> End {
        self.metrics.lanes.set(self.lanes as i64);
        let shared = Arc::new(lane::Shared::new(self));
        let lanes: Vec<_> = (0..shared.worker.lanes)
            .map(|number| tokio::spawn(lane::run(number, Arc::clone(&shared), stop.clone())))
            .collect();
        for lane in lanes {
            if let Err(error) = lane.await {
                tracing::error!("a lane ended: {error}");
            }
        }
        if *stop.borrow() { End::Stopped } else { End::Worn }
    }
}
