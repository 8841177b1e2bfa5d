//! The binary and the engine as a user meets them.

mod api;
mod bff;
mod client;
mod cluster;
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
mod spans;
mod steps;
mod storage;
mod union;
