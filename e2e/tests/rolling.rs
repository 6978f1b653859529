//! Pods are replaced one after another under load, and nobody notices.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::cast::{
    client::Client,
    gateway::Gateway,
    length::short_or_full,
    load_balancer::LoadBalancer,
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::{Provider, Shape},
    signin::sign_in,
    stage::{MODEL, Stage},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};

const PODS: usize = 3;
const REQUESTS: usize = 10_000;
const STREAMS: usize = 200;
/// At once, each begun as another ends.
const OPEN_STREAMS: usize = 50;
const ASKING: usize = 16;

const SHORT: Shape = Shape::Json { bytes: 64 };
/// Between two requests of one who asks: 250 a second from all together.
const PAUSE: Duration = Duration::from_millis(64);

/// What clients ask for, and what went wrong.
struct Load {
    client: Client,
    stream: Shape,
    /// The last pod is replaced: whoever has asked often enough may stop.
    rolled: AtomicBool,
    requests: AtomicUsize,
    streams: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn begin(client: Client, stream: Shape) -> (Arc<Self>, JoinSet<()>) {
        let load = Arc::new(Self {
            client,
            stream,
            rolled: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            failures: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for _ in 0..ASKING {
            clients.spawn(load.clone().ask_on());
        }
        for _ in 0..OPEN_STREAMS {
            clients.spawn(load.clone().stream_on());
        }
        (load, clients)
    }

    fn goes_on(&self, count: &AtomicUsize, enough: usize) -> bool {
        !self.rolled.load(Ordering::Relaxed) || count.load(Ordering::Relaxed) < enough
    }

    fn count(&self, count: &AtomicUsize, what: &str, outcome: Result<()>) {
        count.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = outcome {
            self.failures.lock().unwrap().push(format!("{what}: {error:#}"));
        }
    }

    async fn ask_on(self: Arc<Self>) {
        let mut pace = interval(PAUSE);
        while self.goes_on(&self.requests, REQUESTS) {
            pace.tick().await;
            let outcome = self.ask().await;
            self.count(&self.requests, "a request", outcome);
        }
    }

    async fn stream_on(self: Arc<Self>) {
        while self.goes_on(&self.streams, STREAMS) {
            let outcome = self.stream().await;
            self.count(&self.streams, "a stream", outcome);
        }
    }

    async fn ask(&self) -> Result<()> {
        let answer = self.client.post("/v1/messages").json(&order(SHORT, false)).send().await?;
        let (status, said) = (answer.status, answer.text().await?);
        ensure!(status == 200, "{status} {said}");
        ensure!(serde_json::from_str::<Value>(&said)? == SHORT.message().json(), "another answer: {said}");
        Ok(())
    }

    /// To its last byte.
    async fn stream(&self) -> Result<()> {
        let answer = self.client.post("/v1/messages").json(&order(self.stream, true)).send().await?;
        ensure!(answer.status == 200, "{}", answer.status);
        let mut events = answer.events();
        events.rest().await?;
        let expected = self.stream.message().frames().concat();
        ensure!(events.seen() == expected, "{} bytes of {}", events.seen().len(), expected.len());
        Ok(())
    }
}

fn order(shape: Shape, stream: bool) -> Value {
    json!({"model": MODEL, "metadata": {"user_id": shape.order()}, "stream": stream, "max_tokens": 9, "messages": []})
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
        assert!(told.elapsed() < Duration::from_secs(1), "still ready {:?} after the signal", told.elapsed());
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
    let public = LoadBalancer::reserve().unwrap();
    let mut pods = pods(&identity, &database, &providers, public).await.unwrap();
    let ports: Vec<u16> = pods.iter().map(Gateway::port).collect();
    let balancer = LoadBalancer::start(public, &ports).await.unwrap();
    let tokens = sign_in(&pods[0], "alice").await.unwrap();
    let client = Client::new(balancer.url()).unwrap().with_bearer(&tokens.access_token);

    let stream = Shape::Stream { deltas: short_or_full(40, 240), every_ms: 250 };
    let (load, clients) = Load::begin(client, stream);
    sleep(Duration::from_secs(1)).await;
    for (place, pod) in pods.iter_mut().enumerate() {
        replace(pod, place, &balancer).await;
    }
    load.rolled.store(true, Ordering::Relaxed);
    clients.join_all().await;

    let failures = std::mem::take(&mut *load.failures.lock().unwrap());
    assert!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(20)]);
    assert!(load.requests.load(Ordering::Relaxed) >= REQUESTS && load.streams.load(Ordering::Relaxed) >= STREAMS);
    let counts = balancer.counts().await.unwrap();
    assert_eq!(counts.failed, 0);
    assert!(counts.reused > REQUESTS as u64 / 2, "kept connections were not put to the test: {counts:?}");
}
