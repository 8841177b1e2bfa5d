//! The binary and the engine as a user meets them.

mod client;
mod cluster;
mod hostile;
mod queue;
mod run;
mod scale;
mod sim;
mod storage;
