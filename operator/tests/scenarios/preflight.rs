//! `check`, under the operator's own account and under one with fewer rights.

use serde_json::json;

use crate::stage::{ACCOUNT, Stage};

#[tokio::test]
async fn f8_a_cluster_that_is_ready_is_said_to_be() {
    let stage = Stage::empty().await;
    let (good, said) = stage.check().await;
    assert!(good, "{said}");
    assert!(said.contains("ok    ClaudeGateway is defined") && said.contains("ok    every right in"), "{said}");
    assert!(said.contains("note  no Certificate"), "{said}");
}

#[tokio::test]
async fn f8_a_right_that_is_missing_is_named_with_its_remedy() {
    let stage = Stage::empty().await;
    let kubectl = &stage.kubectl;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": ACCOUNT, "namespace": stage.namespace },
        "rules": [{ "apiGroups": ["claude-gateway.dev"], "resources": ["claudegateways"], "verbs": ["list", "watch"] }],
    });
    kubectl.apply(&role.to_string()).await.unwrap();
    let (good, said) = stage.check().await;
    assert!(!good, "{said}");
    assert!(
        said.contains("FAIL  no right to create secrets in") && said.contains("install the chart's RBAC"),
        "{said}"
    );
    assert!(!said.contains("no right to list claudegateways in"), "{said}");
}
