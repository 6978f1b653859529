//! C1 and B4: where a gateway comes to depends on what it asks for, not on how it came there; and there it rests.

use std::{collections::BTreeMap, time::Duration};

use e2e::cast::{length::short_or_full, patience::eventually_within};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::stage::{Stage, becomes};

const PATIENCE: Duration = Duration::from_secs(90);
/// How often a gateway was looked at.
const LOOKS: &str = r#"claude_gateway_operator_reconciles_total{controller="ClaudeGateway",outcome="Done"}"#;

/// Edits of every kind that makes, changes or ends an object; the last is the gateway as it began.
fn edits() -> Vec<Value> {
    vec![
        json!({ "replicas": 1 }),
        json!({ "replicas": 5, "logLevel": "debug" }),
        json!({ "autoscaling": { "minReplicas": 3, "maxReplicas": 6 } }),
        json!({ "exposure": { "kind": "None" } }),
        json!({ "networkPolicy": { "enabled": false } }),
        json!({ "metrics": { "enabled": false } }),
        json!({ "timeouts": { "drainSeconds": 120 } }),
        json!({ "podTemplate": { "annotations": { "team": "platform" }, "labels": { "team": "platform" } } }),
        json!({}),
    ]
}

/// What the operator has decided about each object.
async fn decided(stage: &Stage) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for object in becomes("claude").into_iter().chain(["horizontalpodautoscaler claude".to_owned()]) {
        let mut found = stage.get(&object).await;
        let annotations = found["metadata"]["annotations"].as_object_mut();
        // Counted up by the Deployment's own controller.
        annotations.map(|annotations| annotations.remove("deployment.kubernetes.io/revision"));
        let metadata = &found["metadata"];
        let (labels, notes) = (metadata["labels"].clone(), metadata["annotations"].clone());
        all.insert(object, json!([found["spec"], found["data"], labels, notes]));
    }
    all
}

#[tokio::test]
async fn c1_every_way_to_the_same_gateway_ends_in_the_same_objects() {
    let (stage, _operator) = Stage::with_gateway().await;
    let wanted = decided(&stage).await;
    let rounds = short_or_full(2, 100);
    let mut chance = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let order = proptest::collection::vec(0..edits().len(), short_or_full(6, 10));
    for round in 0..rounds {
        let order = order.new_tree(&mut chance).unwrap().current();
        for edit in &order {
            stage.apply(&[stage.gateway(edits()[*edit].clone())]).await;
            // Some are overtaken by the next one, some are not.
            tokio::time::sleep(Duration::from_millis(300 * (*edit as u64 % 3))).await;
        }
        stage.apply(&[stage.gateway(json!({}))]).await;
        let what = format!("round {round} with {order:?} ends as it began");
        eventually_within(PATIENCE, &what, async || decided(&stage).await == wanted).await;
        stage.until_settled().await;
        assert_eq!(decided(&stage).await, wanted, "{order:?}");
        let (mark, before) = (stage.plane.mark(), stage.get("claudegateway claude").await["status"].take());
        stage.touch().await;
        let (writes, after) = (stage.writes_since(mark), stage.get("claudegateway claude").await["status"].take());
        assert!(writes.is_empty(), "C1: after {order:?}: {writes:#?}\n{before:#}\nbecame\n{after:#}");
    }
}

/// B4 and C1: nothing is written about what does not change, a status least of all.
#[tokio::test]
async fn b4_an_object_at_rest_is_not_written() {
    let (stage, operator) = Stage::with_gateway().await;
    stage.apply(&[stage.policy("base", json!({}))]).await;
    stage.policy_becomes("base", "Synced", "True", "Stored").await;
    stage.ready_pods().await;
    stage.until("Ready", "True", "Available").await;
    stage.until_at_rest().await;
    let looks = async || operator.metric(LOOKS).await.unwrap();
    let (mark, before) = (stage.plane.mark(), looks().await);
    let window = short_or_full(Duration::from_secs(40), Duration::from_secs(600));
    tokio::time::sleep(window).await;
    let looks = looks().await - before;
    let is_read = |call: &e2e::cluster::Call| call.verb == "get" && !call.resource.is_empty();
    let reads = stage.calls_since(mark).into_iter().filter(is_read).count();
    let writes = stage.writes_since(mark);
    println!("B4: in {window:?} {looks} looks, {reads} reads and {} writes", writes.len());
    assert!(looks > 0.0, "it was looked at");
    // All is read afresh each five minutes.
    let most = if window < Duration::from_secs(60) { 0 } else { 60 };
    assert!(reads <= most, "C10: what no watch speaks of is not read: {reads}");
    assert!(writes.is_empty(), "B4: {writes:#?}");
}
