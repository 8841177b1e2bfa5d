//! One connected trace for a job, whoever worked on it: seen by a receiver of OpenTelemetry's protocol.

use super::metrics::{submit, write_job};
use crate::cluster::{Cluster, Setup};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tonic::{Request, Response, Status};

const PATIENCE: Duration = Duration::from_mins(3);

/// Keeps all spans, with the service and the process that each came from.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let resource = group.resource.unwrap_or_default();
            let service = text(&resource.attributes, "service.name");
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().expect("lock").extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let value =
        attributes.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

impl Receiver {
    async fn start() -> (Self, u16) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = TraceServiceServer::new(receiver.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        (receiver, port)
    }

    fn spans(&self) -> Vec<(String, Span)> {
        self.0.lock().expect("lock").clone()
    }
}

/// Two workers, two coordinators, one of which is killed and started again in the midst of the job.
#[test]
fn a_job_is_one_connected_trace_whoever_worked_on_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (receiver, port) = runtime.block_on(Receiver::start());
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    write_job(folder, false);
    let environment = vec![
        ("GRISTMILL_FAULT_INJECTION", "1".to_owned()),
        ("GRISTMILL_LOG_FORMAT", "json".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}")),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    let setup = Setup { environment, coordinators: 2, ..Setup::default() };
    let Some(mut cluster) = Cluster::start(folder, setup) else { return };
    let job = submit(&cluster, folder, "out");
    let coordinator = cluster.coordinators.last_mut().expect("a second one");
    coordinator.kill();
    coordinator.up();
    cluster.wait(&job, PATIENCE);

    let began = Instant::now();
    let spans = loop {
        let spans = receiver.spans();
        let named = |name: &str| spans.iter().filter(|(_, span)| span.name == name).count();
        if named("job") > 0 && named("stage") >= 4 && named("publish") > 0 && is_connected(&spans) {
            break spans;
        }
        let names: Vec<&str> = spans.iter().map(|(_, span)| span.name.as_str()).collect();
        assert!(began.elapsed() < PATIENCE, "{names:?}\n{}", cluster.logs());
        std::thread::sleep(Duration::from_millis(100));
    };

    let traces: BTreeSet<&[u8]> = spans.iter().map(|(_, span)| span.trace_id.as_slice()).collect();
    assert_eq!(traces.len(), 1, "one trace");
    let of = |name: &'static str| spans.iter().filter(move |(_, span)| span.name == name);
    let services =
        |name: &'static str| of(name).map(|(service, _)| service.as_str()).collect::<BTreeSet<&str>>();
    assert_eq!(services("job"), BTreeSet::from(["gristmill-coordinator"]));
    assert_eq!(services("attempt"), BTreeSet::from(["gristmill-worker"]));
    assert!(of("storage").count() > 20 && of("task").count() >= 4, "{}", spans.len());
    let documents =
        spans.iter().filter(|(_, span)| span.attributes.iter().any(|pair| pair.key == "document"));
    assert_eq!(documents.count(), 0);
    for (_, span) in of("attempt") {
        assert_eq!(text(&span.attributes, "job"), job);
    }
    // A log line within the trace says so.
    let trace: String = spans[0].1.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let logs: String = cluster.workers.iter().map(crate::cluster::Process::whole_log).collect();
    let line = logs.lines().find(|line| line.contains("read to the end")).expect("a line of an attempt");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["trace_id"], trace, "{line}");
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16), "{line}");
}

/// Whether every span's parent is there, and only the job has none.
fn is_connected(spans: &[(String, Span)]) -> bool {
    let known: BTreeMap<&[u8], &str> =
        spans.iter().map(|(_, span)| (span.span_id.as_slice(), span.name.as_str())).collect();
    spans.iter().all(|(_, span)| {
        let parent = known.get(span.parent_span_id.as_slice()).copied();
        match span.name.as_str() {
            "job" => span.parent_span_id.is_empty(),
            "stage" | "publish" => parent == Some("job"),
            "task" => parent == Some("stage"),
            "attempt" => parent == Some("task"),
            "storage" => parent == Some("attempt"),
            _ => false,
        }
    })
}
