//! A5: the rules fit into the API server's budget, and the largest objects into its stores.

use serde_json::{Value, json};

use crate::{
    stage::Stage,
    table::{
        Change,
        objects::{full_gateway, full_policy},
    },
};

const ANNOTATION: usize = 256 << 10;

#[tokio::test]
async fn a5_the_largest_objects_are_accepted_and_fit_into_an_annotation() {
    let stage = Stage::set().await;
    let allowed: Vec<_> = (0..256)
        .map(|n| json!({ "namespace": format!("namespace-{n}"), "groups": (0..20).map(|g| format!("group-{g}")).collect::<Vec<_>>() }))
        .collect();
    let models: Vec<_> = (0..100)
        .map(|n| json!({ "id": format!("model-{n}"), "upstreamModel": [{ "upstream": "main", "id": "x" }] }))
        .collect();
    let upstream = full_gateway()["spec"]["upstreams"][0].clone();
    let mut upstreams: Vec<_> =
        (0..32).map(|n| upstream.clone().with("name", json!(format!("upstream-{n}")))).collect();
    upstreams[0]["name"] = json!("main");
    let gateway = full_gateway()
        .with("spec.policies.allowed", json!(allowed))
        .with("spec.models", json!(models))
        .with("spec.upstreams", json!(upstreams));
    let rules: Vec<_> = (0..500).map(|n| format!("Bash(some-command-{n}:*)")).collect();
    let emails: Vec<_> = (0..512).map(|n| format!("somebody-{n}@example.com")).collect();
    let policy = full_policy()
        .with("spec.claudeCode", json!({ "permissions": { "deny": rules } }))
        .with("spec.match.emails", json!(emails));
    for object in [gateway, policy] {
        let size = object.to_string().len();
        assert!(size < ANNOTATION, "{size} bytes");
        let answer = stage.create(&object).await;
        assert!(answer.is_accepted(), "{}", answer.message());
    }
}

#[tokio::test]
async fn a5_both_kinds_are_registered_without_a_warning() {
    let stage = Stage::set().await;
    for name in ["claudegateways", "userpolicies"] {
        let definition: Value = stage.plane.kubectl().get(&format!("crd {name}.claude-gateway.dev")).await.unwrap();
        let conditions = definition["status"]["conditions"].as_array().unwrap().clone();
        let is = |kind: &str, status: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == status);
        assert!(is("Established", "True") && is("NamesAccepted", "True"), "{conditions:?}");
        assert!(!conditions.iter().any(|one| one["type"] == "NonStructuralSchema"), "{conditions:?}");
        let applied = &definition["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        assert!(applied.as_str().unwrap().len() < ANNOTATION);
    }
}
