//! A1: what `kubectl explain` shows.

use crate::{stage::Stage, table::schema::schemas};

#[tokio::test]
async fn a1_kubectl_explains_every_field_and_leaves_nothing_open_but_clients_documents() {
    let stage = Stage::set().await;
    for (kind, _) in schemas() {
        let resource = if kind == "ClaudeGateway" { "claudegateways" } else { "userpolicies" };
        let shown = stage.plane.kubectl().run(&format!("explain {resource} --recursive")).await.unwrap();
        for name in ["spec", "status", "conditions", "observedGeneration"] {
            assert!(shown.contains(name), "{kind} has no {name}:\n{shown}");
        }
        let described = stage.client().get("/openapi/v3/apis/claude-gateway.dev/v1alpha1").send().await.unwrap();
        let document: serde_json::Value = described.json().await.unwrap();
        let schema = &document["components"]["schemas"][format!("dev.claude-gateway.v1alpha1.{kind}")];
        let mut bare = Vec::new();
        find_bare(schema, &kind, &mut bare);
        assert_eq!(bare, [""; 0], "{kind}");
    }
    let explained = stage.plane.kubectl().run("explain userpolicies.spec.claudeCode").await.unwrap();
    assert!(explained.contains("A managed-settings document of Claude Code"), "{explained}");
}

fn find_bare(schema: &serde_json::Value, path: &str, bare: &mut Vec<String>) {
    assert!(schema.is_object(), "{path} is not served");
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().is_none_or(str::is_empty) {
            bare.push(path.clone());
        }
        find_bare(field, &path, bare);
        if let Some(item) = field.get("items") {
            find_bare(item, &path, bare);
        }
    }
}
