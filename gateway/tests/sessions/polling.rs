//! The token endpoint while a device waits (`protocol.md` 4), and what happens when many ask at once.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Request, header},
};
use e2e::cast::{length::short_or_full, postgres};
use futures_util::future::join_all;
use gateway::session::Lifetimes;
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    browser::{Browser, signed_in},
    stage::{DEVICE_CODE_GRANT, HOME, Stage, post, text},
};

#[tokio::test]
async fn a_device_waits_until_the_person_is_done_and_then_gets_its_tokens_once() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    let mut browser = Browser::new();
    pod.poll(&device_code).await.refused(400, "authorization_pending");
    let departed = browser.depart(&pod, &user_code).await;
    pod.poll(&device_code).await.refused(400, "authorization_pending");
    browser.come_back(&stage, &pod, &departed, "alice").await;

    let answer = pod.poll(&device_code).await;
    let (access, refresh) = answer.tokens();
    let body = answer.json();
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["email"], "alice@example.com");
    assert_eq!(body["expires_in"], 3600);
    let admitted = pod.verifier.admit(&access).unwrap();
    assert_eq!(admitted.person().sub.0, "alice");
    assert_eq!(admitted.person().groups, ["eng", "everyone"]);
    assert!(!refresh.is_empty());

    pod.poll(&device_code).await.refused(400, "expired_token");
    let minted = pod.audited("session.mint");
    assert_eq!(minted.len(), 1);
    assert_eq!((&minted[0]["sub"], &minted[0]["email"]), (&json!("alice"), &json!("alice@example.com")));
}

#[tokio::test]
async fn the_steps_of_one_sign_in_may_be_served_by_four_pods() {
    let stage = Stage::usual().await;
    let pods = stage.pods(4).await;
    let (device_code, user_code) = pods[0].start().await;
    let mut browser = Browser::new();
    let departed = browser.depart(&pods[1], &user_code).await;
    assert_eq!(browser.come_back(&stage, &pods[2], &departed, "alice").await.status.as_u16(), 200);
    let (access, _) = pods[3].poll(&device_code).await.tokens();
    assert!(pods.iter().all(|pod| pod.verifier.admit(&access).is_ok()));
}

/// Catalogue S7: polling too fast.
#[tokio::test]
async fn a_hasty_device_is_told_to_slow_down() {
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.poll_interval = Duration::from_secs(60));
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    pod.poll(&device_code).await.refused(400, "authorization_pending");
    pod.poll(&device_code).await.refused(429, "slow_down");
    Browser::new().sign_in(&stage, &pod, &user_code, "alice").await;
    pod.poll(&device_code).await.refused(429, "slow_down");
}

#[tokio::test]
async fn a_device_that_keeps_the_interval_is_never_slowed_down() {
    let interval = short_or_full(Duration::from_millis(700), Lifetimes::default().poll_interval);
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.poll_interval = interval);
    let pod = stage.deaf_pod().await;
    let (device_code, _) = pod.start().await;
    for _ in 0..3 {
        pod.poll(&device_code).await.refused(400, "authorization_pending");
        tokio::time::sleep(interval).await;
    }
}

/// Catalogue S7: expired, unknown and reused device codes.
#[tokio::test]
async fn an_expired_or_unknown_device_code_says_so_and_no_more() {
    let grant = short_or_full(Duration::from_millis(1), Lifetimes::default().grant);
    let stage = Stage::usual().await.scripted(|script| script.lifetimes.grant = grant);
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    tokio::time::sleep(grant + Duration::from_millis(20)).await;
    let unknown = "A".repeat(43);
    for code in [device_code.as_str(), &unknown, "short", &"A".repeat(5000)] {
        pod.poll(code).await.refused(400, "expired_token");
    }
    let page = Browser::new().enter(&pod, &user_code).await;
    assert_eq!(page.status.as_u16(), 400);
}

#[tokio::test]
async fn a_denied_device_gets_access_denied() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    let page = Browser::new().submit(&pod, "/device/deny", &[("user_code", &user_code)]).await;
    assert_eq!(page.status.as_u16(), 200);
    for _ in 0..2 {
        pod.poll(&device_code).await.refused(400, "access_denied");
    }
}

#[tokio::test]
async fn a_person_who_is_not_admitted_leaves_the_device_denied() {
    let stage = Stage::usual().await.scripted(|script| script.allowed_groups = vec!["eng".to_owned()]);
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    let page = Browser::new().sign_in(&stage, &pod, &user_code, "bob").await;
    assert_eq!(page.status.as_u16(), 403);
    pod.poll(&device_code).await.refused(400, "access_denied");
}

