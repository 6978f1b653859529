//! Policies in the configuration file.

use e2e::cast::{
    fleet::{Fleet, ask, metric},
    gateway::Gateway,
    patience::eventually,
    signin::sign_in,
};
use serde_json::{Value, json};

const OPUS: &str = "claude-opus-4-8";
const HAIKU: &str = "claude-haiku-4-5";

fn policies(eng: &[&str]) -> Value {
    json!([
        {"name": "eng", "match": {"groups": ["eng"]}, "code": {"availableModels": eng, "model": eng[0]}},
        {"name": "everyone", "match": {}, "code": {"deniedModels": ["sonnet"]}},
    ])
}

async fn one_pod() -> Fleet {
    Fleet::of(1, |config| config.set("/managed/policies", policies(&[OPUS]))).await
}

async fn status(fleet: &Fleet, model: &str) -> u16 {
    ask(&fleet.clients()[0], model).send().await.unwrap().status
}

/// The outcomes of readings so far.
fn readings(pod: &Gateway) -> Vec<String> {
    let outcomes = pod.audit("policy.reload").into_iter();
    outcomes.map(|event| event["outcome"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_person_has_the_first_policy_that_matches_them_on_top_of_everybodys() {
    let fleet = one_pod().await;
    assert_eq!((status(&fleet, OPUS).await, status(&fleet, HAIKU).await), (200, 400));
    let bob = sign_in(&fleet.pods[0], "bob").await.unwrap();
    let bob = &fleet.clients_with(&bob.access_token)[0];
    assert_eq!(ask(bob, HAIKU).send().await.unwrap().status, 200);
    assert_eq!(ask(bob, "claude-sonnet-5").send().await.unwrap().status, 400);
    let events = fleet.pods[0].wait_for_audit("inference", 4).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event["sub"].as_str(), event["policy"].as_str())).collect();
    assert!(
        told.contains(&(Some("alice"), Some("eng"))) && told.contains(&(Some("bob"), Some("everyone"))),
        "{told:?}"
    );
}

/// R25
#[tokio::test]
async fn an_edit_is_enforced_by_the_process_that_runs() {
    let mut fleet = one_pod().await;
    let pid = fleet.pods[0].pid().unwrap();
    assert_eq!(metric(&fleet.pods[0], "policy_revision").await.unwrap(), 1.0);
    fleet.pods[0].rewrite(|file| file["managed"]["policies"] = policies(&[HAIKU])).unwrap();
    eventually("the edit is enforced", async || status(&fleet, OPUS).await == 400).await;
    assert_eq!(status(&fleet, HAIKU).await, 200);
    assert_eq!(fleet.pods[0].pid().unwrap(), pid);
    assert_eq!(metric(&fleet.pods[0], "policy_revision").await.unwrap(), 2.0);
    assert_eq!(fleet.pods[0].wait_for_audit("policy.reload", 1).await.unwrap()[0]["outcome"], "taken");
}

#[tokio::test]
async fn a_bad_edit_keeps_the_old_policies_and_says_where_it_is_wrong() {
    let mut fleet = one_pod().await;
    let good = policies(&[OPUS]);
    fleet.pods[0]
        .rewrite(|file| {
            file["managed"]["policies"] = policies(&[HAIKU]);
            file["managed"]["policies"][0]["match"]["groups"] = json!([]);
        })
        .unwrap();
    let line = fleet.pods[0].wait_for_line("the changed configuration is not valid").await.unwrap();
    assert!(line.contains("managed.policies[0].match.groups"), "{line}");
    assert_eq!((status(&fleet, OPUS).await, status(&fleet, HAIKU).await), (200, 400));
    assert_eq!(metric(&fleet.pods[0], "policy_reload_failed").await.unwrap(), 1.0);
    assert_eq!(metric(&fleet.pods[0], "policy_revision").await.unwrap(), 1.0);
    fleet.pods[0].wait_for_audit("policy.reload", 1).await.unwrap();
    assert_eq!(readings(&fleet.pods[0]), ["refused"]);
    fleet.pods[0].rewrite(|file| file["managed"]["policies"] = good).unwrap();
    let pod = &fleet.pods[0];
    eventually("it is as it was", async || metric(pod, "policy_reload_failed").await.unwrap() == 0.0).await;
    assert_eq!(metric(pod, "policy_revision").await.unwrap(), 1.0, "what comes back is no other revision");
    assert_eq!(readings(pod), ["refused"]);
}

#[tokio::test]
async fn an_edit_of_something_else_is_no_other_revision() {
    let mut fleet = one_pod().await;
    fleet.pods[0]
        .rewrite(|file| {
            file["session"]["jwt_secret"] = json!([
                "a second secret of the cast: 0123456789 0123456789",
                "a secret of the cast, and of nobody else: 0123456789"
            ]);
        })
        .unwrap();
    fleet.pods[0].wait_for_audit("config.load", 1).await.unwrap();
    assert_eq!(metric(&fleet.pods[0], "policy_revision").await.unwrap(), 1.0);
    assert!(readings(&fleet.pods[0]).is_empty());
}
