//! Operating a cluster: what it tells Prometheus, what KEDA is told, what a trace shows.

mod keda;
mod metrics;
mod prometheus;
mod traces;
