//! The gateway never writes a prompt, a completion or a credential anywhere (`design.md`, "The vocabulary"; S12, S13): after
//! requests of every kind and every failure, everything it has written is searched for what went through it.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use e2e::cast::{
    client::Client,
    kept::{files, rows},
    ports::free_address,
    postgres::Postgres,
    provider::{API_KEY, Message, Provider},
    stage::{MODEL, Stage},
};
use serde_json::{Value, json};

const PROMPT: &str = "wombat-prompt-7f3a91";
const COMPLETION: &str = "wombat-completion-c20d55";
const FAILURE: &str = "wombat-failure-19be07";
/// A name is the client's own text; one that means nothing here is not kept either.
const MODEL_NAME: &str = "wombat-model-44d1e8";
const ADMIN_KEY: &str = "wombat-admin-key-0123456789abcdef";

fn marked(stream: bool) -> Value {
    json!({
        "model": MODEL, "max_tokens": 64, "stream": stream,
        "system": [{"type": "text", "text": format!("system {PROMPT}")}],
        "messages": [{"role": "user", "content": format!("say {PROMPT}")}],
        "tools": [{"name": PROMPT, "description": PROMPT, "input_schema": {"type": "object"}}],
        "metadata": {"user_id": PROMPT},
        PROMPT: PROMPT,
    })
}

fn said() -> Message {
    Message::new(MODEL).thinking(COMPLETION).text(COMPLETION).tool_use("Bash", &json!({"command": COMPLETION}))
}

/// One of everything that can happen to a prompt.
async fn everything_happens(stage: &Stage) {
    let provider = stage.provider();
    provider
        .then_stream(&said())
        .then_message(&said())
        .then_cut_mid_stream(&said(), 4)
        .then_garbage()
        .then_garbage_stream()
        .then_error(400, "invalid_request_error", &format!("{FAILURE} {PROMPT}"))
        .then_error(401, "authentication_error", &format!("{FAILURE} {PROMPT}"))
        .then_error(500, "api_error", &format!("{FAILURE} {PROMPT}"))
        .then_close();
    for stream in [true, false, true, false, true, false, false, false, false] {
        let answer = stage.ask(&marked(stream)).send().await;
        if let Ok(answer) = answer {
            let _ = answer.bytes().await;
        }
    }
    let refused = [
        format!("{{\"model\": \"{MODEL_NAME}\", \"x\": \"{PROMPT}\"}}"),
        format!("{{\"model\": 7, \"x\": \"{PROMPT}\"}}"),
        format!("{{\"{PROMPT}"),
        format!("[\"{PROMPT}\"]"),
    ];
    for body in refused {
        let request = stage.client.post("/v1/messages").body("application/json", body);
        assert_eq!(request.send().await.unwrap().status, 400);
    }
    stage.client.post("/v1/messages/count_tokens").json(&marked(false)).send().await.unwrap();
    // A client that leaves in the middle, and one without a session.
    provider.then_stall_mid_stream(&said(), 4);
    drop(stage.ask(&marked(true)).send().await.unwrap());
    let stranger: Client = stage.gateway.client().unwrap();
    stranger.post("/v1/messages").bearer(PROMPT).json(&marked(true)).send().await.unwrap();
    stranger.get("/v1/organizations/sessions").header("x-api-key", ADMIN_KEY).send().await.unwrap();
    stage.tokens.refresh(&stranger).await.unwrap();
}

/// As it is, and as a column of bytes or an encoded text would show it.
fn disguises(secret: &str) -> [String; 3] {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    // Without its ends, which depend on where in the text the secret begins.
    let inner: String = BASE64_STANDARD.encode(secret).chars().take(secret.len() / 3 * 4).collect();
    [secret.to_owned(), hex, inner]
}

#[tokio::test]
async fn nothing_that_passes_through_is_written_anywhere() {
    let database = Postgres::shared().await.unwrap().database().await.unwrap();
    let metrics = free_address().unwrap();
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config
            .store(&database)
            .environment("CLAUDE_GATEWAY_LOG_LEVEL", "debug")
            .set("/listen/metrics", json!(metrics))
            .set("/admin", json!({"write_keys": [{"id": "ops", "key": ADMIN_KEY}]}))
    })
    .await;
    let journals = stage.gateway.home().join("journal");
    everything_happens(&stage).await;
    let during = files(&journals).concat();
    stage.gateway.wait_for_audit("inference", 14).await.unwrap();
    // What is written behind has been written.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let scraped = Client::new(&format!("http://{metrics}")).unwrap().get("/metrics").send().await.unwrap();
    let sinks = BTreeMap::from([
        ("the store", rows(&database).await.unwrap().concat().into_bytes()),
        ("the log and the audit", stage.gateway.stderr().join("\n").into_bytes()),
        ("the metrics", scraped.bytes().await.unwrap().to_vec()),
        ("the journal", [during, files(&journals).concat()].concat()),
    ]);
    let refresh = stage.tokens.refresh_token.clone().unwrap();
    let secrets = [
        PROMPT,
        COMPLETION,
        FAILURE,
        MODEL_NAME,
        ADMIN_KEY,
        API_KEY,
        &stage.tokens.access_token,
        &refresh,
        &stage.identity.client_secret(),
    ];
    for (sink, bytes) in &sinks {
        let text = String::from_utf8_lossy(bytes);
        for secret in secrets {
            for disguise in disguises(secret) {
                assert!(!text.contains(&disguise), "{sink} holds {secret:?} as {disguise:?}");
            }
        }
    }
    let log = &sinks["the log and the audit"];
    assert!(String::from_utf8_lossy(log).contains("alice@example.com"), "the audit was searched, not an empty text");
    assert!(sinks["the store"].len() > 100 && sinks["the metrics"].len() > 100);
}
