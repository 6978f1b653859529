//! F5: a release comes, is upgraded, goes back, goes and comes again, and people work on.

use std::{collections::BTreeSet, path::Path, time::Instant};

use e2e::{
    cast::{length::short_or_full, load::Load, patience::eventually_within},
    chart::{self, earlier},
    cluster::surroundings::{RELEASE, SYSTEM},
};
use serde_json::{Value, json};

use crate::{
    replacement::{pace, phase},
    stage::{GATEWAY_OBJECT, REPLICAS, Stage, patience, turn},
};

const CRDS: [&str; 2] = ["claudegateways.claude-gateway.dev", "userpolicies.claude-gateway.dev"];
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// At full length the gateways' pods take the image of each version, and roll with it. Else they keep the one that they have.
fn values() -> Vec<String> {
    let kept = format!("gatewayImage.tag={VERSION}");
    short_or_full(vec!["--set".to_owned(), kept], Vec::new())
}

/// F5, and C15: an upgrade of the operator alone rolls no pod of a gateway.
#[tokio::test]
async fn f5_a_release_is_upgraded_rolled_back_removed_and_installed_again_and_no_request_fails() {
    let test = "f5_a_release_is_upgraded_rolled_back_removed_and_installed_again_and_no_request_fails";
    let Some(turn) = turn(test).await else { return };
    let stage = turn.stage;
    stage.until_pods(REPLICAS).await;
    let place = tempfile::tempdir().unwrap();
    let earlier = earlier::write(place.path()).unwrap();
    the_earlier_images_are_there(stage).await;
    let objects = owned(stage).await;
    let pods = stage.pods().await;

    let load = Load::begin(stage.client().await, pace());
    phase(&load, "the release is removed", removed(stage)).await;
    phase(&load, "the earlier release adopts what is there", installed(stage, &earlier, earlier::VERSION)).await;
    phase(&load, "upgraded", upgraded(stage)).await;
    phase(&load, "helm test", tested(stage)).await;
    phase(&load, "rolled back", rolled_back(stage)).await;
    phase(&load, "removed again", removed(stage)).await;
    phase(&load, "installed again", installed(stage, &chart::folder(), VERSION)).await;
    let tally = load.end().await;
    tally.expect_none_failed();
    println!("{} requests, {} streams, none failed", tally.requests, tally.streams);

    assert_eq!(owned(stage).await, objects, "every object is the one it was");
    if short_or_full(true, false) {
        assert_eq!(stage.pods().await, pods, "C15: no pod was replaced, and none started anew");
    }
}

async fn installed(stage: &Stage, chart: &Path, version: &str) {
    let chart = chart.display().to_string();
    let values = values();
    let install = ["install", RELEASE, &chart, "--namespace", SYSTEM, "--wait", "--timeout", "5m"];
    let install: Vec<_> = install.into_iter().chain(values.iter().map(String::as_str)).collect();
    stage.surroundings.cluster.helm(&install).await.unwrap();
    works(stage, version).await;
}

/// As `docs/upgrade.md` has it.
async fn upgraded(stage: &Stage) {
    let chart = chart::folder().display().to_string();
    let upgrade = ["upgrade", RELEASE, &chart, "-n", SYSTEM, "--reset-then-reuse-values", "--wait", "--timeout", "5m"];
    stage.surroundings.cluster.helm(&upgrade).await.unwrap();
    works(stage, VERSION).await;
}

async fn rolled_back(stage: &Stage) {
    let back = ["rollback", RELEASE, "-n", SYSTEM, "--wait", "--timeout", "5m"];
    stage.surroundings.cluster.helm(&back).await.unwrap();
    works(stage, earlier::VERSION).await;
}

async fn tested(stage: &Stage) {
    let said = stage.surroundings.cluster.helm(&["test", RELEASE, "-n", SYSTEM, "--timeout", "3m"]).await.unwrap();
    assert!(said.contains("Succeeded"), "{said}");
}

