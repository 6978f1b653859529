//! The edge of a limit on one pod: who is refused, in which words, and for how long.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::cast::{
    fleet::metric,
    provider::{Message, Usage},
    stage::MODEL,
};
use serde_json::json;

use crate::person::{Refusal, Turn, limited, of_person};

const DAY: u64 = 86_400;

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the pods and Postgres go by it too")]
fn machine_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minutes_tokens_refill_and_the_refusal_says_when_there_are_enough() {
    let (fleet, clients) = limited(1, json!({"tokens_per_minute": 60_000})).await;
    assert_eq!(Turn::of(59_000, 1_000).take(&clients[0]).await, 200);
    let turn = Turn::of(2_500, 500);
    let refusal = turn.refused(&clients[0]).await;
    assert_eq!((refusal.status, refusal.kind.as_str(), refusal.should_retry), (429, "rate_limit_error", None));
    let retry_after = refusal.retry_after.unwrap();
    assert!((1..=4).contains(&retry_after), "1,000 tokens a second: {retry_after}");
    let words =
        format!("your limit of 60000 tokens per minute (tokens_per_minute) is reached; try again in {retry_after} s");
    assert_eq!(refusal.message, words);
    assert_eq!(turn.refused(&clients[0]).await.status, 429);
    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    assert_eq!(turn.take(&clients[0]).await, 200, "it said when");
    let blocked = fleet.pods[0].wait_for_audit("tokens.blocked", 2).await.unwrap();
    assert_eq!(blocked[0]["retry_after"], retry_after);
    let refusals = metric(&fleet.pods[0], r#"limit_refusals_total{limit="tokens_per_minute"}"#).await.unwrap();
    assert_eq!(refusals, 2.0);
    let bob = of_person(&fleet, "somebody-else").await;
    assert_eq!(Turn::of(1_000, 10).take(&bob[0]).await, 200, "somebody else is not meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_the_minute_and_counting_tokens_is_none() {
    let (fleet, clients) = limited(1, json!({"requests_per_minute": 30})).await;
    let turn = Turn::of(10, 10);
    let since = Instant::now();
    for request in 0..30 {
        assert_eq!(turn.take(&clients[0]).await, 200, "request {request}");
    }
    let request = clients[0].post("/v1/messages/count_tokens").header("anthropic-version", "2023-06-01");
    assert_eq!(request.json(&turn.body()).send().await.unwrap().status, 200);
    // A slow machine has refilled some by now.
    let mut passed = 0;
    let refusal = loop {
        let answer = turn.ask(&clients[0]).await;
        match answer.status {
            200 => passed += 1,
            _ => break Refusal::read(answer).await,
        }
    };
    assert!(passed as f64 <= since.elapsed().as_secs_f64() / 2.0 + 1.0, "{passed} in {:?}", since.elapsed());
    assert_eq!((refusal.status, refusal.kind.as_str()), (429, "rate_limit_error"));
    assert!(refusal.message.starts_with("your limit of 30 requests per minute (requests_per_minute) is reached"));
    let retry_after = refusal.retry_after.unwrap();
    assert!((1..=2).contains(&retry_after), "one in two seconds: {retry_after}");
    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    assert_eq!(turn.take(&clients[0]).await, 200);
    assert!(fleet.provider.faults().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_used_up_refuses_until_midnight() {
    let (_fleet, clients) = limited(1, json!({"tokens_per_day": 2_000})).await;
    assert_eq!(Turn::of(1_500, 150).take(&clients[0]).await, 200);
    let refusal = Turn::of(500, 100).refused(&clients[0]).await;
    let now = machine_time();
    let (until_midnight, retry_after) = (DAY - now % DAY, refusal.retry_after.unwrap());
    assert!(retry_after.abs_diff(until_midnight) <= 30, "{retry_after} for {until_midnight}");
    assert_eq!((refusal.status, refusal.kind.as_str()), (429, "rate_limit_error"));
    assert!(
        refusal.message.starts_with("your limit of 2000 tokens per day (tokens_per_day) is reached; it starts anew in")
    );
    if retry_after > 60 {
        assert_eq!(refusal.should_retry.as_deref(), Some("false"), "clients do not wait that long, they hammer");
    }
    assert_eq!(Turn::of(20, 10).take(&clients[0]).await, 200, "what still fits passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_all_of_a_limit_passes_once_into_an_untouched_bucket() {
    let (_fleet, clients) = limited(1, json!({"tokens_per_month": 1_000})).await;
    let large = Turn::of(2_000, 100);
    assert_eq!(large.take(&clients[0]).await, 200, "nothing was used");
    let refusal = large.refused(&clients[0]).await;
    assert_eq!((refusal.status, refusal.kind.as_str()), (429, "rate_limit_error"));
    assert_eq!((refusal.should_retry.as_deref(), refusal.retry_after), (Some("false"), None));
    assert!(refusal.message.contains("more than all of your limit of 1000 tokens per month (tokens_per_month)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_provider_answers_gives_everything_back() {
    let (fleet, clients) =
        limited(1, json!({"requests_per_minute": 1, "tokens_per_day": 1_000, "concurrent_requests": 1})).await;
    for _ in 0..3 {
        fleet.provider.then_503();
        // Not an order of its own, so that the script answers.
        let mut body = Turn::of(900, 50).body();
        body["metadata"] = json!({});
        let request = clients[0].post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
        assert_eq!(request.send().await.unwrap().status, 502);
    }
    assert_eq!(Turn::of(900, 50).take(&clients[0]).await, 200);
    assert_eq!(Turn::of(10, 10).ask(&clients[0]).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_reads_count_only_where_the_policy_says_so() {
    for (counts, then) in [(false, 200), (true, 429)] {
        let limits = json!({"tokens_per_day": 10_000, "count_cache_reads": counts});
        let (fleet, clients) = limited(1, limits).await;
        let usage = Usage { input_tokens: 100, output_tokens: 100, cache_read_input_tokens: 9_500, ..Usage::default() };
        let message = Message::new(MODEL).text("hello").usage(usage);
        fleet.provider.then_message(&message);
        let mut body = Turn::of(2_000, 100).body();
        body["metadata"] = json!({});
        let ask = || clients[0].post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body).send();
        assert_eq!(ask().await.unwrap().status, 200);
        fleet.provider.then_message(&message);
        assert_eq!(ask().await.unwrap().status, then, "count_cache_reads: {counts}");
    }
}
