//! What is counted, and when the store hears of it.

use e2e::cast::{client::Response, provider::Shape, stage::MODEL};
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
