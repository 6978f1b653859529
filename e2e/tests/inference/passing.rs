//! What passes, and what does not: bodies, headers, queries, bytes of the reply.

use bytes::Bytes;
use e2e::cast::provider::{Message, Provider, Reply, frame};
use serde_json::{Value, json};

use crate::stage::{MODEL, Stage};

/// P7
#[tokio::test]
async fn a_body_reaches_the_upstream_byte_for_byte() {
    let stage = Stage::new().await;
    let odd = "{ \"stream\":false,\n\t\"unknown\" : [1e3, \"\\ud83d\\ude00\", null], \"model\":\"claude-sonnet-4-5\" , \"x\":{\"model\":1},\"unknown\":2 } ";
    let response = stage
        .client
        .post("/v1/messages?beta=true&new=1")
        .header("anthropic-version", "1")
        .body("application/json", odd)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let received = stage.provider().requests().remove(0);
    assert_eq!(received.body, odd.as_bytes());
    assert_eq!((received.path.as_str(), received.query.as_str()), ("/v1/messages", "beta=true&new=1"));
    assert_eq!(stage.provider().faults(), Vec::<String>::new());
}

#[tokio::test]
async fn only_a_mapped_model_is_replaced_and_nothing_else_changes() {
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.set("/models", json!([{"id": "our-sonnet", "label": "Ours", "upstream_model": {"one": "claude \"x\""}}]))
    })
    .await;
    let body = r#"{"a": "our-sonnet", "model" : "our-sonnet", "b":[ ]}"#;
    stage.client.post("/v1/messages").body("application/json", body).send().await.unwrap();
    let received = stage.provider().requests().remove(0);
    assert_eq!(received.body, r#"{"a": "our-sonnet", "model" : "claude \"x\"", "b":[ ]}"#.as_bytes());
}

/// S10: the client's credentials never reach an upstream, and hop-by-hop headers end here.
#[tokio::test]
async fn only_listed_headers_reach_the_upstream() {
    let stage = Stage::new().await;
    let response = stage
        .ask(&Stage::prompt(false))
        .header("anthropic-beta", "context-1m-2025-08-07,some-new-beta")
        .header("anthropic-something-new", "yes")
        .header("x-api-key", "the-clients-own")
        .header("cookie", "a=b")
        .header("connection", "keep-alive, authorization")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-claude-code-session-id", "s")
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let received = stage.provider().requests().remove(0);
    assert_eq!(received.header("anthropic-beta"), Some("context-1m-2025-08-07,some-new-beta"));
    assert_eq!(received.header("anthropic-something-new"), Some("yes"));
    assert_eq!(received.header("x-api-key"), Some(e2e::cast::provider::API_KEY));
    for name in
        ["authorization", "cookie", "x-forwarded-for", "x-claude-code-session-id", "keep-alive", "transfer-encoding"]
    {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(stage.provider().faults(), Vec::<String>::new());
}

#[tokio::test]
async fn what_names_the_operators_account_does_not_come_back() {
    let stage = Stage::new().await;
    let named = Reply::message(&Message::new(MODEL).text("hi"))
        .header("anthropic-organization-id", "org-secret")
        .header("anthropic-ratelimit-requests-remaining", "7")
        .header("set-cookie", "a=b")
        .header("anthropic-future", "kept");
    stage.provider().then(named);
    let response = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!(response.header("anthropic-future"), Some("kept"));
    for name in ["anthropic-organization-id", "anthropic-ratelimit-requests-remaining", "set-cookie"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert!(response.header("request-id").is_some_and(|id| id.starts_with("req_") && id.len() == 36));
    let audited = stage.gateway.wait_for_audit("inference", 1).await.unwrap();
    assert_eq!(audited[0]["upstream_request_id"], "req_of_the_provider");
}

/// P7
#[tokio::test]
async fn a_stream_passes_byte_for_byte_unknown_events_and_comments_too() {
    let stage = Stage::new().await;
    let message = Message::new(MODEL)
        .thinking("so")
        .text("hello")
        .ping()
        .cited_text("as it says", "it says")
        .event("an_event_of_tomorrow", json!({"type": "an_event_of_tomorrow", "n": 1}))
        .tool_use("Read", &json!({"path": "/x"}));
    let mut frames = message.frames();
    frames.insert(2, Bytes::from_static(b": a comment\n\n"));
    frames.insert(3, frame("ping", &json!({"type": "ping"})));
    stage.provider().then(Reply::frames(frames.clone()));
    let mut events = stage.ask(&Stage::prompt(true)).send().await.unwrap().events();
    events.rest().await.unwrap();
    assert_eq!(events.seen(), frames.concat());
}

#[tokio::test]
async fn usage_is_read_from_streams_replies_and_counts() {
    let stage = Stage::new().await;
    stage.ask(&Stage::prompt(true)).send().await.unwrap().bytes().await.unwrap();
    stage.ask(&Stage::prompt(false)).send().await.unwrap().bytes().await.unwrap();
    let count =
        stage.client.post("/v1/messages/count_tokens").header("anthropic-version", "1").json(&Stage::prompt(false));
    let counted: Value = count.send().await.unwrap().json().await.unwrap();
    let lines = stage.gateway.wait_for_audit("inference", 3).await.unwrap();
    for line in &lines[..2] {
        assert!(
            line["usage"]["input_tokens"].as_u64().unwrap() > 0 && line["usage"]["output_tokens"].as_u64().unwrap() > 0,
            "{line}"
        );
        assert_eq!(line["ending"], "complete");
    }
    assert_eq!(lines[2]["endpoint"], "count_tokens");
    assert_eq!(lines[2]["usage"]["input_tokens"], counted["input_tokens"]);
}

#[tokio::test]
async fn a_refusal_of_the_provider_that_is_the_clients_fault_passes_unchanged() {
    let stage = Stage::new().await;
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: too big", "new": 1}});
    stage.provider().then(Reply::json(400, &body));
    let response = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!(response.status, 400);
    assert_eq!(response.json::<Value>().await.unwrap(), body);
}
