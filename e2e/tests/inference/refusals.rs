//! Every row of the protocol's table of refusals at inference that exists so far: the status, the type, the words.

use serde_json::{Value, json};

use crate::stage::{MODEL, Stage};

async fn refused(stage: &Stage, body: impl Into<Vec<u8>>) -> (u16, String, String) {
    let request = stage.client.post("/v1/messages").body("application/json", body.into());
    told(request.send().await.unwrap()).await
}

async fn told(response: e2e::cast::client::Response) -> (u16, String, String) {
    let status = response.status;
    let id = response.header("request-id").unwrap().to_owned();
    assert_eq!(response.header("x-request-id"), Some(id.as_str()));
    let body: Value = response.json().await.unwrap();
    assert_eq!((body["type"].as_str(), body["request_id"].as_str()), (Some("error"), Some(id.as_str())));
    let error = |name: &str| body["error"][name].as_str().unwrap().to_owned();
    (status, error("type"), error("message"))
}

#[tokio::test]
async fn a_body_that_cannot_be_routed_is_told_why_and_reaches_no_upstream() {
    let stage = Stage::new().await;
    let rows: [(&[u8], &str); 12] = [
        (b"", "invalid JSON"),
        (b"{", "invalid JSON"),
        (b"hello", "invalid JSON"),
        (b"\xff{}", "invalid JSON"),
        (b"{\"model\":\"\xc3\x28\"}", "invalid JSON"),
        (b"{\"model\":\"a\0b\"}", "invalid JSON"),
        (b"[]", "request body must be a JSON object"),
        (b"7", "request body must be a JSON object"),
        (b"{}", "model is required"),
        (b"{\"model\":\"\"}", "model is required"),
        (b"{\"model\":7}", "model must be a string"),
        (b"{\"model\":\"a\",\"model\":\"b\"}", "the request body holds the key \"model\" twice"),
    ];
    for (body, words) in rows {
        let told = refused(&stage, body).await;
        assert_eq!(
            told,
            (400, "invalid_request_error".to_owned(), words.to_owned()),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    assert!(stage.provider().requests().is_empty());
}

#[tokio::test]
async fn a_model_that_nobody_configured_is_named_and_refused() {
    let stage = Stage::new().await;
    // S18: no other writing of a known name is that name.
    for model in [
        "gpt-4",
        "Claude-Sonnet-4-5",
        "claude-sonnet-4-5 ",
        " claude-sonnet-4-5",
        "claude-sonnet-4",
        "claude-sonnet-4-5[1m]",
        "claude\u{2010}sonnet-4-5",
    ] {
        let (status, kind, words) = refused(&stage, json!({"model": model}).to_string()).await;
        assert_eq!((status, kind.as_str()), (400, "invalid_request_error"), "{model}");
        assert!(words.contains("not in the operator's model list"), "{words}");
    }
    assert!(stage.provider().requests().is_empty());
}

#[tokio::test]
async fn a_bearer_that_does_not_hold_is_401() {
    let stage = Stage::new().await;
    let other = Stage::new().await;
    let anonymous = stage.gateway.client().unwrap();
    let good = &stage.tokens.access_token;
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 20;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for bad in ["", "x", "a.b.c", &flipped, &good[..good.len() - 3], &other.tokens.access_token] {
        let response = anonymous.post("/v1/messages").bearer(bad).json(&Stage::prompt(false)).send().await.unwrap();
        assert_eq!(response.header("x-should-retry"), None);
        let (status, kind, _) = told(response).await;
        assert_eq!((status, kind.as_str()), (401, "authentication_error"), "{bad}");
    }
    let missing = anonymous.post("/v1/messages").json(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!(told(missing).await.0, 401);
    let key =
        anonymous.post("/v1/messages").header("x-api-key", good).json(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!(told(key).await.0, 401, "an API key header is no bearer");
    assert!(stage.provider().requests().is_empty());
}

#[tokio::test]
async fn a_revoked_bearer_is_401_and_not_worth_a_retry() {
    let stage = Stage::new().await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let revoked =
        stage.client.post("/oauth/revoke").form(&[("token", &stage.tokens.access_token)]).send().await.unwrap();
    assert_eq!(revoked.status, 200);
    let response = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    assert_eq!((response.status, response.header("x-should-retry")), (401, Some("false")));
}

#[tokio::test]
async fn an_unknown_path_is_404_to_somebody_signed_in_and_401_to_a_stranger() {
    let stage = Stage::new().await;
    for path in ["/v1/nothing", "/managed/settings", "/v1/messages/batches", "//v1/messages"] {
        let (status, kind, _) = told(stage.client.get(path).send().await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (404, "not_found_error"), "{path}");
        let stranger = stage.gateway.client().unwrap().get(path).send().await.unwrap();
        assert_eq!(told(stranger).await.0, 401, "{path}");
    }
    let (status, ..) = told(stage.client.get("/v1/messages").send().await.unwrap()).await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn an_address_that_is_denied_gets_nothing_but_health() {
    let stage = Stage::with(vec![e2e::cast::provider::Provider::start().unwrap()], |config| {
        config
            .set("/listen/trusted_proxies", json!(["127.0.0.1"]))
            .set("/access_control", json!({"deny_cidrs": ["192.0.2.0/24"]}))
    })
    .await;
    let from = |path: &str, address: &str| stage.client.get(path).header("x-forwarded-for", address).send();
    let response = from("/v1/models", "192.0.2.7").await.unwrap();
    assert_eq!(told(response).await.0, 403);
    assert_eq!(from("/v1/models", "198.51.100.7").await.unwrap().status, 200);
    let audited = stage.gateway.wait_for_audit("access.denied", 1).await.unwrap();
    assert_eq!(audited[0]["client"], "192.0.2.7");
}

#[tokio::test]
async fn the_audit_says_why_and_never_what() {
    let stage = Stage::new().await;
    let marked = json!({"model": MODEL, "messages": [{"role": "user", "content": "a-prompt-that-nobody-may-keep"}]});
    assert_eq!(stage.ask(&marked).send().await.unwrap().status, 200);
    refused(&stage, json!({"model": "nope", "x": "a-prompt-that-nobody-may-keep"}).to_string()).await;
    let lines = stage.gateway.wait_for_audit("inference", 2).await.unwrap();
    assert_eq!(lines[0]["sub"], "alice");
    assert_eq!((&lines[0]["status"], &lines[0]["model"]), (&json!(200), &json!("claude-sonnet-4-5-20250929")));
    assert_eq!((&lines[1]["status"], &lines[1]["reason"]), (&json!(400), &json!("unknown_model")));
    let said = stage.gateway.stderr().join("\n");
    for secret in ["a-prompt-that-nobody-may-keep", &stage.tokens.access_token, e2e::cast::provider::API_KEY] {
        assert!(!said.contains(secret), "{secret} stands in the log");
    }
}
