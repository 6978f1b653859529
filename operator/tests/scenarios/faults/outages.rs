//! C13: the API server is killed, frozen, forgets its past, returns to an older state, or refuses one watch; the operator's
//! process lives through all of it.

use std::time::{Duration, Instant};

use e2e::cast::{length::short_or_full, patience::eventually_within};
use serde_json::{Value, json};

use super::{PATIENCE, tell};
use crate::stage::{ALONE, Operator, Stage};

/// A gateway with its objects, on an API server that is about to suffer.
async fn set() -> (Stage, Operator) {
    let mut stage = Stage::alone().await;
    // An API server that starts refuses everybody until it has read the roles.
    stage.is_refused_nothing = false;
    let operator = stage.operator(&ALONE).await;
    stage.has_gateway().await;
    stage.apply(&[stage.policy("base", json!({}))]).await;
    // A policy is stored once the tables are there, which is before the pods are asked for.
    eventually_within(PATIENCE, "the policy is stored and pods are asked for", async || {
        policy_is_stored(&stage).await && !stage.get("deployment claude").await.is_null()
    })
    .await;
    (stage, operator)
}

async fn policy_is_stored(stage: &Stage) -> bool {
    super::says(&stage.conditions("userpolicies", "base").await, "Synced", "Stored")
}

/// After a fault: an edit of each kind is carried out, and what somebody broke is mended.
async fn converges(what: &str, stage: &Stage, operator: &mut Operator) {
    let since = Instant::now();
    let before = stage.get("deployment claude").await["spec"]["replicas"].as_i64().unwrap();
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": before + 1 } })).await;
    stage.patch("userpolicy base", json!({ "spec": { "priority": before } })).await;
    stage.run("delete networkpolicy claude").await;
    eventually_within(PATIENCE, "the edits are carried out", async || {
        let policy = stage.get("userpolicy base").await;
        stage.get("deployment claude").await["spec"]["replicas"] == json!(before + 1)
            && policy["status"]["observedGeneration"] == policy["metadata"]["generation"]
            && policy_is_stored(stage).await
            && !stage.get("networkpolicy claude").await.is_null()
    })
    .await;
    tell(&format!("C13: {what}"), since.elapsed());
    assert!(operator.is_running(), "{what}: the same process");
    assert_eq!((operator.probe("/livez").await, operator.probe("/readyz").await), (200, 200), "{what}");
    stage.until_settled().await;
}

#[tokio::test]
async fn c13_a_killed_api_server_is_waited_for() {
    let (stage, mut operator) = set().await;
    stage.plane.api_server().kill().unwrap();
    tokio::time::sleep(short_or_full(Duration::from_secs(8), Duration::from_secs(60))).await;
    stage.plane.api_server().start_again().unwrap();
    stage.plane.until_served().await.unwrap();
    converges("API server killed", &stage, &mut operator).await;
}

#[tokio::test]
async fn c13_a_frozen_api_server_is_waited_for() {
    let (stage, mut operator) = set().await;
    stage.plane.api_server().freeze().unwrap();
    tokio::time::sleep(short_or_full(Duration::from_secs(25), Duration::from_secs(360))).await;
    stage.plane.api_server().thaw().unwrap();
    stage.plane.until_served().await.unwrap();
    converges("API server frozen", &stage, &mut operator).await;
}

#[tokio::test]
async fn c13_a_store_that_forgot_its_past_is_listed_anew() {
    let (stage, mut operator) = set().await;
    stage.plane.compact().await.unwrap();
    converges("etcd compacted", &stage, &mut operator).await;
}

#[tokio::test]
async fn c13_a_store_that_is_older_than_what_was_seen_is_listed_anew() {
    let (stage, mut operator) = set().await;
    let backup = stage.plane.backup().await.unwrap();
    for replicas in 3..9 {
        stage.patch("claudegateway claude", json!({ "spec": { "replicas": replicas } })).await;
        eventually_within(PATIENCE, "it is carried out", async || {
            stage.get("deployment claude").await["spec"]["replicas"] == replicas
        })
        .await;
    }
    stage.plane.restore(&backup).await.unwrap();
    converges("etcd restored to an older state", &stage, &mut operator).await;
}

/// One kind that may not be watched any more delays no other, and is caught up with when it may.
#[tokio::test]
async fn c13_one_watch_that_is_refused_delays_no_other() {
    let (stage, mut operator) = set().await;
    let role = stage.get(&stage.install.role()).await;
    let mut fewer = role.clone();
    let rules = fewer["rules"].as_array_mut().unwrap();
    let rule = rules.iter_mut().find(|rule| rule["resources"] == json!(["poddisruptionbudgets"])).unwrap();
    rule["verbs"] = json!(["get", "create", "patch", "delete"]);
    stage.patch(&stage.install.role(), json!({ "rules": fewer["rules"] })).await;
    // A watch that stands is asked for its right only when it is begun anew.
    stage.plane.api_server().kill().unwrap();
    stage.plane.api_server().start_again().unwrap();
    stage.plane.until_served().await.unwrap();
    let errors = r#"claude_gateway_operator_watch_errors_total{resource="poddisruptionbudgets"}"#;
    eventually_within(PATIENCE, "the watch fails", async || {
        operator.metric(errors).await.is_some_and(|count| count > 3.0)
    })
    .await;
    converges("one watch refused", &stage, &mut operator).await;
    let (mark, window) = (stage.plane.mark(), Duration::from_secs(20));
    tokio::time::sleep(window).await;
    let refused = stage.calls_since(mark).into_iter().filter(|call| call.status == 403).count();
    println!("C13: a refused watch is asked for {refused} times in {window:?}");
    assert!((1..=20).contains(&refused), "{refused} requests in {window:?}");

    stage.patch(&stage.install.role(), json!({ "rules": role["rules"] })).await;
    let since = Instant::now();
    stage.run("delete poddisruptionbudget claude").await;
    let is_there = async || stage.get("poddisruptionbudget claude").await != Value::Null;
    eventually_within(PATIENCE, "it is mended", is_there).await;
    tell("C13: the watch is permitted again", since.elapsed());
}
