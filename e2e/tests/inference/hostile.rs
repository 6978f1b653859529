//! Clients that mean no good, or are broken: sizes, slowness, framing, floods of bad bearers.

use std::time::{Duration, Instant};

use e2e::cast::{client::Raw, provider::Provider};
use serde_json::json;

use crate::stage::{MODEL, Stage};

const PATIENCE: Duration = Duration::from_secs(30);

/// P6
#[tokio::test]
async fn a_body_over_the_cap_is_413_before_it_is_read() {
    let stage = Stage::new().await;
    let length = 33 * 1024 * 1024;
    let mut raw = stage.raw().await;
    raw.send(format!("{}\r\n", stage.head(&format!("content-length: {length}")))).await.unwrap();
    let (status, head) = raw.head(PATIENCE).await.unwrap();
    assert_eq!(status, 413, "{head}");
    let chunked = stage.head("transfer-encoding: chunked");
    let mut raw = stage.raw().await;
    raw.send(format!("{chunked}\r\n")).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    for _ in 0..34 {
        if raw.send(&chunk).await.is_err() {
            break;
        }
    }
    assert_eq!(raw.head(PATIENCE).await.unwrap().0, 413);
    assert!(stage.provider().requests().is_empty());
}

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

/// P6
#[tokio::test]
async fn strange_json_gets_a_verdict() {
    let stage = Stage::new().await;
    let deep = |levels: usize| format!("{{\"model\":\"{MODEL}\",\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let keys: String = (0..100_000).map(|n| format!("\"k{n}\":1,")).collect();
    // What passes is the provider's to judge.
    let passing = [
        deep(900),
        format!("{{{keys}\"model\":\"{MODEL}\"}}"),
        format!("{{\"n\":{},\"model\":\"{MODEL}\"}}", "9".repeat(4300)),
        format!("{{\"s\":\"\\ud800\",\"model\":\"{MODEL}\"}}"),
    ];
    for body in passing {
        stage.client.post("/v1/messages").body("application/json", body.clone()).send().await.unwrap();
        assert_eq!(stage.provider().take_requests()[0].body, body.as_bytes());
    }
    let refused = [
        deep(10_000),
        deep(100_000),
        format!("\u{feff}{{\"model\":\"{MODEL}\"}}"),
        format!("{{\"model\":\"{MODEL}\"}}\0"),
    ];
    for body in refused {
        let response = stage.client.post("/v1/messages").body("application/json", body);
        assert_eq!(response.send().await.unwrap().status, 400);
    }
    assert!(stage.provider().requests().is_empty());
}

#[tokio::test]
async fn a_chunked_body_passes() {
    let stage = Stage::new().await;
    let body = Stage::prompt(false).to_string();
    let pieces: String = body.as_bytes().chunks(1).map(|byte| format!("1\r\n{}\r\n", byte[0] as char)).collect();
    let mut raw = stage.raw().await;
    raw.send(format!("{}\r\n{pieces}0\r\n\r\n", stage.head("transfer-encoding: chunked"))).await.unwrap();
    assert_eq!(raw.head(PATIENCE).await.unwrap().0, 200);
    assert_eq!(stage.provider().requests()[0].body, body.as_bytes());
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
    for _ in 0..200 {
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

/// S1: bad bearers cost no statement and always look the same; good ones are served meanwhile.
#[tokio::test]
async fn a_flood_of_bad_bearers_costs_no_database_work() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let stage =
        Stage::with(vec![Provider::start().unwrap()], |config| config.set("/listen/metrics", json!(address))).await;
    let metrics = e2e::cast::client::Client::new(&format!("http://{address}")).unwrap();
    let statements = async || -> u64 {
        let text = metrics.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with("claude_gateway_store_statements_total")).unwrap().to_owned();
        line.split(' ').nth(1).unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    let good = &stage.tokens.access_token;
    let mut raw = stage.raw().await;
    let (before, since) = (statements().await, Instant::now());
    const FLOOD: usize = 20_000;
    let mut sent = 0;
    while sent < FLOOD {
        let batch: String = (0..50)
            .map(|n| {
                let bad = format!("{}~{n}", &good[..good.len() - (n % 40) - 1]);
                format!("HEAD /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bad}\r\n\r\n")
            })
            .collect();
        raw.send(batch).await.unwrap();
        for _ in 0..50 {
            let (status, head) = raw.head(PATIENCE).await.unwrap();
            assert_eq!(status, 401, "{head}");
        }
        sent += 50;
    }
    let heartbeats = since.elapsed().as_secs() * 4 + 20;
    let spent = statements().await - before;
    assert!(
        spent <= heartbeats,
        "{spent} statements during {FLOOD} bad bearers, where heartbeats make about {heartbeats}"
    );
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
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
