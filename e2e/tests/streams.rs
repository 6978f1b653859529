//! What a person sees while the model speaks: every event at once, and all of them.

use std::time::{Duration, Instant};

use e2e::cast::{
    gateway::Gateway,
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::{Message, Provider, Reply, Shape},
    signin::sign_in,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_of_a_slow_stream_is_passed_on_at_once() {
    let people = OpenIdProvider::start(Behaviour::default()).await;
    let model = Provider::start().unwrap();
    let store = Postgres::shared().await.unwrap().database().await.unwrap();
    let config = Gateway::config().unwrap().identity(&people).store(&store).upstream("cast", &model);
    let gateway = config.start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": true, "messages": []});
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    // The pause is far longer than any delay that a busy machine adds, and nothing waits for its end.
    let pause = Duration::from_secs(20);
    model.then(Reply::stream(&Message::new("m").deltas(3)).every(pause));
    let asked = Instant::now();
    let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
    let mut events = request.send().await.unwrap().events();
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first.name, "message_start");
    assert!(asked.elapsed() < pause / 2, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_at_once_arrive_byte_for_byte() {
    let people = OpenIdProvider::start(Behaviour::default()).await;
    let model = Provider::builder().unwatched().start().unwrap();
    let store = Postgres::shared().await.unwrap().database().await.unwrap();
    let config = Gateway::config().unwrap().identity(&people).store(&store).upstream("cast", &model);
    let gateway = config.start().await.unwrap();
    let tokens = sign_in(&gateway, "alice").await.unwrap();
    let shape = Shape::Stream { deltas: 40, every_ms: 10 };
    let expected = shape.message().frames().concat();
    let body = json!({
        "model": "claude-sonnet-4-5", "metadata": {"user_id": shape.order()}, "stream": true, "max_tokens": 9, "messages": [],
    });
    let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
    let streams: Vec<_> = (0..64)
        .map(|_| {
            let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
            tokio::spawn(async move {
                let mut events = request.send().await.unwrap().events();
                events.rest().await.unwrap();
                events.seen().to_vec()
            })
        })
        .collect();
    for stream in streams {
        assert_eq!(stream.await.unwrap(), expected);
    }
}
