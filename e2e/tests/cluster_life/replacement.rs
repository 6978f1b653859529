//! Pods come and go while people work, and nobody notices.

use std::time::{Duration, Instant};

use e2e::cast::{
    length::short_or_full,
    load::{Load, Pace},
    patience::eventually_within,
    provider::Shape,
};
use serde_json::json;

use crate::stage::{GATEWAY_OBJECT, REPLICAS, Stage, patience, turn};

/// 200 short requests a second, and 100 streams at any time.
pub(crate) fn pace() -> Pace {
    let stream = Shape::Stream { deltas: short_or_full(40, 240), every_ms: 250 };
    Pace { asking: 16, pause: Duration::from_millis(80), streams: 100, stream }
}

#[tokio::test]
async fn no_request_fails_and_no_stream_is_cut_while_pods_are_rolled_a_node_is_drained_and_the_gateway_is_scaled() {
    let test =
        "no_request_fails_and_no_stream_is_cut_while_pods_are_rolled_a_node_is_drained_and_the_gateway_is_scaled";
    let Some(turn) = turn(test).await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    let load = Load::begin(stage.client().await, pace());
    tokio::time::sleep(Duration::from_secs(2)).await;
    phase(&load, "a rolling update", pods_are_rolled(stage)).await;
    phase(&load, "a drained node", a_node_is_drained(stage)).await;
    phase(&load, "from three to one and back", the_gateway_is_scaled(stage)).await;
    let tally = load.end().await;
    tally.expect_none_failed();
    println!("{} requests, {} streams, none failed", tally.requests, tally.streams);
}

/// What fails in it is told with its name.
pub(crate) async fn phase(load: &Load, what: &str, happens: impl Future<Output = ()>) {
    let since = Instant::now();
    happens.await;
    let failures = load.failures();
    assert!(failures.is_empty(), "{what}: {} failed: {:#?}", failures.len(), &failures[..failures.len().min(20)]);
    println!("{what}: {:.0?}", since.elapsed());
}

async fn pods_are_rolled(stage: &Stage) {
    let before = stage.pods().await;
    stage.patch(GATEWAY_OBJECT, &json!({"spec": {"podTemplate": {"annotations": {"rolled": "once"}}}})).await;
    let replaced = async || {
        let pods = stage.pods().await;
        pods.iter().all(|pod| before.iter().all(|old| old.uid != pod.uid))
    };
    eventually_within(patience(), "every pod is another", replaced).await;
    stage.until_pods(REPLICAS).await;
    stage.until("Ready", "True", "Available").await;
}

async fn a_node_is_drained(stage: &Stage) {
    let node = &stage.pods().await[0].node.clone();
    let drain = format!("drain {node} --ignore-daemonsets --delete-emptydir-data --timeout=900s");
    stage.kubectl().run(&drain).await.unwrap();
    stage.until_pods(REPLICAS).await;
    assert!(stage.pods().await.iter().all(|pod| pod.node != *node), "{node} is not drained");
    stage.kubectl().run(&format!("uncordon {node}")).await.unwrap();
}

async fn the_gateway_is_scaled(stage: &Stage) {
    for replicas in [1, REPLICAS] {
        stage.run(&format!("scale {GATEWAY_OBJECT} --replicas={replicas}")).await;
        stage.until_pods(replicas).await;
    }
}
