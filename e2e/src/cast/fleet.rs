//! Several pods of one gateway on one store; somebody is signed in, and known to all of them.

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    client::{Client, Request},
    gateway::{Config, Gateway},
    openid::{Behaviour, OpenIdProvider},
    ports::free_address,
    postgres::Postgres,
    provider::Provider,
    signin::{Tokens, sign_in},
    stage::Stage,
};

pub struct Fleet {
    pub pods: Vec<Gateway>,
    pub provider: Provider,
    pub identity: OpenIdProvider,
    pub database: String,
    /// Alice's.
    pub tokens: Tokens,
}

impl Fleet {
    /// On a server that tests share. A test that has no fleet has nothing to test, so this panics.
    pub async fn of(count: usize, change: impl FnOnce(Config) -> Config) -> Self {
        let postgres = Postgres::shared().await.expect("a server");
        Self::on(postgres, count, change).await.expect("the fleet stands")
    }

    pub async fn on(postgres: &Postgres, count: usize, change: impl FnOnce(Config) -> Config) -> Result<Self> {
        let identity = OpenIdProvider::start(Behaviour::default()).await;
        let provider = Provider::start()?;
        let database = postgres.database().await?;
        let config = change(Stage::config(&identity, &database, std::slice::from_ref(&provider))?);
        let mut pods = vec![config.set("/listen/metrics", json!(free_address()?)).start().await?];
        while pods.len() < count {
            pods.push(another(&pods[0])?.start().await?);
        }
        let tokens = sign_in(&pods[0], "alice").await?;
        Ok(Self { pods, provider, identity, database, tokens })
    }

    /// One more pod, not started.
    pub fn another(&self) -> Result<Config> {
        another(&self.pods[0])
    }

    pub fn clients(&self) -> Vec<Client> {
        self.clients_with(&self.tokens.access_token)
    }

    pub fn clients_with(&self, token: &str) -> Vec<Client> {
        self.pods.iter().map(|pod| pod.client().expect("a pod has a URL").with_bearer(token)).collect()
    }
}

/// A small request for a model.
pub fn ask(client: &Client, model: &str) -> Request {
    let prompt = json!({"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]});
    client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&prompt)
}

/// One of a pod's own numbers.
pub async fn metric(pod: &Gateway, name: &str) -> Result<f64> {
    let address = pod.setting("/listen/metrics");
    let client = Client::new(&format!("http://{}", address.as_str().context("a metrics address")?))?;
    let text = client.get("/metrics").send().await?.text().await?;
    let line = text.lines().find(|line| line.split(' ').next() == Some(&format!("claude_gateway_{name}")));
    let value = line.and_then(|line| line.split(' ').nth(1)).with_context(|| format!("no {name} in {text}"))?;
    Ok(value.parse()?)
}

/// One more pod beside this one, with metrics of its own; not started.
pub fn another(pod: &Gateway) -> Result<Config> {
    Ok(pod.replica()?.set("/listen/metrics", json!(free_address()?)))
}
