//! Gateways as people write them, and the world as they find it, for this room's tests.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use crds::ClaudeGateway;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    build::{Desired, Found, build},
    condition::Finding,
    dereference::{Dereferenced, Foreign},
    keys::{Entry, KeySet},
    kinds::Kind,
    login::StandingLogin,
    references::References,
    validate::{ValidatedGateway, validate},
};
use crate::store::PodLogin;

pub(super) const IMAGE: &str = "registry.example.com/claude-gateway:1.2.3";

/// The smallest gateway there is.
pub(super) fn minimal() -> Value {
    json!({
        "publicUrl": "https://claude.example.com",
        "exposure": { "kind": "Ingress", "trustedProxies": ["10.0.0.0/8"], "tls": { "secretRef": { "name": "claude-tls" } } },
        "database": { "urlSecretRef": { "name": "claude", "key": "postgres-url" } },
        "oidc": {
            "issuer": "https://login.example.com",
            "clientId": "claude-gateway",
            "clientSecretRef": { "name": "claude", "key": "client-secret" },
        },
        "upstreams": [{
            "name": "anthropic",
            "provider": { "anthropic": { "auth": { "apiKeySecretRef": { "name": "claude", "key": "api-key" } } } },
        }],
    })
}

/// One that says nearly everything.
pub(super) fn complete() -> Value {
    json!({
        "publicUrl": "https://claude.example.com",
        "autoscaling": { "minReplicas": 3, "maxReplicas": 12 },
        "image": { "digest": format!("sha256:{}", "a".repeat(64)), "pullPolicy": "IfNotPresent", "pullSecrets": [{ "name": "pull" }] },
        "exposure": {
            "kind": "HTTPRoute",
            "parentRefs": [{ "name": "public", "namespace": "gateways", "sectionName": "https" }],
            "trustedProxies": ["10.0.0.0/8"],
            "tls": { "certManager": { "issuerRef": { "name": "company" } } },
        },
        "database": {
            "host": "db.example.com", "name": "claude",
            "caCertificate": { "configMapRef": { "name": "company-ca", "key": "ca.crt" } },
            "migrationSecretRef": { "name": "owner" },
            "podSecretRef": { "name": "pods" },
        },
        "oidc": {
            "issuer": "https://login.example.com",
            "clientId": "claude-gateway",
            "clientSecretRef": { "name": "claude", "key": "client-secret" },
            "allowedEmailDomains": ["example.com"],
            "extraAuthParams": [{ "name": "prompt", "value": "consent" }],
        },
        "session": { "ttlMinutes": 30, "maxDays": 30 },
        "upstreams": [
            {
                "name": "proxy", "priority": 0, "weight": 2, "maxConcurrent": 50, "zeroRetention": true,
                "provider": { "anthropic": {
                    "baseUrl": "https://llm.example.com", "forwardUserIdentity": true,
                    "auth": { "oauthTokenSecretRef": { "name": "claude", "key": "api-key" } },
                } },
                "headers": [{ "name": "x-team", "value": "platform" }, { "name": "x-key", "valueSecretRef": { "name": "claude", "key": "header" } }],
            },
            {
                "name": "federated", "priority": 1, "models": ["claude-*"],
                "provider": { "anthropic": { "auth": { "federation": { "federationRuleId": "rule", "organizationId": "org" } } } },
            },
        ],
        "models": [{ "id": "corp", "label": "Corporate", "upstreamModel": [{ "upstream": "proxy", "id": "claude-sonnet-5" }] }],
        "accessControl": { "denyCidrs": ["192.0.2.7"] },
        "admin": { "writeKeys": [{ "id": "terraform", "keySecretRef": { "name": "claude", "key": "admin" } }], "adminGroups": ["ops"] },
        "metrics": { "serviceMonitor": { "labels": { "release": "prometheus" } } },
        "logLevel": "warn",
        "podTemplate": {
            "labels": { "team": "platform", "app.kubernetes.io/name": "mine" },
            "annotations": { "note": "ours" },
            "nodeSelector": { "kubernetes.io/arch": "amd64" },
            "priorityClassName": "high",
            "hostUsers": false,
        },
        "networkPolicy": { "ingressNamespaces": ["ingress"], "egress": [{ "cidr": "10.1.2.3/32", "port": 5432 }] },
        "proxy": { "url": "http://proxy.example.com:3128", "noProxy": [".example.com"] },
    })
}

