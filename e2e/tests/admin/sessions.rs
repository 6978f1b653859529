//! Sessions, seen and ended: on every replica, also for access tokens that were issued before (S11, R24).

use std::time::{Duration, Instant};

use e2e::cast::{
    client::Client,
    gateway::Gateway,
    postgres::{Postgres, pool},
    provider::Provider,
    signin::Tokens,
};
use http::Method;
use serde_json::{Value, json};

use crate::stage::{SESSIONS, Stage, WRITE_KEY, admin, administered, another_sign_in, answer, standing, with_key};

async fn listed(stage: &Stage, query: &str) -> Vec<Value> {
    let (status, page) = answer(with_key(stage, Method::GET, &format!("{SESSIONS}{query}"), WRITE_KEY)).await;
    assert_eq!(status, 200, "{page}");
    page["data"].as_array().unwrap().clone()
}

async fn end(stage: &Stage, target: &str) -> (u16, Value) {
    answer(with_key(stage, Method::DELETE, target, WRITE_KEY)).await
}

/// Waits until every replica refuses the bearer for good; panics where one never does.
async fn refused_everywhere(replicas: &[Client], bearer: &str) {
    let since = Instant::now();
    for replica in replicas {
        let mut seen = standing(replica, bearer).await;
        while seen != (401, Some("false".to_owned())) {
            assert!(since.elapsed() < Duration::from_secs(20), "a replica still says {seen:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            seen = standing(replica, bearer).await;
        }
    }
}

async fn is_over(stage: &Stage, tokens: &Tokens) -> bool {
    tokens
        .refresh(&stage.gateway.client().unwrap())
        .await
        .is_err_and(|error| error.to_string().contains("invalid_grant"))
}

async fn replicas(stage: &Stage, count: usize) -> (Vec<Gateway>, Vec<Client>) {
    let mut gateways = Vec::new();
    for _ in 0..count {
        gateways.push(stage.gateway.replica().unwrap().start().await.unwrap());
    }
    let clients = std::iter::once(&stage.gateway).chain(&gateways).map(|gateway| gateway.client().unwrap()).collect();
    (gateways, clients)
}

#[tokio::test]
async fn sessions_are_listed_the_newest_first_and_page_by_page() {
    let stage = administered().await;
    another_sign_in(&stage, "bob").await;
    another_sign_in(&stage, "alice").await;
    let all = listed(&stage, "").await;
    let users: Vec<_> = all.iter().map(|session| session["actor"]["user_id"].as_str().unwrap()).collect();
    assert_eq!(users, ["alice", "bob", "alice"]);
    assert_eq!(all[1]["actor"]["email_address"], "bob@example.com");
    assert!(all[0]["started_at"].as_str() > all[1]["started_at"].as_str());
    assert!(all[0]["expires_at"].as_str() > all[0]["refreshed_at"].as_str());

    let (mut page, mut walked) = (String::new(), Vec::new());
    loop {
        let target = format!("{SESSIONS}?limit=1{page}");
        let (_, body) = answer(with_key(&stage, Method::GET, &target, WRITE_KEY)).await;
        walked.extend(body["data"].as_array().unwrap().clone());
        let Some(next) = body["next_page"].as_str() else { break };
        page = format!("&page={next}");
    }
    assert_eq!(walked, all);
    assert_eq!(listed(&stage, "?user=alice").await.len(), 2);
    assert_eq!(listed(&stage, "?user=Bob@Example.com").await.len(), 1, "an address's case does not count");
    assert!(listed(&stage, "?user=nobody").await.is_empty());
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains(&stage.tokens.access_token) && !text.contains("hash"), "nothing that signs in is shown");
}

#[tokio::test]
async fn one_session_ends_on_every_replica_and_the_others_go_on() {
    let stage = administered().await;
    let (_gateways, clients) = replicas(&stage, 2).await;
    let newer = another_sign_in(&stage, "alice").await;
    let id = listed(&stage, "?limit=1").await[0]["id"].as_str().unwrap().to_owned();
    for client in &clients {
        assert_eq!(standing(client, &newer.access_token).await.0, 200);
    }
    let target = format!("{SESSIONS}/{id}");
    assert_eq!(end(&stage, &target).await, (200, json!({"type": "session_revoked", "id": id})));
    refused_everywhere(&clients, &newer.access_token).await;
    assert!(is_over(&stage, &newer).await, "its refresh token is over too");
    for client in &clients {
        assert_eq!(standing(client, &stage.tokens.access_token).await.0, 200, "Alice's other session goes on");
    }
    for nobodys in [&target[..], &format!("{SESSIONS}/AAAAAAAAAAAAAAAAAAAAAA"), &format!("{SESSIONS}/x")] {
        assert_eq!(end(&stage, nobodys).await.0, 404);
    }
    let told = stage.gateway.wait_for_audit("session.revoke", 1).await.unwrap();
    assert_eq!(
        (&told[0]["actor"], &told[0]["sub"], &told[0]["session"]),
        (&json!("admin-key:ops"), &json!("alice"), &json!(id))
    );
}

#[tokio::test]
async fn everyone_signed_in_as_a_person_is_signed_out_by_subject_or_address() {
    let stage = administered().await;
    let (_gateways, clients) = replicas(&stage, 1).await;
    let bob = another_sign_in(&stage, "bob").await;
    for user in ["alice", "Alice@example.com"] {
        let alices = [another_sign_in(&stage, "alice").await, another_sign_in(&stage, "alice").await];
        let (status, said) = end(&stage, &format!("{SESSIONS}?user={user}")).await;
        assert_eq!((status, said["ended"].as_u64() >= Some(2)), (200, true), "{said}");
        for tokens in &alices {
            refused_everywhere(&clients, &tokens.access_token).await;
            assert!(is_over(&stage, tokens).await);
        }
    }
    assert_eq!(standing(&clients[1], &bob.access_token).await.0, 200);
    let twice = end(&stage, &format!("{SESSIONS}?user=alice")).await;
    assert_eq!(twice, (200, json!({"type": "sessions_revoked", "user": "alice", "subjects": [], "ended": 0})));
    assert_eq!(
        standing(&clients[1], &another_sign_in(&stage, "alice").await.access_token).await.0,
        200,
        "she may come back"
    );
}

