//! Two replicas, and one that writes.

use std::time::{Duration, Instant};

use e2e::cast::patience::eventually_within;
use rustix::process::Signal;
use serde_json::json;

use super::stage::{Operator, Stage};

const PATIENCE: Duration = Duration::from_secs(60);
/// Within this, only who was given the lease leads: the second has just seen it, renewed at most 3 s before, and it runs out
/// 15 s after that.
const GIVEN: Duration = Duration::from_secs(8);

async fn leads(operator: &Operator) -> bool {
    operator.metrics().await.contains("claude_gateway_operator_leader 1")
}

async fn pair(stage: &Stage) -> (Operator, Operator) {
    let first = stage.operator(&["--pod-name", "first"]).await;
    eventually_within(PATIENCE, "the first leads", async || first.probe("/readyz").await == 200 && leads(&first).await)
        .await;
    let second = stage.operator(&["--pod-name", "second"]).await;
    eventually_within(PATIENCE, "the second stands by, ready and alive", async || {
        (second.probe("/readyz").await, second.probe("/livez").await) == (200, 200)
    })
    .await;
    assert!(!leads(&second).await);
    (first, second)
}

#[tokio::test]
async fn c11_a_leader_that_is_told_to_end_gives_the_lease_away() {
    let stage = Stage::empty().await;
    let (mut first, second) = pair(&stage).await;
    first.signal(Signal::TERM);
    let begun = Instant::now();
    assert!(first.ended().await.success());
    println!("C11: it ended {:?} after SIGTERM", begun.elapsed());
    let lease = stage.get("lease claude-gateway-operator").await;
    assert_ne!(lease["spec"]["holderIdentity"], "first");
    eventually_within(GIVEN, "the second leads", async || leads(&second).await).await;
    println!("C11: the second leads {:?} after SIGTERM", begun.elapsed());
}

#[tokio::test]
async fn c11_a_leader_that_is_killed_is_replaced_within_twenty_seconds() {
    let stage = Stage::empty().await;
    let (mut first, second) = pair(&stage).await;
    first.signal(Signal::KILL);
    let begun = Instant::now();
    first.ended().await;
    eventually_within(PATIENCE, "the second leads", async || leads(&second).await).await;
    println!("C11: the second leads {:?} after SIGKILL", begun.elapsed());
    stage.apply(&[stage.secret(), stage.gateway(json!({}))]).await;
    eventually_within(PATIENCE, "it reconciles", async || !stage.get("service claude").await.is_null()).await;
}

#[tokio::test]
async fn c11_a_lease_that_was_deleted_is_made_again_when_nobody_can_hold_it() {
    let stage = Stage::empty().await;
    let (mut first, second) = pair(&stage).await;
    first.signal(Signal::KILL);
    first.ended().await;
    let deleted = Instant::now();
    stage.run("delete lease claude-gateway-operator").await;
    eventually_within(PATIENCE, "the second leads", async || leads(&second).await).await;
    println!("C11: the second leads {:?} after the lease was deleted", deleted.elapsed());
    assert!(deleted.elapsed() > Duration::from_secs(13), "whoever held it might still write");
}

#[tokio::test]
async fn c11_a_leader_that_was_frozen_ends_before_it_writes() {
    let stage = Stage::empty().await;
    let (mut first, second) = pair(&stage).await;
    first.signal(Signal::STOP);
    eventually_within(PATIENCE, "the second leads", async || leads(&second).await).await;
    stage.apply(&[stage.secret(), stage.gateway(json!({}))]).await;
    eventually_within(PATIENCE, "it reconciles", async || !stage.get("service claude").await.is_null()).await;
    stage.until_at_rest().await;
    let mark = stage.plane.mark();
    // Whoever believes to lead looks at the gateway at once.
    first.signal(Signal::CONT);
    assert!(!first.ended().await.success(), "a leader that lost its lease has to say so");
    let writes = stage.writes_since(mark);
    assert!(writes.is_empty(), "{writes:#?}");
}
