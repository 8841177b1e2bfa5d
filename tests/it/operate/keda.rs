//! The autoscaler, asked as KEDA asks it: by a client made from its protocol.

use super::metrics::{submit, write_job};
use crate::cluster::{Cluster, Setup};
use crate::queue::server::free_port;
use gristmill_proto::externalscaler::external_scaler_client::ExternalScalerClient;
use gristmill_proto::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(3);

fn object(metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let pairs = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    ScaledObjectRef {
        name: "workers".into(),
        namespace: "gristmill".into(),
        scaler_metadata: pairs.collect(),
    }
}

#[test]
fn keda_is_told_how_many_workers_a_job_needs_and_that_none_are_when_it_is_over() {
    let folder = tempfile::tempdir().expect("folder");
    let folder = folder.path();
    write_job(folder, false);
    let port = free_port();
    let args = ["--scaler", &format!("127.0.0.1:{port}"), "--scaler-settle", "1s"].map(str::to_owned);
    let setup = Setup {
        environment: vec![("GRISTMILL_FAULT_INJECTION", "1".to_owned())],
        coordinator_args: args.to_vec(),
        workers: 0,
        ..Setup::default()
    };
    let Some(mut cluster) = Cluster::start(folder, setup) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut keda = runtime
        .block_on(ExternalScalerClient::connect(format!("http://127.0.0.1:{port}")))
        .expect("it connects");
    let mut ask = |metadata: &[(&str, &str)]| {
        let scaled_object_ref = Some(object(metadata));
        let request = GetMetricsRequest { scaled_object_ref, metric_name: "gristmill-workers".into() };
        let answer = runtime.block_on(keda.get_metrics(request))?.into_inner();
        let value = answer.metric_values.first().expect("a value").clone();
        assert_eq!(value.metric_value_float as i64, value.metric_value);
        Ok::<i64, tonic::Status>(value.metric_value)
    };

    assert_eq!(ask(&[]).expect("answers"), 0, "there is no work");
    assert_eq!(ask(&[("minWorkers", "2")]).expect("answers"), 2);
    let error = ask(&[("targetSeconds", "soon")]).expect_err("nonsense");
    assert!(error.message().contains("ScaledObject gristmill/workers: targetSeconds is \"soon\""), "{error}");

    let (spec, mut stream) = runtime.block_on(async {
        let mut keda =
            ExternalScalerClient::connect(format!("http://127.0.0.1:{port}")).await.expect("connects");
        let spec = keda.get_metric_spec(object(&[])).await.expect("answers").into_inner();
        let stream = keda.stream_is_active(object(&[])).await.expect("answers").into_inner();
        (spec, stream)
    });
    let spec = spec.metric_specs.first().expect("a metric");
    assert_eq!((spec.metric_name.as_str(), spec.target_size_float), ("gristmill-workers", 1.0));
    let mut told = || {
        let message = async { tokio::time::timeout(PATIENCE, stream.message()).await.expect("in time") };
        runtime.block_on(message).expect("a message").expect("no end").result
    };
    assert!(!told(), "inactive, said at once");

    let job = submit(&cluster, folder, "out");
    assert!(told(), "there is work, and nobody there who does it");
    let wanted = ask(&[("targetSeconds", "1"), ("lanesPerWorker", "1")]).expect("answers");
    assert!(wanted > 1, "{wanted}");
    assert_eq!(
        ask(&[("targetSeconds", "1"), ("lanesPerWorker", "1"), ("maxWorkers", "1")]).expect("answers"),
        1
    );
    cluster.add_worker();
    cluster.wait(&job, PATIENCE);
    assert!(!told(), "the job is over");
    let began = Instant::now();
    while ask(&[]).expect("answers") > 0 {
        assert!(began.elapsed() < PATIENCE, "workers are wanted for nothing");
        std::thread::sleep(Duration::from_millis(200));
    }
}
