//! The binary and the engine as a user meets them.

mod queue;

mod run;
mod storage;
