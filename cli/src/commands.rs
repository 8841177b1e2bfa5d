//! One command, one file.

pub(crate) mod attempt;
pub(crate) mod extract;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod steps;
pub(crate) mod try_steps;
pub(crate) mod verify;
