//! The binary and the engine as a user meets them.

mod api;
mod client;
mod cluster;
mod clusters;
mod dclm;
mod dedup;
mod hostile;
mod plan;
mod poison;
mod queue;
mod resume;
mod run;
mod scale;
mod sim;
mod soak;
mod steps;
mod storage;
mod union;
