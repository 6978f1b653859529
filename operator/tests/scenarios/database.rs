//! A database that is away for long, while people go on editing and the operator goes away, too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use e2e::cast::{
    client::Client,
    fleet::ask,
    length::short_or_full,
    patience::{eventually, eventually_within},
    postgres::Postgres,
    provider::Provider,
    signin::sign_in,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;

use crate::{
    policies::{HAIKU, OPUS, models, pod},
    stage::{ALONE, Stage},
};

/// Asks a pod five times a second until it is told to end; what it was answered that was no answer.
struct Load(Arc<AtomicBool>, JoinHandle<(usize, Vec<u16>)>);

impl Load {
    fn begin(client: Client) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let end = ends.clone();
        let asking = tokio::spawn(async move {
            let (mut asked, mut failed) = (0, Vec::new());
            while !end.load(Ordering::Relaxed) {
                let status = ask(&client, HAIKU).send().await.map_or(0, |answer| answer.status);
                asked += 1;
                failed.extend((status != 200).then_some(status));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            (asked, failed)
        });
        Self(ends, asking)
    }

    async fn end(self) -> (usize, Vec<u16>) {
        self.0.store(true, Ordering::Relaxed);
        self.1.await.unwrap()
    }
}

fn said(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

async fn spec(stage: &Stage) -> Value {
    stage.get("deployment claude").await["spec"].clone()
}

/// R27 beside it: pods that run serve on.
#[tokio::test]
async fn a_database_and_an_operator_that_were_away_are_caught_up_with_and_meanwhile_nothing_rolls() {
    let away = short_or_full(Duration::from_secs(12), Duration::from_secs(300));
    let postgres = Postgres::start().await.unwrap();
    let mut stage = Stage::empty().await;
    stage.database_url = postgres.url();
    let operator = stage.operator(&ALONE).await;
    stage.has_gateway().await;
    let provider = Provider::start().unwrap();
    let gateway = pod(&stage, &stage.provider, &provider).await;
    stage.apply(&[stage.policy("base", models(&[OPUS, HAIKU]))]).await;
    stage.policy_becomes("base", "Synced", "True", "Enforced").await;
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    let load = Load::begin(client.clone());
    let before = spec(&stage).await;

    postgres.stop().await.unwrap();
    // A gateway at rest is looked at twice a minute, and a look waits five seconds for an answer.
    let away_is_said = async || stage.verdict("DatabaseReady").await == said("False", "DatabaseUnavailable");
    eventually_within(Duration::from_secs(60), "the status says that the database is away", away_is_said).await;
    stage.patch("claudegateway claude", json!({ "spec": { "replicas": 1, "logLevel": "debug" } })).await;
    stage.until("Progressing", "True", "WaitingForDatabase").await;
    stage.apply(&[stage.policy("base", models(&[HAIKU]))]).await;
    stage.policy_becomes("base", "Synced", "False", "DatabaseUnavailable").await;
    tokio::time::sleep(away).await;
    assert_eq!(spec(&stage).await, before, "nothing rolls and nothing is scaled down");

    operator.kill().await;
    let eng = stage.policy("eng", json!({ "match": { "groups": ["eng"] }, "models": { "available": [HAIKU] } }));
    stage.apply(&[eng]).await;
    tokio::time::sleep(away).await;

    let operator = stage.operator(&ALONE).await;
    stage.policy_becomes("eng", "Synced", "False", "DatabaseUnavailable").await;
    eventually("a process that never saw the database says so, too", async || {
        operator.metric(&waits_for_the_database(&stage)).await == Some(0.0)
    })
    .await;
    stage.until("Progressing", "True", "WaitingForDatabase").await;
    stage.until("Ready", "False", "DatabaseUnavailable").await;
    assert_eq!(spec(&stage).await, before, "nor by an operator that starts without it");
    assert_eq!(ask(&client, OPUS).send().await.unwrap().status, 200, "what was enforced last still is");

    postgres.start_again().await.unwrap();
    let since = Instant::now();
    eventually_within(Duration::from_secs(120), "the gateway is caught up with", async || {
        spec(&stage).await["replicas"] == 1 && stage.verdict("DatabaseReady").await.0 == "True"
    })
    .await;
    println!("the database is back: the gateway is caught up with after {:.1?}", since.elapsed());
    for policy in ["base", "eng"] {
        stage.policy_becomes(policy, "Synced", "True", "Enforced").await;
    }
    println!("the database is back: policies are enforced after {:.1?}", since.elapsed());
    assert_ne!(ask(&client, OPUS).send().await.unwrap().status, 200, "the edit made meanwhile holds");
    let (asked, failed) = load.end().await;
    println!("{asked} requests meanwhile, {} failed", failed.len());
    assert!(asked > 20 && failed.is_empty(), "{failed:?} of {asked}");
}

fn waits_for_the_database(stage: &Stage) -> String {
    let (kind, namespace) = ("ClaudeGateway", &stage.namespace);
    format!(
        r#"claude_gateway_operator_condition{{kind="{kind}",namespace="{namespace}",name="claude",condition="DatabaseReady"}}"#
    )
}

/// What the pods' Secret says of their login.
struct Held {
    username: String,
    password: String,
    since: Timestamp,
}

async fn held(stage: &Stage) -> Held {
    let secret = stage.get("secret claude-config").await;
    let text = |key: &str| {
        let value = BASE64_STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        String::from_utf8(value).unwrap()
    };
    let [username, password, since] = ["store-username", "store-password", "store-login-since"].map(text);
    Held { username, password, since: since.parse().unwrap() }
}

async fn works(stage: &Stage, held: &Held) -> bool {
    let url = stage.url_with(|url| {
        url.set_username(&held.username).unwrap();
        url.set_password(Some(&held.password)).unwrap();
    });
    PgConnection::connect(&url).await.is_ok()
}

#[tokio::test]
async fn pods_get_another_login_when_theirs_has_stood_for_a_month() {
    let (stage, operator) = Stage::with_gateway().await;
    let (before, template) = (held(&stage).await, spec(&stage).await["template"].clone());
    assert!(works(&stage, &before).await);
    operator.kill().await;
    let months_ago = json!({ "stringData": { "store-login-since": "2026-01-01T00:00:00Z" } });
    stage.patch("secret claude-config", months_ago).await;
    // The next one looks at once, not only every five minutes.
    let _operator = stage.operator(&ALONE).await;
    eventually("another login is held", async || held(&stage).await.username != before.username).await;
    let after = held(&stage).await;
    assert!(after.since > before.since && after.password != before.password);
    assert!(works(&stage, &before).await, "a pod that has not heard of it goes on");
    assert!(works(&stage, &after).await);
    stage.until_settled().await;
    assert_eq!(held(&stage).await.username, after.username, "once, until it is as old");
    assert_eq!(spec(&stage).await["template"], template, "no pod is rolled for it");
}
