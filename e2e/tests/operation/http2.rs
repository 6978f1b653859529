//! HTTP/2: many streams on one connection, and floods that it invites.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use e2e::cast::{
    client::{Http2, Raw},
    patience::{PATIENCE, eventually},
    process::Process,
    provider::{Message, Provider, Reply},
    stage::{MODEL, Stage},
};

use crate::frames::{self, CANCEL, END_HEADERS};

const MEBIBYTE: u64 = 1024 * 1024;

fn process(stage: &Stage) -> Process {
    Process(stage.gateway.pid().unwrap())
}

/// In bytes.
fn resident(stage: &Stage) -> u64 {
    process(stage).resident().unwrap() * 1024
}

async fn answers_streams(stage: &Stage) {
    let http2 = Http2::connect(&stage.client).await.unwrap();
    let slow = |deltas| Reply::stream(&Message::new(MODEL).deltas(deltas)).every(Duration::from_millis(20));
    let mut streams = Vec::new();
    for deltas in [60, 30, 10] {
        stage.provider().then(slow(deltas));
        streams.push(stage.ask(&Stage::prompt(true)).send_on(&http2).await.unwrap());
    }
    // All are open, and a short answer passes them by.
    let models = stage.client.get("/v1/models").send_on(&http2).await.unwrap();
    assert_eq!(models.status, 200);
    assert!(models.text().await.unwrap().contains(MODEL));
    for stream in streams {
        let mut events = stream.events();
        assert_eq!(events.rest().await.unwrap().last().unwrap().name, "message_stop");
    }
    assert_eq!(stage.provider().faults(), Vec::<String>::new());
}

#[tokio::test]
async fn several_streams_share_a_connection_over_tls() {
    answers_streams(&Stage::with(vec![Provider::start().unwrap()], |config| config.tls().unwrap()).await).await;
}

#[tokio::test]
async fn several_streams_share_a_connection_in_the_clear() {
    answers_streams(&Stage::new().await).await;
}

/// R16
#[tokio::test]
async fn a_stream_that_is_reset_cancels_its_upstream_and_no_other() {
    let stage = Stage::new().await;
    let http2 = Http2::connect(&stage.client).await.unwrap();
    let endless = || Reply::stream(&Message::new(MODEL).deltas(100_000)).every(Duration::from_millis(20));
    stage.provider().then(endless());
    let mut reset = stage.ask(&Stage::prompt(true)).send_on(&http2).await.unwrap().events();
    reset.next().await.unwrap().unwrap();
    stage.provider().then(Reply::stream(&Message::new(MODEL).deltas(100)).every(Duration::from_millis(20)));
    let mut kept = stage.ask(&Stage::prompt(true)).send_on(&http2).await.unwrap().events();
    kept.next().await.unwrap().unwrap();
    drop(reset);
    stage.provider().wait_for_abandoned(1).await.unwrap();
    let audited = stage.gateway.wait_for_audit("inference", 1).await.unwrap();
    assert_ne!(audited[0]["ending"], "complete");
    assert_eq!(kept.rest().await.unwrap().last().unwrap().name, "message_stop");
}

/// A reset before the answer has begun, too.
#[tokio::test]
async fn a_stream_that_is_reset_while_it_waits_cancels_its_upstream() {
    let stage = Stage::new().await;
    let http2 = Http2::connect(&stage.client).await.unwrap();
    stage.provider().then_hang();
    let waiting = tokio::spawn({
        let (asked, http2) = (stage.ask(&Stage::prompt(true)), http2.clone());
        async move { asked.send_on(&http2).await.map(|response| response.status) }
    });
    stage.provider().wait_for_requests(1).await.unwrap();
    waiting.abort();
    stage.provider().wait_for_abandoned(1).await.unwrap();
    assert_eq!(stage.client.get("/v1/models").send_on(&http2).await.unwrap().status, 200);
}

/// P4
#[tokio::test]
async fn a_rapid_reset_costs_nobody_anything() {
    const STREAMS: u32 = 5_000;
    let stage = Stage::new().await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let (before, asked) = (resident(&stage), stage.provider().requests().len());
    let head = frames::request("POST", "/v1/messages", &stage.tokens.access_token);
    for _ in 0..3 {
        let mut raw = Raw::connect(stage.client.address()).await.unwrap();
        raw.send(frames::opening()).await.unwrap();
        for stream in 0..STREAMS {
            let id = 2 * stream + 1;
            let flood = [frames::headers(id, END_HEADERS, &head), frames::reset(id, CANCEL)].concat();
            // A connection that is closed on the flood is what is wanted.
            if raw.send(flood).await.is_err() {
                break;
            }
        }
        let since = Instant::now();
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
        assert!(since.elapsed() < Duration::from_secs(5), "others wait {:?}", since.elapsed());
    }
    assert_eq!(stage.provider().requests().len(), asked + 3, "no stream of the flood reached the upstream");
    let grown = resident(&stage).saturating_sub(before);
    assert!(grown < 32 * MEBIBYTE, "grown by {} MiB", grown / MEBIBYTE);
}

