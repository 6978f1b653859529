//! What is counted, and when the store hears of it.

use bytes::Bytes;
use e2e::cast::{
    client::Response,
    postgres::pool,
    provider::{Reply, Shape},
    stage::MODEL,
};
use serde_json::{Value, json};

use crate::{
    eventually,
    fleet::{Fleet, PERSON},
    told::Tokens,
};

async fn ask(fleet: &Fleet, path: &str, shape: Shape, stream: bool) -> Response {
    let body = json!({
        "model": MODEL, "metadata": {"user_id": shape.order()}, "stream": stream, "max_tokens": 64,
        "messages": [{"role": "user", "content": "hello"}],
    });
    let request = fleet.clients()[0].post(path).header("anthropic-version", "2023-06-01").json(&body);
    request.bearer(&fleet.people.bearer(PERSON)).send().await.unwrap()
}

fn counted(every_ms: Option<u64>) -> Shape {
    Shape::Counted { input: 700, output: 30, deltas: 4, every_ms }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_whole_replies_count_and_counting_tokens_does_not() {
    let fleet = Fleet::start().await;
    ask(&fleet, "/v1/messages", counted(Some(0)), true).await.events().rest().await.unwrap();
    let whole: Value = ask(&fleet, "/v1/messages", counted(None), false).await.json().await.unwrap();
    assert_eq!(whole["usage"]["input_tokens"], 700);
    ask(&fleet, "/v1/messages/count_tokens", counted(None), false).await.bytes().await.unwrap();
    fleet.settle().await;
    let expected = Tokens { requests: 2, input: 1_400, output: 60 };
    assert_eq!(fleet.told().await.of(PERSON), expected);
    assert_eq!(fleet.end().await.of(PERSON), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_model_advised_counts_as_that_models_and_on_the_same_limits() {
    const ADVISOR: &str = "claude-opus-4-8";
    let fleet = Fleet::start().await;
    let usage = json!({"input_tokens": 700, "output_tokens": 30, "iterations": [
        {"type": "message", "input_tokens": 700, "output_tokens": 30},
        {"type": "advisor_message", "model": ADVISOR, "input_tokens": 800, "output_tokens": 90, "cache_read_input_tokens": 5},
    ]});
    let start = json!({"type": "message_start", "message": {"model": MODEL, "usage": {"input_tokens": 700, "output_tokens": 1}}});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage});
    let stop = json!({"type": "message_stop"});
    let frames = [("message_start", start), ("message_delta", delta), ("message_stop", stop)];
    let frames = frames.map(|(name, data)| Bytes::from(format!("event: {name}\ndata: {data}\n\n")));
    let whole = json!({"type": "message", "role": "assistant", "model": MODEL, "content": [], "usage": usage});
    for (reply, stream) in [(Reply::frames(frames.to_vec()), true), (Reply::json(200, &whole), false)] {
        fleet.provider.then(reply);
        let body = json!({
            "model": MODEL, "stream": stream, "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"type": "advisor_20260301", "name": "advisor", "model": ADVISOR}],
        });
        let request = fleet.clients()[0].post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
        let answer = request.bearer(&fleet.people.bearer(PERSON)).send().await.unwrap();
        assert_eq!(answer.status, 200);
        answer.bytes().await.unwrap();
    }
    fleet.settle().await;
    let told = fleet.told().await;
    assert_eq!(told.of(PERSON), Tokens { requests: 2, input: 3_000, output: 240 });
    assert!(told.charged_otherwise().is_empty(), "{:?}", told.charged_otherwise());
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT model, requests, input_tokens, cache_read_tokens FROM claude_gateway.usage_hour ORDER BY requests",
    )
    .fetch_all(&pool(&fleet.database).await.unwrap())
    .await
    .unwrap();
    assert_eq!(rows, [(ADVISOR.to_owned(), 0, 1_600, 10), ("claude-sonnet-4-5-20250929".to_owned(), 2, 1_400, 0)]);
    let lines = fleet.pods[0].gateway.wait_for_audit("inference", 2).await.unwrap();
    assert!(lines.iter().all(|line| line["beside"][ADVISOR]["output_tokens"] == 90), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_in_the_journal_before_its_client_has_it() {
    let mut fleet = Fleet::start().await;
    fleet.postgres.pause().unwrap();
    ask(&fleet, "/v1/messages", counted(Some(20)), true).await.events().rest().await.unwrap();
    fleet.pods[0].gateway.kill().await.unwrap();
    fleet.postgres.resume().unwrap();
    assert_eq!(fleet.pods[0].journals().len(), 1);
    fleet.pods[0].kill_and_restart().await;
    fleet.settle().await;
    assert_eq!(fleet.told().await.of(PERSON), Tokens { requests: 1, input: 700, output: 30 });
    assert_eq!(fleet.end().await.of(PERSON), Tokens { requests: 1, input: 700, output: 30 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_away_hears_everything_when_it_is_back() {
    let fleet = Fleet::start().await;
    fleet.postgres.stop().await.unwrap();
    for _ in 0..20 {
        ask(&fleet, "/v1/messages", counted(None), false).await.bytes().await.unwrap();
    }
    let pod = &fleet.pods[0];
    eventually("what waits shows", async || pod.metric("ledger_unflushed_keys").await == Some(1.0)).await;
    eventually("how long it waits shows", async || pod.metric("ledger_unflushed_seconds").await > Some(1.0)).await;
    assert_eq!(pod.metric("ledger_in_journal").await, Some(1.0));
    fleet.postgres.start_again().await.unwrap();
    fleet.settle().await;
    assert_eq!(fleet.end().await.of(PERSON), Tokens { requests: 20, input: 14_000, output: 600 });
}
