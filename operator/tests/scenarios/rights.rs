//! D1: what the chart grants is what is needed: every right is used, none is missed.

use std::collections::BTreeSet;

use e2e::{
    cast::patience::eventually,
    cluster::foreign::{self, CERTIFICATE, HTTP_ROUTE, SERVICE_MONITOR},
};
use serde_json::json;

use crate::stage::{ALONE, Stage, define};

/// Everything a gateway may have, one after the other, each made, mended and taken away again.
async fn a_full_life(stage: &Stage) {
    let everything = json!({
        "exposure": {
            "kind": "HTTPRoute", "parentRefs": [{ "name": "front" }], "trustedProxies": ["10.0.0.0/8"],
            "tls": { "certManager": { "issuerRef": { "name": "issuer" } } },
        },
        "metrics": { "serviceMonitor": {} },
        "autoscaling": { "minReplicas": 2, "maxReplicas": 4 },
    });
    let mut gateway = stage.gateway(everything);
    gateway["spec"]["upstreams"][0]["caCertificate"] =
        json!({ "configMapRef": { "name": "authority", "key": "ca.pem" } });
    stage.apply(&[gateway]).await;
    stage.until("Stalled", "True", "SecretMissing").await;
    let authority = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "authority", "namespace": stage.namespace },
        "data": { "ca.pem": stage.plane.authority_pem() },
    });
    stage.apply(&[stage.secret(), authority, stage.policy("base", json!({}))]).await;
    let optional =
        ["httproute claude", "certificate claude", "servicemonitor claude", "horizontalpodautoscaler claude"];
    for object in optional.into_iter().chain(["poddisruptionbudget claude", "networkpolicy claude"]) {
        eventually(object, async || !stage.get(object).await.is_null()).await;
    }
    stage.policy_becomes("base", "Synced", "True", "Stored").await;
    // The same bad turn twice: the second makes a series of the event.
    for _ in 0..2 {
        stage.run("delete secret secrets").await;
        stage.until("Stalled", "True", "SecretMissing").await;
        stage.apply(&[stage.secret()]).await;
        eventually("no stall", async || stage.condition("Stalled").await.is_null()).await;
    }
    stage.apply(&[stage.gateway(json!({}))]).await;
    eventually("an Ingress", async || !stage.get("ingress claude").await.is_null()).await;
    let bare = json!({
        "exposure": { "kind": "None" }, "networkPolicy": { "enabled": false }, "replicas": 1,
    });
    stage.apply(&[stage.gateway(bare)]).await;
    for object in optional.into_iter().chain(["poddisruptionbudget claude", "networkpolicy claude", "ingress claude"]) {
        eventually(&format!("no {object}"), async || stage.get(object).await.is_null()).await;
    }
    stage.until_settled().await;
}

#[tokio::test]
async fn d1_every_right_that_the_chart_grants_is_used_and_none_is_missed() {
    let mut stage = Stage::alone().await;
    let optional = foreign::definitions(&[HTTP_ROUTE, CERTIFICATE, SERVICE_MONITOR]).await.unwrap();
    define(stage.plane, optional).await;
    let mark = stage.plane.mark();
    let operator = stage.operator(&["--pod-name", "first"]).await;
    a_full_life(&stage).await;
    drop(operator);

    let user = stage.install.user();
    let calls = stage.plane.calls_since(mark).unwrap();
    let own = calls.into_iter().filter(|call| call.user == user && !call.resource.is_empty());
    let mut used = BTreeSet::new();
    for call in own {
        assert!(!matches!(call.status, 401 | 403), "D1: refused: {call:?}");
        let whole = match call.subresource.as_str() {
            "" => format!("{}/{}", call.group, call.resource),
            sub => format!("{}/{}/{sub}", call.group, call.resource),
        };
        // What a patch makes, the API server allows only to those who may create it.
        if call.verb == "patch" && call.status == 201 {
            used.insert(("create".to_owned(), whole.clone()));
        }
        used.insert((call.verb, whole));
    }
    // No request shows it: the API server asks for it when an object names an owner that waits for it; see below.
    let unseen = ("update".to_owned(), "claude-gateway.dev/claudegateways/finalizers".to_owned());
    let mut granted = stage.install.rights();
    assert!(granted.remove(&unseen));
    assert!(granted.iter().all(|(verb, resource)| verb != "*" && !resource.contains('*')));
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "D1: granted and never used: {unused:#?}");
    let ungranted: Vec<_> = used.difference(&granted).collect();
    assert!(ungranted.is_empty(), "D1: used by another right than the chart's: {ungranted:#?}");

    stage.is_refused_nothing = false;
    let mut rules = stage.get(&stage.install.role()).await["rules"].take();
    rules.as_array_mut().unwrap().retain(|rule| rule["resources"] != json!(["claudegateways/finalizers"]));
    stage.patch(&stage.install.role(), json!({ "rules": rules })).await;
    stage.run("delete service claude").await;
    let _operator = stage.operator(&ALONE).await;
    stage.until("Ready", "False", "ApplyFailed").await;
    let said = stage.condition("Ready").await["message"].as_str().unwrap().to_owned();
    assert!(said.contains("blockOwnerDeletion"), "D1: this right is needed, too: {said}");
}
