//! P5 over HTTP/2, where a line feed is a byte like any other: what comes in one header does not go out as two.

use std::time::Duration;

use e2e::cast::stage::{MODEL, Stage};
use serde_json::json;

use crate::frames;
use e2e::cast::patience::eventually;

/// P5
#[tokio::test]
async fn a_header_with_a_line_feed_in_it_reaches_no_upstream() {
    let stage = Stage::new().await;
    let body = json!({"model": MODEL, "messages": []}).to_string();
    let ask = async |path: &str, name: &str, value: &str| {
        let head = frames::request("POST", path, &stage.tokens.access_token);
        let head = [head, frames::literal("anthropic-version", "1"), frames::literal(name, value)].concat();
        let mut raw = stage.raw().await;
        raw.send(frames::opening()).await.unwrap();
        raw.send(frames::headers(1, frames::END_HEADERS, &head)).await.unwrap();
        raw.send(frames::body(1, body.as_bytes())).await.unwrap();
        raw
    };
    let _good = ask("/v1/messages", "anthropic-beta", "plain").await;
    eventually("what is well formed passes", async || stage.provider().requests().len() == 1).await;
    let rows = [
        ("/v1/messages", "anthropic-beta", "a\r\nx-injected: yes"),
        ("/v1/messages", "anthropic-beta", "a\nx-injected: yes"),
        ("/v1/messages", "anthropic-beta", "a\r\n\r\nGET /injected HTTP/1.1\r\n\r\n"),
        ("/v1/messages", "anthropic-beta", "a\0b"),
        ("/v1/messages", "anthropic-x: 1\r\nx-injected", "yes"),
        ("/v1/messages", "anthropic-x\nx-injected", "yes"),
        ("/v1/messages", "Anthropic-Beta", "upper case"),
        ("/v1/messages", "transfer-encoding", "chunked"),
        ("/v1/messages", "content-length", "1"),
        ("/v1/messages HTTP/1.1\r\nx-injected: yes\r\nx: ", "anthropic-beta", "plain"),
        ("/v1/messages?a=b HTTP/1.1\r\nx-injected: yes", "anthropic-beta", "plain"),
    ];
    let mut open = Vec::new();
    for (path, name, value) in rows {
        open.push(ask(path, name, value).await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let received = stage.provider().requests();
    assert_eq!(received.len(), 2, "{received:#?}");
    drop(open);
}
