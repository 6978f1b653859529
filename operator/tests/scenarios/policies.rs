//! Policies of a gateway, from `kubectl apply` to what a running gateway does with them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use e2e::{
    cast::{
        fleet::ask,
        gateway::Gateway,
        openid::OpenIdProvider,
        patience::{eventually, eventually_within},
        postgres::{Postgres, pool},
        provider::Provider,
        signin::sign_in,
    },
    cluster::Trouble,
};
use serde_json::{Value, json};

use crate::{
    definitions::reasons_of_events,
    stage::{ALONE, Operator, Stage},
};

pub(crate) const OPUS: &str = "claude-opus-4-8";
pub(crate) const HAIKU: &str = "claude-haiku-4-5";
const EDITS: usize = 30;
/// What is promised is 2 s, and `bench --operator` prints what it takes. A busy machine takes longer.
const SOON: Duration = Duration::from_secs(15);

impl Stage {
    async fn policy_status(&self, name: &str) -> Value {
        self.get(&format!("userpolicy {name}")).await["status"].clone()
    }

    /// `(status, reason)` of a policy's condition.
    async fn policy_verdict(&self, name: &str, type_: &str) -> (String, String) {
        let status = self.policy_status(name).await;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default();
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    pub(crate) async fn policy_becomes(&self, name: &str, type_: &str, status: &str, reason: &str) {
        let wanted = (status.to_owned(), reason.to_owned());
        eventually(&format!("{type_} of {name} is {status} ({reason})"), async || {
            self.policy_verdict(name, type_).await == wanted
        })
        .await;
    }

    /// The rows that pods read, by key.
    async fn rows(&self) -> Vec<(String, i32, i64)> {
        let pool = pool(&self.database_url).await.unwrap();
        let rows = "SELECT key, position, changed_in FROM claude_gateway.policy ORDER BY key";
        let rows = sqlx::query_as(rows).fetch_all(&pool).await.unwrap_or_default();
        pool.close().await;
        rows
    }

    async fn keys(&self) -> Vec<String> {
        self.rows().await.into_iter().map(|(key, _, _)| key.split('/').nth(1).unwrap().to_owned()).collect()
    }
}

pub(crate) fn models(models: &[&str]) -> Value {
    json!({ "match": {}, "models": { "available": models } })
}

/// A process of the gateway on the rows that the operator writes.
pub(crate) async fn pod(stage: &Stage, identity: &OpenIdProvider, provider: &Provider) -> Gateway {
    let config =
        e2e::cast::stage::Stage::config(identity, &stage.database_url, std::slice::from_ref(provider)).unwrap();
    let config = config.set("/store/migrate", json!(false)).set("/managed/source", json!("store"));
    config.start().await.unwrap()
}

/// C10: an operator that starts tells each policy once, and one that starts anew tells nobody anything.
#[tokio::test]
async fn c10_a_policy_is_told_once_and_not_again_by_the_next_operator() {
    let stage = Stage::empty().await;
    let names: Vec<_> = (0..20).map(|number| format!("p{number}")).collect();
    let policies = names.iter().map(|name| stage.policy(name, json!({ "match": { "groups": [name] } })));
    stage.apply(&[vec![stage.secret(), stage.gateway(json!({}))], policies.collect()].concat()).await;
    let statuses = |mark| {
        let calls = stage.writes_since(mark).into_iter();
        calls.filter(|call| call.resource == "userpolicies" && call.subresource == "status").count()
    };
    let mark = stage.plane.mark();
    let operator = stage.operator(&ALONE).await;
    for name in &names {
        stage.policy_becomes(name, "Synced", "True", "Stored").await;
    }
    stage.until_settled().await;
    assert_eq!(statuses(mark), names.len());
    operator.kill().await;

    let mark = stage.plane.mark();
    let _operator = stage.operator(&ALONE).await;
    stage.until_looked_at(mark).await;
    stage.until_settled().await;
    assert_eq!(statuses(mark), 0);
}

/// C13: what it has not heard of is not gone. Gateways it knows, and their stores are open.
#[tokio::test]
async fn c13_an_operator_that_has_not_heard_of_every_policy_takes_none_away() {
    let (stage, operator) = Stage::with_gateway().await;
    stage.apply(&[stage.policy("base", json!({}))]).await;
    stage.policy_becomes("base", "Synced", "True", "Stored").await;
    operator.kill().await;
    let (rows, gate) = (stage.rows().await, stage.plane.gate().await.unwrap());
    gate.judge(|call| call.path.ends_with("/userpolicies").then_some(Trouble::Status(503)));
    let mark = stage.plane.mark();
    let _operator = stage.operator_through(&gate, &ALONE).await;
    stage.until_looked_at(mark).await;
    // Longer than it takes to write what there is.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stage.rows().await, rows, "nobody has lost a policy");
    gate.open();
    stage.patch("userpolicy base", json!({ "spec": { "priority": 3 } })).await;
    eventually("an edit is stored", async || stage.rows().await != rows).await;
    assert_eq!(stage.keys().await, ["base"]);
}

#[tokio::test]
async fn policies_become_rows_and_rows_end_with_them() {
    let (stage, _operator) = Stage::with_gateway().await;
    let first = stage.policy("eng", json!({ "match": { "groups": ["eng"] }, "priority": 9 }));
    stage.apply(&[first, stage.policy("base", json!({}))]).await;
    for name in ["eng", "base"] {
        stage.policy_becomes(name, "Accepted", "True", "Accepted").await;
        stage.policy_becomes(name, "Synced", "True", "Stored").await;
    }
    let rows = stage.rows().await;
    assert_eq!(rows.iter().map(|(_, position, _)| *position).collect::<Vec<_>>(), [0, -9]);

    let base = rows[0].2;
    stage.patch("userpolicy eng", json!({ "spec": { "priority": 10 } })).await;
    eventually("the edit is a new revision of this policy", async || {
        let rows = stage.rows().await;
        rows[1].1 == -10 && rows[1].2 > base && rows[0].2 == base
    })
    .await;
    stage.policy_becomes("eng", "Synced", "True", "Stored").await;
    let status = stage.policy_status("eng").await;
    assert_eq!((&status["revision"], &status["observedGeneration"]), (&json!(stage.rows().await[1].2), &json!(2)));

    stage.apply(&[stage.policy("second", json!({}))]).await;
    stage.policy_becomes("second", "Accepted", "False", "BaseConflict").await;
    stage.policy_becomes("second", "Stalled", "True", "BaseConflict").await;
    assert_eq!(stage.keys().await, ["base", "eng"]);
    stage.run("delete userpolicy base").await;
    eventually("the other base takes its place", async || stage.keys().await == ["eng", "second"]).await;
    stage.policy_becomes("second", "Accepted", "True", "Accepted").await;
    eventually("its turns are events", async || {
        reasons_of_events(&stage, "second").await.into_iter().collect::<BTreeSet<_>>()
            == BTreeSet::from(["Accepted", "BaseConflict"].map(str::to_owned))
    })
    .await;
    assert!(reasons_of_events(&stage, "eng").await.is_empty(), "to be accepted at once is no turn");
    stage.run("delete userpolicy --all").await;
    eventually("no row is left", async || stage.keys().await.is_empty()).await;
}

/// C1: nothing is written while nothing changes, and B4.
#[tokio::test]
async fn c1_policies_at_rest_cost_no_write() {
    let (stage, _operator) = Stage::with_gateway().await;
    stage.apply(&[stage.policy("eng", json!({ "match": { "groups": ["eng"] } }))]).await;
    stage.policy_becomes("eng", "Synced", "True", "Stored").await;
    stage.until_settled().await;
    let (mark, rows) = (stage.plane.mark(), stage.rows().await);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let writes: Vec<_> = stage
        .writes_since(mark)
        .into_iter()
        .filter(|call| call.resource == "userpolicies")
        .map(|call| call.verb)
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(stage.rows().await, rows);
}

#[tokio::test]
async fn an_edit_is_enforced_soon_and_its_status_says_so() {
    let (stage, _operator) = Stage::with_gateway().await;
    let provider = Provider::start().unwrap();
    let gateway = pod(&stage, &stage.provider, &provider).await;
    stage.apply(&[stage.policy("base", models(&[OPUS, HAIKU]))]).await;
    stage.policy_becomes("base", "Synced", "True", "Enforced").await;
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    let mut slowest = Duration::ZERO;
    for edit in 0..EDITS {
        let has_opus = edit % 2 == 1;
        let before = stage.policy_status("base").await["revision"].as_i64().unwrap();
        stage.apply(&[stage.policy("base", models(if has_opus { &[OPUS, HAIKU] } else { &[HAIKU] }))]).await;
        let since = Instant::now();
        eventually_within(SOON, "the status says that the edit is enforced", async || {
            let status = stage.policy_status("base").await;
            status["revision"].as_i64().unwrap() > before && status["enforcingReplicas"] == 1
        })
        .await;
        slowest = slowest.max(since.elapsed());
        let answer = ask(&client, OPUS).send().await.unwrap().status;
        assert_eq!(answer == 200, has_opus, "what the status says is so: {answer}");
    }
    println!("from apply to a status that says so, slowest of {EDITS}: {slowest:?}");
}

/// C4: a database that is gone holds up nobody.
#[tokio::test]
async fn c4_a_policy_is_deleted_while_its_database_is_gone() {
    let postgres = Postgres::start().await.unwrap();
    let mut stage = Stage::empty().await;
    stage.database_url = postgres.url();
    let _operator: Operator = stage.operator(&ALONE).await;
    stage.apply(&[stage.secret(), stage.gateway(json!({}))]).await;
    let of = |group: &str| json!({ "match": { "groups": [group] } });
    stage.apply(&[stage.policy("stays", of("a")), stage.policy("goes", of("b"))]).await;
    stage.policy_becomes("stays", "Synced", "True", "Stored").await;
    stage.policy_becomes("goes", "Synced", "True", "Stored").await;

    postgres.stop().await.unwrap();
    stage.patch("userpolicy stays", json!({ "spec": { "priority": 3 } })).await;
    stage.policy_becomes("stays", "Synced", "False", "DatabaseUnavailable").await;
    let since = Instant::now();
    stage.run("delete userpolicy goes").await;
    assert!(stage.get("userpolicy goes").await.is_null() && since.elapsed() < Duration::from_secs(10));

    postgres.start_again().await.unwrap();
    stage.policy_becomes("stays", "Synced", "True", "Stored").await;
    eventually("the row of the deleted policy is gone", async || stage.keys().await == ["stays"]).await;
}

/// A10, of a gateway that this operator does not see: told as of one that does not accept.
#[tokio::test]
async fn a10_a_gateway_of_another_namespace_is_not_told_of() {
    let (stage, _operator) = Stage::with_gateway().await;
    let mut foreign = stage.policy("foreign", json!({ "match": { "groups": ["eng"] } }));
    foreign["spec"]["gatewayRef"] = json!({ "name": "claude", "namespace": "elsewhere" });
    let mut orphan = stage.policy("orphan", json!({}));
    orphan["spec"]["gatewayRef"] = json!({ "name": "nobody" });
    stage.apply(&[foreign, orphan]).await;
    stage.policy_becomes("foreign", "Accepted", "False", "RefNotPermitted").await;
    stage.policy_becomes("orphan", "Accepted", "False", "GatewayNotFound").await;
    assert!(stage.keys().await.is_empty());
}
