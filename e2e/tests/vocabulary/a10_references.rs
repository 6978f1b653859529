//! A10: which policies of other namespaces a gateway takes, read back from what the API server keeps. The conditions that say
//! so are the operator's.

use crds::{ClaudeGateway, NotPermitted, UserPolicy};
use serde_json::{Value, json};

use crate::{
    stage::Stage,
    table::{
        Change,
        objects::{gateway, policy},
    },
};

async fn stored<T: serde::de::DeserializeOwned>(stage: &Stage, object: Value) -> T {
    let answer = stage.create(&object).await;
    assert!(answer.is_accepted(), "{}", answer.message());
    serde_json::from_value(answer.body).unwrap()
}

#[tokio::test]
async fn a10_a_policy_of_another_namespace_is_taken_only_as_far_as_the_gateway_allows() {
    let (home, guests, strangers) = (Stage::set().await, Stage::set().await, Stage::set().await);
    let allowed = json!([{ "namespace": guests.namespace, "groups": ["data"], "maxPriority": 100 }]);
    let gateway: ClaudeGateway = stored(
        &home,
        gateway().with("metadata.name", json!("claude")).with("spec.policies", json!({ "allowed": allowed })),
    )
    .await;
    let policy = |name: &str, spec: Value| {
        let mut object = policy().with("metadata.name", json!(name)).with("spec", spec);
        object["spec"]["gatewayRef"] = json!({ "name": "claude", "namespace": home.namespace });
        object
    };
    let own: UserPolicy = stored(&home, policy("own", json!({ "priority": 9_000, "desktop": {} }))).await;
    assert_eq!(gateway.permits(&own), Ok(()));
    let stranger: UserPolicy = stored(&strangers, policy("stranger", json!({ "match": { "groups": ["data"] } }))).await;
    assert_eq!(gateway.permits(&stranger), Err(NotPermitted::Namespace));
    for (name, spec, verdict) in [
        ("within", json!({ "match": { "groups": ["data"] }, "priority": 100 }), Ok(())),
        ("everyone", json!({}), Err(NotPermitted::Groups)),
        ("beyond", json!({ "match": { "groups": ["data", "admins"] } }), Err(NotPermitted::Groups)),
        ("above", json!({ "match": { "groups": ["data"] }, "priority": 101 }), Err(NotPermitted::Priority)),
        ("commands", json!({ "match": { "groups": ["data"] }, "claudeCode": {} }), Err(NotPermitted::ManagedSettings)),
    ] {
        let policy: UserPolicy = stored(&guests, policy(name, spec)).await;
        assert_eq!(gateway.permits(&policy), verdict, "{name}");
    }
}

#[tokio::test]
async fn a10_of_two_policies_the_same_one_is_first_however_they_are_listed() {
    let stage = Stage::set().await;
    let mut policies = Vec::new();
    for (name, priority) in [("b", 10), ("a", 10), ("z", 20), ("c", 0)] {
        let object = policy().with("metadata.name", json!(name)).with("spec.priority", json!(priority));
        policies.push(stored::<UserPolicy>(&stage, object).await);
    }
    for _ in 0..policies.len() {
        policies.rotate_left(1);
        let mut sorted: Vec<_> = policies.iter().collect();
        sorted.sort_by(|one, other| one.precedence().cmp(&other.precedence()));
        let names: Vec<_> = sorted.iter().map(|policy| policy.metadata.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["z", "a", "b", "c"]);
    }
}
