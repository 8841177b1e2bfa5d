//! Operating a cluster: what it tells Prometheus, what dashboards and alerts make of that, what KEDA is told, what a trace shows.

mod alerts;
mod dashboards;
mod keda;
mod metrics;
mod prometheus;
mod traces;
