//! Limits on one request: refused before a provider is asked, in words that the client acts on.

use e2e::cast::{client::Client, stage::MODEL};
use serde_json::{Value, json};

use crate::person::{PERSON, Refusal, Turn, limited};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_asks_for_too_much_output_is_refused_before_a_provider_is_asked() {
    let (fleet, clients) = limited(1, json!({"max_output_tokens": 32})).await;
    let refusal = Turn::of(10, 33).refused(&clients[0]).await;
    assert_eq!((refusal.status, refusal.kind.as_str()), (400, "invalid_request_error"));
    assert_eq!(
        refusal.message,
        "max_tokens: 33 > 32, which is the maximum allowed number of output tokens (max_output_tokens of the policy that \
         applies to you)"
    );
    assert_eq!((refusal.retry_after, refusal.should_retry.as_deref()), (None, Some("false")));
    assert!(fleet.provider.requests().is_empty() && fleet.provider.connections() == 0);
    assert_eq!(Turn::of(10, 32).take(&clients[0]).await, 200);
    let blocked = fleet.pods[0].wait_for_audit("tokens.blocked", 1).await.unwrap();
    assert_eq!((&blocked[0]["sub"], &blocked[0]["limit"]), (&json!(PERSON), &json!("max_output_tokens")));
    assert_eq!(blocked[0]["policy"], "everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_the_number_is_no_way_around_it() {
    let (fleet, clients) = limited(1, json!({"max_output_tokens": 32})).await;
    for number in ["6.4e1", "33.0", "\"33\"", "1e99"] {
        let text =
            Turn::of(10, 33).body().to_string().replace("\"max_tokens\":33", &format!("\"max_tokens\":{number}"));
        assert!(text.contains(number));
        let request = clients[0].post("/v1/messages").header("anthropic-version", "2023-06-01");
        let refusal = Refusal::read(request.body("application/json", text).send().await.unwrap()).await;
        assert!(refusal.status == 400 && refusal.message.starts_with("max_tokens"), "{number}: {refusal:?}");
    }
    let twice = Turn::of(10, 33).body().to_string().replacen('{', r#"{"max_tokens":1,"#, 1);
    let request = clients[0].post("/v1/messages").body("application/json", twice);
    assert_eq!(request.send().await.unwrap().status, 400);
    assert_eq!(fleet.provider.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_long_is_refused_as_the_messages_api_would_and_counting_it_is_not() {
    let (fleet, clients) = limited(1, json!({"max_input_tokens": 1_000})).await;
    let long = Turn::of(2_000, 10);
    let refusal = long.refused(&clients[0]).await;
    assert_eq!((refusal.status, refusal.kind.as_str()), (400, "invalid_request_error"));
    let numbers = refusal.message.strip_prefix("prompt is too long: ").unwrap();
    let (tokens, most) = numbers.split_once(" tokens > ").unwrap();
    assert!(tokens.parse::<u64>().unwrap() > 2_000 && most.starts_with("1000 maximum (max_input_tokens "), "{numbers}");
    assert_eq!((refusal.retry_after, refusal.should_retry.as_deref()), (None, Some("false")));
    assert_eq!(fleet.provider.connections(), 0);
    let request = clients[0].post("/v1/messages/count_tokens").header("anthropic-version", "2023-06-01");
    assert_eq!(request.json(&long.body()).send().await.unwrap().status, 200, "how else would a client know?");
    assert_eq!(Turn::of(500, 10).take(&clients[0]).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_not_as_long_as_its_base64() {
    let (_fleet, clients) = limited(1, json!({"max_input_tokens": 5_000, "tokens_per_day": 1_000_000})).await;
    let data = "iVBORw0KGgoAAAANSUhEUgAA".repeat(40_000);
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    let body = json!({"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": [picture]}]});
    assert_eq!(send(&clients[0], &body).await, 200);
}

async fn send(client: &Client, body: &Value) -> u16 {
    let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01");
    request.json(body).send().await.unwrap().status
}
