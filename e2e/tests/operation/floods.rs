//! P4: frames of HTTP/2 that cost their sender nothing.

use std::time::{Duration, Instant};

use e2e::cast::{
    process::Process,
    provider::{Message, Reply},
    stage::{MODEL, Stage},
};
use serde_json::json;

use crate::frames;

const AT_ONCE: usize = 1000;
const FLOOD: usize = 200_000;
/// What the catalogue allows an attacker's connection, in KiB.
const MOST_MEMORY: u64 = 10 * 1024;
/// A quarter of what it allows each, for two take turns here.
const MOST_CPU: f64 = 4.0;

/// Nobody reads what the gateway answers, so an answer that is kept for each would be seen.
#[tokio::test]
async fn pings_and_settings_without_end_cost_nobody_anything() {
    let stage = Stage::new().await;
    let process = Process(stage.gateway.pid().unwrap());
    for (name, flood) in [("pings", frames::ping()), ("settings", frames::initial_window(65_535))] {
        let (memory, cpu) = (process.resident().unwrap(), process.cpu_seconds());
        let mut raw = stage.raw().await;
        raw.send(frames::opening()).await.unwrap();
        let batch = flood.repeat(AT_ONCE);
        for _ in 0..FLOOD / AT_ONCE {
            // The gateway may close, or read no more: both are an end of the flood.
            match tokio::time::timeout(Duration::from_secs(2), raw.send(&batch)).await {
                Ok(Ok(())) => {}
                _ => break,
            }
        }
        let since = Instant::now();
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
        assert!(since.elapsed() < Duration::from_secs(5), "{name}: others wait {:?}", since.elapsed());
        let grown = process.resident().unwrap().saturating_sub(memory);
        assert!(grown < MOST_MEMORY, "{name}: {grown} KiB");
        let spent = process.cpu_seconds() - cpu;
        assert!(spent < MOST_CPU, "{name}: {spent} seconds of CPU");
    }
}

/// A stream that its client gives no room: what the provider says is not gathered here.
#[tokio::test]
async fn a_window_of_nothing_holds_the_provider_back_and_not_memory() {
    let stage = Stage::new().await;
    let piece = "x".repeat(64 * 1024);
    let message = (0..1024).fold(Message::new(MODEL), |message, _| message.text(&piece));
    stage.provider().then(Reply::stream(&message));
    let process = Process(stage.gateway.pid().unwrap());
    let memory = process.resident().unwrap();
    let mut raw = stage.raw().await;
    let body = json!({"model": MODEL, "stream": true, "messages": []}).to_string();
    let head = frames::request("POST", "/v1/messages", &stage.tokens.access_token);
    raw.send(frames::opening()).await.unwrap();
    raw.send(frames::initial_window(0)).await.unwrap();
    raw.send(frames::headers(1, frames::END_HEADERS, &head)).await.unwrap();
    raw.send(frames::body(1, body.as_bytes())).await.unwrap();
    stage.provider().wait_for_requests(1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = process.resident().unwrap().saturating_sub(memory);
    assert!(grown < MOST_MEMORY, "{grown} KiB of a reply of 64 MiB");
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
}
