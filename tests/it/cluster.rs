//! A cluster of real processes, and what it must bear: every part killed at any moment, Redis wiped and away, S3 that
//! answers badly or not at all. Whatever happens, the dataset is byte for byte that of a calm run on one machine.

mod chaos;
mod death;
mod outage;
mod process;
mod share;

pub(crate) use process::{Cluster, Process, Setup};
