//! A ClaudeGateway and a UserPolicy, as a platform team would write them for what runs at the head.

use anyhow::Result;
use e2e::{
    cast::{certificate::Leaf, gateway::CLIENT_SECRET, provider::API_KEY},
    cluster::Kubectl,
};
use serde_json::{Value, json};

/// A name that every machine knows without being told.
pub(crate) const URL: &str = "https://localhost";
pub(crate) const NAME: &str = "localhost";
pub(crate) const REDIRECT: &str = "https://localhost/oauth/callback";
/// Pods ask the cluster's name server, and a browser has to be told. It cannot be a name below `localhost`, which browsers know
/// without being told: a gateway sends nothing there.
pub(crate) const ISSUER: &str = "https://identity.test";
pub(crate) const IDENTITY_NAME: &str = "identity.test";

/// What the gateway is told of its surroundings.
pub(crate) struct Sample {
    /// For the Ingress.
    pub(crate) certificate: Leaf,
    /// Who vouches for the identity provider.
    pub(crate) identity_authority: String,
    /// The model provider's URL, and who vouches for it.
    pub(crate) model: (String, String),
    /// The database's URL, of a role that may do anything in it.
    pub(crate) database: String,
}

impl Sample {
    /// Returns when the gateway is Ready.
    pub(crate) async fn apply(&self, kubectl: &Kubectl) -> Result<()> {
        self.create(kubectl).await?;
        let ready = kubectl.run("wait -n claude claudegateway/claude --for=condition=Ready --timeout=180s").await;
        if let Err(error) = ready {
            let seen = kubectl.run("get -n claude claudegateway/claude -o yaml").await.unwrap_or_default();
            return Err(error.context(seen));
        }
        Ok(())
    }

    async fn create(&self, kubectl: &Kubectl) -> Result<()> {
        kubectl.run("create namespace claude").await?;
        let items = [self.secrets(), self.tls(), self.authorities(), self.gateway(), policy()];
        kubectl.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).await.map(drop)
    }

    fn secrets(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata("claude-secrets"),
            "stringData": {
                "client-secret": CLIENT_SECRET,
                "anthropic-api-key": API_KEY,
                "postgres-url": format!("{}?sslmode=require", self.database),
            },
        })
    }

    fn tls(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata("claude-tls"),
            "stringData": {"tls.crt": self.certificate.certificate_pem, "tls.key": self.certificate.key_pem},
        })
    }

    fn authorities(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("authorities"),
            "data": {"identity.pem": self.identity_authority, "model.pem": self.model.1},
        })
    }

    fn gateway(&self) -> Value {
        let secret = |key: &str| json!({"name": "claude-secrets", "key": key});
        let authority = |key: &str| json!({"configMapRef": {"name": "authorities", "key": key}});
        json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway", "metadata": metadata("claude"),
            "spec": {
                "publicUrl": URL,
                "exposure": {
                    "kind": "Ingress",
                    // The front's own address, and what it has when it enters a node.
                    "trustedProxies": ["10.99.0.0/24"],
                    "tls": {"secretRef": {"name": "claude-tls"}},
                },
                "database": {"urlSecretRef": secret("postgres-url")},
                "oidc": {
                    "issuer": ISSUER, "clientId": "basic", "clientSecretRef": secret("client-secret"),
                    "caCertificate": authority("identity.pem"),
                    // The certified provider gives a refresh token only to somebody who was asked.
                    "extraAuthParams": [{"name": "prompt", "value": "consent"}],
                },
                "upstreams": [{
                    "name": "scripted", "caCertificate": authority("model.pem"),
                    "provider": {"anthropic": {
                        "baseUrl": self.model.0, "auth": {"apiKeySecretRef": secret("anthropic-api-key")},
                    }},
                }],
            },
        })
    }
}

fn policy() -> Value {
    json!({
        "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy", "metadata": metadata("everyone"),
        "spec": {"gatewayRef": {"name": "claude"}, "tokenLimits": {"tokensPerDay": 20_000_000}},
    })
}

/// Without the label no gateway may use a Secret; elsewhere it does no harm.
fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": "claude", "labels": {"claude-gateway.dev/use": "gateway"}})
}

#[cfg(test)]
mod tests {
    use e2e::{cast::certificate::Authority, cluster::Plane};

    use super::*;

    #[tokio::test]
    async fn the_sample_is_what_an_api_server_takes() {
        let plane = Plane::start().await.unwrap();
        let crds = crate::root().join("charts/claude-gateway-operator/files/crds").display().to_string();
        plane.kubectl().run_with(&["apply", "--server-side", "--filename", &crds], "").await.unwrap();
        plane.kubectl().run("wait crd --all --for=condition=Established --timeout=30s").await.unwrap();
        let authority = Authority::new().unwrap();
        let sample = Sample {
            certificate: authority.leaf(&[NAME]).unwrap(),
            identity_authority: authority.pem().to_owned(),
            model: ("https://model.test:1234".to_owned(), authority.pem().to_owned()),
            database: "postgres://somebody:secret@10.99.0.1:5432/claude".to_owned(),
        };
        sample.create(plane.kubectl()).await.unwrap();
        assert!(!plane.kubectl().get("claudegateway claude -n claude").await.unwrap().is_null());
    }
}
