//! Replies that end before they said what they came to, and requests whose client did not wait for one.

use std::time::Duration;

use e2e::cast::{
    client::Request,
    provider::{Message, Reply, Usage},
    stage::MODEL,
};
use serde_json::json;

use crate::{
    eventually,
    fleet::{Fleet, PERSON},
    told::Tokens,
};

const TEXT: usize = 4_000;

fn message() -> Message {
    let usage = Usage { input_tokens: 700, output_tokens: 5_000, ..Usage::default() };
    Message::new(MODEL).text(&"x".repeat(TEXT)).usage(usage)
}

fn request(fleet: &Fleet, stream: bool) -> Request {
    let body = json!({
        "model": MODEL, "stream": stream, "max_tokens": 64,
        "messages": [{"role": "user", "content": "y".repeat(2_000)}],
    });
    let request = fleet.clients()[0].post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
    request.bearer(&fleet.people.bearer(PERSON))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_upstream_cuts_costs_what_was_passed_on() {
    let fleet = Fleet::start().await;
    // The start of the message, of its block, and its text.
    fleet.provider.then_cut_mid_stream(&message(), 3);
    request(&fleet, true).send().await.unwrap().events().rest().await.unwrap();
    fleet.settle().await;
    let told = fleet.end().await;
    assert_eq!(told.of(PERSON), Tokens { requests: 1, input: 700, output: TEXT as i64 / 4 });
    assert!(told.charged_otherwise().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_reply_that_breaks_off_costs_what_was_passed_on() {
    const PASSED: usize = 2_000;
    let fleet = Fleet::start().await;
    fleet.provider.then(Reply::message(&message()).byte_by_byte(Duration::ZERO).cut_after(PASSED));
    // Where it breaks at once, not even its head leaves.
    if let Ok(response) = request(&fleet, false).send().await {
        assert!(response.bytes().await.is_err());
    }
    fleet.settle().await;
    let told = fleet.end().await;
    let Tokens { requests, input, output } = told.of(PERSON);
    assert_eq!((requests, output), (1, PASSED as i64 / 4));
    assert!((500..700).contains(&input), "{input} is no estimate of what was asked");
    assert!(told.charged_otherwise().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_an_answer_pays_for_the_question_and_who_is_refused_does_not() {
    let fleet = Fleet::start().await;
    fleet.provider.then_503();
    assert!(request(&fleet, true).send().await.unwrap().status >= 500);
    fleet.provider.take_requests();
    fleet.provider.then_hang();
    let asking = tokio::spawn(request(&fleet, true).send());
    eventually("the provider has the request", async || !fleet.provider.requests().is_empty()).await;
    asking.abort();
    eventually("it counts", async || fleet.told().await.of(PERSON).requests > 0).await;
    let told = fleet.end().await;
    let Tokens { requests, input, output } = told.of(PERSON);
    assert_eq!((requests, output), (1, 0));
    assert!((500..700).contains(&input), "{input} is no estimate of what was asked");
    assert!(told.charged_otherwise().is_empty());
}
