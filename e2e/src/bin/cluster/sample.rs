//! A ClaudeGateway and a UserPolicy, as a platform team would write them for what runs at the head.

use anyhow::{Context, Result};
use e2e::{
    cast::{
        gateway::CLIENT_SECRET,
        postgres::Postgres,
        provider::{API_KEY, Provider},
    },
    cluster::{Cluster, Front, HEAD},
};
use serde_json::{Value, json};

/// A name that every machine knows without being told.
pub(crate) const URL: &str = "https://localhost";
pub(crate) const REDIRECT: &str = "https://localhost/oauth/callback";
/// Browsers take every name below `localhost` for this machine, and pods ask the cluster's name server.
pub(crate) const ISSUER: &str = "https://identity.localhost";
pub(crate) const IDENTITY_NAME: &str = "identity.localhost";

pub(crate) struct Sample<'a> {
    pub(crate) front: &'a Front<'a>,
    pub(crate) model: &'a Provider,
    pub(crate) store: &'a Postgres,
}

impl Sample<'_> {
    /// Returns when the gateway is Ready.
    pub(crate) async fn apply(&self, cluster: &Cluster) -> Result<()> {
        let kubectl = cluster.plane().kubectl();
        kubectl.run("create namespace claude").await?;
        kubectl.apply(&self.objects().await?.to_string()).await?;
        let ready = kubectl.run("wait -n claude claudegateway/claude --for=condition=Ready --timeout=180s").await;
        if let Err(error) = ready {
            let seen = kubectl.run("get -n claude claudegateway/claude -o yaml").await.unwrap_or_default();
            return Err(error.context(seen));
        }
        Ok(())
    }

    async fn objects(&self) -> Result<Value> {
        let label = json!({"claude-gateway.dev/use": "gateway"});
        let database = self.store.database().await?.replace("127.0.0.1", &HEAD.to_string());
        let secrets = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "claude-secrets", "namespace": "claude", "labels": label},
            "stringData": {
                "client-secret": CLIENT_SECRET,
                "anthropic-api-key": API_KEY,
                "postgres-url": format!("{database}?sslmode=require"),
            },
        });
        let trusted = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "authorities", "namespace": "claude"},
            "data": {
                "front.pem": self.front.authority_pem(),
                "model.pem": self.model.ca_pem().context("the model provider's authority")?,
            },
        });
        let leaf = self.front.certificate("localhost")?;
        let certificate = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "claude-tls", "namespace": "claude", "labels": label},
            "stringData": {"tls.crt": leaf.certificate_pem, "tls.key": leaf.key_pem},
        });
        let policy = json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy",
            "metadata": {"name": "everyone", "namespace": "claude"},
            "spec": {"gatewayRef": {"name": "claude"}, "tokenLimits": {"tokensPerDay": 20_000_000}},
        });
        Ok(
            json!({"apiVersion": "v1", "kind": "List", "items": [secrets, trusted, certificate, self.gateway(), policy]}),
        )
    }

    fn gateway(&self) -> Value {
        let secret = |key: &str| json!({"name": "claude-secrets", "key": key});
        let authority = |key: &str| json!({"configMapRef": {"name": "authorities", "key": key}});
        let model = format!("https://model.test:{}", self.model.address().port());
        json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway",
            "metadata": {"name": "claude", "namespace": "claude"},
            "spec": {
                "publicUrl": URL,
                "exposure": {"kind": "Ingress", "trustedProxies": ["10.99.0.0/24"], "tls": {"secretRef": {"name": "claude-tls"}}},
                "database": {"urlSecretRef": secret("postgres-url")},
                "oidc": {
                    "issuer": ISSUER, "clientId": "basic", "clientSecretRef": secret("client-secret"),
                    "caCertificate": authority("front.pem"),
                    // The certified provider gives a refresh token only to somebody who was asked.
                    "extraAuthParams": [{"name": "prompt", "value": "consent"}],
                },
                "upstreams": [{
                    "name": "scripted", "caCertificate": authority("model.pem"),
                    "provider": {"anthropic": {"baseUrl": model, "auth": {"apiKeySecretRef": secret("anthropic-api-key")}}},
                }],
            },
        })
    }
}
