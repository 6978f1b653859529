//! F7 and A13: the definitions as a release of their own, brought up to date by helm, never taken back to older ones by
//! mistake, and there still when every release is gone.

use std::{fs, path::Path};

use e2e::{
    cast::patience::eventually,
    chart::{definitions, folder, root},
    cluster::Plane,
};
use serde_json::{Value, json};

use crate::stage::{helm, yaml};

/// The chart as a later or an earlier release would have it, with another word in a definition.
fn edition(of: &Path, version: &str, word: &str, into: &Path) -> String {
    let copied = std::process::Command::new("cp").args(["-a", "--"]).arg(of).arg(into).status().unwrap();
    assert!(copied.success());
    let file = into.join("Chart.yaml");
    let text = fs::read_to_string(&file).unwrap().replace("ersion: 0.1.0", &format!("ersion: {version}"));
    fs::write(file, text).unwrap();
    let file = into.join("files/crds/claudegateways.yaml");
    let mut definition: Value = yaml(&file);
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = json!(word);
    fs::write(file, definition.to_string()).unwrap();
    into.display().to_string()
}

async fn described(plane: &Plane) -> String {
    let definition = plane.kubectl().get("crd claudegateways.claude-gateway.dev").await.unwrap();
    let said = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/description").cloned();
    said.and_then(|said| said.as_str().map(str::to_owned)).unwrap_or_default()
}

#[tokio::test]
async fn f7_a13_the_definitions_are_a_release_of_their_own_that_goes_forward_only_and_outlives_itself() {
    let plane = Plane::start().await.unwrap();
    let kubeconfig = plane.admin().path().to_owned();
    let ask = |arguments: &[&str], values: &str| helm().ask(&kubeconfig, arguments, values);
    let scratch = tempfile::tempdir().unwrap();
    let edition = |version: &str, word: &str| {
        edition(&definitions(), version, word, &scratch.path().join(format!("{version}-{word}")))
    };
    let (first, second) = (edition("1.2.0", "first"), edition("1.10.0", "second"));

    ask(&["install", "definitions", &first, "--namespace", "default"], "").unwrap();
    assert_eq!(described(&plane).await, "first");
    let operator = folder().display().to_string();
    let without = "{crds: {install: false}, rbac: {aggregate: false}}";
    ask(&["install", "operator", &operator, "--namespace", "default"], without).unwrap();
    let sample = fs::read_to_string(root().join("deploy/samples/minimal.yaml")).unwrap();
    eventually("the definitions are served", async || plane.kubectl().apply(&sample).await.is_ok()).await;

    ask(&["upgrade", "definitions", &second, "--namespace", "default"], "").unwrap();
    assert_eq!(described(&plane).await, "second", "F7: helm upgrade brings definitions up to date");

    let older = edition("1.9.9", "older");
    let bare = fs::read_to_string(Path::new(&older).join("files/crds/claudegateways.yaml")).unwrap();
    // A policy is in force some moments after it is there.
    eventually("A13, whoever applies it", async || {
        let replaced = plane.kubectl().run_with(&["replace", "--dry-run=server", "--filename", "-"], &bare).await;
        replaced.is_err_and(|error| error.to_string().contains("nobody knows which"))
    })
    .await;
    let refused = ask(&["upgrade", "definitions", &older, "--namespace", "default"], "").unwrap_err().to_string();
    assert!(refused.contains("of the newer 1.10.0") && refused.contains("safeUpgrades"), "A13: {refused}");
    assert_eq!(described(&plane).await, "second");
    let newest = edition("2.0.0", "newest");
    ask(&["upgrade", "definitions", &newest, "--namespace", "default"], "").unwrap();
    assert_eq!(described(&plane).await, "newest");

    ask(&["upgrade", "definitions", &newest, "--namespace", "default"], "safeUpgrades: false").unwrap();
    eventually("a rollback that is meant", async || {
        ask(&["upgrade", "definitions", &second, "--namespace", "default"], "safeUpgrades: false").is_ok()
    })
    .await;
    assert_eq!(described(&plane).await, "second");

    for release in ["operator", "definitions"] {
        ask(&["uninstall", release, "--namespace", "default"], "").unwrap();
    }
    let left = plane.kubectl().get("deployments -n default").await.unwrap();
    assert!(left["items"].as_array().is_none_or(Vec::is_empty), "{left}");
    for object in ["claudegateway claude", "userpolicy everyone"] {
        assert!(!plane.kubectl().get(&format!("{object} -n default")).await.unwrap().is_null(), "F7: {object} stays");
    }
}

#[tokio::test]
async fn f7_the_definitions_of_both_charts_are_the_same() {
    for file in ["claudegateways.yaml", "userpolicies.yaml"] {
        let below = |chart: &Path| fs::read_to_string(chart.join("files/crds").join(file)).unwrap();
        assert_eq!(below(&folder()), below(&definitions()), "{file}");
    }
}

#[test]
fn f7_helm_finds_nothing_in_the_chart_of_the_definitions_and_no_other_value_is_taken() {
    let said = helm().lint(&definitions(), "").unwrap();
    assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
    assert!(helm().lint(&definitions(), "saveUpgrades: true").is_err());
}
