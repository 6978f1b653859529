//! Limits of a policy in audit mode: watched, and felt by nobody.

use std::time::Duration;

use e2e::cast::fleet::{Fleet, metric};
use serde_json::{Value, json};

use crate::person::{PERSON, Turn, of_person};

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_trial_are_counted_and_logged_on_all_pods_and_refuse_nobody() {
    let policies = json!([
        {"name": "strict", "match": {"subjects": [PERSON]}, "mode": "audit",
            "limits": {"max_output_tokens": 100, "tokens_per_day": 5_000}},
        {"name": "base", "match": {}, "limits": {"tokens_per_day": 1_000_000}},
    ]);
    let fleet = Fleet::of(2, |config| config.set("/managed/policies", policies)).await;
    let clients = of_person(&fleet, PERSON).await;
    assert_eq!(Turn::of(500, 101).take(&clients[0]).await, 200);
    for _ in 0..4 {
        assert_eq!(Turn::of(900, 100).take(&clients[0]).await, 200);
    }
    // What was used on the other pod is known from the first request on, because the store is asked while the reply goes on.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(Turn::of(1_400, 100).lasting(Duration::from_secs(2)).take(&clients[1]).await, 200);
    let second = &fleet.pods[1].wait_for_audit("inference", 1).await.unwrap();
    assert_eq!(verdict(&second[0]), "tokens_per_day");
    let first = &fleet.pods[0].wait_for_audit("inference", 5).await.unwrap();
    let verdicts: Vec<_> = first.iter().map(verdict).collect();
    assert_eq!(verdicts, ["max_output_tokens", "granted", "granted", "granted", "granted"]);
    assert!(fleet.pods.iter().all(|pod| pod.audit("tokens.blocked").is_empty()));
    let counted = metric(&fleet.pods[0], r#"policy_audit_verdicts_total{policy="strict",verdict="max_output_tokens"}"#);
    assert_eq!(counted.await.unwrap(), 1.0);
}

fn verdict(event: &Value) -> &str {
    event["audited"][0]["verdict"].as_str().unwrap_or_default()
}
