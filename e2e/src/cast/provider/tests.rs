use serde_json::json;

use super::*;
use crate::cast::client::{Client, Request, text_of};

fn ask(client: &Client, stream: bool) -> Request {
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 10, "stream": stream, "messages": []});
    client
        .post("/v1/messages?beta=true")
        .header("x-api-key", API_KEY)
        .header("anthropic-version", "2023-06-01")
        .json(&body)
}

#[tokio::test]
async fn a_stream_arrives_byte_for_byte_and_in_order() {
    let provider = Provider::start().unwrap();
    let message =
        Message::new("m").thinking("a b").text("hello world").ping().deltas(20).tool_use("T", &json!({"a": 1}));
    provider.then_stream(&message);
    let client = Client::new(&provider.url()).unwrap();
    let mut events = ask(&client, true).send().await.unwrap().events();
    let all = events.rest().await.unwrap();
    assert_eq!(events.seen(), message.frames().concat());
    assert!(text_of(&all).starts_with("hello worlddelta 0;delta 1;"));
    assert_eq!(provider.faults(), Vec::<String>::new());
    assert_eq!(provider.requests()[0].query, "beta=true");
}

#[tokio::test]
async fn the_script_is_played_in_order_and_then_the_persona_speaks() {
    let provider = Provider::start().unwrap();
    provider.then_503().then_429(Duration::from_secs(7));
    let client = Client::new(&provider.url()).unwrap();
    assert_eq!(ask(&client, false).send().await.unwrap().status, 503);
    let refused = ask(&client, false).send().await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    let said = ask(&client, false).send().await.unwrap();
    assert!(said.text().await.unwrap().contains(PLAIN_TEXT));
}

#[tokio::test]
async fn a_request_that_carries_the_persons_bearer_is_a_fault() {
    let provider = Provider::start().unwrap();
    let client = Client::new(&provider.url()).unwrap();
    assert_eq!(ask(&client, false).bearer("leaked").send().await.unwrap().status, 400);
    assert_eq!(provider.faults(), ["authorization must not come here"]);
    let keyless = client.post("/v1/messages").header("anthropic-version", "1").json(&json!({})).send().await.unwrap();
    assert_eq!(keyless.status, 401);
}

#[tokio::test]
async fn a_cut_stream_is_no_proper_end() {
    let provider = Provider::start().unwrap();
    provider.then_cut_mid_stream(&Message::new("m").deltas(5), 3);
    let client = Client::new(&provider.url()).unwrap();
    let mut events = ask(&client, true).send().await.unwrap().events();
    for _ in 0..3 {
        assert!(events.next().await.unwrap().is_some());
    }
    assert!(events.next().await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let provider = Provider::start().unwrap();
    provider.then_hang();
    let client = Client::new(&provider.url()).unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(200), ask(&client, false).send()).await;
    assert!(waiting.is_err());
    provider.wait_for_abandoned(1).await.unwrap();
}

#[tokio::test]
async fn a_shape_is_ordered_by_the_request_and_served_over_tls() {
    let provider = Provider::builder().tls().threads(2).unwatched().start().unwrap();
    let client = Client::new(&provider.url()).unwrap().trusting(provider.ca_pem().unwrap()).unwrap();
    let shape = Shape::Stream { deltas: 50, every_ms: 1 };
    let body = json!({"model": "m", "metadata": {"user_id": shape.order()}, "stream": true});
    let said = client.post("/v1/messages").json(&body).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(said, shape.message().frames().concat());
}

#[tokio::test]
async fn garbage_is_no_http() {
    let provider = Provider::start().unwrap();
    provider.then_garbage();
    let client = Client::new(&provider.url()).unwrap();
    assert!(ask(&client, false).send().await.is_err());
}
