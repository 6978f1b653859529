//! Policies as rows, enforced by three pods that share a store.

use std::time::Duration;

use e2e::cast::{
    fleet::{Fleet, ask, metric},
    patience::{eventually, eventually_within},
    people::People,
    policies::PolicyRows,
    signin::sign_in,
};
use serde_json::{Value, json};

const OPUS: &str = "claude-opus-4-8";
const HAIKU: &str = "claude-haiku-4-5";
const EDITS: usize = 50;

pub(crate) fn listing(models: &[&str]) -> Vec<(&'static str, Value)> {
    vec![
        ("team/eng", json!({"match": {"groups": ["eng"]}, "code": {"availableModels": models}})),
        ("team/base", json!({"match": {}, "code": {"env": {"SHELL_TEXT": "${HOME} is plain text"}}})),
    ]
}

pub(crate) async fn three_pods() -> (Fleet, PolicyRows) {
    let fleet = Fleet::of(3, |config| config.set("/managed/source", json!("store"))).await;
    let rows = PolicyRows::open(&fleet.database).await.unwrap();
    (fleet, rows)
}

/// Whether every pod answers so.
pub(crate) async fn everywhere(fleet: &Fleet, model: &str, status: u16) -> bool {
    for client in fleet.clients() {
        if ask(&client, model).send().await.unwrap().status != status {
            return false;
        }
    }
    true
}

