//! One command, one file.

pub(crate) mod attempt;
pub(crate) mod completions;
pub(crate) mod control;
pub(crate) mod convert;
pub(crate) mod coordinator;
pub(crate) mod extract;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod steps;
pub(crate) mod submit;
pub(crate) mod sweep;
pub(crate) mod takedown;
pub(crate) mod tasks;
pub(crate) mod train_classifier;
pub(crate) mod try_steps;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod worker;
