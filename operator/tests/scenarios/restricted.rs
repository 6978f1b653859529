//! F4 and D4: what the operator makes of each kind of gateway is taken without a warning in a namespace that enforces, and
//! warns by, the Pod Security level `restricted`, and its pods are admitted.

use e2e::{
    cast::patience::eventually,
    cluster::{
        Plane,
        foreign::{self, CERTIFICATE, HTTP_ROUTE, SERVICE_MONITOR},
    },
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::stage::{Stage, define, definitions, list};

const KINDS: [&str; 11] = [
    "deployment",
    "service",
    "serviceaccount",
    "secret",
    "networkpolicy",
    "poddisruptionbudget",
    "horizontalpodautoscaler",
    "ingress",
    "httproutes.gateway.networking.k8s.io",
    "certificates.cert-manager.io",
    "servicemonitors.monitoring.coreos.com",
];

/// Each way to be reached and to get secrets, with what it changes of the smallest gateway and the objects that it has to have.
fn forms() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let proxies = json!(["10.0.0.0/8"]);
    let issued = json!({ "certManager": { "issuerRef": { "name": "company", "kind": "ClusterIssuer" } } });
    let parents = json!([{ "name": "public", "namespace": "gateways", "sectionName": "https" }]);
    vec![
        ("minimal, its Secret brought later as by external-secrets", json!({ "exposure": { "kind": "None" } }), vec![]),
        (
            "ingress",
            json!({ "exposure": { "kind": "Ingress", "className": "nginx", "trustedProxies": proxies } }),
            vec!["ingress"],
        ),
        (
            "gateway-api",
            json!({ "exposure": { "kind": "HTTPRoute", "parentRefs": parents, "trustedProxies": proxies } }),
            vec!["httproutes.gateway.networking.k8s.io"],
        ),
        (
            "cert-manager",
            json!({ "exposure": { "kind": "Ingress", "trustedProxies": proxies, "tls": issued } }),
            vec!["ingress", "certificates.cert-manager.io"],
        ),
        (
            "highly available",
            json!({
                "exposure": { "kind": "None" }, "autoscaling": { "minReplicas": 3, "maxReplicas": 9 },
                "metrics": { "serviceMonitor": {} },
            }),
            vec!["horizontalpodautoscaler", "poddisruptionbudget", "servicemonitors.monitoring.coreos.com"],
        ),
        ("openshift-like", json!({ "exposure": { "kind": "None" }, "podTemplate": { "hostUsers": false } }), vec![]),
    ]
}

#[tokio::test]
async fn f4_d4_every_form_of_a_gateway_is_admitted_where_pods_are_restricted() {
    static OWN: OnceCell<Plane> = OnceCell::const_new();
    let plane = OWN.get_or_init(async || Plane::start().await.unwrap()).await;
    define(plane, definitions()).await;
    define(plane, foreign::definitions(&[HTTP_ROUTE, CERTIFICATE, SERVICE_MONITOR]).await.unwrap()).await;
    for (name, form, expected) in forms() {
        let stage = Stage::on(plane).await;
        let labels = "pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted";
        stage.kubectl.run(&format!("label namespace {} {labels}", stage.namespace)).await.unwrap();
        let _operator = stage.operator(&["--leader-election", "false"]).await;
        stage.apply(&[stage.gateway(form)]).await;
        // Whoever brings it may come later: an operator of external secrets writes it when it has asked its store.
        stage.until("Stalled", "True", "SecretMissing").await;
        stage.apply(&[stage.secret()]).await;
        eventually(&format!("{name}: pods are admitted"), async || {
            stage.get("pods").await["items"].as_array().is_some_and(|pods| !pods.is_empty())
        })
        .await;
        for kind in expected {
            eventually(&format!("{name}: {kind}"), async || !stage.get(&format!("{kind} claude")).await.is_null())
                .await;
        }
        stage.until_settled().await;
        let made = made(&stage).await;
        assert!(made.len() >= 6, "{name}: {}", made.len());
        let arguments = ["create", "--dry-run=server", "--warnings-as-errors", "--validate=strict", "--filename", "-"];
        let taken = stage.kubectl.run_with(&arguments, &list(&made)).await;
        assert!(taken.is_ok(), "{name}: {taken:?}");
    }
}

/// What the operator made, as somebody would make it anew beside it.
async fn made(stage: &Stage) -> Vec<Value> {
    let mut made = Vec::new();
    for kind in KINDS {
        let found = stage.get(&format!("{kind} --selector app.kubernetes.io/managed-by=claude-gateway-operator")).await;
        for mut object in found["items"].as_array().cloned().unwrap_or_default() {
            let name = format!("{}-again", object["metadata"]["name"].as_str().unwrap());
            let (labels, namespace) = (object["metadata"]["labels"].clone(), stage.namespace.clone());
            object["metadata"] = json!({ "name": name, "namespace": namespace, "labels": labels });
            object.as_object_mut().unwrap().remove("status");
            if kind == "service" {
                for given in ["clusterIP", "clusterIPs"] {
                    object["spec"].as_object_mut().unwrap().remove(given);
                }
            }
            made.push(object);
        }
    }
    made
}