/// R25
#[tokio::test]
async fn every_edit_is_enforced_by_every_pod_and_none_restarts() {
    let (fleet, rows) = three_pods().await;
    let pids: Vec<_> = fleet.pods.iter().map(|pod| pod.pid().unwrap()).collect();
    assert!(everywhere(&fleet, OPUS, 200).await, "no policy yet");
    for edit in 0..EDITS {
        let opus = edit % 2 == 1;
        let models: &[&str] = if opus { &[OPUS, HAIKU] } else { &[HAIKU] };
        let revision = rows.replace(&listing(models)).await.unwrap();
        eventually("every pod enforces the edit", async || {
            everywhere(&fleet, OPUS, if opus { 200 } else { 400 }).await
        })
        .await;
        assert_eq!(usize::try_from(revision).unwrap(), edit + 1);
    }
    assert!(everywhere(&fleet, HAIKU, 200).await);
    eventually("every pod says what it serves", async || rows.served().await.unwrap() == [50, 50, 50]).await;
    assert_eq!(pids, fleet.pods.iter().map(|pod| pod.pid().unwrap()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_notification_that_is_missed_is_healed_by_the_poll() {
    let (fleet, rows) = three_pods().await;
    rows.replace_silently(&listing(&[HAIKU])).await.unwrap();
    eventually("every pod enforces it", async || everywhere(&fleet, OPUS, 400).await).await;
    rows.replace_silently(&[]).await.unwrap();
    eventually("every pod lets it go", async || everywhere(&fleet, OPUS, 200).await).await;
}

/// The poll looks twice a second, and what it finds is taken at once.
#[tokio::test]
async fn an_edit_that_nobody_was_notified_of_is_enforced_within_the_second() {
    const EDITS: usize = 12;
    let fleet = Fleet::of(1, |config| config.set("/managed/source", json!("store"))).await;
    let rows = PolicyRows::open(&fleet.database).await.unwrap();
    let pool = e2e::cast::postgres::pool(&fleet.database).await.unwrap();
    let beat = async || -> String {
        sqlx::query_scalar("SELECT seen_at::text FROM claude_gateway.pod").fetch_one(&pool).await.unwrap()
    };
    let mut fastest = Duration::MAX;
    for edit in 0..EDITS {
        let before = beat().await;
        eventually("the pod has just looked", async || beat().await != before).await;
        let since = std::time::Instant::now();
        let (model, status) = if edit % 2 == 0 { (HAIKU, 400) } else { (OPUS, 200) };
        rows.replace_silently(&listing(&[model])).await.unwrap();
        eventually("it is enforced", async || everywhere(&fleet, OPUS, status).await).await;
        fastest = fastest.min(since.elapsed());
    }
    println!("the fastest of {EDITS} after {fastest:?}");
    assert!(fastest < Duration::from_millis(850), "{fastest:?}: it waits for the next beat");
}

#[tokio::test]
async fn one_bad_document_keeps_the_whole_set_and_is_named() {
    let (fleet, rows) = three_pods().await;
    rows.replace(&listing(&[HAIKU])).await.unwrap();
    eventually("every pod enforces it", async || everywhere(&fleet, OPUS, 400).await).await;
    let mut bad = listing(&[OPUS]);
    bad.push(("team/bad", json!({"match": {"groups": []}, "code": {}, "no_such_key": 1})));
    rows.replace(&bad).await.unwrap();
    for pod in &fleet.pods {
        let line = pod.wait_for_line("the stored policies are not valid").await.unwrap();
        assert!(line.contains("team/bad") && line.contains("no_such_key") && line.contains("match.groups"), "{line}");
        let event = pod.wait_for_audit("policy.reload", 2).await.unwrap().remove(1);
        assert_eq!((&event["outcome"], &event["policy"]), (&json!("refused"), &json!("team/bad")));
        assert_eq!(metric(pod, "policy_reload_failed").await.unwrap(), 1.0);
        assert_eq!(metric(pod, "policy_revision").await.unwrap(), 1.0);
    }
    assert!(everywhere(&fleet, OPUS, 400).await, "the old set holds");
    assert_eq!(rows.served().await.unwrap(), [1, 1, 1]);
    rows.replace(&listing(&[OPUS])).await.unwrap();
    eventually("a good set is taken", async || everywhere(&fleet, OPUS, 200).await).await;
    for pod in &fleet.pods {
        assert_eq!(metric(pod, "policy_reload_failed").await.unwrap(), 0.0);
        let told = pod.stderr().iter().filter(|line| line.contains("the stored policies are not valid")).count();
        assert_eq!(told, 1, "it is said once, not every second");
    }
}

#[tokio::test]
async fn a_process_does_not_begin_with_policies_that_it_cannot_read() {
    let (fleet, rows) = three_pods().await;
    rows.replace(&[("team/bad", json!({"match": {}, "limits": {"tokens_per_day": "many"}}))]).await.unwrap();
    let error = fleet.another().unwrap().start().await.err().unwrap().to_string();
    assert!(error.contains("team/bad") && error.contains("limits.tokens_per_day"), "{error}");
}

#[tokio::test]
async fn a_database_that_was_restored_brings_its_policies_back() {
    let (fleet, rows) = three_pods().await;
    rows.replace(&listing(&[OPUS])).await.unwrap();
    rows.replace(&listing(&[HAIKU])).await.unwrap();
    eventually("every pod enforces it", async || everywhere(&fleet, OPUS, 400).await).await;
    let pool = e2e::cast::postgres::pool(&fleet.database).await.unwrap();
    sqlx::raw_sql(
        "BEGIN; DELETE FROM claude_gateway.policy; UPDATE claude_gateway.policy_set SET revision = 0; COMMIT",
    )
    .execute(&pool)
    .await
    .unwrap();
    eventually("the older set holds", async || everywhere(&fleet, OPUS, 200).await).await;
}

#[tokio::test]
async fn a_revision_that_comes_again_is_not_taken_for_what_it_was() {
    let (fleet, rows) = three_pods().await;
    rows.replace(&listing(&[HAIKU])).await.unwrap();
    eventually("every pod enforces it", async || everywhere(&fleet, OPUS, 400).await).await;
    let pool = e2e::cast::postgres::pool(&fleet.database).await.unwrap();
    let again = "BEGIN; DELETE FROM claude_gateway.policy; UPDATE claude_gateway.policy_set SET revision = 0;
                 UPDATE claude_gateway.policy_set SET revision = 1; COMMIT";
    sqlx::raw_sql(again).execute(&pool).await.unwrap();
    eventually("every pod serves the other set", async || everywhere(&fleet, OPUS, 200).await).await;
}

#[tokio::test]
async fn a_document_that_no_pod_can_read_is_named_once_and_keeps_the_set() {
    let (fleet, rows) = three_pods().await;
    rows.replace(&listing(&[HAIKU])).await.unwrap();
    eventually("every pod enforces it", async || everywhere(&fleet, OPUS, 400).await).await;
    let pool = e2e::cast::postgres::pool(&fleet.database).await.unwrap();
    let bad = r#"BEGIN; UPDATE claude_gateway.policy_set SET revision = 2;
        UPDATE claude_gateway.policy SET document = '{"match": {}, "limits": {"tokens_per_day": 1e400}}'
        WHERE key = 'team/base'; COMMIT"#;
    sqlx::raw_sql(bad).execute(&pool).await.unwrap();
    for pod in &fleet.pods {
        let line = pod.wait_for_line("the stored policies are not valid").await.unwrap();
        assert!(line.contains("team/base"), "{line}");
        assert_eq!(metric(pod, "policy_reload_failed").await.unwrap(), 1.0);
    }
    assert!(everywhere(&fleet, OPUS, 400).await, "the old set holds");
    rows.replace(&listing(&[OPUS])).await.unwrap();
    eventually("a good set is taken", async || everywhere(&fleet, OPUS, 200).await).await;
    for pod in &fleet.pods {
        let told = pod.stderr().iter().filter(|line| line.contains("the stored policies are not valid")).count();
        assert_eq!(told, 1, "it is said once, not every second");
        assert!(!pod.stderr().iter().any(|line| line.contains("could not learn")));
    }
}

#[tokio::test]
async fn the_rows_of_pods_say_how_their_upstreams_fare() {
    let (fleet, rows) = three_pods().await;
    let credentials = async || {
        let upstreams = rows.upstreams().await.unwrap();
        upstreams.iter().map(|list| list[0]["credential"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(credentials().await, ["untried"; 3]);
    assert!(everywhere(&fleet, OPUS, 200).await);
    eventually("the credential is known to be good", async || credentials().await == ["ok"; 3]).await;
    let upstreams = rows.upstreams().await.unwrap();
    assert_eq!(upstreams[0], json!([{"name": "one", "credential": "ok", "health": "well"}]));
    fleet.provider.then_error(401, "authentication_error", "invalid x-api-key");
    ask(&fleet.clients()[0], OPUS).send().await.unwrap();
    eventually("one pod was refused", async || credentials().await.contains(&"refused".to_owned())).await;
}

/// Whoever only fetches settings, opens Desktop or looks at the models is governed by a policy as much as whoever asks a model.
#[tokio::test]
async fn whom_a_policy_applied_to_includes_those_who_asked_no_model() {
    let (fleet, rows) = three_pods().await;
    let mut policies = listing(&[OPUS]);
    policies.iter_mut().for_each(|(_, document)| document["desktop"] = json!({}));
    rows.replace(&policies).await.unwrap();
    eventually("every pod serves it", async || rows.served().await.unwrap() == [1, 1, 1]).await;
    let people = People::of(&fleet.pods[0]).await.unwrap();
    let paths = ["/managed/settings", "/user/bootstrap", "/v1/models"];
    for (pod, path) in paths.into_iter().enumerate() {
        let client = &fleet.clients_with(&people.bearer(&format!("person of {path}")))[pod];
        assert_eq!(client.get(path).send().await.unwrap().status, 200, "{path}");
    }
    let expected = ["person of /managed/settings", "person of /user/bootstrap", "person of /v1/models"];
    until_told(async || rows.people_of("team/eng").await.unwrap() == expected).await;
}

#[tokio::test]
async fn the_store_knows_whom_a_policy_applied_to() {
    let (fleet, rows) = three_pods().await;
    rows.replace(&listing(&[OPUS])).await.unwrap();
    eventually("every pod serves it", async || rows.served().await.unwrap() == [1, 1, 1]).await;
    let bob = sign_in(&fleet.pods[0], "bob").await.unwrap();
    for client in fleet.clients().iter().chain(&fleet.clients_with(&bob.access_token)) {
        assert_eq!(ask(client, OPUS).send().await.unwrap().status, 200);
    }
    let people = async |policy: &str| rows.people_of(policy).await.unwrap();
    until_told(async || people("team/eng").await == ["alice"] && people("team/base").await == ["bob"]).await;
}

/// A pod tells it with its sweep, twice a minute.
async fn until_told(told: impl AsyncFnMut() -> bool) {
    eventually_within(Duration::from_secs(90), "the store is told of them", told).await;
}