/// P4
#[tokio::test]
async fn headers_without_an_end_are_refused_and_not_kept() {
    let stage = Stage::new().await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let before = resident(&stage);
    let piece = frames::literal("x-bomb", &"a".repeat(16_000));
    let mut raw = Raw::connect(stage.client.address()).await.unwrap();
    raw.send(frames::opening()).await.unwrap();
    raw.send(frames::headers(1, 0, &frames::request("GET", "/v1/models", "x"))).await.unwrap();
    let mut refused = false;
    for _ in 0..4_000 {
        refused = refused || raw.send(frames::continuation(1, &piece)).await.is_err();
        if refused {
            break;
        }
    }
    assert!(refused, "64 MB of headers were taken");
    let grown = resident(&stage).saturating_sub(before);
    assert!(grown < 32 * MEBIBYTE, "grown by {} MiB", grown / MEBIBYTE);
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
}

/// P4
#[tokio::test]
async fn a_header_list_over_the_cap_is_431_and_one_below_it_is_not() {
    let stage = Stage::new().await;
    let http2 = Http2::connect(&stage.client).await.unwrap();
    for (headers, expected) in [(18, 431), (12, 200)] {
        let mut asked = stage.ask(&Stage::prompt(false));
        for n in 0..headers {
            asked = asked.header(&format!("x-bomb-{n}"), &"a".repeat(16_000));
        }
        assert_eq!(asked.send_on(&http2).await.unwrap().status, expected, "{headers} headers of 16 kB");
    }
    assert_eq!(stage.provider().requests().len(), 1);
}

/// P4: pings and settings that are sent without end, by a client that reads the answers.
#[tokio::test]
async fn a_flood_of_pings_or_settings_is_cut_off_and_costs_nobody_anything() {
    let stage = Stage::new().await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let before = resident(&stage);
    for frame in [frames::ping(), frames::settings()] {
        let (mut answers, mut flood) = TcpStream::connect(stage.client.address()).await.unwrap().into_split();
        let answered = tokio::spawn(async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
        flood.write_all(&frames::opening()).await.unwrap();
        let (since, spent_before) = (Instant::now(), process(&stage).cpu_seconds());
        let many = frame.repeat(1_000);
        let flooding = tokio::spawn(async move { while flood.write_all(&many).await.is_ok() {} });
        while !flooding.is_finished() {
            let asked = Instant::now();
            assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
            assert!(asked.elapsed() < Duration::from_secs(5), "others wait {:?}", asked.elapsed());
            assert!(since.elapsed() < PATIENCE, "a flood of {frame:?} is answered for ever");
        }
        let _ = answered.await;
        let cost = process(&stage).cpu_seconds() - spent_before;
        assert!(cost < 5.0, "{cost} s of processor time for one connection");
    }
    let grown = resident(&stage).saturating_sub(before);
    assert!(grown < 10 * MEBIBYTE, "grown by {} MiB", grown / MEBIBYTE);
}

/// R15: a window that never opens, and a client that answers every ping.
#[tokio::test]
async fn a_stream_whose_window_never_opens_gives_its_place_back() {
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.set("/upstreams/0/max_concurrent", json!(1)).environment("CLAUDE_GATEWAY_CLIENT_STALL_MS", "3000")
    })
    .await;
    stage.provider().then(Reply::stream(&Message::new(MODEL).deltas(100_000)).every(Duration::from_millis(20)));
    let mut raw = Raw::connect(stage.client.address()).await.unwrap();
    let request = frames::request("POST", "/v1/messages", &stage.tokens.access_token);
    let head = [request, frames::literal("anthropic-version", "2023-06-01")].concat();
    raw.send(frames::opening_without_windows()).await.unwrap();
    raw.send(frames::headers(1, END_HEADERS, &head)).await.unwrap();
    raw.send(frames::body(1, Stage::prompt(true).to_string().as_bytes())).await.unwrap();
    stage.provider().wait_for_requests(1).await.unwrap();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 529, "the one place is taken");
    eventually("the place is free", async || stage.ask(&Stage::prompt(false)).send().await.unwrap().status == 200)
        .await;
    stage.provider().wait_for_abandoned(1).await.unwrap();
    // Only the stream ended: its connection serves the next one.
    raw.send(frames::headers(3, END_HEADERS, &head)).await.unwrap();
    raw.send(frames::body(3, b"{}")).await.unwrap();
    let audited =
        |key: &str, value: serde_json::Value| stage.gateway.audit("inference").iter().any(|line| line[key] == value);
    eventually("the next stream is answered", async || audited("status", json!(400))).await;
    assert!(audited("ending", json!("client_gone")), "{:#?}", stage.gateway.audit("inference"));
}
