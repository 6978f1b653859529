//! With the store away policies and revocations stay as they were, say so, and catch up afterwards (S24).

use e2e::cast::{
    fleet::{Fleet, ask, metric},
    patience::eventually,
    policies::PolicyRows,
    postgres::Postgres,
    signin::sign_in,
};
use serde_json::json;

use crate::rows::{everywhere, listing, three_pods};

const OPUS: &str = "claude-opus-4-8";
const HAIKU: &str = "claude-haiku-4-5";

#[tokio::test]
async fn with_the_store_stopped_everything_stays_says_so_and_catches_up() {
    let postgres = Postgres::start().await.unwrap();
    let fleet = Fleet::on(&postgres, 3, |config| config.set("/managed/source", json!("store"))).await.unwrap();
    let rows = PolicyRows::open(&fleet.database).await.unwrap();
    let bob = sign_in(&fleet.pods[0], "bob").await.unwrap();
    let bobs = fleet.clients_with(&bob.access_token);
    rows.replace(&listing(&[HAIKU])).await.unwrap();
    bobs[0].post("/oauth/revoke").form(&[("token", bob.access_token.as_str())]).send().await.unwrap();
    eventually("every pod enforces it", async || everywhere(&fleet, OPUS, 400).await).await;
    for client in &bobs {
        eventually("bob is out", async || ask(client, HAIKU).send().await.unwrap().status == 401).await;
    }
    postgres.stop().await.unwrap();
    for pod in &fleet.pods {
        eventually("it says how old its knowledge is", async || {
            metric(pod, "store_last_seen_seconds").await.unwrap() > 3.0
        })
        .await;
        assert_eq!(metric(pod, "store_reachable").await.unwrap(), 0.0);
        assert_eq!(metric(pod, "policy_revision").await.unwrap(), 1.0);
    }
    assert!(everywhere(&fleet, OPUS, 400).await && everywhere(&fleet, HAIKU, 200).await);
    for client in &bobs {
        assert_eq!(ask(client, HAIKU).send().await.unwrap().status, 401);
    }
    let pids: Vec<_> = fleet.pods.iter().map(|pod| pod.pid().unwrap()).collect();
    postgres.start_again().await.unwrap();
    let rows = PolicyRows::open(&fleet.database).await.unwrap();
    rows.replace(&listing(&[OPUS])).await.unwrap();
    eventually("every pod has caught up", async || everywhere(&fleet, OPUS, 200).await).await;
    for pod in &fleet.pods {
        eventually("it hears the store", async || metric(pod, "store_last_seen_seconds").await.unwrap() < 3.0).await;
    }
    assert_eq!(pids, fleet.pods.iter().map(|pod| pod.pid().unwrap()).collect::<Vec<_>>());
}

/// R24
#[tokio::test]
async fn a_revoked_session_is_refused_by_every_pod_with_a_token_that_has_not_expired() {
    let (fleet, _) = three_pods().await;
    for round in 0..5 {
        let tokens = sign_in(&fleet.pods[0], "bob").await.unwrap();
        let clients = fleet.clients_with(&tokens.access_token);
        for client in &clients {
            assert_eq!(ask(client, OPUS).send().await.unwrap().status, 200);
        }
        let token = [("token", tokens.access_token.as_str())];
        assert_eq!(clients[round % 3].post("/oauth/revoke").form(&token).send().await.unwrap().status, 200);
        for client in &clients {
            eventually("the session has ended here too", async || {
                let answer = ask(client, OPUS).send().await.unwrap();
                answer.status == 401 && answer.header("x-should-retry") == Some("false")
            })
            .await;
        }
    }
}
