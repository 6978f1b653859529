//! The certified OpenID provider signs people in, and what it says later counts.

use anyhow::Result;
use e2e::cast::{
    browser::Browser,
    gateway::Gateway,
    node::{CertifiedProvider, Walk},
    postgres::Postgres,
    provider::{PLAIN_TEXT, Provider},
    signin::{Device, Tokens, sign_in},
};
use serde_json::{Value, json};

/// A gateway between the certified provider and a scripted model.
struct Scene {
    gateway: Gateway,
    idp: CertifiedProvider,
    model: Provider,
}

async fn scene(change: impl FnOnce(e2e::cast::gateway::Config) -> e2e::cast::gateway::Config) -> Result<Scene> {
    let config = Gateway::config()?;
    let idp = CertifiedProvider::start(&[&config.redirect_uri()]).await?;
    let model = Provider::start()?;
    let store = Postgres::shared().await?.database().await?;
    let config = config.issuer(idp.issuer()).store(&store).upstream("cast", &model);
    Ok(Scene { gateway: change(config).start().await?, idp, model })
}

async fn ask(scene: &Scene, bearer: &str) -> Result<(u16, String)> {
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]});
    let request = scene.gateway.client()?.post("/v1/messages").bearer(bearer).header("anthropic-version", "2023-06-01");
    let answer = request.json(&body).send().await?;
    Ok((answer.status, answer.text().await?))
}

fn claims(token: &Tokens) -> Result<Value> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.access_token.split('.').nth(1).unwrap_or_default();
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

#[tokio::test]
async fn a_person_signs_in_and_the_model_answers() {
    let scene = scene(|config| config).await.unwrap();
    let tokens = sign_in(&scene.gateway, "alice").await.unwrap();
    let claims = claims(&tokens).unwrap();
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["groups"], json!(["engineering", "admins"]));
    let (status, text) = ask(&scene, &tokens.access_token).await.unwrap();
    assert_eq!(status, 200);
    assert!(text.contains(PLAIN_TEXT));
    assert_eq!(scene.model.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_posts_its_secret_is_let_in_too() {
    let scene = scene(|config| config.set("/oidc/client_id", json!("post"))).await.unwrap();
    assert_eq!(claims(&sign_in(&scene.gateway, "bob").await.unwrap()).unwrap()["sub"], "bob");
}

#[tokio::test]
async fn a_person_outside_the_domains_is_refused_and_so_is_the_device() {
    let scene = scene(|config| config.set("/oidc/allowed_email_domains", json!(["example.com"]))).await.unwrap();
    let client = scene.gateway.client().unwrap();
    let device = Device::ask(&client).await.unwrap();
    device.approve(&mut Browser::new(), "carol").await.unwrap();
    assert!(device.collect(&client).await.unwrap_err().to_string().contains("access_denied"));
}

#[tokio::test]
async fn an_unverified_address_is_refused() {
    let scene = scene(|config| config).await.unwrap();
    let client = scene.gateway.client().unwrap();
    let device = Device::ask(&client).await.unwrap();
    device.approve(&mut Browser::new(), "dave").await.unwrap();
    assert!(device.collect(&client).await.unwrap_err().to_string().contains("access_denied"));
}

#[tokio::test]
async fn a_refresh_sees_a_changed_group_and_then_a_disabled_person() {
    let scene = scene(|config| config).await.unwrap();
    let client = scene.gateway.client().unwrap();
    let tokens = sign_in(&scene.gateway, "alice").await.unwrap();
    scene.idp.set_groups("alice", &["sales"]).await.unwrap();
    let tokens = tokens.refresh(&client).await.unwrap();
    assert_eq!(claims(&tokens).unwrap()["groups"], json!(["sales"]));
    scene.idp.disable("alice").await.unwrap();
    let refused = tokens.refresh(&client).await.unwrap_err().to_string();
    assert!(refused.contains("401") && refused.contains("invalid_grant"), "{refused}");
}

/// S15
#[tokio::test]
async fn a_real_browser_walks_the_pages_without_a_complaint() {
    let scene = scene(|config| config).await.unwrap();
    for (width, dark) in [(1280, false), (360, true)] {
        let device = Device::ask(&scene.gateway.client().unwrap()).await.unwrap();
        let walk = Walk::with(&json!({
            "url": device.verification_uri, "user_code": device.user_code, "person": "alice", "width": width, "dark": dark,
        }))
        .await
        .unwrap();
        assert_eq!(walk.failed, None, "{walk:?}");
        assert_eq!(walk.complaints, Vec::<String>::new());
        for page in walk.pages.iter().filter(|page| page.name != "provider") {
            assert!(!page.heading.is_empty() && page.nameless == 0 && !page.wide, "{page:?}");
        }
        device.collect(&scene.gateway.client().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_denied_device_is_told_so() {
    let scene = scene(|config| config).await.unwrap();
    let client = scene.gateway.client().unwrap();
    let device = Device::ask(&client).await.unwrap();
    let url = device.verification_uri_complete.as_str();
    let walk = Walk::with(&json!({"url": url, "user_code": device.user_code, "deny": true})).await.unwrap();
    assert_eq!(walk.failed, None, "{walk:?}");
    assert!(device.collect(&client).await.unwrap_err().to_string().contains("access_denied"));
}
