//! B7 for Flux: the expressions we ship, evaluated as its RFC 0009 says, on objects as they come.

use cel::{Context, Program, Value as Cel};
use e2e::chart::root;
use serde_json::Value;

use crate::stage::yaml;

#[derive(Debug, PartialEq)]
enum Verdict {
    Current,
    InProgress,
    Failed,
}

/// The generation first, then the expressions in their order; what cannot be evaluated yet is in progress.
fn verdict(fixture: &str) -> Verdict {
    let object = yaml(&root().join(format!("deploy/gitops/fixtures/{fixture}.yaml")));
    let checks = yaml(&root().join("deploy/gitops/flux-kustomization.yaml"));
    let checks = checks["spec"]["healthCheckExprs"].as_array().unwrap();
    let check = checks.iter().find(|check| check["kind"] == object["kind"]).unwrap();
    assert_eq!(check["apiVersion"], object["apiVersion"]);
    let observed = object["status"].get("observedGeneration");
    if observed.is_some_and(|observed| *observed != object["metadata"]["generation"]) {
        return Verdict::InProgress;
    }
    for (key, verdict) in
        [("inProgress", Verdict::InProgress), ("failed", Verdict::Failed), ("current", Verdict::Current)]
    {
        match holds(check[key].as_str().unwrap(), &object) {
            Some(true) => return verdict,
            Some(false) => {}
            None => return Verdict::InProgress,
        }
    }
    Verdict::InProgress
}

fn holds(expression: &str, object: &Value) -> Option<bool> {
    let program = Program::compile(expression).unwrap();
    let mut context = Context::default();
    for (field, value) in object.as_object().unwrap() {
        context.add_variable(field.as_str(), value).unwrap();
    }
    match program.execute(&context) {
        Ok(Cel::Bool(holds)) => Some(holds),
        Ok(other) => panic!("{expression} is {other:?}"),
        Err(_) => None,
    }
}

#[test]
fn flux_waits_for_each_object_as_long_as_it_must() {
    for (fixture, expected) in [
        ("gateway-healthy", Verdict::Current),
        ("gateway-unseen", Verdict::InProgress),
        ("gateway-stale", Verdict::InProgress),
        ("gateway-begun", Verdict::InProgress),
        ("gateway-rolling", Verdict::InProgress),
        ("gateway-stalled", Verdict::Failed),
        // It may come back by itself, so Flux waits until its timeout.
        ("gateway-unready", Verdict::InProgress),
        ("gateway-paused", Verdict::Current),
        ("policy-healthy", Verdict::Current),
        ("policy-stale", Verdict::InProgress),
        ("policy-refused", Verdict::Failed),
        ("policy-syncing", Verdict::InProgress),
        ("policy-unsynced", Verdict::InProgress),
    ] {
        assert_eq!(verdict(fixture), expected, "{fixture}");
    }
}
