//! The binary and the engine as a user meets them.

mod hostile;
mod queue;

mod run;
mod storage;
