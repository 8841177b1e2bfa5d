//! The Helm chart, rendered by Helm's own code for several kinds of installations.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::{root, unknown};

/// What `tests/oracles/chart.py` says of the chart and of these wrong values.
fn rendered(wrong: &Value) -> Option<Value> {
    let python = gristmill_tests::python("helm_python, kubernetes_validate, cloudcoil.models.keda")?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.json");
    std::fs::write(&file, wrong.to_string()).expect("writes");
    let script = root().join("tests/oracles/chart.py");
    let output =
        Command::new(python).arg(script).arg(root().join("helm")).arg(file).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The documents of a case, by kind and name.
fn documents(case: &Value) -> BTreeMap<(String, String), &Value> {
    let documents = case["documents"].as_array().expect("documents").iter();
    let named = documents.map(|document| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ((text(&document["kind"]), text(&document["metadata"]["name"])), document)
    });
    named.collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} of {value}"))
}

/// All pods of a case: their labels and what they run.
fn pods<'a>(documents: &BTreeMap<(String, String), &'a Value>) -> Vec<(&'a Value, &'a Value)> {
    let deployments = documents.iter().filter(|((kind, _), _)| kind == "Deployment");
    let templates = deployments.map(|(_, document)| &document["spec"]["template"]);
    let tests = documents.iter().filter(|((kind, _), _)| kind == "Pod").map(|(_, document)| *document);
    templates.chain(tests).map(|pod| (&pod["metadata"]["labels"], &pod["spec"])).collect()
}

#[test]
fn every_installation_is_valid_and_fits_together() {
    let Some(answer) = rendered(&json!([])) else { return };
    assert_eq!(answer["lint"], json!([]));
    let cases = answer["cases"].as_object().expect("cases");
    assert_eq!(cases.len(), 4);
    for (name, case) in cases {
        assert_eq!(case["problems"], json!([]), "{name}");
        let documents = documents(case);
        pods_are_locked_down(name, &documents);
        settings_are_known(name, &documents);
        services_find_their_pods(name, &documents);
        autoscalers_scale_the_workers(name, &documents);
        claims_are_mounted(name, &documents);
        policies_let_in_whom_they_name(name, &documents);
    }
}

/// In a policy an empty list means all.
fn policies_let_in_whom_they_name(case: &str, documents: &BTreeMap<(String, String), &Value>) {
    let policies = documents.iter().filter(|((kind, _), _)| kind == "NetworkPolicy");
    for ((_, name), policy) in policies {
        let rules = ["ingress", "egress"].map(|way| policy["spec"][way].as_array().expect("rules"));
        for rule in rules.into_iter().flatten() {
            for (field, list) in rule.as_object().expect("a rule") {
                let len = list.as_array().map_or(0, Vec::len);
                assert!(len > 0, "{case}: {field} of {name} is empty, which means all");
            }
        }
    }
}

fn pods_are_locked_down(case: &str, documents: &BTreeMap<(String, String), &Value>) {
    for (labels, pod) in pods(documents) {
        let at = format!("{case}: {labels}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{at}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{at}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{at}");
        for container in pod["containers"].as_array().expect("containers") {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{at}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{at}");
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{at}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{at}");
        }
        if labels["app.kubernetes.io/component"] == "worker" {
            // It needs 25 s to give its tasks back.
            assert!(pod["terminationGracePeriodSeconds"].as_u64().expect("seconds") > 25, "{at}");
        }
    }
}

fn settings_are_known(case: &str, documents: &BTreeMap<(String, String), &Value>) {
    let mut roles = Vec::new();
    for (_, pod) in pods(documents) {
        for container in pod["containers"].as_array().expect("containers") {
            let Some(role) = container.pointer("/args/0").and_then(Value::as_str) else { continue };
            if role.starts_with('-') {
                continue;
            }
            let environment = container["env"].as_array().expect("an environment");
            let names = environment.iter().map(|variable| text(variable, "/name"));
            assert_eq!(unknown(role, names), Vec::<&str>::new(), "{case}: {role}");
            roles.push(role);
        }
    }
    roles.sort_unstable();
    assert_eq!(roles, ["coordinator", "jobs", "worker"], "{case}");
}

fn services_find_their_pods(case: &str, documents: &BTreeMap<(String, String), &Value>) {
    for ((kind, name), service) in documents {
        if kind != "Service" {
            continue;
        }
        let selector = service["spec"]["selector"].as_object().expect("a selector");
        let found: Vec<_> = pods(documents)
            .into_iter()
            .filter(|(labels, _)| selector.iter().all(|(label, value)| labels[label] == *value))
            .collect();
        assert_eq!(found.len(), 1, "{case}: {name}");
        let ports = found[0].1.pointer("/containers/0/ports").and_then(Value::as_array).expect("ports");
        for port in service["spec"]["ports"].as_array().expect("ports") {
            let target = &port["targetPort"];
            assert!(ports.iter().any(|port| port["name"] == *target), "{case}: {name} {target}");
        }
    }
}

