//! A8: who may write what of an object, and what scales it.

use std::time::Duration;

use e2e::cast::patience::eventually_within;
use http::Method;
use serde_json::{Value, json};

use crate::{
    stage::Stage,
    table::{Change, objects::gateway},
};

#[tokio::test]
async fn a8_a_status_is_written_by_who_may_write_statuses_and_by_nobody_in_passing() {
    let stage = Stage::set().await;
    let namespace = &stage.namespace;
    let author = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "author", "namespace": namespace },
        "rules": [{
            "apiGroups": ["claude-gateway.dev"], "resources": ["claudegateways"],
            "verbs": ["get", "create", "update", "patch"],
        }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "author", "namespace": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "author" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": namespace }],
    });
    stage.plane.kubectl().apply(&format!("{author}\n---\n{binding}")).await.unwrap();
    let account = stage.plane.service_account(namespace, "default", Duration::from_secs(3_600)).await.unwrap();
    let client = stage.client().with_bearer(account.token());
    let send = async |method: Method, target: String, object: &Value| {
        let answer = client.request(method, &target).json(object).send().await.unwrap();
        (answer.status, answer.json::<Value>().await.unwrap())
    };

    let forged = stage.here(&gateway()).with("status", json!({ "url": "https://evil.example.com" }));
    let (status, made) = send(Method::POST, stage.folder(&forged), &forged).await;
    let unseen = json!({ "observedGeneration": crds::files::UNSEEN });
    assert_eq!((status, made.get("status")), (201, Some(&unseen)), "{made}");
    let forged = made.with("status", json!({ "url": "https://evil.example.com" }));
    let (status, written) = send(Method::PUT, stage.file(&forged), &forged).await;
    assert_eq!((status, written.get("status")), (200, Some(&unseen)), "{written}");
    let (status, refusal) = send(Method::PUT, format!("{}/status", stage.file(&forged)), &written).await;
    assert_eq!(status, 403, "{refusal}");
}

#[tokio::test]
async fn a8_kubectl_scales_a_gateway_and_an_autoscaler_finds_its_pods() {
    let stage = Stage::set().await;
    let (kubectl, namespace) = (stage.plane.kubectl(), &stage.namespace);
    let made =
        stage.create(&gateway().with("metadata.name", json!("claude")).with("spec.replicas", json!(2))).await.body;
    let status = json!({ "replicas": 2, "selector": "app.kubernetes.io/instance=claude" });
    assert!(stage.replace_part(&made.with("status", status), "status").await.is_accepted());

    kubectl.run(&format!("scale cgw/claude --replicas=5 --namespace {namespace}")).await.unwrap();
    assert_eq!(stage.get(&gateway().with("metadata.name", json!("claude"))).await["spec"]["replicas"], 5);
    kubectl.run(&format!("autoscale cgw/claude --min=2 --max=9 --namespace {namespace}")).await.unwrap();
    eventually_within(Duration::from_secs(90), "the autoscaler reads the gateway's scale", async || {
        let autoscaler = kubectl.get(&format!("hpa claude --namespace {namespace}")).await.unwrap();
        let conditions = autoscaler["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "AbleToScale" && one["status"] == "True")
    })
    .await;

    let alone = gateway().with("metadata.name", json!("auto")).with("spec.autoscaling", json!({ "maxReplicas": 4 }));
    assert!(stage.create(&alone).await.is_accepted());
    let refused = kubectl.run(&format!("scale cgw/auto --replicas=5 --namespace {namespace}")).await.unwrap_err();
    assert!(refused.to_string().contains("replicas stands beside autoscaling"), "{refused}");
}
