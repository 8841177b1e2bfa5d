//! The coordinator: plans jobs, enqueues their tasks, commits their stages, publishes their datasets. Never opens a
//! document.
//!
//! - [`prepare`]: recipe → checked plan, before anything is written.
//! - [`drive`]: a reconciler. It looks at what the objects say is done, enqueues what is ready, waits for news, and
//!   commits what is complete; started again after a crash, it goes on where the objects stand.
//! - [`publish`]: the only writer of a dataset's files and its manifest.

pub mod drive;
pub mod prepare;
pub mod publish;

pub use drive::{Drive, DriveError, View};
pub use prepare::{PrepareError, Prepared, prepare};
