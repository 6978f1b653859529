//! Why a person may or may not: over HTTP for administrators, and on the command line with a configuration.

use e2e::cast::{
    postgres::{Postgres, pool},
    provider::Provider,
};
use http::Method;
use serde_json::{Value, json};

use crate::stage::{READ_KEY, Stage, WRITE_KEY, admin, answer, with_key};

const EXPLAIN: &str = "/v1/organizations/policy/explain";

fn managed() -> Value {
    json!({"policies": [
        {"name": "sales", "match": {"groups": ["sales"]}, "code": {"availableModels": ["opus"]}},
        {"name": "engineers", "match": {"groups": ["eng"]},
         "code": {"availableModels": ["sonnet"], "permissions": {"deny": ["WebFetch"]}},
         "limits": {"tokens_per_day": 1_000_000, "requests_per_minute": 600}, "retention": {"transcript_days": 7}},
        {"name": "everyone", "match": {}, "code": {"permissions": {"deny": ["Bash(curl:*)"]}, "env": {"TEAM": "all"}}},
    ]})
}

async fn governed() -> Stage {
    Stage::with(vec![Provider::start().unwrap()], |config| config.set("/admin", admin()).set("/managed", managed()))
        .await
}

async fn explained(stage: &Stage, query: &str) -> Value {
    let (status, said) = answer(with_key(stage, Method::GET, &format!("{EXPLAIN}?{query}"), READ_KEY)).await;
    assert_eq!(status, 200, "{said}");
    said
}

#[tokio::test]
async fn an_administrator_learns_what_decides_and_why() {
    let stage = governed().await;
    let said = explained(&stage, "user=alice@example.com&groups[]=eng&groups%5B%5D=chess&model=claude-opus-4-8").await;
    assert_eq!(
        said["user"],
        json!({"user_id": "alice", "email_address": "alice@example.com", "groups": ["eng", "chess"]})
    );
    let policies = json!([
        {"policy": "sales", "outcome": "no_match", "reason": "groups: not a member of sales"},
        {"policy": "engineers", "outcome": "matched"},
        {"policy": "everyone", "outcome": "base"},
    ]);
    assert_eq!(said["policies"], policies);
    let (document, origins) = (&said["settings"]["document"], &said["settings"]["origins"]);
    assert_eq!(document["permissions"]["deny"], json!(["Bash(curl:*)", "WebFetch"]));
    assert_eq!(origins["/permissions/deny"], json!(["everyone", "engineers"]));
    assert_eq!((&origins["/env/TEAM"], &origins["/cleanupPeriodDays"]), (&json!(["everyone"]), &json!(["gateway"])));
    assert_eq!(said["retention"]["transcript_days"], 7);
    assert_eq!(
        (&said["decision"]["granted"], &said["decision"]["reason"]),
        (&json!(false), &json!("model_not_available"))
    );
    let models = said["available_models"].as_array().unwrap();
    assert!(!models.is_empty() && models.iter().all(|model| model.as_str().unwrap().contains("sonnet")));
    // What is explained is what a request gets.
    let refused =
        stage.ask(&json!({"model": "claude-opus-4-8", "max_tokens": 1, "messages": []})).send().await.unwrap();
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["message"], said["decision"]["message"]);
}

