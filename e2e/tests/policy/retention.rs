//! What is kept: `retention.upstream: zero` sends prompts to upstreams that keep nothing, or nowhere; and the gateway itself
//! keeps nothing of a prompt or an answer, whatever becomes of the request.

use e2e::cast::{
    client::Client,
    fleet::Fleet,
    kept::{files, rows},
    policies::PolicyRows,
    provider::{Message, Provider},
    stage::Stage,
};
use serde_json::{Value, json};

use crate::rows::listing;

async fn stage(zero: &[usize]) -> Stage {
    Stage::with(vec![Provider::start().unwrap(), Provider::start().unwrap()], |config| {
        let config =
            zero.iter().fold(config, |config, n| config.set(&format!("/upstreams/{n}/zero_retention"), json!(true)));
        let policy = json!({"name": "eng", "match": {"groups": ["eng"]}, "retention": {"upstream": "zero"}});
        config.set("/managed/policies", json!([policy]))
    })
    .await
}

#[tokio::test]
async fn only_upstreams_that_keep_nothing_see_the_prompt() {
    let stage = stage(&[1]).await;
    for _ in 0..5 {
        assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    }
    assert_eq!((stage.providers[0].requests().len(), stage.providers[1].requests().len()), (0, 5));
}

#[tokio::test]
async fn failing_over_stays_among_them() {
    let stage = stage(&[1]).await;
    stage.providers[1].then_503();
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 502);
    assert!(stage.providers[0].requests().is_empty());
}

#[tokio::test]
async fn without_one_the_request_is_refused_with_the_reason() {
    let stage = stage(&[]).await;
    let answer = stage.ask(&Stage::prompt(false)).send().await.unwrap();
    let status = answer.status;
    let body: Value = answer.json().await.unwrap();
    assert_eq!((status, &body["error"]["type"]), (403, &json!("permission_error")));
    assert!(body["error"]["message"].as_str().unwrap().contains("retention"), "{body}");
    assert!(stage.providers.iter().all(|provider| provider.requests().is_empty()));
    let page: Value = stage.client.get("/v1/models").send().await.unwrap().json().await.unwrap();
    assert_eq!(page["data"], json!([]), "nothing is offered that would be refused");
}

const MARK: &str = "marked-and-never-kept";

/// Whatever a request can become: answered, streamed, counted, refused here, refused there, failed, cut.
async fn every_kind_of_request(fleet: &Fleet, client: &Client) -> usize {
    let body = |model: &str, stream: bool| {
        json!({
            "model": model, "max_tokens": 16, "stream": stream, "system": MARK, "metadata": {"user_id": MARK},
            "messages": [{"role": "user", "content": MARK}], "tools": [{"name": MARK, "input_schema": {"type": "object"}}],
        })
    };
    let message = Message::new("claude-haiku-4-5").text(MARK);
    let ask = async |path: &str, body: &Value| {
        let answer = client.post(path).header("anthropic-version", "2023-06-01").json(body).send().await.unwrap();
        let _ = answer.bytes().await;
    };
    let model = "claude-haiku-4-5";
    fleet.provider.then_message(&message);
    ask("/v1/messages", &body(model, false)).await;
    fleet.provider.then_stream(&message);
    ask("/v1/messages", &body(model, true)).await;
    ask("/v1/messages/count_tokens", &body(model, false)).await;
    ask("/v1/messages", &body("claude-opus-4-8", false)).await;
    ask("/v1/messages", &body(MARK, false)).await;
    fleet.provider.then_error(400, "invalid_request_error", MARK);
    ask("/v1/messages", &body(model, false)).await;
    fleet.provider.then_error(500, "api_error", MARK);
    ask("/v1/messages", &body(model, false)).await;
    fleet.provider.then_cut_mid_stream(&message, 3);
    ask("/v1/messages", &body(model, true)).await;
    8
}

#[tokio::test]
async fn nothing_of_a_prompt_or_an_answer_is_kept_anywhere() {
    let fleet = Fleet::of(1, |config| {
        config.set("/managed/source", json!("store")).environment("CLAUDE_GATEWAY_LOG_LEVEL", "debug")
    })
    .await;
    let pod = &fleet.pods[0];
    PolicyRows::open(&fleet.database).await.unwrap().replace(&listing(&["claude-haiku-4-5"])).await.unwrap();
    pod.wait_for_audit("policy.reload", 1).await.unwrap();
    let asked = every_kind_of_request(&fleet, &fleet.clients()[0]).await;
    pod.wait_for_audit("inference", asked).await.unwrap();
    let sent = fleet.provider.requests().iter().filter(|request| request.json().unwrap()["system"] == MARK).count();
    assert!(sent >= 6, "the mark was on its way: {sent}");
    let metrics = Client::new(&format!("http://{}", pod.setting("/listen/metrics").as_str().unwrap())).unwrap();
    let metrics = metrics.get("/metrics").send().await.unwrap().text().await.unwrap();
    // What is flushed now and then has been by now.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let rows = rows(&fleet.database).await.unwrap();
    let files: Vec<_> = files(&pod.home()).into_iter().map(text).collect();
    assert!(rows.len() > 5 && files.len() > 1 && pod.stderr().len() > 10, "there was something to look through");
    for (place, kept) in [("store", rows), ("files", files), ("log", pod.stderr()), ("metrics", vec![metrics])] {
        let found: Vec<_> = kept.iter().filter(|text| text.contains(MARK)).collect();
        assert!(found.is_empty(), "{place}: {found:?}");
    }
}
