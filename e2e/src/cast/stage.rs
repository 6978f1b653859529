//! Postgres, an identity provider, model providers, and the gateway between them; somebody is signed in.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    client::{Client, Raw, Request},
    gateway::{Config, Gateway},
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::Provider,
    signin::{Tokens, sign_in},
};

pub const MODEL: &str = "claude-sonnet-4-5";

pub struct Stage {
    pub gateway: Gateway,
    pub providers: Vec<Provider>,
    pub identity: OpenIdProvider,
    pub tokens: Tokens,
    /// Alice's, with her bearer.
    pub client: Client,
}

impl Stage {
    /// One provider, and nothing out of the ordinary.
    pub async fn new() -> Self {
        Self::with(vec![Provider::start().expect("a provider starts")], |config| config).await
    }

    /// Upstreams are named `one`, `two`, … in order. A test that has no stage has nothing to test, so this panics.
    pub async fn with(providers: Vec<Provider>, change: impl FnOnce(Config) -> Config) -> Self {
        Self::build(providers, change).await.expect("the stage stands")
    }

    async fn build(providers: Vec<Provider>, change: impl FnOnce(Config) -> Config) -> Result<Self> {
        let identity = OpenIdProvider::start(Behaviour::default()).await;
        let database = Postgres::shared().await?.database().await?;
        let gateway = change(Self::config(&identity, &database, &providers)?).start().await?;
        let tokens = sign_in(&gateway, "alice").await?;
        let client = gateway.client()?.with_bearer(&tokens.access_token);
        Ok(Self { gateway, providers, identity, tokens, client })
    }

    /// The configuration that a stage begins with, for those who start the gateway themselves.
    pub fn config(identity: &OpenIdProvider, database: &str, providers: &[Provider]) -> Result<Config> {
        let mut config = Gateway::config()?
            .issuer(&identity.issuer())
            .set("/oidc/client_id", json!(identity.client_id()))
            .set("/oidc/client_secret", json!(identity.client_secret()))
            .store(database);
        for (provider, name) in providers.iter().zip(["one", "two", "three", "four"]) {
            config = config.upstream(name, provider);
        }
        Ok(config)
    }

    pub fn provider(&self) -> &Provider {
        &self.providers[0]
    }

    pub fn ask(&self, body: &Value) -> Request {
        self.client.post("/v1/messages?beta=true").header("anthropic-version", "2023-06-01").json(body)
    }

    pub fn prompt(stream: bool) -> Value {
        json!({"model": MODEL, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
    }

    pub async fn raw(&self) -> Raw {
        Raw::connect(self.client.address()).await.expect("the gateway accepts connections")
    }

    /// A request's head for a raw socket, up to and without its last blank line.
    pub fn head(&self, length: &str) -> String {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\nanthropic-version: 2023-06-01\r\n\
             content-type: application/json\r\n{length}\r\n",
            self.tokens.access_token
        )
    }
}
