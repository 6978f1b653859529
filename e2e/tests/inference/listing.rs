//! `GET /v1/models`, `HEAD /api/hello`, `/protocol`, health.

use e2e::cast::{gateway::Gateway, ports::free_address, provider::Provider};
use http::Method;
use serde_json::{Value, json};

use crate::stage::Stage;

#[tokio::test]
async fn configured_models_come_first_and_then_the_catalogue() {
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.set(
            "/models",
            json!([
                {"id": "our-model", "label": "Our model", "upstream_model": {"one": "x"}},
                {"id": "claude-opus-4-8", "label": "Opus, blessed"},
            ]),
        )
    })
    .await;
    let page: Value = stage.client.get("/v1/models?limit=1000").send().await.unwrap().json().await.unwrap();
    let data = page["data"].as_array().unwrap();
    assert_eq!(data[0], json!({"type": "model", "id": "our-model", "display_name": "Our model"}));
    assert_eq!(data[1]["display_name"], "Opus, blessed");
    assert_eq!(data[1]["max_input_tokens"], 1_000_000);
    assert!(data.len() > 10 && data.iter().filter(|model| model["id"] == "claude-opus-4-8").count() == 1);
    assert_eq!((&page["has_more"], &page["first_id"], &page["last_id"]), (&json!(false), &Value::Null, &Value::Null));
}

#[tokio::test]
async fn without_the_catalogue_only_what_is_configured_is_served() {
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.set("/models", json!([{"id": "claude-opus-4-8"}])).set("/auto_include_builtin_models", json!(false))
    })
    .await;
    let page: Value = stage.client.get("/v1/models").send().await.unwrap().json().await.unwrap();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(stage.ask(&json!({"model": "claude-opus-4-8"})).send().await.unwrap().status, 200);
    assert_eq!(stage.ask(&json!({"model": "claude-sonnet-5"})).send().await.unwrap().status, 400);
}

#[tokio::test]
async fn the_statement_of_the_protocol_names_endpoints_that_are_there() {
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        let policy = json!({"name": "all", "match": {}, "code": {"cleanupPeriodDays": 30}, "desktop": {}});
        let keys = json!([{"id": "ops", "key": "0123456789abcdef0123456789abcdef"}]);
        config.set("/managed/policies", json!([policy])).set("/admin", json!({"write_keys": keys}))
    })
    .await;
    let stated = stage.gateway.client().unwrap().get("/protocol").send().await.unwrap();
    assert!(stated.header("content-type").unwrap().starts_with("text/markdown"));
    let text = stated.text().await.unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| ["| GET", "| POST", "| HEAD", "| DELETE"].iter().any(|method| line.starts_with(method)))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 20);
    for row in rows {
        let method: Method = row[1].parse().unwrap();
        let response = stage.client.request(method, row[2]).send().await.unwrap();
        assert!(!matches!(response.status, 404 | 405 | 500..), "{} {} answers {}", row[1], row[2], response.status);
        let anonymous = stage.gateway.client().unwrap().request(row[1].parse().unwrap(), row[2]).send().await.unwrap();
        assert_eq!(anonymous.status == 401, row[3] != "none", "{} {}", row[1], row[2]);
    }
}

#[tokio::test]
async fn health_answers_without_a_bearer() {
    let stage = Stage::new().await;
    let client = stage.gateway.client().unwrap();
    assert_eq!(client.get("/healthz").send().await.unwrap().text().await.unwrap(), "ok");
    assert_eq!(client.get("/readyz").send().await.unwrap().text().await.unwrap(), "ready");
    assert_eq!(client.request(Method::HEAD, "/api/hello").send().await.unwrap().status, 200);
}

#[tokio::test]
async fn metrics_have_a_port_of_their_own() {
    let address = free_address().unwrap();
    let stage =
        Stage::with(vec![Provider::start().unwrap()], |config| config.set("/listen/metrics", json!(address))).await;
    stage.ask(&Stage::prompt(false)).send().await.unwrap().bytes().await.unwrap();
    stage.gateway.wait_for_audit("inference", 1).await.unwrap();
    let metrics = e2e::cast::client::Client::new(&format!("http://{address}")).unwrap();
    let text = metrics.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"claude_gateway_responses_total{endpoint="Messages",status="200"} 1"#), "{text}");
    assert!(text.contains("claude_gateway_store_reachable 1"), "{text}");
    assert_eq!(metrics.get("/v1/models").send().await.unwrap().status, 404, "Prometheus and nothing else");
    assert_eq!(stage.client.get("/metrics").send().await.unwrap().status, 404);
    let _: &Gateway = &stage.gateway;
}
