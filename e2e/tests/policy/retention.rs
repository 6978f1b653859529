//! `retention.upstream: zero`: prompts go to upstreams that keep nothing, or nowhere.

use e2e::cast::{provider::Provider, stage::Stage};
use serde_json::{Value, json};

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
