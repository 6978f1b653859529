//! The objects that people write, as small as they can be.

use serde_json::{Value, json};

use super::Stage;

impl Stage {
    pub(crate) fn secret(&self) -> Value {
        self.secret_named("secrets")
    }

    pub(crate) fn secret_named(&self, name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name, "namespace": self.namespace, "labels": { "claude-gateway.dev/use": "gateway" } },
            "stringData": {
                "postgres-url": self.database_url, "client-secret": self.provider.client_secret(), "api-key": "an-api-key",
                "header": "first",
            },
        })
    }

    /// The smallest gateway, with these of its fields otherwise.
    pub(crate) fn gateway(&self, changes: Value) -> Value {
        self.gateway_named("claude", "secrets", changes)
    }

    /// One of many: with a Secret and a schema of its own, so that every call about it has its name in its path.
    pub(crate) fn one_of_many(&self, name: &str) -> [Value; 3] {
        let secrets = format!("{name}-secrets");
        let key = |key: &str| json!({ "name": secrets, "key": key });
        let database = json!({ "urlSecretRef": key("postgres-url"), "schema": name.replace('-', "_") });
        let mut policy = self.policy(&format!("{name}-base"), json!({}));
        policy["spec"]["gatewayRef"]["name"] = json!(name);
        let gateway = self.gateway_named(name, &secrets, json!({ "database": database }));
        [self.secret_named(&secrets), gateway, policy]
    }

    /// A policy of the gateway.
    pub(crate) fn policy(&self, name: &str, mut spec: Value) -> Value {
        spec["gatewayRef"] = json!({ "name": "claude" });
        json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy",
            "metadata": { "name": name, "namespace": self.namespace }, "spec": spec,
        })
    }

    fn gateway_named(&self, name: &str, secrets: &str, changes: Value) -> Value {
        let secret = |key: &str| json!({ "name": secrets, "key": key });
        let mut spec = json!({
            "publicUrl": "https://claude.example.com",
            "exposure": { "kind": "Ingress", "trustedProxies": ["10.0.0.0/8"] },
            "database": { "urlSecretRef": secret("postgres-url") },
            "oidc": {
                "issuer": self.provider.issuer(), "clientId": self.provider.client_id(),
                "clientSecretRef": secret("client-secret"),
            },
            "upstreams": [{
                "name": "anthropic", "provider": { "anthropic": { "auth": { "apiKeySecretRef": secret("api-key") } } },
                "headers": [{ "name": "x-team", "valueSecretRef": secret("header") }],
            }],
            "development": { "allowPlainHttp": true },
        });
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway",
            "metadata": { "name": name, "namespace": self.namespace }, "spec": spec,
        })
    }
}

/// Everything that the smallest gateway becomes.
pub(crate) fn becomes(gateway: &str) -> [String; 8] {
    [
        format!("secret {gateway}-config"),
        format!("secret {gateway}-keys"),
        format!("serviceaccount {gateway}"),
        format!("service {gateway}"),
        format!("deployment {gateway}"),
        format!("poddisruptionbudget {gateway}"),
        format!("networkpolicy {gateway}"),
        format!("ingress {gateway}"),
    ]
}

pub(crate) fn list(objects: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
}
