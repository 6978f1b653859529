//! C12: a leader that cannot reach its lease.

use std::time::{Duration, Instant};

use e2e::{cast::patience::eventually, cluster::Trouble};
use serde_json::json;

use super::PATIENCE;
use crate::stage::Stage;

/// The lease is renewed for this long, counted from the last renewal's sending; then nothing is written.
const TENURE: Duration = Duration::from_secs(13);

async fn ends_without(trouble: Trouble) {
    let stage = Stage::empty().await;
    let gate = stage.plane.gate().await.unwrap();
    let mut operator = stage.operator_through(&gate, &["--pod-name", "leader"]).await;
    stage.has_gateway().await;
    gate.judge(move |call| call.path.contains("/leases").then_some(trouble));
    let since = Instant::now();
    // Something to write, all the time.
    let mut edits = 0;
    let mut last_write = stage.plane.mark();
    while operator.is_running() {
        assert!(since.elapsed() < PATIENCE, "C12: it still runs");
        edits += 1;
        stage.patch("claudegateway claude", json!({ "spec": { "replicas": 1 + edits % 5 } })).await;
        if since.elapsed() < TENURE {
            last_write = stage.plane.mark();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("C12: with {trouble:?} for the lease it ended after {:.1?}", since.elapsed());
    assert!(!operator.ended().await.success(), "C12: who lost its lease has to say so");
    assert!(edits > 3);
    let late: Vec<_> = stage.writes_since(last_write);
    assert!(late.len() <= 2, "C12: written after its time: {late:#?}");

    gate.open();
    let _next = stage.operator_through(&gate, &["--pod-name", "next"]).await;
    let wanted = json!(1 + edits % 5);
    eventually("the next one goes on", async || stage.get("deployment claude").await["spec"]["replicas"] == wanted)
        .await;
}

#[tokio::test]
async fn c12_a_leader_whose_lease_does_not_answer_stops_writing_and_ends() {
    ends_without(Trouble::Silence).await;
}

#[tokio::test]
async fn c12_a_leader_whose_lease_is_refused_stops_writing_and_ends() {
    ends_without(Trouble::Status(500)).await;
}
