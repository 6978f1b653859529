//! A person signs in, by HTTP alone: the device asks, a browser approves, the device collects.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{
    browser::{Browser, Button, Page},
    client::{Client, Response},
    gateway::Gateway,
};

pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the device was told at the start.
#[derive(Debug, Clone, Deserialize)]
pub struct Device {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    pub expires_in: u64,
    pub interval: u64,
}

/// What it holds in the end.
#[derive(Debug, Clone, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub token_type: String,
    pub expires_in: u64,
    pub email: Option<String>,
}

impl Device {
    /// Asks as Claude Code does.
    pub async fn ask(client: &Client) -> Result<Self> {
        let answer = client.post("/oauth/device_authorization").form(&[("surface", "claude_code")]).send().await?;
        ensure!(answer.status == 200, "device authorization: {}", answer.status);
        answer.json().await
    }

    /// The person opens the link, confirms the code and says who they are; the last page.
    pub async fn approve(&self, browser: &mut Browser, person: &str) -> Result<Page> {
        let mut provider = browser.open(&self.verification_uri_complete).await?.expect(200)?;
        // The code first, then what it asks for; a gateway may show both on one page.
        for _ in 0..2 {
            if provider.url.path() == "/device" && !provider.forms().is_empty() {
                provider = browser.press(&provider, |button| button.action.is_none()).await?;
            }
        }
        // Somebody whom the provider remembers is sent straight back; else it offers a button or a link for each person.
        if provider.forms().iter().any(|form| form.buttons.iter().any(|button| is(button, person))) {
            return browser.press(&provider, |button| is(button, person)).await;
        }
        match provider.text.contains(&format!("data-sub=\"{person}\"")) {
            true => browser.click(&provider, "data-sub", person).await,
            false => Ok(provider),
        }
    }

    pub async fn collect(&self, client: &Client) -> Result<Tokens> {
        let form = [("grant_type", DEVICE_GRANT), ("device_code", self.device_code.as_str())];
        let answer = client.post("/oauth/token").form(&form).send().await?;
        granted(answer).await
    }
}

impl Tokens {
    pub async fn refresh(&self, client: &Client) -> Result<Self> {
        let refresh_token = self.refresh_token.as_deref().context("a refresh token")?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let answer = client.post("/oauth/token").form(&form).send().await?;
        granted(answer).await
    }
}

/// The whole way, for tests about what comes after.
pub async fn sign_in(gateway: &Gateway, person: &str) -> Result<Tokens> {
    let client = gateway.client()?;
    let device = Device::ask(&client).await?;
    let page = device.approve(&mut Browser::trusting(gateway.ca_pem()), person).await?;
    device.collect(&client).await.with_context(|| format!("after this page: {}", page.text))
}

async fn granted(answer: Response) -> Result<Tokens> {
    let status = answer.status;
    let text = answer.text().await?;
    ensure!(status == 200, "no token: {status} {text}");
    Ok(serde_json::from_str(&text)?)
}

fn is(button: &Button, person: &str) -> bool {
    button.field.as_ref().is_some_and(|(_, value)| value == person)
}
