//! What others do to a gateway's objects, and what is left to them.

use std::time::Instant;

use e2e::cast::patience::eventually;
use serde_json::{Value, json};

use super::stage::Stage;

/// Each kind, and a change of ours that somebody makes.
fn mutations() -> Vec<(&'static str, Value, &'static str, Value)> {
    vec![
        ("deployment", json!({ "spec": { "replicas": 7 } }), "/spec/replicas", json!(2)),
        (
            "service",
            json!({ "spec": { "selector": { "app.kubernetes.io/name": "x" } } }),
            "/spec/selector/app.kubernetes.io~1name",
            json!("claude-gateway"),
        ),
        (
            "serviceaccount",
            json!({ "automountServiceAccountToken": true }),
            "/automountServiceAccountToken",
            json!(false),
        ),
        ("poddisruptionbudget", json!({ "spec": { "maxUnavailable": 2 } }), "/spec/maxUnavailable", json!(1)),
        (
            "networkpolicy",
            json!({ "spec": { "policyTypes": ["Ingress"] } }),
            "/spec/policyTypes",
            json!(["Ingress", "Egress"]),
        ),
        (
            "ingress",
            json!({ "spec": { "rules": [{ "host": "evil.example.com" }] } }),
            "/spec/rules/0/host",
            json!("claude.example.com"),
        ),
    ]
}

#[tokio::test]
async fn c2_an_object_that_is_changed_is_mended_and_what_others_add_is_kept() {
    let (stage, _operator) = Stage::with_gateway().await;
    for (kind, change, place, wanted) in mutations() {
        let object = format!("{kind} claude");
        let theirs = json!({ "metadata": { "annotations": { "theirs": "kept" }, "labels": { "theirs": "kept" } } });
        stage.patch(&object, theirs).await;
        stage.patch(&object, change).await;
        let begun = Instant::now();
        eventually(&format!("{kind} is mended"), async || stage.get(&object).await.pointer(place) == Some(&wanted))
            .await;
        println!("C2: a changed {kind} is mended within {:?}", begun.elapsed());
        let meta = stage.get(&object).await["metadata"].clone();
        assert_eq!(
            (&meta["annotations"]["theirs"], &meta["labels"]["theirs"]),
            (&json!("kept"), &json!("kept")),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn c2_an_object_that_is_deleted_comes_back() {
    let (stage, _operator) = Stage::with_gateway().await;
    let key = stage.get("secret claude-config").await["data"].clone();
    for object in [
        "secret claude-config",
        "serviceaccount claude",
        "service claude",
        "deployment claude",
        "poddisruptionbudget claude",
        "networkpolicy claude",
        "ingress claude",
    ] {
        let uid = stage.get(object).await["metadata"]["uid"].clone();
        stage.run(&format!("delete {object}")).await;
        let begun = Instant::now();
        eventually(&format!("{object} is back"), async || {
            let now = stage.get(object).await["metadata"]["uid"].clone();
            !now.is_null() && now != uid
        })
        .await;
        println!("C2: a deleted {object} is back within {:?}", begun.elapsed());
    }
    assert!(!key.is_null());
}

#[tokio::test]
async fn c3_what_is_not_asked_for_any_more_goes_and_what_is_not_ours_stays() {
    let (stage, _operator) = Stage::with_gateway().await;
    let foreign = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "claude", "namespace": stage.namespace },
        "spec": { "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "other" }, "maxReplicas": 3 },
    });
    stage.apply(&[foreign]).await;
    stage.patch("claudegateway claude", json!({ "spec": { "networkPolicy": { "enabled": false }, "replicas": 1, "exposure": { "kind": "None", "trustedProxies": null } } })).await;
    for object in ["networkpolicy claude", "poddisruptionbudget claude", "ingress claude"] {
        eventually(&format!("no {object}"), async || stage.get(object).await.is_null()).await;
    }
    assert!(!stage.get("horizontalpodautoscaler claude").await.is_null(), "it is somebody else's");
}

#[tokio::test]
async fn c3_an_object_of_somebody_else_is_never_taken() {
    let (stage, _operator) = Stage::set().await;
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "claude", "namespace": stage.namespace },
        "spec": { "ports": [{ "port": 1234 }] },
    });
    stage.apply(&[foreign]).await;
    let before = stage.get("service claude").await;
    stage.apply(&[stage.secret(), stage.gateway(json!({}))]).await;
    stage.until("Stalled", "True", "NameConflict").await;
    stage.until("Ready", "False", "NameConflict").await;
    assert_eq!(stage.get("service claude").await, before);
    assert!(stage.get("deployment claude").await.is_null(), "nothing is made beside it");
    stage.run("delete service claude").await;
    stage.touch().await;
    eventually("its own", async || !stage.get("service claude").await["metadata"]["ownerReferences"].is_null()).await;
    eventually("no stall", async || stage.condition("Stalled").await.is_null()).await;
}

#[tokio::test]
async fn c9_an_autoscalers_number_is_its_own() {
    let (stage, _operator) = Stage::with_gateway().await;
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": 4 } })).await;
    eventually("four", async || stage.get("deployment claude").await["spec"]["replicas"] == 4).await;
    stage
        .patch(
            "claudegateway claude",
            json!({ "spec": { "replicas": null, "autoscaling": { "minReplicas": 3, "maxReplicas": 9 } } }),
        )
        .await;
    eventually("an autoscaler", async || !stage.get("horizontalpodautoscaler claude").await.is_null()).await;
    stage.until_settled().await;
    assert_eq!(
        stage.get("deployment claude").await["spec"]["replicas"],
        4,
        "it does not fall to one when we stop saying it"
    );
    stage.run("scale deployment claude --replicas=6").await;
    for _ in 0..10 {
        stage.touch().await;
    }
    assert_eq!(stage.get("deployment claude").await["spec"]["replicas"], 6);
}