pub(super) fn object(spec: Value) -> ClaudeGateway {
    serde_json::from_value(json!({
        "apiVersion": "claude-gateway.dev/v1alpha1",
        "kind": "ClaudeGateway",
        "metadata": { "namespace": "team", "name": "claude", "uid": "11111111-2222-3333-4444-555555555555", "generation": 1 },
        "spec": spec,
    }))
    .unwrap()
}

/// Every Secret and ConfigMap that the two refer to, and every API.
pub(super) fn world(gateway: &ClaudeGateway) -> Dereferenced {
    let data = |pairs: &[(&str, &str)]| {
        Foreign::Found(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect())
    };
    let admin = "k".repeat(40);
    let secrets = [
        (
            "claude",
            data(&[
                ("postgres-url", "postgres://owner:hidden@db.example.com:5432/claude?sslmode=require"),
                ("client-secret", "client-secret-value"),
                ("api-key", "api-key-value"),
                ("header", "header-value"),
                ("admin", admin.as_str()),
            ]),
        ),
        ("owner", data(&[("username", "owner"), ("password", "hidden")])),
        ("pods", data(&[("username", "gateway_pods"), ("password", "pods-password")])),
    ];
    let config_maps: BTreeMap<_, _> = [("company-ca".to_owned(), data(&[("ca.crt", authority().as_str())]))].into();
    Dereferenced {
        references: References::of(&gateway.spec),
        secrets: secrets.into_iter().map(|(name, secret)| (name.to_owned(), secret)).collect(),
        config_maps,
        config: None,
        keys: None,
        deployment: None,
        issued: None,
        renewal: None,
        served: Kind::ALL.to_vec(),
    }
}

/// A certificate that never ends, so that it can stand in a snapshot's checksum.
fn authority() -> String {
    include_str!("../../../gateway/config/tests/config/fixtures/client.crt").to_owned()
}

/// A pair that belongs together.
pub(super) fn certificate_and_key() -> (&'static str, &'static str) {
    const KEY: &str = include_str!("../../../gateway/config/tests/config/fixtures/client.key");
    (include_str!("../../../gateway/config/tests/config/fixtures/client.crt"), KEY)
}

pub(super) fn validated(spec: Value) -> Result<ValidatedGateway, Finding> {
    let gateway = object(spec);
    validate(&gateway, &world(&gateway), Some(IMAGE))
}

pub(super) fn login() -> StandingLogin {
    let login = PodLogin { username: "claude_gateway_a".to_owned(), password: "pods-password".to_owned().into() };
    StandingLogin { login, since: Timestamp::UNIX_EPOCH }
}

/// Always the same ones.
pub(super) fn keys() -> KeySet {
    let secret = "c2lnbmluZy1rZXktb2YtdGhlLWZpeHR1cmVzLXdpdGgtNDgtYnl0ZXM";
    let at = Timestamp::UNIX_EPOCH;
    let made = KeySet::made(at, &SystemRandom::new()).unwrap();
    let id = super::keys::id_of(secret).unwrap();
    let entry = Entry { id, ..made.entries()[0].clone() };
    KeySet::read(&[entry], |_| Some(secret.to_owned())).unwrap()
}

pub(super) fn desired(spec: Value) -> Desired {
    let (gateway, login, keys) = (validated(spec).unwrap(), login(), keys());
    build(&gateway, &found(&login, &keys)).unwrap()
}

/// Nothing else was found.
pub(super) fn found<'a>(login: &'a StandingLogin, keys: &'a KeySet) -> Found<'a> {
    Found { login: Some(login), keys, database_ready: true, given: None }
}
