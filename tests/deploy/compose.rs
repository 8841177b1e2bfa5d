//! The cluster in containers: what it says to ours is known, what it mounts is there.

use std::process::Command;

use serde_json::Value;

use crate::{root, unknown};

fn yaml(path: &str) -> Option<Value> {
    let python = gristmill_tests::python("yaml")?;
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let output = Command::new(python).args(["-c", script, path]).current_dir(root()).output();
    let output = output.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn what_it_says_is_known_and_what_it_mounts_is_there() {
    let Some(compose) = yaml("deploy/compose.yaml") else { return };
    let services = compose["services"].as_object().expect("services");
    for name in ["coordinator", "worker", "valkey", "s3", "prometheus", "grafana", "collector"] {
        assert!(services.contains_key(name), "{name}");
    }
    for (name, service) in services {
        if service["image"] == "gristmill:local" {
            let role = service.pointer("/command/0").and_then(Value::as_str).expect("a role");
            let environment = service["environment"].as_object().expect("an environment");
            assert_eq!(unknown(role, environment.keys().map(String::as_str)), Vec::<&str>::new(), "{name}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let Some(volume) = volume.as_str() else { continue };
            // What a user brings need not be there: models, input.
            if let Some(ours) = volume.strip_prefix("./") {
                let path = root().join("deploy").join(ours.split(':').next().expect("a path"));
                assert!(path.exists(), "{name} mounts {}", path.display());
            }
        }
        for other in service["depends_on"].as_object().into_iter().flat_map(serde_json::Map::keys) {
            assert!(services.contains_key(other), "{name} waits for {other}");
        }
    }
    let dockerfile = services["worker"].pointer("/build/dockerfile").and_then(Value::as_str);
    assert!(root().join(dockerfile.expect("a Dockerfile")).exists());
    let grace = services["worker"]["stop_grace_period"].as_str().expect("a time");
    assert!(grace.trim_end_matches('s').parse::<u64>().expect("seconds") > 25);
}
