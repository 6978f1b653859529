//! C12: a leader that cannot reach its lease.

use std::time::{Duration, Instant};

use e2e::{cast::patience::eventually, cluster::Trouble};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;

use super::PATIENCE;
use crate::stage::Stage;

/// As long as the lease says that nobody else may take it.
const LEASE: Duration = Duration::from_secs(15);

async fn ends_without(trouble: Trouble) {
    let stage = Stage::empty().await;
    let gate = stage.plane.gate().await.unwrap();
    let mut operator = stage.operator_through(&gate, &["--pod-name", "leader"]).await;
    stage.has_gateway().await;
    stage.until_renewed().await;
    gate.judge(move |call| call.path.contains("/leases").then_some(trouble));
    let (since, mark) = (Instant::now(), stage.plane.mark());
    // Something to write, all the time.
    let mut edits = 0;
    while operator.is_running() {
        assert!(since.elapsed() < PATIENCE, "C12: it still runs");
        edits += 1;
        stage.patch("claudegateway claude", json!({ "spec": { "replicas": 1 + edits % 5 } })).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("C12: with {trouble:?} for the lease it ended after {:.1?}", since.elapsed());
    assert!(!operator.ended().await.success(), "C12: who lost its lease has to say so");
    let renewed: Timestamp =
        stage.get("lease claude-gateway-operator").await["spec"]["renewTime"].as_str().unwrap().parse().unwrap();
    let run_out = (renewed + LEASE).as_millisecond();
    let (late, timely): (Vec<_>, Vec<_>) =
        stage.writes_since(mark).into_iter().partition(|call| call.at.timestamp_millis() > run_out);
    assert!(late.is_empty(), "C12: written when another may lead: {late:#?}");
    assert!(!timely.is_empty(), "C12: there was something to write");

    gate.open();
    let _next = stage.operator_through(&gate, &["--pod-name", "next"]).await;
    let wanted = json!(1 + edits % 5);
    eventually("the next one goes on", async || stage.get("deployment claude").await["spec"]["replicas"] == wanted)
        .await;
}

#[tokio::test]
async fn c12_an_operator_whose_lease_cannot_be_reached_yet_waits_and_then_leads() {
    let stage = Stage::empty().await;
    let gate = stage.plane.gate().await.unwrap();
    gate.judge(|call| call.path.contains("/leases").then_some(Trouble::Status(403)));
    let mut operator = stage.operator_through(&gate, &["--pod-name", "leader"]).await;
    eventually("it is there", async || operator.probe("/livez").await == 200).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(operator.is_running(), "C12: a lease that is refused at first ended it");
    assert_eq!(operator.probe("/readyz").await, 503, "C12: who stands for no election is not ready");
    let mut other = stage.operator_through(&gate, &["--pod-name", "other"]).await;
    eventually("the other is there", async || other.probe("/livez").await == 200).await;
    other.signal(Signal::TERM);
    assert!(other.ended().await.success(), "C12: who waits for its lease can be told to end");
    gate.open();
    stage.has_gateway().await;
}

#[tokio::test]
async fn c12_a_leader_whose_lease_does_not_answer_stops_writing_and_ends() {
    ends_without(Trouble::Silence).await;
}

#[tokio::test]
async fn c12_a_leader_whose_lease_is_refused_stops_writing_and_ends() {
    ends_without(Trouble::Status(500)).await;
}
