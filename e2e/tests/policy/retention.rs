//! What is kept: `retention.upstream: zero` sends prompts to upstreams that keep nothing, or nowhere; and the gateway itself
//! keeps nothing of a prompt or an answer, whatever becomes of the request.

use std::{fs, path::Path};

use e2e::cast::{
    client::Client,
    fleet::Fleet,
    policies::PolicyRows,
    postgres::pool,
    provider::{Message, Provider},
    stage::Stage,
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

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

/// Everything that the store holds, row by row.
async fn rows(database: &str) -> Vec<String> {
    let pool = pool(database).await.unwrap();
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'claude_gateway'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&pool).await.unwrap();
    assert!(tables.len() > 8, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let rows = format!("SELECT row_to_json(t)::text FROM {table} t");
        all.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(rows)).fetch_all(&pool).await.unwrap());
    }
    all
}

fn files(below: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(files(&path)),
            path => all.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()),
        }
    }
    all
}

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
    let (rows, files) = (rows(&fleet.database).await, files(&pod.home()));
    assert!(rows.len() > 5 && files.len() > 1 && pod.stderr().len() > 10, "there was something to look through");
    for (place, kept) in [("store", rows), ("files", files), ("log", pod.stderr()), ("metrics", vec![metrics])] {
        let found: Vec<_> = kept.iter().filter(|text| text.contains(MARK)).collect();
        assert!(found.is_empty(), "{place}: {found:?}");
    }
}
