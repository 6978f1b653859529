//! A7: what `kubectl get` shows.

use serde_json::json;

use crate::{
    stage::Stage,
    table::{
        Change,
        objects::{gateway, policy},
    },
};

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> serde_json::Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    })
}

/// Without the age, which is another at each run.
async fn shown(stage: &Stage, what: &str) -> Vec<Vec<String>> {
    let text = stage.plane.kubectl().run(&format!("get {what} --namespace {}", stage.namespace)).await.unwrap();
    let ages = |word: &String| word.ends_with('s') && word.trim_end_matches('s').parse::<u32>().is_ok();
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).filter(|word| !ages(word)).collect()).collect()
}

#[tokio::test]
async fn a7_short_names_category_and_columns_are_the_documented_ones() {
    let stage = Stage::set().await;
    let made = stage.create(&gateway().with("metadata.name", json!("claude"))).await.body;
    let status = json!({
        "conditions": [
            condition("Ready", "False", "DatabaseUnreachable", "Fix it."),
            condition("DatabaseReady", "False", "Unreachable", ""), condition("PoliciesSynced", "Unknown", "NotYet", ""),
            condition("IdentityProviderReady", "True", "Discovered", ""),
        ],
        "observedGeneration": 1, "replicas": 3, "readyReplicas": 2, "url": "https://claude.example.com", "version": "0.1.0",
    });
    assert!(stage.replace_part(&made.with("status", status), "status").await.is_accepted());
    let made = stage.create(&policy().with("metadata.name", json!("everyone"))).await.body;
    let status = json!({
        "conditions": [condition("Accepted", "True", "Accepted", "Fine."), condition("Synced", "False", "Pending", "")],
        "observedGeneration": 1, "revision": 41, "enforcingReplicas": 2, "replicas": 3, "people": 12,
    });
    assert!(stage.replace_part(&made.with("status", status), "status").await.is_accepted());

    assert_eq!(
        shown(&stage, "cgw").await,
        [
            vec!["NAME", "READY", "REASON", "URL", "REPLICAS", "VERSION", "AGE"],
            vec!["claude", "False", "DatabaseUnreachable", "https://claude.example.com", "2", "0.1.0"],
        ]
    );
    assert_eq!(
        shown(&stage, "cgw --output wide").await,
        [
            vec![
                "NAME", "READY", "REASON", "URL", "REPLICAS", "VERSION", "DATABASE", "IDENTITY", "POLICIES", "MESSAGE",
                "AGE",
            ],
            vec![
                "claude",
                "False",
                "DatabaseUnreachable",
                "https://claude.example.com",
                "2",
                "0.1.0",
                "False",
                "True",
                "Unknown",
                "Fix",
                "it.",
            ],
        ]
    );
    assert_eq!(
        shown(&stage, "upol").await,
        [
            vec!["NAME", "GATEWAY", "PRIORITY", "MODE", "ACCEPTED", "SYNCED", "REASON", "ENFORCING", "AGE"],
            vec!["everyone", "claude", "0", "Enforce", "True", "False", "Accepted", "2"],
        ]
    );
    assert_eq!(
        shown(&stage, "upol --output wide").await[1],
        ["everyone", "claude", "0", "Enforce", "True", "False", "Accepted", "2", "3", "41", "12", "Fine.",]
    );
    let listed =
        stage.plane.kubectl().run(&format!("get claude --namespace {} --output name", stage.namespace)).await.unwrap();
    assert_eq!(listed, "claudegateway.claude-gateway.dev/claude\nuserpolicy.claude-gateway.dev/everyone\n");
    let all =
        stage.plane.kubectl().run(&format!("get all --namespace {} --output name", stage.namespace)).await.unwrap();
    assert!(!all.contains("claude-gateway.dev"), "{all}");
}
