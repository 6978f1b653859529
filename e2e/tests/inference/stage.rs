//! Postgres, an identity provider, model providers, and the gateway between them; somebody is signed in.

use e2e::cast::{
    client::{Client, Request},
    gateway::{Config, Gateway},
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    provider::Provider,
    signin::{Tokens, sign_in},
};
use serde_json::{Value, json};

pub(crate) const MODEL: &str = "claude-sonnet-4-5";

pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) providers: Vec<Provider>,
    #[expect(dead_code, reason = "kept, because it ends when it is dropped")]
    identity: OpenIdProvider,
    pub(crate) tokens: Tokens,
    /// Alice's, with her bearer.
    pub(crate) client: Client,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(vec![Provider::start().unwrap()], |config| config).await
    }

    /// Upstreams are named `one`, `two`, … in order.
    pub(crate) async fn with(providers: Vec<Provider>, change: impl FnOnce(Config) -> Config) -> Self {
        let identity = OpenIdProvider::start(Behaviour::default()).await;
        let database = Postgres::shared().await.unwrap().database().await.unwrap();
        let mut config = Gateway::config()
            .unwrap()
            .issuer(&identity.issuer())
            .set("/oidc/client_id", json!(identity.client_id()))
            .set("/oidc/client_secret", json!(identity.client_secret()))
            .store(&database);
        for (provider, name) in providers.iter().zip(["one", "two", "three", "four"]) {
            config = config.upstream(name, provider);
        }
        let gateway = change(config).start().await.unwrap();
        let tokens = sign_in(&gateway, "alice").await.unwrap();
        let client = gateway.client().unwrap().with_bearer(&tokens.access_token);
        Self { gateway, providers, identity, tokens, client }
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.providers[0]
    }

    pub(crate) fn ask(&self, body: &Value) -> Request {
        self.client.post("/v1/messages?beta=true").header("anthropic-version", "2023-06-01").json(body)
    }

    pub(crate) fn prompt(stream: bool) -> Value {
        json!({"model": MODEL, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
    }

    pub(crate) async fn raw(&self) -> e2e::cast::client::Raw {
        e2e::cast::client::Raw::connect(self.client.address()).await.unwrap()
    }

    /// A request's head for a raw socket, up to and without its last blank line.
    pub(crate) fn head(&self, length: &str) -> String {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\nanthropic-version: 2023-06-01\r\n\
             content-type: application/json\r\n{length}\r\n",
            self.tokens.access_token
        )
    }
}
