//! Pods are replaced one after another under load, and nobody notices.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use e2e::cast::{
    client::Client,
    gateway::Gateway,
    length::short_or_full,
    load::{Load, Pace},
    load_balancer::LoadBalancer,
    openid::{Behaviour, OpenIdProvider},
    ports::free_address,
    postgres::Postgres,
    provider::{Provider, Shape},
    signin::sign_in,
    stage::Stage,
};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

const PODS: usize = 3;
const REQUESTS: usize = 10_000;
const STREAMS: usize = 200;

/// 250 short requests a second.
fn pace() -> Pace {
    let stream = Shape::Stream { deltas: short_or_full(40, 240), every_ms: 250 };
    Pace { asking: 16, pause: Duration::from_millis(64), streams: 50, stream }
}

/// The pods of one gateway: the same secret, the same store, one public URL.
async fn pods(
    identity: &OpenIdProvider,
    database: &str,
    providers: &[Provider],
    public: SocketAddr,
) -> Result<Vec<Gateway>> {
    let mut pods = Vec::new();
    for _ in 0..PODS {
        let config = Stage::config(identity, database, providers)?
            .set("/listen/public_url", json!(format!("http://localhost:{}", public.port())))
            .set("/listen/trusted_proxies", json!(["127.0.0.1"]))
            .environment("CLAUDE_GATEWAY_DRAIN_TIMEOUT_MS", short_or_full("25000", "120000"));
        pods.push(config.start().await?);
    }
    Ok(pods)
}

/// A signal, the end of what it serves, its own end, and another process in its place.
async fn replace(pod: &mut Gateway, place: usize, balancer: &LoadBalancer) {
    let direct = pod.client().unwrap();
    pod.signal(Signal::TERM).unwrap();
    let told = Instant::now();
    while direct.get("/readyz").send().await.unwrap().status == 200 {
        assert!(told.elapsed() < Duration::from_secs(10), "still ready {:?} after the signal", told.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    balancer.until_noticed(place, false).await.unwrap();
    assert!(pod.exit(Duration::from_secs(300)).await.unwrap().success());
    let ended = pod.wait_for_line(" ended").await.unwrap();
    let ended = time_of(ended.split(' ').next().unwrap());
    let last = time_of(pod.audit("inference").last().unwrap()["ts"].as_str().unwrap());
    let lingered = ended - last;
    assert!(lingered < TimeDelta::seconds(short_or_full(3, 1)), "{lingered} after its last reply");
    pod.restart().await.unwrap();
    balancer.until_noticed(place, true).await.unwrap();
}

fn time_of(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Catalogue R2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_replaced_one_by_one_and_no_request_fails_and_no_stream_is_cut() {
    let identity = OpenIdProvider::start(Behaviour::default()).await;
    let providers = [Provider::builder().unwatched().start().unwrap()];
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let public = free_address().unwrap();
    let mut pods = pods(&identity, &database, &providers, public).await.unwrap();
    let ports: Vec<u16> = pods.iter().map(Gateway::port).collect();
    let balancer = LoadBalancer::start(public, &ports).await.unwrap();
    let tokens = sign_in(&pods[0], "alice").await.unwrap();
    let client = Client::new(balancer.url()).unwrap().with_bearer(&tokens.access_token);

    let load = Load::begin(client, pace());
    sleep(Duration::from_secs(1)).await;
    for (place, pod) in pods.iter_mut().enumerate() {
        replace(pod, place, &balancer).await;
    }
    let tally = load.end_after(REQUESTS, STREAMS).await;

    tally.expect_none_failed();
    assert!(tally.requests >= REQUESTS && tally.streams >= STREAMS, "{tally:?}");
    let counts = balancer.counts().await.unwrap();
    assert_eq!(counts.failed, 0);
    assert!(counts.reused > REQUESTS as u64 / 2, "kept connections were not put to the test: {counts:?}");
}
