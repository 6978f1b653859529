//! Files that change while the gateway runs.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::cast::{
    gateway::Gateway,
    patience::eventually,
    postgres::Postgres,
    provider::{Credential, Provider},
    signin::sign_in,
    stage::Stage,
};
use serde_json::{Value, json};

const FIRST: &str = "the first secret, long enough: 0123456789abcdef";
const SECOND: &str = "the second secret, long enough: 0123456789abcdef";

async fn with_secret(secret: &str) -> Stage {
    Stage::with(vec![Provider::start().unwrap()], |config| config.set("/session/jwt_secret", json!(secret))).await
}

async fn status_with(gateway: &Gateway, token: &str) -> u16 {
    gateway.client().unwrap().with_bearer(token).get("/v1/models").send().await.unwrap().status
}

fn key_id(token: &str) -> Value {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
}

/// The outcome of the `n`th reading.
async fn reading(gateway: &Gateway, n: usize) -> Value {
    gateway.wait_for_audit("config.load", n).await.unwrap().remove(n - 1)
}

/// R26
#[tokio::test]
async fn an_upstreams_key_is_taken_from_its_file_when_that_changes() {
    let provider = Provider::builder().credential(Credential::ApiKey("sk-second".to_owned())).start().unwrap();
    let stage = Stage::with(vec![provider], |config| {
        let file = config.home().join("api-key");
        std::fs::write(&file, "sk-first\n").unwrap();
        config.set("/upstreams/0/auth/api_key", json!(format!("${{file:{}}}", file.display())))
    })
    .await;
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 401);
    assert_eq!(stage.provider().requests()[0].header("x-api-key"), Some("sk-first"));
    // As Kubernetes does it: another file takes the name.
    let (file, next) = (stage.gateway.home().join("api-key"), stage.gateway.home().join("next"));
    std::fs::write(&next, "sk-second\n").unwrap();
    std::fs::rename(next, file).unwrap();
    assert_eq!(reading(&stage.gateway, 1).await["outcome"], "reloaded");
    assert_eq!(stage.ask(&Stage::prompt(false)).send().await.unwrap().status, 200);
    assert!(!stage.gateway.stderr().join("\n").contains("sk-"), "no key is ever logged");
}

/// R26
#[tokio::test]
async fn signing_secrets_rotate_and_old_tokens_live_until_theirs_is_gone() {
    let mut stage = with_secret(FIRST).await;
    let old = stage.tokens.access_token.clone();
    stage.gateway.rewrite(|file| file["session"]["jwt_secret"] = json!([SECOND, FIRST])).unwrap();
    reading(&stage.gateway, 1).await;
    assert_eq!(status_with(&stage.gateway, &old).await, 200);
    let new = sign_in(&stage.gateway, "bob").await.unwrap().access_token;
    assert_ne!(key_id(&new), key_id(&old), "the first of the list signs");
    let renewed = stage.tokens.refresh(&stage.gateway.client().unwrap()).await.unwrap();
    assert_eq!(key_id(&renewed.access_token), key_id(&new));
    stage.gateway.rewrite(|file| file["session"]["jwt_secret"] = json!([SECOND])).unwrap();
    reading(&stage.gateway, 2).await;
    assert_eq!(status_with(&stage.gateway, &old).await, 401);
    assert_eq!(status_with(&stage.gateway, &new).await, 200);
}

/// R26: a login rotates between two roles, and no process starts anew for it.
#[tokio::test]
async fn another_role_of_the_store_is_taken_for_the_connections_from_then_on() {
    let mut stage = Stage::new().await;
    let postgres = Postgres::shared().await.unwrap();
    let url = stage.gateway.setting("/store/postgres_url").as_str().unwrap().to_owned();
    let role = format!("next_of_{}", url.rsplit('/').next().unwrap().split('?').next().unwrap());
    postgres.create_role(&url, &role, "another").await.unwrap();
    let schema = "claude_gateway";
    let rights = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
    );
    postgres.execute(&url, &rights).await.unwrap();
    stage
        .gateway
        .rewrite(|file| {
            file["store"]["username"] = json!(role);
            file["store"]["password"] = json!("another");
        })
        .unwrap();
    let read = reading(&stage.gateway, 1).await;
    assert_eq!((&read["outcome"], &read["needs_restart"]), (&json!("reloaded"), &json!([])));
    let ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'claude-gateway'";
    postgres.execute(&url, &format!("SELECT pg_terminate_backend(pid) {ours}")).await.unwrap();
    eventually("somebody signs in", async || sign_in(&stage.gateway, "bob").await.is_ok()).await;
    let others = format!(
        "DO $$ BEGIN IF (SELECT count(*) FILTER (WHERE usename = '{role}') = 0 OR count(*) FILTER (WHERE usename <> '{role}') > 0 \
         {ours}) THEN RAISE EXCEPTION 'another role is there'; END IF; END $$"
    );
    postgres.execute(&url, &others).await.unwrap();
}

