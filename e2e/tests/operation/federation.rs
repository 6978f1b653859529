//! Workload identity federation: the platform's token for a short-lived one, kept fresh, and never ours to show.

use std::time::{Duration, Instant};

use e2e::cast::{
    gateway::Config,
    length::short_or_full,
    patience::eventually,
    provider::{Credential, Provider, Received, Reply},
    stage::Stage,
};
use serde_json::{Value, json};

const TOKEN_PATH: &str = "/v1/oauth/token";
const ASSERTION: &str = "eyJhbGciOiJub25lIn0.the-platforms-own.first";

fn endpoint(token: &str) -> Provider {
    Provider::builder().credential(Credential::Bearer(token.to_owned())).start().unwrap()
}

fn mints(provider: &Provider, token: &str, expires_in: u32) {
    let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in});
    provider.answer_always(TOKEN_PATH, Reply::json(200, &answer));
}

fn federated(config: Config) -> Config {
    let file = config.home().join("identity-token");
    std::fs::write(&file, format!("{ASSERTION}\n")).unwrap();
    config.set(
        "/upstreams/0/auth",
        json!({
            "federation_rule_id": "fdrl_1", "organization_id": "org-1", "identity_token_file": file,
            "workspace_id": "wrkspc_1", "service_account_id": "svac_1",
        }),
    )
}

fn exchanges(provider: &Provider) -> Vec<Received> {
    provider.requests().into_iter().filter(|request| request.path == TOKEN_PATH).collect()
}

async fn status(stage: &Stage) -> u16 {
    stage.ask(&Stage::prompt(false)).header("anthropic-beta", "context-1m-2025-08-07").send().await.unwrap().status
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_the_minted_one_is_the_bearer() {
    let provider = endpoint("minted");
    mints(&provider, "minted", 3600);
    let stage = Stage::with(vec![provider], federated).await;
    eventually("a token", async || status(&stage).await == 200).await;
    let exchange = exchanges(stage.provider()).remove(0);
    assert_eq!(exchange.method, "POST");
    assert_eq!(exchange.header("content-type"), Some("application/json"));
    assert_eq!(exchange.header("anthropic-beta"), Some("oauth-2025-04-20,oidc-federation-2026-04-01"));
    assert_eq!((exchange.header("authorization"), exchange.header("x-api-key")), (None, None));
    assert_eq!(
        exchange.json().unwrap(),
        json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": ASSERTION,
            "federation_rule_id": "fdrl_1", "organization_id": "org-1",
            "workspace_id": "wrkspc_1", "service_account_id": "svac_1",
        })
    );
    let asked = stage.provider().requests().into_iter().find(|request| request.path == "/v1/messages").unwrap();
    assert_eq!((asked.header("authorization"), asked.header("x-api-key")), (Some("Bearer minted"), None));
    let betas: Vec<&str> =
        asked.headers.iter().filter(|(name, _)| name == "anthropic-beta").map(|(_, v)| v.as_str()).collect();
    assert_eq!(betas.join(","), "context-1m-2025-08-07,oauth-2025-04-20");
    assert_eq!(exchanges(stage.provider()).len(), 1, "one token serves many requests");
    let said = stage.gateway.stderr().join("\n");
    assert!(!said.contains("the-platforms-own") && !said.contains("minted\""), "{said}");
}

/// R26
#[tokio::test]
async fn a_token_is_minted_anew_before_it_ends_and_nobody_notices() {
    let life = short_or_full(12, 120);
    let provider = endpoint("minted");
    mints(&provider, "minted", life);
    let stage = Stage::with(vec![provider], federated).await;
    eventually("a token", async || status(&stage).await == 200).await;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(u64::from(life) + 3) {
        assert_eq!(status(&stage).await, 200, "after {:?}", since.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((2..=4).contains(&exchanges(stage.provider()).len()), "{}", exchanges(stage.provider()).len());
}

#[tokio::test]
async fn a_token_that_the_provider_refuses_is_minted_anew_from_the_file_as_it_is_now() {
    let provider = endpoint("second");
    mints(&provider, "first", 3600);
    let stage = Stage::with(vec![provider], federated).await;
    eventually("a token of no use", async || status(&stage).await == 401).await;
    std::fs::write(stage.gateway.home().join("identity-token"), "the-platforms-own.second").unwrap();
    mints(stage.provider(), "second", 3600);
    eventually("a new token", async || status(&stage).await == 200).await;
    let exchanges = exchanges(stage.provider());
    assert_eq!(exchanges.last().unwrap().json().unwrap()["assertion"], "the-platforms-own.second");
    assert!(exchanges.len() <= 4, "a refused token does not make every request an exchange: {}", exchanges.len());
}

#[tokio::test]
async fn without_a_token_the_next_upstream_is_asked_and_the_operator_told() {
    let (first, second) = (endpoint("minted"), Provider::start().unwrap());
    let refusal: Value = json!({"error": "invalid_grant", "error_description": "the-platforms-own is unknown"});
    first.answer_always(TOKEN_PATH, Reply::json(400, &refusal));
    let stage = Stage::with(vec![first, second], federated).await;
    for _ in 0..3 {
        assert_eq!(status(&stage).await, 200);
    }
    assert_eq!(stage.providers[1].requests().len(), 3);
    assert!(
        stage.provider().requests().iter().all(|request| request.path == TOKEN_PATH),
        "no request without a bearer"
    );
    let line = stage.gateway.wait_for_line("no Anthropic token by workload identity federation").await.unwrap();
    assert!(line.contains("400") && line.contains("invalid_grant") && line.contains("one"), "{line}");
    assert!(!stage.gateway.stderr().join("\n").contains("the-platforms-own"));
}
