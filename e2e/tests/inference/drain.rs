//! Going away under load, and not going away with the store.

use std::time::{Duration, Instant};

use e2e::cast::{
    client::Events,
    length::short_or_full,
    patience::eventually,
    postgres::Postgres,
    provider::{Message, Reply},
};
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::stage::{MODEL, Stage};

const PATIENCE: Duration = Duration::from_secs(30);

fn slow(deltas: usize, every_ms: u64) -> Reply {
    Reply::stream(&Message::new(MODEL).deltas(deltas)).every(Duration::from_millis(every_ms))
}

/// A stream whose first event has come.
async fn begun(stage: &Stage) -> Events {
    let mut events = stage.ask(&Stage::prompt(true)).send().await.unwrap().events();
    events.next().await.unwrap().unwrap();
    events
}

/// R2: readiness goes off, what comes is still served, streams finish, and then it ends.
#[tokio::test]
async fn a_signal_lets_streams_finish_and_ends_after_the_last() {
    let mut stage = Stage::new().await;
    stage.provider().then(slow(short_or_full(100, 400), 50));
    let mut events = begun(&stage).await;
    stage.gateway.signal(Signal::TERM).unwrap();
    eventually("it is not ready", async || stage.client.get("/readyz").send().await.unwrap().status == 503).await;
    let late = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!((late.status, late.header("connection")), (200, Some("close")));
    let all = events.rest().await.unwrap();
    assert_eq!(all.last().unwrap().name, "message_stop");
    let ended = Instant::now();
    assert!(stage.gateway.exit(PATIENCE).await.unwrap().success());
    assert!(ended.elapsed() < Duration::from_secs(short_or_full(5, 1)), "{:?} after the last stream", ended.elapsed());
}

/// R3: at the deadline a stream gets a last event that a client can parse.
#[tokio::test]
async fn a_stream_longer_than_the_drain_gets_a_last_event() {
    let mut stage = Stage::with(vec![e2e::cast::provider::Provider::start().unwrap()], |config| {
        config.environment("CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS", short_or_full("1500", "25000"))
    })
    .await;
    stage.provider().then(slow(10_000, 50));
    let mut events = begun(&stage).await;
    stage.gateway.signal(Signal::TERM).unwrap();
    let all = events.rest().await.unwrap();
    assert_eq!(all.last().unwrap().name, "error");
    assert!(all.iter().all(|event| event.json().is_ok()));
    assert!(stage.gateway.exit(PATIENCE).await.unwrap().success());
    let lines = stage.gateway.wait_for_audit("inference", 1).await.unwrap();
    assert_eq!(lines[0]["ending"], "drained");
}

/// R4
#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut stage = Stage::new().await;
    stage.provider().then(slow(10_000, 50));
    let _events = begun(&stage).await;
    stage.gateway.signal(Signal::TERM).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.gateway.signal(Signal::INT).unwrap();
    let since = Instant::now();
    stage.gateway.exit(PATIENCE).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

/// R5: a restarted Postgres stops no inference and needs no restart of ours.
#[tokio::test]
async fn a_crash_of_the_store_does_not_stop_inference() {
    let own = Postgres::start().await.unwrap();
    let database = own.database().await.unwrap();
    let stage =
        Stage::with(vec![e2e::cast::provider::Provider::start().unwrap()], |config| config.store(&database)).await;
    let pid = stage.gateway.pid().unwrap();
    // First a crash under load, and back at once.
    let mut load = JoinSet::new();
    for _ in 0..200 {
        load.spawn(stage.ask(&Stage::prompt(false)).send());
    }
    own.restart_immediate().await.unwrap();
    for answer in load.join_all().await {
        assert_eq!(answer.unwrap().status, 200);
    }
    own.stop().await.unwrap();
    for _ in 0..50 {
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    }
    let client = stage.gateway.client().unwrap();
    let since = Instant::now();
    let asked = loop {
        let asked =
            client.post("/oauth/device_authorization").form(&[("surface", "claude_code")]).send().await.unwrap();
        if asked.status == 503 || since.elapsed() > PATIENCE {
            break asked;
        }
    };
    assert_eq!(asked.status, 503);
    assert!(asked.header("retry-after").is_some());
    assert!(asked.text().await.unwrap().contains("temporarily_unavailable"));
    // A moment passes until the pod knows that the store is away; until then a refresh is told to try again.
    let refreshed = loop {
        match stage.tokens.refresh(&client).await {
            Ok(refreshed) => break refreshed,
            Err(error) => assert!(since.elapsed() < PATIENCE, "sessions do not refresh without the store: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_ne!(refreshed.refresh_token, stage.tokens.refresh_token, "sessions refresh while the store is away");
    own.start_again().await.unwrap();
    let since = Instant::now();
    while let Err(error) = e2e::cast::signin::sign_in(&stage.gateway, "bob").await {
        assert!(since.elapsed() < PATIENCE, "nobody can sign in again: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.get("/readyz").send().await.unwrap().status, 200);
    assert_eq!(stage.gateway.pid().unwrap(), pid);
}
