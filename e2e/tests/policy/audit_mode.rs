//! A policy in audit mode: watched, not felt.

use e2e::cast::{
    client::Client,
    fleet::{Fleet, ask, metric},
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_audited_policy_is_logged_and_counted_and_refuses_nothing() {
    let policies = json!([
        {"name": "trial", "match": {"groups": ["eng"]}, "mode": "audit", "code": {"availableModels": ["haiku"]}},
        {"name": "strict", "match": {"groups": ["eng"]}, "mode": "audit", "retention": {"upstream": "zero"}},
        {"name": "base", "match": {}, "code": {"deniedModels": ["sonnet"]}},
    ]);
    let fleet = Fleet::of(1, |config| config.set("/managed/policies", policies)).await;
    let client: &Client = &fleet.clients()[0];
    for (model, status) in [("claude-opus-4-8", 200), ("claude-haiku-4-5", 200), ("claude-sonnet-5", 400)] {
        assert_eq!(ask(client, model).send().await.unwrap().status, status, "{model}");
    }
    let events = fleet.pods[0].wait_for_audit("inference", 3).await.unwrap();
    let verdicts = |event: &Value| {
        let audited = event["audited"].as_array().unwrap().iter();
        audited
            .map(|one| format!("{}: {}", one["policy"].as_str().unwrap(), one["verdict"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&events[0]), ["trial: model_not_available", "strict: no_zero_retention"]);
    assert_eq!(verdicts(&events[1]), ["trial: granted", "strict: no_zero_retention"]);
    assert_eq!(verdicts(&events[2]), ["trial: model_denied", "strict: model_denied"], "on the base");
    assert!(events.iter().all(|event| event["policy"] == "base"));
    let counted =
        async |labels: &str| metric(&fleet.pods[0], &format!("policy_audit_verdicts_total{labels}")).await.unwrap();
    assert_eq!(counted(r#"{policy="trial",verdict="granted"}"#).await, 1.0);
    assert_eq!(counted(r#"{policy="strict",verdict="no_zero_retention"}"#).await, 2.0);
}

#[tokio::test]
async fn without_an_audited_policy_nothing_is_said_of_one() {
    let fleet = Fleet::of(1, |config| config.set("/managed/policies", json!([{"name": "base", "match": {}}]))).await;
    ask(&fleet.clients()[0], "claude-opus-4-8").send().await.unwrap();
    let event = &fleet.pods[0].wait_for_audit("inference", 1).await.unwrap()[0];
    assert!(event.get("audited").is_none());
}
