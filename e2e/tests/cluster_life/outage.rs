//! Postgres and the operator are away, and people work on; when they return, the status says what was.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use e2e::{
    cast::{
        length::short_or_full,
        load::{Load, Pace},
        patience::eventually_within,
    },
    cluster::{
        sample::{GATEWAY, NAMESPACE},
        surroundings::{RELEASE, SYSTEM},
    },
};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::{
    replacement,
    stage::{REPLICAS, Stage, patience, turn},
};

/// Fewer people, who work as long.
fn pace() -> Pace {
    Pace { asking: 4, streams: 20, ..replacement::pace() }
}

#[tokio::test]
async fn no_endpoint_leaves_and_no_request_fails_while_postgres_and_the_operator_are_away() {
    let test = "no_endpoint_leaves_and_no_request_fails_while_postgres_and_the_operator_are_away";
    let Some(turn) = turn(test).await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    let (pods, policy) = (stage.pods().await, stage.policy.clone());
    let load = Load::begin(stage.client().await, pace());
    let endpoints = Endpoints::watch(stage);

    stage.surroundings.store.stop().await.unwrap();
    operators(stage, 0).await;
    let since = Instant::now();
    // What is asked for meanwhile waits.
    let mut edited = policy.clone();
    edited["spec"]["tokenLimits"]["tokensPerDay"] = json!(30_000_000);
    stage.apply(&edited).await;
    tokio::time::sleep(short_or_full(Duration::from_secs(15), Duration::from_secs(600))).await;
    let away = since.elapsed();

    operators(stage, 1).await;
    stage.until("DatabaseReady", "False", "DatabaseUnavailable").await;
    stage.until("Ready", "False", "DatabaseUnavailable").await;
    let waits = ("False".to_owned(), "DatabaseUnavailable".to_owned());
    eventually_within(patience(), "the policy says that it waits", async || {
        stage.verdict("userpolicy everyone", "Synced").await == waits
    })
    .await;
    stage.surroundings.store.start_again().await.unwrap();
    let returned = Instant::now();
    stage.until("DatabaseReady", "True", "DatabaseReady").await;
    stage.until("Ready", "True", "Available").await;
    stage.until("PoliciesSynced", "True", "PoliciesSynced").await;
    stage.until_enforced().await;
    println!("{away:.0?} away; all is said to be well {:.1?} after Postgres", returned.elapsed());

    endpoints.never_fewer_than(REPLICAS).await;
    let tally = load.end().await;
    tally.expect_none_failed();
    assert_eq!(stage.pods().await, pods, "no pod was replaced, and none started anew");
    println!("{} requests, {} streams, none failed", tally.requests, tally.streams);
    stage.apply(&policy).await;
    stage.until_enforced().await;
}

/// Returns when there are just so many.
async fn operators(stage: &Stage, count: usize) {
    let kubectl = stage.kubectl();
    kubectl.run(&format!("scale deployment {RELEASE} --replicas={count} -n {SYSTEM}")).await.unwrap();
    eventually_within(patience(), &format!("{count} operators"), async || {
        let pods = kubectl.get(&format!("pods -n {SYSTEM}")).await.unwrap();
        let deployment = kubectl.get(&format!("deployment {RELEASE} -n {SYSTEM}")).await.unwrap();
        let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or_default() as usize;
        (pods["items"].as_array().map_or(0, Vec::len), ready) == (count, count)
    })
    .await;
}

/// Every change of the Service's endpoints, as kubectl is told of it.
struct Endpoints(Child);

impl Endpoints {
    fn watch(stage: &Stage) -> Self {
        let of_the_service = format!("kubernetes.io/service-name={GATEWAY}");
        let watch = ["get", "endpointslices", "-n", NAMESPACE, "-l", &of_the_service, "--watch", "--output", "json"];
        Self(stage.kubectl().command(&watch).stderr(Stdio::null()).spawn().unwrap())
    }

    async fn never_fewer_than(self, count: usize) {
        let Self(mut kubectl) = self;
        kubectl.start_kill().unwrap();
        let said = kubectl.wait_with_output().await.unwrap().stdout;
        // The last may be cut.
        let seen: Vec<Value> = serde_json::Deserializer::from_slice(&said).into_iter().map_while(Result::ok).collect();
        assert!(!seen.is_empty());
        for slice in seen {
            let endpoints = slice["endpoints"].as_array().cloned().unwrap_or_default();
            let ready = endpoints.iter().filter(|endpoint| endpoint["conditions"]["ready"] == true).count();
            assert!(ready >= count, "{ready} of {count}: {slice}");
        }
    }
}