fn autoscalers_scale_the_workers(case: &str, documents: &BTreeMap<(String, String), &Value>) {
    let worker = documents
        .iter()
        .find(|((kind, name), _)| kind == "Deployment" && name.ends_with("-worker"))
        .expect("workers");
    let scaler = documents
        .iter()
        .find(|((kind, _), _)| kind == "ScaledObject" || kind == "HorizontalPodAutoscaler")
        .map(|(_, document)| *document);
    // Whoever sets the number, it must be one.
    assert_eq!(worker.1["spec"].get("replicas").is_none(), scaler.is_some(), "{case}");
    let Some(scaler) = scaler else { return };
    assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], worker.0.1.as_str(), "{case}");
    if scaler["kind"] == "ScaledObject" {
        let address = text(scaler, "/spec/triggers/0/metadata/scalerAddress");
        let host = address.split('.').next().expect("a host").to_owned();
        assert!(documents.contains_key(&("Service".to_owned(), host)), "{case}: {address}");
        let lanes = text(scaler, "/spec/triggers/0/metadata/lanesPerWorker");
        let environment = worker.1.pointer("/spec/template/spec/containers/0/env");
        let environment = environment.and_then(Value::as_array).expect("an environment");
        let said = environment.iter().find(|variable| variable["name"] == "GRISTMILL_LANES").expect("lanes");
        assert_eq!(said["value"], lanes, "{case}");
    }
}

fn claims_are_mounted(case: &str, documents: &BTreeMap<(String, String), &Value>) {
    for (labels, pod) in pods(documents) {
        let volumes = pod["volumes"].as_array().cloned().unwrap_or_default();
        let mounts = pod.pointer("/containers/0/volumeMounts").and_then(Value::as_array);
        let mounts = mounts.cloned().unwrap_or_default();
        let names =
            |list: &[Value]| list.iter().map(|one| one["name"].clone().to_string()).collect::<Vec<_>>();
        let (mut volumes, mut mounts) = (names(&volumes), names(&mounts));
        volumes.sort_unstable();
        mounts.sort_unstable();
        assert_eq!(volumes, mounts, "{case}: {labels}");
    }
}

#[test]
fn wrong_values_are_refused() {
    let with = |extra: Value| {
        let mut values = json!({"workspace": "s3://bucket/prefix"});
        let (Value::Object(all), Value::Object(extra)) = (&mut values, extra) else { unreachable!() };
        all.extend(extra);
        values
    };
    let wrong = [
        (json!({}), "workspace: say where jobs keep their objects"),
        (json!({"workspace": "/data"}), "/workspace"),
        (with(json!({"workers": {"replicas": 3}})), "workers"),
        (with(json!({"worker": {"lanes": 0}})), "/worker/lanes"),
        (
            with(json!({"worker": {"terminationGracePeriodSeconds": 20}})),
            "/worker/terminationGracePeriodSeconds",
        ),
        (with(json!({"worker": {"scratch": {"size": "lots"}}})), "/worker/scratch/size"),
        (with(json!({"coordinator": {"replicas": 0}})), "/coordinator/replicas"),
        (with(json!({"queue": {"lease": "soon"}})), "/queue/lease"),
        (with(json!({"queue": {"lease": "0s"}})), "/queue/lease"),
        (with(json!({"autoscaling": {"maxReplicas": 1_000_000}})), "/autoscaling/maxReplicas"),
        (with(json!({"autoscaling": {"targetSeconds": 100_000}})), "/autoscaling/targetSeconds"),
        (
            with(json!({"coordinator": {"tls": {"secretName": "tls", "clientCa": true}}})),
            "test.clientCertSecret.name",
        ),
        (with(json!({"autoscaling": {"mode": "magic"}})), "/autoscaling/mode"),
        (
            with(json!({"autoscaling": {"minReplicas": 9, "maxReplicas": 3}})),
            "is more than autoscaling.maxReplicas",
        ),
        (with(json!({"redis": {"url": "http://redis"}})), "/redis/url"),
        (with(json!({"redis": {"password": "in the clear"}})), "password"),
        (with(json!({"s3": {"endpoint": "seaweedfs:8333"}})), "/s3/endpoint"),
        (with(json!({"allow": ["s3://a,s3://b"]})), "/allow/0"),
        (with(json!({"tracing": {"sampler": "sometimes"}})), "/tracing/sampler"),
        (with(json!({"networkPolicy": {"egressPorts": [70_000]}})), "/networkPolicy/egressPorts/0"),
    ];
    let values: Vec<&Value> = wrong.iter().map(|(values, _)| values).collect();
    let Some(answer) = rendered(&json!(values)) else { return };
    for ((values, part), error) in wrong.iter().zip(answer["refused"].as_array().expect("answers")) {
        let error = error.as_str().unwrap_or_else(|| panic!("{values} was taken"));
        assert!(error.contains(part), "{values}: {error}");
    }
}
