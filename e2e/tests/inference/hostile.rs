//! Clients that mean no good, or are broken: heads, slowness, framing, headers that lie.

use std::time::{Duration, Instant};

use e2e::cast::{client::Raw, length::short_or_full, provider::Provider};
use serde_json::json;

use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(30);

/// P4
#[tokio::test]
async fn a_head_over_the_cap_is_431() {
    let stage = Stage::new().await;
    for bomb in [format!("x-bomb: {}\r\n", "a".repeat(2 << 20)), "x-many: 1\r\n".repeat(10_000)] {
        let mut raw = stage.raw().await;
        let _ = raw.send(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{bomb}\r\n")).await;
        assert_eq!(raw.head(PATIENCE).await.unwrap().0, 431);
    }
    let stage =
        Stage::with(vec![Provider::start().unwrap()], |config| config.set("/limits/max_url_length", json!(4096))).await;
    let mut raw = stage.raw().await;
    let long = "a".repeat(5000);
    raw.send(format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n")).await.unwrap();
    assert_eq!(raw.head(PATIENCE).await.unwrap().0, 414);
}

/// P5
#[tokio::test]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let stage = Stage::new().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let heads = [
        "content-length: 5\r\ncontent-length: 6",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "content-length: +5",
        "content-length: 5, 6",
        "content-length : 5",
        "content-length: 0x5",
        "content-length: 5\0",
        "content-length: 99999999999999999999999999",
        "transfer-encoding:\x0bchunked",
        "x: y\rcontent-length: 5",
        " folded: yes\r\ncontent-length: 0",
    ];
    for head in heads {
        let mut raw = stage.raw().await;
        raw.send(format!("{}\r\n0\r\n\r\n{smuggled}", stage.head(head))).await.unwrap();
        let reply = String::from_utf8_lossy(&raw.until_closed(PATIENCE).await.unwrap()).into_owned();
        assert!(reply.starts_with("HTTP/1.1 400"), "{head}: {reply}");
        assert_eq!(reply.matches("HTTP/1.1").count(), 1, "{head}: one answer, then the end");
    }
    // Both headers: the length is ignored, as RFC 9112 section 6.3 has it, and nothing is left over to be a second request.
    let mut raw = stage.raw().await;
    let both = stage.head("content-length: 4\r\ntransfer-encoding: chunked");
    raw.send(format!("{both}\r\n0\r\n\r\n")).await.unwrap();
    assert_eq!(raw.head(PATIENCE).await.unwrap().0, 400);
    assert!(stage.provider().requests().is_empty());
}

/// P3: a head that trickles is cut after ten seconds, and others are served meanwhile.
#[tokio::test]
async fn a_head_that_trickles_is_cut() {
    let stage = Stage::new().await;
    let mut slow: Vec<Raw> = Vec::new();
    for _ in 0..short_or_full(200, 5_000) {
        let mut raw = stage.raw().await;
        raw.send("GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(raw);
    }
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let since = Instant::now();
    for raw in slow {
        assert!(raw.until_closed(PATIENCE).await.unwrap().is_empty());
    }
    assert!(since.elapsed() < PATIENCE);
}

/// P3
#[tokio::test]
async fn a_body_that_trickles_is_cut() {
    let stage = Stage::new().await;
    let mut raw = stage.raw().await;
    raw.send(format!("{}\r\n{{\"model\"", stage.head("content-length: 1000"))).await.unwrap();
    let (status, _) = raw.head(Duration::from_secs(60)).await.unwrap();
    assert_eq!(status, 408);
}

/// S10
#[tokio::test]
async fn forwarding_headers_of_a_stranger_have_no_effect() {
    let stage = Stage::new().await;
    stage
        .ask(&Stage::prompt(false))
        .header("x-forwarded-for", "203.0.113.5")
        .header("forwarded", "for=203.0.113.5;host=evil.test;proto=https")
        .header("x-forwarded-host", "evil.test")
        .header("x-real-ip", "203.0.113.5")
        .send()
        .await
        .unwrap();
    let lines = stage.gateway.wait_for_audit("inference", 1).await.unwrap();
    assert_eq!(lines[0]["client"], "127.0.0.1");
    let discovery = stage.client.get("/.well-known/oauth-authorization-server").header("x-forwarded-host", "evil.test");
    assert!(!discovery.send().await.unwrap().text().await.unwrap().contains("evil.test"));
}