#[tokio::test]
async fn all_sessions_end_at_once() {
    let stage = administered().await;
    let (_gateways, clients) = replicas(&stage, 1).await;
    let bob = another_sign_in(&stage, "bob").await;
    let all = with_key(&stage, Method::POST, &format!("{SESSIONS}/revoke_all"), WRITE_KEY);
    assert_eq!(answer(all).await, (200, json!({"type": "all_sessions_revoked", "ended": 2})));
    for tokens in [&stage.tokens, &bob] {
        refused_everywhere(&clients, &tokens.access_token).await;
    }
    assert!(listed(&stage, "").await.is_empty());
}

/// A script whose variable was empty must not sign a company out.
#[tokio::test]
async fn without_exactly_one_selector_nobody_is_signed_out() {
    let stage = administered().await;
    for query in ["", "?", "?user=", "?user=alice&user=bob", "?usr=alice", "?user=alice&everyone=true"] {
        let (status, said) = end(&stage, &format!("{SESSIONS}{query}")).await;
        assert_eq!((status, &said["error"]["type"]), (400, &json!("invalid_request_error")), "{query}: {said}");
    }
    // Whoever says more than "all" may have meant less.
    let all = format!("{SESSIONS}/revoke_all");
    for (target, body) in [(format!("{all}?user=alice"), "{}"), (all, r#"{"user": "alice"}"#)] {
        let request = with_key(&stage, Method::POST, &target, WRITE_KEY).body("application/json", body);
        assert_eq!(answer(request).await.0, 400, "{target} {body}");
    }
    let id = listed(&stage, "").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(end(&stage, &format!("{SESSIONS}/{id}?dry_run=true")).await.0, 400);
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?page=x", "?users=alice", "?user="] {
        assert_eq!(
            answer(with_key(&stage, Method::GET, &format!("{SESSIONS}{query}"), WRITE_KEY)).await.0,
            400,
            "{query}"
        );
    }
    assert_eq!(standing(&stage.client, &stage.tokens.access_token).await.0, 200);
}

#[tokio::test]
async fn with_the_store_away_an_end_says_so_and_known_ends_hold() {
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.set("/admin", admin()).store(&database).set("/store/readiness", json!("booted"))
    })
    .await;
    let ended = another_sign_in(&stage, "bob").await;
    assert_eq!(end(&stage, &format!("{SESSIONS}?user=bob")).await.0, 200);
    postgres.stop().await.unwrap();
    let request = with_key(&stage, Method::DELETE, &format!("{SESSIONS}?user=alice"), WRITE_KEY);
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(standing(&stage.client, &ended.access_token).await.0, 401, "what is known to be ended stays so");
    postgres.start_again().await.unwrap();
    let since = Instant::now();
    while end(&stage, &format!("{SESSIONS}?user=alice")).await.0 != 200 {
        assert!(since.elapsed() < Duration::from_secs(30), "the store is back, and no end is taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(standing(&stage.client, &stage.tokens.access_token).await.0, 401);
}

#[tokio::test]
async fn a_person_is_found_by_the_address_of_the_last_refresh() {
    let stage = administered().await;
    stage.identity.behave(|behaviour| behaviour.person_mut("alice").email = "alice@married.example".to_owned());
    let tokens = stage.tokens.refresh(&stage.gateway.client().unwrap()).await.unwrap();
    let nobody = end(&stage, &format!("{SESSIONS}?user=alice@example.com")).await;
    assert_eq!((nobody.0, &nobody.1["subjects"]), (200, &json!([])), "the old address is nobody's");
    assert_eq!(standing(&stage.client, &tokens.access_token).await.0, 200);
    let ended = end(&stage, &format!("{SESSIONS}?user=alice@married.example")).await;
    assert_eq!((&ended.1["subjects"], &ended.1["ended"]), (&json!(["alice"]), &json!(1)));
    assert_eq!(standing(&stage.client, &tokens.access_token).await.0, 401);
}

/// A script that signs the same people out every minute makes no table that pods read for ever.
#[tokio::test]
async fn the_same_end_again_is_the_same_row() {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let stage =
        Stage::with(vec![Provider::start().unwrap()], |config| config.set("/admin", admin()).store(&database)).await;
    for _ in 0..3 {
        another_sign_in(&stage, "alice").await;
        assert_eq!(end(&stage, &format!("{SESSIONS}?user=alice")).await.0, 200);
        assert_eq!(answer(with_key(&stage, Method::POST, &format!("{SESSIONS}/revoke_all"), WRITE_KEY)).await.0, 200);
        assert_eq!(end(&stage, &format!("{SESSIONS}?user=nobody")).await.0, 200);
    }
    let pool = pool(&database).await.unwrap();
    let rows = "SELECT count(*) FROM claude_gateway.revocation";
    assert_eq!(sqlx::query_scalar::<_, i64>(rows).fetch_one(&pool).await.unwrap(), 2, "Alice's and everyone's");
    let latest = another_sign_in(&stage, "alice").await;
    assert_eq!(standing(&stage.client, &latest.access_token).await.0, 200, "who signs in afterwards is in");
}
