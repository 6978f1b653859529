//! Several upstreams: which one answers, and what is told when none does.

use std::time::Duration;

use e2e::cast::provider::{Provider, Reply};
use serde_json::{Value, json};

use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(30);

fn three() -> Vec<Provider> {
    (0..3).map(|_| Provider::start().unwrap()).collect()
}

async fn told(stage: &Stage) -> (u16, Option<String>, String) {
    let response = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    let (status, retry_after) = (response.status, response.header("retry-after").map(str::to_owned));
    let body: Value = response.json().await.unwrap();
    (status, retry_after, body["error"]["message"].as_str().unwrap_or_default().to_owned())
}

/// R13
#[tokio::test]
async fn each_failure_of_an_upstream_goes_to_the_next_one() {
    let stage = Stage::with(three(), |config| config).await;
    let [one, two, _] = &stage.providers[..] else { unreachable!() };
    for status in [401, 403, 404, 429, 500, 501, 502, 503, 529] {
        one.then(Reply::error(status, "whatever", "whatever"));
        two.then(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"));
        let response = stage.ask(&Stage::prompt(false)).send().await.unwrap();
        assert_eq!(response.status, 200, "after {status}");
        response.bytes().await.unwrap();
        one.take_requests();
        two.take_requests();
    }
}

#[tokio::test]
async fn a_broken_connection_goes_to_the_next_one_and_a_client_error_does_not() {
    let stage = Stage::with(three(), |config| config).await;
    let [one, two, _] = &stage.providers[..] else { unreachable!() };
    one.then_close();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    one.then_garbage();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let asked = two.requests().len();
    for status in [400, 409, 413, 422] {
        one.then(Reply::error(status, "invalid_request_error", "yours"));
        assert_eq!(told(&stage).await, (status, None, "yours".to_owned()));
    }
    assert_eq!(two.requests().len(), asked, "nobody else was asked");
}

#[tokio::test]
async fn an_upstream_that_is_silent_too_long_is_left() {
    let stage = Stage::with(three(), |config| config.set("/timeouts/upstream_ttfb_ms", json!(300))).await;
    stage.providers[0].then_hang();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert_eq!(stage.providers[1].requests().len(), 1);
    stage.providers[0].wait_for_abandoned(1).await.unwrap();
}

#[tokio::test]
async fn when_all_fail_the_answer_worth_telling_is_told_in_generic_words() {
    let rows: [([u16; 3], u16, &str); 6] = [
        ([500, 429, 401], 429, "rate limit"),
        ([429, 500, 500], 429, "rate limit"),
        ([401, 500, 403], 403, "credential"),
        ([404, 501, 500], 404, "does not serve"),
        ([501, 500, 529], 501, "does not support"),
        ([500, 503, 529], 502, "all upstreams failed (3 attempted)"),
    ];
    for (statuses, expected, words) in rows {
        let stage = Stage::with(three(), |config| config).await;
        for (provider, status) in stage.providers.iter().zip(statuses) {
            provider.then(Reply::error(status, "whatever", "arn:aws:iam::1234:role/secret").header("retry-after", "9"));
        }
        let (status, retry_after, message) = told(&stage).await;
        assert_eq!(status, expected, "{statuses:?}");
        assert!(message.contains(words) && !message.contains("arn:"), "{message}");
        assert_eq!(retry_after.as_deref(), (expected == 429).then_some("9"));
        // The operator hears of each of them, but not their words: those may quote a prompt.
        for _ in 0..3 {
            stage.gateway.wait_for_line("the upstream refused").await.unwrap();
        }
        assert!(!stage.gateway.stderr().join("\n").contains("arn:aws"));
    }
}

#[tokio::test]
async fn a_cooldown_is_honoured_and_the_other_upstream_is_asked_first() {
    let stage = Stage::with(three(), |config| config).await;
    stage.providers[0].then_429(Duration::from_secs(60));
    for _ in 0..5 {
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    }
    assert_eq!(stage.providers[0].requests().len(), 1, "left alone after its 429");
    assert_eq!(stage.providers[1].requests().len(), 5);
}

#[tokio::test]
async fn when_all_are_closed_they_are_asked_in_their_order_all_the_same() {
    let stage = Stage::with(three(), |config| config).await;
    for provider in &stage.providers {
        provider.then_429(Duration::from_secs(60));
    }
    assert_eq!(told(&stage).await.0, 429);
    assert_eq!(stage.providers.iter().map(|provider| provider.take_requests().len()).sum::<usize>(), 3);
    stage.providers[0].then_503();
    assert_eq!(told(&stage).await.0, 200);
    let counts: Vec<_> = stage.providers.iter().map(|provider| provider.requests().len()).collect();
    assert_eq!(counts, [1, 1, 0], "the first, and after its failure the second");
}

#[tokio::test]
async fn an_upstream_serves_only_the_models_that_its_globs_name() {
    let stage = Stage::with(three(), |config| {
        config
            .set("/upstreams/0/models", json!(["claude-opus-*"]))
            .set("/upstreams/1/models", json!(["claude-sonnet-4-5"]))
    })
    .await;
    for model in ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929"] {
        stage.ask(&json!({"model": model})).send().await.unwrap();
    }
    stage.ask(&json!({"model": "claude-opus-4-8"})).send().await.unwrap();
    stage.ask(&json!({"model": "claude-haiku-4-5"})).send().await.unwrap();
    let counts: Vec<_> = stage.providers.iter().map(|provider| provider.requests().len()).collect();
    assert_eq!(counts, [1, 2, 1]);
}

