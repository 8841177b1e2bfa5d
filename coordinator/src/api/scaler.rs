//! KEDA's side of the autoscaler: its protocol for external scalers, on a port of its own, since KEDA sends no token.
//!
//! A ScaledObject's trigger may say, in its metadata, what differs from the coordinator's own settings:
//!
//! | key | what |
//! |---|---|
//! | `targetSeconds` | when the work that is ready should be done |
//! | `lanesPerWorker` | tasks that a worker works on at once |
//! | `minWorkers`, `maxWorkers` | never fewer, never more |
//! | `settleSeconds` | how long an answer counts before a lower one does |
//!
//! Other keys are KEDA's own. There is one metric, and its value is the number of workers wanted.

use crate::autoscale::Settings;
use crate::service::Coordinator;
use futures::stream::{Stream, unfold};
use gristmill_proto::externalscaler::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use gristmill_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{ServeError, connections, limits};

const METRIC: &str = "gristmill-workers";
/// How often a stream looks whether there is work.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Times that a trigger may name, in seconds.
const SECONDS_MAX: u64 = 24 * 3600;

/// Serves until `stop` turns true.
pub async fn serve_scaler(
    coordinator: Coordinator,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let scaler = ExternalScalerServer::new(Scaler { coordinator, stop: stop.clone() });
    let mut stopping = stop;
    let stopped = async move { drop(stopping.wait_for(|stop| *stop).await) };
    Server::builder()
        .max_concurrent_streams(limits::STREAMS_MAX)
        .http2_max_header_list_size(limits::HEADERS_MAX)
        .add_service(scaler.max_decoding_message_size(limits::MESSAGE_MAX))
        .serve_with_incoming_shutdown(connections::accept(listener, limits::CONNECTIONS_MAX), stopped)
        .await
        .map_err(ServeError::Transport)
}

struct Scaler {
    coordinator: Coordinator,
    stop: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream = Pin<Box<dyn Stream<Item = Result<IsActiveResponse, Status>> + Send>>;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let settings = self.settings(request.into_inner())?;
        Ok(Response::new(IsActiveResponse { result: self.coordinator.workers_wanted(&settings) > 0 }))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let settings = self.settings(request.into_inner())?;
        let from = (self.coordinator.clone(), self.stop.clone(), None);
        let changes = unfold(from, move |(coordinator, mut stop, told)| async move {
            loop {
                let active = coordinator.workers_wanted(&settings) > 0;
                if told != Some(active) {
                    return Some((
                        Ok(IsActiveResponse { result: active }),
                        (coordinator, stop, Some(active)),
                    ));
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = stop.wait_for(|stop| *stop) => return None,
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        self.settings(request.into_inner())?;
        let spec = MetricSpec { metric_name: METRIC.to_owned(), target_size: 1, target_size_float: 1.0 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let settings = self.settings(request.into_inner().scaled_object_ref.unwrap_or_default())?;
        let wanted = self.coordinator.workers_wanted(&settings);
        let value = MetricValue {
            metric_name: METRIC.to_owned(),
            metric_value: i64::from(wanted),
            metric_value_float: f64::from(wanted),
        };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

impl Scaler {
    fn settings(&self, object: ScaledObjectRef) -> Result<Settings, Status> {
        let whose = format!("ScaledObject {}/{}", object.namespace, object.name);
        read(&object.scaler_metadata, self.coordinator.autoscale_settings())
            .map_err(|why| Status::invalid_argument(format!("{whose}: {why}")))
    }
}

/// The settings that a trigger asks for, beginning with the coordinator's own.
fn read(metadata: &HashMap<String, String>, own: Settings) -> Result<Settings, String> {
    let number = |key: &str, least: u64, most: u64| match metadata.get(key) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(format!("{key} is {text:?}; give a whole number from {least} to {most}")),
        },
    };
    let count = |key: &str, least: u32, own: u32| {
        Ok::<u32, String>(number(key, u64::from(least), 1_000_000)?.map_or(own, |number| number as u32))
    };
    let seconds = |key: &str, least: u64, own: Duration| {
        Ok::<Duration, String>(number(key, least, SECONDS_MAX)?.map_or(own, Duration::from_secs))
    };
    let settings = Settings {
        target: seconds("targetSeconds", 1, own.target)?,
        lanes: count("lanesPerWorker", 1, own.lanes)?,
        min: count("minWorkers", 0, own.min)?,
        max: count("maxWorkers", 1, own.max)?,
        settle: seconds("settleSeconds", 0, own.settle)?,
    };
    if settings.min > settings.max {
        return Err(format!("minWorkers {} is more than maxWorkers {}", settings.min, settings.max));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_say_what_differs() {
        let own = Settings::default();
        let check = |pairs: &[(&str, &str)], expected: Result<Settings, &str>| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            match (read(&pairs.collect(), own), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(got), Err(expected)) => assert!(got.contains(expected), "{got}"),
                (got, expected) => panic!("{got:?}, expected {expected:?}"),
            }
        };
        check(&[], Ok(own));
        check(&[("scalerAddress", "gristmill:7080")], Ok(own));
        let target = Duration::from_mins(15);
        check(
            &[("targetSeconds", "900"), ("lanesPerWorker", " 8"), ("maxWorkers", "20")],
            Ok(Settings { target, lanes: 8, max: 20, ..own }),
        );
        check(
            &[("minWorkers", "5"), ("settleSeconds", "0")],
            Ok(Settings { min: 5, settle: Duration::ZERO, ..own }),
        );
        check(&[("lanesPerWorker", "0")], Err("lanesPerWorker is \"0\"; give a whole number from 1"));
        check(&[("targetSeconds", "5m")], Err("targetSeconds is \"5m\""));
        check(&[("targetSeconds", "99999999999999999999")], Err("to 86400"));
        check(&[("minWorkers", "5"), ("maxWorkers", "2")], Err("minWorkers 5 is more than maxWorkers 2"));
    }
}
