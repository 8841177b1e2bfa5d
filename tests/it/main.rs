//! The binary and the engine as a user meets them.

mod api;
mod bff;
mod classify;
mod client;
mod cluster;
mod clusters;
mod dclm;
mod dedup;
mod hostile;
mod index;
mod operate;
mod plan;
mod poison;
mod queue;
mod resume;
mod run;
mod scale;
mod selection;
mod sim;
mod soak;
mod spans;
mod steps;
mod storage;
mod sweep;
mod takedown;
mod union;