#[tokio::test]
async fn where_the_provider_gives_no_refresh_token_we_give_none() {
    let stage = Stage::with(e2e::cast::openid::Behaviour { refresh_tokens: false, ..Default::default() }).await;
    let pod = stage.deaf_pod().await;
    let (device_code, user_code) = pod.start().await;
    Browser::new().sign_in(&stage, &pod, &user_code, "alice").await;
    let answer = pod.poll(&device_code).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert!(answer.json().get("refresh_token").is_none());
    assert!(pod.verifier.admit(&text(&answer.json(), "access_token")).is_ok());
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_invalid() {
    let pod = Stage::usual().await.deaf_pod().await;
    let device = ("grant_type", DEVICE_CODE_GRANT);
    pod.post("/oauth/token", &[device]).await.refused(400, "invalid_request");
    pod.post("/oauth/token", &[device, ("device_code", "")]).await.refused(400, "invalid_request");
    pod.post("/oauth/token", &[("grant_type", "refresh_token")]).await.refused(400, "invalid_request");
    for repeated in ["grant_type", "device_code"] {
        let value = if repeated == "grant_type" { DEVICE_CODE_GRANT } else { "x" };
        let fields = [device, ("device_code", "y"), (repeated, value)];
        pod.post("/oauth/token", &fields).await.refused(400, "invalid_request");
    }
    let mut json = post("/oauth/token", &[device]);
    json.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    pod.call(HOME, json).await.refused(400, "invalid_request");
    let untyped = Request::post("/oauth/token").body(Body::from("grant_type=refresh_token")).unwrap();
    pod.call(HOME, untyped).await.refused(400, "invalid_request");
    for grant_type in [&[][..], &[("grant_type", "password")], &[("grant_type", "")]] {
        pod.post("/oauth/token", grant_type).await.refused(400, "unsupported_grant_type");
    }
}

#[tokio::test]
async fn parameters_that_nobody_knows_are_ignored_at_the_token_endpoint() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    let (_, refresh) = signed_in(&stage, &pod).await;
    let known = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
    let fields = [known[0], known[1], ("client_id", "x"), ("later", "1"), ("later", "2")];
    pod.post("/oauth/token", &fields).await.tokens();
}

/// Catalogue S7: one device code, fifty polls at once over eight pods. The row is held until many of them wait for it, so
/// that they do meet.
#[tokio::test]
async fn of_fifty_polls_at_once_exactly_one_gets_the_tokens() {
    let stage = Stage::usual().await;
    let pods = stage.deaf_pods(8).await;
    let (device_code, user_code) = pods[0].start().await;
    Browser::new().sign_in(&stage, &pods[0], &user_code, "alice").await;
    let (held_now, is_held) = oneshot::channel();
    let holding = async {
        let pool = postgres::pool(&stage.database).await.unwrap();
        let mut held = pool.begin().await.unwrap();
        let rows = format!("SELECT FROM {}.device_grant FOR UPDATE", stage.schema);
        sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&mut *held).await.unwrap();
        held_now.send(()).unwrap();
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%device_grant%'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() < 8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        held.commit().await.unwrap();
    };
    let polls = join_all((0..50).map(|n| pods[n % pods.len()].poll(&device_code)));
    let polls = async {
        is_held.await.unwrap();
        polls.await
    };
    let ((), answers) = tokio::join!(holding, polls);
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status.is_success());
    assert_eq!(won.len(), 1);
    lost.iter().for_each(|answer| answer.refused(400, "expired_token"));
}

/// Catalogue R32: a poll costs one statement, and one that cannot be a code of ours costs none.
#[tokio::test]
async fn a_poll_costs_one_statement_at_most() {
    let stage = Stage::usual().await;
    let pod = stage.deaf_pod().await;
    const AT_ONCE: usize = 200;
    let (pending, rounds) = short_or_full((20, 10), (10_000, 1));
    let polls = (pending * rounds) as u64;
    let mut codes = Vec::new();
    for _ in 0..pending {
        codes.push(pod.start().await.0);
    }
    let before = pod.store.calls();
    // Not more at once than there are places at the door.
    for codes in codes.chunks(AT_ONCE / rounds) {
        for answer in join_all(codes.iter().cycle().take(AT_ONCE).map(|code| pod.poll(code))).await {
            assert!(matches!(answer.status.as_u16(), 400 | 429), "{}", answer.body);
        }
    }
    assert_eq!(pod.store.calls() - before, polls);
    pod.poll("no code of ours").await;
    pod.refresh("no token of ours").await;
    pod.post("/oauth/revoke", &[("token", "no token of ours")]).await;
    assert_eq!(pod.store.calls() - before, polls);
}
