//! Counts requests by method and by how they ended, around all services.
//!
//! Bounded: a method that no service has is `other`.

use crate::metrics::Metrics;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::codegen::{Service, http};
use tower_layer::Layer;

/// As gRPC names its codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const UNIMPLEMENTED: usize = 12;

#[derive(Clone)]
pub(super) struct Counting(pub(super) Metrics);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B, R> Service<http::Request<B>> for Counted<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (began, metrics) = (Instant::now(), self.metrics.clone());
        let method = method(request.uri().path()).to_owned();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or(2, |answer| code(answer.headers()));
            let method = if code == UNIMPLEMENTED { "other".to_owned() } else { method };
            metrics.answered(method, CODES.get(code).copied().unwrap_or("UNKNOWN"), began.elapsed());
            answer
        })
    }
}

/// Service and method, without the package.
fn method(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    let service = path.split_once('/').map_or(path, |(service, _)| service);
    path.get(service.rfind('.').map_or(0, |dot| dot + 1)..).unwrap_or(path)
}

/// What failed before there was anything to send says so in its headers; what went well, or fails later in a stream, says
/// nothing there.
fn code(headers: &http::HeaderMap) -> usize {
    let status = headers.get("grpc-status").and_then(|status| status.to_str().ok());
    status.map_or(0, |status| status.parse().unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_shortly() {
        assert_eq!(method("/gristmill.v1.JobService/SubmitJob"), "JobService/SubmitJob");
        assert_eq!(method("/grpc.health.v1.Health/Check"), "Health/Check");
        assert_eq!(method("/a.b"), "b");
        assert_eq!(method("/"), "");
    }
}