#[tokio::test]
async fn what_is_used_of_a_limit_is_said() {
    let stage = governed().await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    let used = async |limit: &str| {
        let limits = explained(&stage, "user=alice&groups[]=eng").await["limits"].clone();
        let found = limits.as_array().unwrap().iter().find(|entry| entry["limit"] == limit).unwrap().clone();
        assert_eq!(found["origin"], "engineers");
        found["used"].as_i64()
    };
    let since = std::time::Instant::now();
    while used("tokens_per_day").await != Some(40) || used("requests_per_minute").await.is_none() {
        assert!(since.elapsed().as_secs() < 20, "25 tokens in and 15 out are not said");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_question_that_is_none_is_refused() {
    let stage = governed().await;
    for query in ["", "user=", "user=a&user=b", "groups[]=eng", "user=a&group=eng", "user=a&model="] {
        let (status, said) = answer(with_key(&stage, Method::GET, &format!("{EXPLAIN}?{query}"), WRITE_KEY)).await;
        assert_eq!((status, &said["error"]["type"]), (400, &json!("invalid_request_error")), "{query}: {said}");
    }
    assert_eq!(answer(stage.client.get(&format!("{EXPLAIN}?user=alice"))).await.0, 401, "S11: not for everybody");
}

#[tokio::test]
async fn the_command_line_says_the_same_from_the_file() {
    let stage = governed().await;
    let replica = stage.gateway.replica().unwrap();
    let question = ["--user", "alice", "--groups", "eng", "--groups", "chess", "--model", "claude-opus-4-8"];
    let text = replica.explain(&question).await.unwrap();
    assert!(text.status.success(), "{}", text.stderr);
    for words in [
        "alice (alice@example.com; eng, chess)",
        "claude-opus-4-8: refused:",
        "sales      no match: groups: not a member of sales",
        "engineers  matched",
        "requests_per_minute 600",
        "transcripts 7 days",
        r#"/permissions/deny ["Bash(curl:*)","WebFetch"] (everyone and engineers)"#,
    ] {
        assert!(text.stdout.contains(words), "{words:?} is not in:\n{}", text.stdout);
    }
    let json = replica.explain(&[&question[..], &["--json"]].concat()).await.unwrap();
    let mut said: Value = serde_json::from_str(&json.stdout).unwrap();
    let mut over_http = explained(&stage, "user=alice&groups[]=eng&groups[]=chess&model=claude-opus-4-8").await;
    for answer in [&mut said, &mut over_http] {
        answer["limits"] = Value::Null; // What is used may have been flushed between the two.
    }
    assert_eq!(said, over_http);
}

#[tokio::test]
async fn the_command_line_reads_stored_policies_with_the_rights_of_a_pod() {
    let postgres = Postgres::shared().await.unwrap();
    let database = postgres.database().await.unwrap();
    let stage = Stage::with(vec![Provider::start().unwrap()], |config| {
        config.store(&database).set("/managed", json!({"source": "store"}))
    })
    .await;
    let document = json!({"match": {"emails": ["carol@example.com"]}, "code": {"availableModels": ["haiku"]}});
    let pool = pool(&database).await.unwrap();
    let write = "WITH next AS (UPDATE claude_gateway.policy_set SET revision = revision + 1 RETURNING revision)
                 INSERT INTO claude_gateway.policy (key, position, document, changed_in) SELECT 'carol', 1, $1, revision FROM next";
    sqlx::query(write).bind(document).execute(&pool).await.unwrap();
    let replica = stage.gateway.replica().unwrap();
    let said = replica.explain(&["--user", "carol@example.com", "--model", "claude-opus-4-8", "--json"]).await.unwrap();
    let said: Value = serde_json::from_str(&said.stdout).expect(&said.stderr);
    assert_eq!(said["policies"], json!([{"policy": "carol", "outcome": "matched"}]));
    assert_eq!(said["decision"]["granted"], false);
}

#[tokio::test]
async fn with_the_store_away_the_file_is_still_explained() {
    let stage = governed().await;
    let replica = stage.gateway.replica().unwrap().store("postgres://nobody@127.0.0.1:1/nowhere");
    let said = replica.explain(&["--user", "alice@example.com", "--groups", "eng"]).await.unwrap();
    assert!(said.status.success(), "{}", said.stderr);
    assert!(said.stdout.contains("engineers  matched") && said.stderr.contains("stay unknown"), "{said:?}");
    assert!(!said.stderr.contains("nobody@"), "no URL of the store in what is said: {}", said.stderr);
}