#[tokio::test]
async fn an_invalid_edit_changes_nothing_and_is_told_once() {
    let mut stage = with_secret(FIRST).await;
    stage
        .gateway
        .rewrite(|file| {
            file["session"]["jwt_secret"] = json!(SECOND);
            file["limits"]["max_request_bytes"] = json!("a lot");
            file["no_such_section"] = json!({});
        })
        .unwrap();
    assert_eq!(reading(&stage.gateway, 1).await["outcome"], "refused");
    let line = stage.gateway.wait_for_line("the changed configuration is not valid").await.unwrap();
    assert!(line.contains("limits.max_request_bytes") && line.contains("no_such_section"), "{line}");
    assert!(!stage.gateway.stderr().join("\n").contains(SECOND));
    let bob = sign_in(&stage.gateway, "bob").await.unwrap().access_token;
    assert_eq!(key_id(&bob), key_id(&stage.tokens.access_token));
    stage
        .gateway
        .rewrite(|file| {
            file["limits"] = json!({});
            file.as_object_mut().unwrap().remove("no_such_section");
        })
        .unwrap();
    assert_eq!(reading(&stage.gateway, 2).await["outcome"], "reloaded", "the refusal was said once");
    assert_eq!(status_with(&stage.gateway, &bob).await, 401, "the secret of the valid file is in force");
}

/// The order in which an operator writes files is nobody's business.
#[tokio::test]
async fn a_file_that_is_named_before_it_exists_is_taken_when_it_comes() {
    let mut stage = with_secret(FIRST).await;
    let file = stage.gateway.home().join("late-secret");
    stage
        .gateway
        .rewrite(|document| document["session"]["jwt_secret"] = json!(format!("${{file:{}}}", file.display())))
        .unwrap();
    assert_eq!(reading(&stage.gateway, 1).await["outcome"], "refused");
    std::fs::write(file, SECOND).unwrap();
    assert_eq!(reading(&stage.gateway, 2).await["outcome"], "reloaded");
    assert_eq!(status_with(&stage.gateway, &stage.tokens.access_token).await, 401);
}

#[tokio::test]
async fn what_needs_a_new_process_is_named_until_it_is_taken_back() {
    let mut stage = with_secret(FIRST).await;
    stage.gateway.rewrite(|file| file["limits"]["max_url_length"] = json!(100)).unwrap();
    assert_eq!(reading(&stage.gateway, 1).await["needs_restart"], json!(["limits"]));
    let line = stage.gateway.wait_for_line("these changes need a new process").await.unwrap();
    assert!(line.contains("limits"), "{line}");
    let long = format!("/v1/models?{}", "a".repeat(200));
    assert_eq!(stage.client.get(&long).send().await.unwrap().status, 200, "not taken in place");
    stage.gateway.rewrite(|file| file["session"]["jwt_secret"] = json!([SECOND, FIRST])).unwrap();
    assert_eq!(reading(&stage.gateway, 2).await["needs_restart"], json!(["limits"]), "it still waits");
    stage.gateway.rewrite(|file| file["limits"] = json!({})).unwrap();
    assert_eq!(reading(&stage.gateway, 3).await["needs_restart"], json!([]));
    stage.gateway.rewrite(|file| file["limits"]["max_url_length"] = json!(100)).unwrap();
    reading(&stage.gateway, 4).await;
    stage.gateway.restart().await.unwrap();
    assert_eq!(stage.client.get(&long).send().await.unwrap().status, 414, "a new process takes it");
}