#[tokio::test]
async fn equals_share_and_a_session_stays_where_its_cache_is() {
    let stage = Stage::with(three(), |config| {
        config
            .set("/upstreams/0/priority", json!(1))
            .set("/upstreams/1/priority", json!(1))
            .set("/upstreams/2/priority", json!(2))
    })
    .await;
    for session in 0..40 {
        for _ in 0..2 {
            let request =
                stage.ask(&Stage::prompt(false)).header("x-claude-code-session-id", &format!("session-{session}"));
            assert_eq!(request.send().await.unwrap().status, 200);
        }
    }
    let counts: Vec<_> = stage.providers.iter().map(|provider| provider.requests().len()).collect();
    assert!(counts[0] > 10 && counts[1] > 10 && counts[2] == 0, "{counts:?}");
    assert!(counts[0] % 2 == 0, "each session's two requests went to one place: {counts:?}");
}

#[tokio::test]
async fn a_full_upstream_is_passed_over() {
    let stage = Stage::with(three(), |config| config.set("/upstreams/0/max_concurrent", json!(1))).await;
    stage.providers[0].then_hang();
    let hanging = stage.ask(&Stage::prompt(false));
    let waiting = tokio::spawn(hanging.send());
    stage.providers[0].wait_for_requests(1).await.unwrap();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert_eq!(stage.providers[1].requests().len(), 1);
    waiting.abort();
}

/// A kept connection that the upstream closed in the meantime is nobody's failure. One client connection is served by one
/// thread, whose pool has the kept one.
#[tokio::test]
async fn a_kept_connection_that_went_stale_is_replaced_without_a_failure() {
    let stage = Stage::new().await;
    let mut raw = stage.raw().await;
    let body = Stage::prompt(false).to_string();
    let request = format!("{}\r\n{body}", stage.head(&format!("content-length: {}", body.len())));
    for _ in 0..4 {
        raw.send(&request).await.unwrap();
        assert_eq!(raw.reply(PATIENCE).await.unwrap().0, 200);
        stage.provider().then_close();
        raw.send(&request).await.unwrap();
        assert_eq!(raw.reply(PATIENCE).await.unwrap().0, 200, "{:#?}", stage.gateway.stderr());
    }
}
