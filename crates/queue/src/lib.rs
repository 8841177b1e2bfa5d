//! Who works on which task: a queue of durable tasks with leases, retries and dead letters.
//!
//! The coordinator sees a [`Producer`], a worker sees a [`Consumer`]; each can only do what its role may do.
//! Two queues stand behind the roles and pass the same suite (`conformance`): [`MemoryQueue`] for one process,
//! `RedisQueue` for a cluster. The life of a task is drawn above [`lifecycle::State`] and enforced by
//! [`lifecycle::apply`].
//!
//! # What it promises
//! - **At least once.** A claimed task is finished, given back, failed, or its lease runs out and another worker
//!   gets it. It never gets stuck and is never silently dropped, as long as somebody calls [`Producer::expire`].
//! - **One holder at a time** while the holder heartbeats. A holder that lost its lease is told so by every call;
//!   two holders can still overlap in the real world (a paused process does not know), which is why the commit
//!   in the object store decides, not the queue.
//! - **An end to every failure.** Errors and lost leases spend the task's budget ([`Settings::max_attempts`]); then
//!   it is a dead letter with its reason. Giving back ([`Consumer::release`]) spends nothing.
//! - **Bounded memory**: proportional to the tasks it holds, plus a fixed number of notices.
//!
//! # What it does not promise
//! The queue is not the truth. It forgets finished tasks at once, and a wiped Redis forgets everything: ask
//! [`Producer::live`] and enqueue again what the object store says is missing. Attempt numbers start again then,
//! so keys that must be unique carry [`Lease::token`], not only [`Lease::attempt`].
//!
//! Payloads are opaque bytes; this crate knows neither objects nor recipes.

pub mod lifecycle;
pub mod roles;

mod chance;
mod clock;
mod error;
mod memory;
mod settings;
mod turn;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

#[cfg(feature = "redis")]
pub mod redis;

#[cfg(feature = "redis")]
pub use crate::redis::{RedisConsumer, RedisOptions, RedisQueue};
pub use chance::Chance;
pub use clock::{Clock, TokioClock};
pub use error::Error;
pub use memory::{MemoryConsumer, MemoryQueue};
pub use roles::{
    ClassDepth, Consumer, Cursor, DeadLetter, DeadPage, Depth, Expired, Failed, Failure, Fate, Hold, Lease,
    Notice, Outcome, Phase, Priority, Producer, Running, Settled, Task, TaskId,
};
pub use settings::Settings;

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
