//! Definitions that come, go and change under the operator: on a control plane of its own, since they are everybody's.

use std::time::{Duration, Instant};

use e2e::{
    cast::patience::{eventually, eventually_within},
    cluster::{
        Plane,
        foreign::{self, CERTIFICATE, Foreign, HTTP_ROUTE, SERVICE_MONITOR},
    },
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::stage::{Stage, define, definitions};

/// One test at a time: what they define is everybody's there.
async fn stage() -> (Stage, MutexGuard<'static, ()>) {
    static OWN: OnceCell<Plane> = OnceCell::const_new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let plane = OWN
        .get_or_init(async || {
            let plane = Plane::start().await.unwrap();
            define(&plane, definitions()).await;
            plane
        })
        .await;
    (Stage::on(plane).await, turn)
}

async fn come(stage: &Stage, kind: Foreign) {
    define(stage.plane, foreign::definitions(&[kind]).await.unwrap()).await;
}

pub(crate) async fn reasons_of_events(stage: &Stage, name: &str) -> Vec<String> {
    let events = stage.get("events.events.k8s.io").await;
    let events = events["items"].as_array().cloned().unwrap_or_default();
    let of_it = events.iter().filter(|event| event["regarding"]["name"] == name);
    of_it.filter_map(|event| event["reason"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn c8_an_api_that_is_absent_is_named_and_noticed_when_it_comes() {
    let (stage, _turn) = stage().await;
    let operator = stage.operator(&["--leader-election", "false", "--api-look-seconds", "2"]).await;
    let route = json!({ "kind": "HTTPRoute", "parentRefs": [{ "name": "public" }], "trustedProxies": ["10.0.0.0/8"] });
    let monitored = json!({ "serviceMonitor": {} });
    stage.apply(&[stage.secret(), stage.gateway(json!({ "exposure": route, "metrics": monitored }))]).await;
    stage.until("Stalled", "True", "APIMissing").await;
    let said = stage.condition("Ready").await["message"].as_str().unwrap().to_owned();
    assert!(said.contains("HTTPRoute") && said.contains("Install the Gateway API"), "{said}");
    assert!(stage.get("deployment claude").await.is_null());
    let begun = Instant::now();
    come(&stage, HTTP_ROUTE).await;
    eventually_within(Duration::from_secs(60), "the route", async || {
        !stage.get("httproutes.gateway.networking.k8s.io claude").await.is_null()
    })
    .await;
    println!("C8: an API is noticed within {:?} of its definition", begun.elapsed());
    eventually("nothing stalls any more", async || stage.condition("Stalled").await.is_null()).await;
    come(&stage, SERVICE_MONITOR).await;
    eventually_within(Duration::from_secs(60), "the monitor, for which nothing waited", async || {
        !stage.get("servicemonitors.monitoring.coreos.com claude").await.is_null()
    })
    .await;
    assert_eq!(operator.probe("/livez").await, 200);
}

#[tokio::test]
async fn another_certificate_is_announced_before_cert_manager_issues_it() {
    let (stage, _turn) = stage().await;
    come(&stage, CERTIFICATE).await;
    let _operator = stage.operator(&["--leader-election", "false", "--api-look-seconds", "2"]).await;
    let issued = json!({ "certManager": { "issuerRef": { "name": "company" } } });
    let exposure = json!({ "kind": "Ingress", "trustedProxies": ["10.0.0.0/8"], "tls": issued });
    stage.apply(&[stage.secret(), stage.gateway(json!({ "exposure": exposure }))]).await;
    eventually("the certificate is asked for", async || {
        !stage.get("certificates.cert-manager.io claude").await.is_null()
    })
    .await;
    let renewed_at = async |days: i64| {
        let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
        // As cert-manager says it.
        let status = json!({ "status": { "renewalTime": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() } });
        stage.patch("certificates.cert-manager.io claude --subresource=status", status).await;
    };
    renewed_at(100).await;
    stage.until_settled().await;
    assert!(stage.condition("CertificateRenewalDue").await.is_null());
    renewed_at(7).await;
    stage.until("CertificateRenewalDue", "True", "CertificateRenewalDue").await;
    eventually("an event warns", async || {
        reasons_of_events(&stage, "claude").await.contains(&"CertificateRenewalDue".to_owned())
    })
    .await;
    renewed_at(300).await;
    eventually("it is done", async || stage.condition("CertificateRenewalDue").await.is_null()).await;
    eventually("an event says so", async || {
        reasons_of_events(&stage, "claude").await.contains(&"CertificateRenewed".to_owned())
    })
    .await;
}

#[tokio::test]
async fn c7_an_object_that_was_stored_under_a_looser_schema_is_reported_and_stops_no_other() {
    let (stage, _turn) = stage().await;
    let mut loose = definitions();
    for definition in &mut loose {
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        // What is selected by has to be described.
        let reference = schema.pointer("/properties/spec/properties/gatewayRef").cloned();
        let known: serde_json::Map<_, _> =
            reference.map(|field| ("gatewayRef".to_owned(), field)).into_iter().collect();
        schema["properties"]["spec"] =
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": known });
    }
    define(stage.plane, loose).await;
    let mut gateway = stage.gateway(json!({ "publicUrl": 7 }));
    gateway["metadata"]["name"] = json!("malformed");
    let policy = |name: &str, spec: Value| {
        json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy",
            "metadata": { "name": name, "namespace": stage.namespace }, "spec": spec,
        })
    };
    let reference = json!({ "name": "claude" });
    let bad = policy("malformed", json!({ "gatewayRef": reference, "priority": "high", "match": { "groups": ["a"] } }));
    eventually("the API server takes them", async || {
        let forced = ["apply", "--server-side", "--validate=false", "--filename", "-"];
        stage.kubectl.run_with(&forced, &crate::stage::list(&[gateway.clone(), bad.clone()])).await.is_ok()
    })
    .await;
    define(stage.plane, definitions()).await;
    let operator = stage.operator(&["--leader-election", "false"]).await;
    let good = policy("good", json!({ "gatewayRef": reference, "match": { "groups": ["b"] } }));
    // What is stored and stays as it is would pass the strict schema too.
    let another =
        policy("another", json!({ "gatewayRef": reference, "priority": "high", "match": { "groups": ["a"] } }));
    eventually("the strict schema is back", async || {
        let create = ["create", "--dry-run=server", "--validate=false", "--filename", "-"];
        stage.kubectl.run_with(&create, &another.to_string()).await.is_err()
    })
    .await;
    stage.apply(&[stage.secret(), stage.gateway(json!({})), good]).await;
    // A definition that changes ends every watch of its kind, and those that fail are begun anew after a while.
    eventually_within(Duration::from_secs(120), "the gateway that can be read has its pods", async || {
        !stage.get("deployment claude").await.is_null()
    })
    .await;
    eventually("the other one is reported", async || {
        reasons_of_events(&stage, "malformed").await.contains(&"Malformed".to_owned())
    })
    .await;
    eventually("the policy that can be read is accepted", async || {
        let policy = stage.get("userpolicy good").await;
        policy["status"]["conditions"].as_array().is_some_and(|conditions| {
            conditions.iter().any(|condition| condition["type"] == "Accepted" && condition["status"] == "True")
        })
    })
    .await;
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": 3 } })).await;
    eventually("edits are followed", async || stage.get("deployment claude").await["spec"]["replicas"] == 3).await;
    let metrics = operator.metrics().await;
    let malformed =
        metrics.lines().any(|line| line.to_lowercase().contains("malformed") && line.contains("ClaudeGateway"));
    assert!(malformed, "{metrics}");
    let (good, said) = stage.check().await;
    assert!(!good && said.contains("/malformed cannot be read"), "F8: {said}");
}