/// Nothing is left but the definitions, with them what people wrote, and a Lease that nobody holds: the operator made it.
async fn removed(stage: &Stage) {
    let cluster = stage.surroundings.cluster;
    cluster.helm(&["uninstall", RELEASE, "-n", SYSTEM, "--wait", "--timeout", "3m"]).await.unwrap();
    let kept = CRDS.map(|crd| format!("customresourcedefinition.apiextensions.k8s.io/{crd}"));
    let lease = format!("lease.coordination.k8s.io/{RELEASE}");
    let of_every_namespace = ["configmap/kube-root-ca.crt", "serviceaccount/default"].map(str::to_owned);
    let kept: BTreeSet<_> = kept.into_iter().chain(of_every_namespace).chain([lease]).collect();
    let mut left = BTreeSet::new();
    let since = Instant::now();
    while since.elapsed() < patience() && left != kept {
        left = left_of_the_release(stage).await;
    }
    assert_eq!(left, kept);
    assert!(!stage.get(GATEWAY_OBJECT).await.is_null());
}

/// The operator of this version acts: what is edited is enforced, and the gateway is Ready.
async fn works(stage: &Stage, version: &str) {
    for crd in CRDS {
        let crd = stage.kubectl().get(&format!("crd {crd}")).await.unwrap();
        assert_eq!(crd["metadata"]["annotations"]["claude-gateway.dev/bundle-version"], version);
    }
    let mut policy = stage.policy.clone();
    let generation = &stage.get("userpolicy everyone").await["metadata"]["generation"];
    policy["spec"]["tokenLimits"]["tokensPerDay"] = json!(20_000_000 + generation.as_u64().unwrap());
    stage.apply(&policy).await;
    stage.until_enforced().await;
    if short_or_full(false, true) {
        taken(stage, version).await;
    }
    stage.until("Ready", "True", "Available").await;
    stage.until("Progressing", "False", "RolledOut").await;
    stage.until_pods(REPLICAS).await;
}

/// Every pod has the image of this version, since somebody asked for it.
async fn taken(stage: &Stage, version: &str) {
    stage.until("Progressing", "False", "NewerImage").await;
    stage.patch(GATEWAY_OBJECT, &json!({ "metadata": { "annotations": { crds::TAKE_IMAGE: version } } })).await;
    eventually_within(patience(), "every pod has the image", async || {
        let pods = stage.get("pods --selector app.kubernetes.io/instance=claude").await;
        let mut images =
            pods["items"].as_array().into_iter().flatten().map(|pod| &pod["spec"]["containers"][0]["image"]);
        images.all(|image| image.as_str().is_some_and(|image| image.ends_with(&format!(":{version}"))))
    })
    .await;
}

/// Whatever the cluster knows that carries the release's mark, and everything in its namespace.
async fn left_of_the_release(stage: &Stage) -> BTreeSet<String> {
    let kubectl = stage.kubectl();
    // What has happened stays written for an hour.
    let kinds = async |which: &str| {
        let kinds = kubectl.run(&format!("api-resources --verbs=list {which} --output=name")).await.unwrap();
        kinds.lines().filter(|kind| !kind.starts_with("events")).collect::<Vec<_>>().join(",")
    };
    let mark = format!("app.kubernetes.io/instance={RELEASE}");
    let marked =
        kubectl.run(&format!("get {} --all-namespaces --selector={mark} --output=name", kinds("").await)).await;
    let there = kubectl.run(&format!("get {} -n {SYSTEM} --output=name", kinds("--namespaced").await)).await;
    let (marked, there) = (marked.unwrap(), there.unwrap());
    marked.lines().chain(there.lines()).map(str::to_owned).collect()
}

/// What the operator made for the gateway, by kind and identity.
async fn owned(stage: &Stage) -> BTreeSet<(String, String, String)> {
    let kinds = "secrets,serviceaccounts,services,deployments,poddisruptionbudgets,networkpolicies,ingresses";
    let objects = stage.get(&format!("{kinds} --selector=app.kubernetes.io/managed-by=claude-gateway-operator")).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = objects["items"].as_array().unwrap().iter();
    let objects = objects.map(|object| {
        let metadata = &object["metadata"];
        (text(&object["kind"]), text(&metadata["name"]), text(&metadata["uid"]))
    });
    let objects: BTreeSet<_> = objects.collect();
    assert!(objects.len() >= 8, "{objects:?}");
    objects
}

async fn the_earlier_images_are_there(stage: &Stage) {
    for node in stage.surroundings.cluster.nodes() {
        for image in ["claude-gateway", "claude-gateway-operator"] {
            node.tag(&format!("{image}:{VERSION}"), &format!("{image}:{}", earlier::VERSION)).await.unwrap();
        }
    }
}
