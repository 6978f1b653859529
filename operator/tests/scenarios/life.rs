//! From the creation of a gateway to its end: what is made, what its status says, and when nothing is written.

use std::time::{Duration, Instant};

use e2e::cast::patience::{eventually, eventually_within};
use serde_json::json;

use super::stage::{Stage, becomes};

#[tokio::test]
async fn b1_c1_a_gateway_becomes_objects_and_a_status_and_then_nothing_is_written() {
    let (stage, operator) = Stage::set().await;
    eventually("it is ready", async || operator.probe("/readyz").await == 200).await;
    let begun = Instant::now();
    stage.apply(&[stage.secret(), stage.gateway(json!({}))]).await;
    eventually("a first status", async || stage.get("claudegateway claude").await["status"]["observedGeneration"] == 1)
        .await;
    println!("B1: the first status after {:?}, applying included", begun.elapsed());
    for object in becomes("claude") {
        eventually(&object, async || !stage.get(&object).await.is_null()).await;
    }
    stage.until("DatabaseReady", "True", "DatabaseReady").await;
    stage.until("IdentityProviderReady", "True", "IdentityProviderReady").await;
    stage.until("Ready", "False", "PodsNotReady").await;
    stage.until("Reconciling", "True", "RollingOut").await;
    eventually("two pods", async || stage.get("pods").await["items"].as_array().unwrap().len() == 2).await;
    stage.ready_pods().await;
    stage.until("Ready", "True", "Available").await;
    eventually_within(Duration::from_secs(60), "the rollout is over", async || {
        stage.condition("Reconciling").await.is_null()
    })
    .await;
    assert!(stage.condition("Stalled").await.is_null());
    let status = stage.get("claudegateway claude").await["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["url"]), (&json!(2), &json!("https://claude.example.com")));

    stage.until_at_rest().await;
    let mark = stage.plane.mark();
    for _ in 0..3 {
        stage.touch().await;
    }
    let writes = stage.writes_since(mark);
    assert!(writes.is_empty(), "C1: {writes:#?}");
}

#[tokio::test]
async fn b4_a_conditions_time_moves_only_with_its_status() {
    let (stage, _operator) = Stage::with_gateway().await;
    let before = stage.condition("Ready").await;
    stage.patch("claudegateway claude", json!({ "spec": { "logLevel": "debug" } })).await;
    eventually("it is seen", async || stage.condition("Ready").await["observedGeneration"] == 2).await;
    let after = stage.condition("Ready").await;
    assert_eq!(after["status"], before["status"]);
    assert_eq!(after["lastTransitionTime"], before["lastTransitionTime"]);
}

#[tokio::test]
async fn b8_nothing_is_changed_while_a_gateway_is_paused_and_everything_after() {
    let (stage, _operator) = Stage::with_gateway().await;
    stage.run("annotate claudegateway claude claude-gateway.dev/paused=true").await;
    stage.until("Paused", "True", "Paused").await;
    stage.until_settled().await;
    let mark = stage.plane.mark();
    stage.run("delete service claude").await;
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": 5 } })).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let writes: Vec<_> = stage.writes_since(mark).into_iter().filter(|call| call.subresource != "status").collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert!(stage.get("service claude").await.is_null());
    stage.run("annotate claudegateway claude claude-gateway.dev/paused-").await;
    eventually("the Service is back", async || !stage.get("service claude").await.is_null()).await;
    eventually("five pods", async || stage.get("deployment claude").await["spec"]["replicas"] == 5).await;
    eventually("not paused", async || stage.condition("Paused").await.is_null()).await;
}

#[tokio::test]
async fn c4_what_a_gateway_owned_goes_with_it() {
    let (stage, _operator) = Stage::with_gateway().await;
    let begun = Instant::now();
    stage.run("delete claudegateway claude --wait=true").await;
    // The collector learns of a new kind of owner within half a minute.
    for object in becomes("claude") {
        eventually_within(Duration::from_secs(90), &format!("no {object}"), async || {
            stage.get(&object).await.is_null()
        })
        .await;
    }
    println!("C4: everything is gone after {:?}", begun.elapsed());
}

#[tokio::test]
async fn c16_health_and_metrics_say_what_is() {
    let (stage, operator) = Stage::with_gateway().await;
    assert_eq!((operator.probe("/readyz").await, operator.probe("/livez").await), (200, 200));
    let text = operator.metrics().await;
    let namespace = &stage.namespace;
    for part in [
        r#"claude_gateway_operator_reconciles_total{controller="ClaudeGateway",outcome="Done"}"#.to_owned(),
        r#"claude_gateway_operator_watch_age_seconds{resource="claudegateways"}"#.to_owned(),
        r#"claude_gateway_operator_watch_age_seconds{resource="secrets"}"#.to_owned(),
        "claude_gateway_operator_leader 1".to_owned(),
        format!(
            r#"claude_gateway_operator_condition{{kind="ClaudeGateway",namespace="{namespace}",name="claude",condition="DatabaseReady"}} 1"#
        ),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
}
