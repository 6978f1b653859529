//! An unmodified Claude Code signs in through the gateway, works, is renewed silently, and is sent away.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::cast::{
    claude::{ClaudeCode, Terminal},
    gateway::Gateway,
    length::short_or_full,
    node::{CertifiedProvider, Walk},
    postgres::Postgres,
    provider::{PLAIN_TEXT, Provider},
};
use serde_json::json;

async fn approve(gateway: &Gateway, terminal: &Terminal, trusted_before: bool) -> Result<()> {
    let code = terminal.ask_to_sign_in(trusted_before).await?;
    let walk = Walk::approve(&format!("{}/device", gateway.url()), &code, "alice").await?;
    anyhow::ensure!(walk.failed.is_none(), "{walk:?}");
    terminal.confirm_account("alice@example.com").await
}

/// The shortest life that an access token can be given.
const SHORTEST: Duration = Duration::from_secs(61);

fn bearer(claude: &ClaudeCode) -> Result<String> {
    let credentials = claude.credentials()?.context("somebody signed in")?;
    Ok(credentials["enterpriseGateway"]["jwt"].as_str().context("a bearer")?.to_owned())
}

async fn refused(gateway: &Gateway, bearer: &str) -> Result<()> {
    let refused = gateway.client()?.get("/v1/models").bearer(bearer).send().await?;
    anyhow::ensure!((refused.status, refused.header("x-should-retry")) == (401, Some("false")), "{}", refused.status);
    Ok(())
}

/// At full length the client's token really ends; else the client is made to believe so.
async fn outlive_token(gateway: &Gateway, claude: &ClaudeCode) -> Result<()> {
    let Some(life) = short_or_full(None, Some(SHORTEST)) else { return claude.expire_token() };
    let bearer = bearer(claude)?;
    tokio::time::sleep(life).await;
    refused(gateway, &bearer).await
}

#[tokio::test]
async fn claude_code_signs_in_works_is_renewed_and_is_sent_away() {
    let config = Gateway::config().unwrap();
    let idp = CertifiedProvider::start(&[&config.redirect_uri()]).await.unwrap();
    let model = Provider::start().unwrap();
    let store = Postgres::start().await.unwrap();
    let config = config.issuer(idp.issuer()).store(&store.url()).upstream("cast", &model);
    let config = config.set("/session/ttl_hours", json!(short_or_full(1.0, SHORTEST.as_secs_f64() / 3600.0)));
    let gateway = config.start().await.unwrap();
    let claude = ClaudeCode::managed_for(&gateway.url()).await.unwrap();

    let before = claude.print("hello").await.unwrap();
    assert_eq!(before.code, Some(1), "{before:?}");
    assert!(before.text.contains("run /login"), "{before:?}");

    let terminal = claude.open().await.unwrap();
    approve(&gateway, &terminal, false).await.unwrap();
    terminal.say("hello").await.unwrap();
    terminal.wait_for(PLAIN_TEXT).await.unwrap();
    let printed = claude.print("hello").await.unwrap();
    assert_eq!((printed.code, printed.text.as_str()), (Some(0), PLAIN_TEXT), "{printed:?}");
    assert_eq!(gateway.audit("session.mint").len(), 1);
    let before = gateway.audit("session.refresh").len();

    // An expired token is renewed before anything is asked, and nobody sees it.
    outlive_token(&gateway, &claude).await.unwrap();
    let renewed = claude.print("hello").await.unwrap();
    assert_eq!((renewed.code, renewed.text.as_str()), (Some(0), PLAIN_TEXT), "{renewed:?}");
    let refreshes = gateway.wait_for_audit("session.refresh", before + 1).await.unwrap().len();
    // A token that lives as short as it may is renewed whenever the client looks at it.
    assert_eq!((before, refreshes), short_or_full((0, 1), (before, refreshes)));
    assert_eq!(idp.granted().await.unwrap(), (1, refreshes as u64));

    // Gone at the provider: the next renewal ends it, and the client says what to do.
    idp.disable("alice").await.unwrap();
    outlive_token(&gateway, &claude).await.unwrap();
    drop(terminal);
    let terminal = claude.open().await.unwrap();
    terminal.say("hello again").await.unwrap();
    terminal.wait_for("API Error").await.unwrap();
    terminal.wait_for("run /login").await.unwrap();

    // Back again; signing out revokes, so the old bearer is worth nothing.
    idp.enable("alice").await.unwrap();
    approve(&gateway, &terminal, true).await.unwrap();
    let bearer = bearer(&claude).unwrap();
    let ask = gateway.client().unwrap().get("/v1/models").bearer(&bearer);
    assert_eq!(ask.send().await.unwrap().status, 200);
    terminal.say("/logout").await.unwrap();
    terminal.wait_for_end().await.unwrap();
    assert!(claude.credentials().unwrap().is_none());
    gateway.wait_for_audit("session.revoke", 1).await.unwrap();
    refused(&gateway, &bearer).await.unwrap();
    assert_eq!(model.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn claude_code_runs_a_tool_that_the_model_calls() {
    let config = Gateway::config().unwrap();
    let idp = CertifiedProvider::start(&[&config.redirect_uri()]).await.unwrap();
    let model = Provider::start().unwrap();
    let store = Postgres::shared().await.unwrap().database().await.unwrap();
    let gateway = config.issuer(idp.issuer()).store(&store).upstream("cast", &model).start().await.unwrap();
    let claude = ClaudeCode::managed_for(&gateway.url()).await.unwrap();
    let terminal = claude.open().await.unwrap();
    approve(&gateway, &terminal, false).await.unwrap();
    drop(terminal);
    use e2e::cast::provider::Message;
    let call = Message::new("claude-opus-4-7")
        .thinking("A tool will do.")
        .tool_use("Read", &json!({"file_path": "/etc/hostname"}));
    model.take_requests();
    model.then_stream(&call).then_stream(&Message::new("claude-opus-4-7").cited_text("It was read.", "a passage"));
    let printed = claude.print("read the host's name").await.unwrap();
    assert_eq!((printed.code, printed.text.as_str()), (Some(0), "It was read."), "{printed:?}");
    let asked = model.requests();
    let second = asked.last().unwrap().json().unwrap();
    let last = second["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    assert!(last.contains("tool_result"), "{last}");
    assert_eq!(model.faults(), Vec::<String>::new());
}
