//! Who may sign in, and whose models they use.

use serde_json::{Value, json};

use super::texts;
use crate::table::{
    Case, Change, accepted,
    objects::{full_gateway, gateway, other_gateway, secret},
    refused,
};

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(super) fn oidc() -> Vec<Case> {
    let one = "write one of clientSecretRef and clientAssertion";
    let mut cases = vec![
        refused("no credential", gateway().without("spec.oidc.clientSecretRef"), "spec.oidc", one),
        refused(
            "an assertion without its method",
            other_gateway().without("spec.oidc.tokenEndpointAuthMethod"),
            "spec.oidc",
            one,
        ),
        refused(
            "a secret beside an assertion",
            other_gateway().with("spec.oidc.clientSecretRef", secret()),
            "spec.oidc",
            one,
        ),
        refused(
            "an assertion beside a secret",
            gateway().with(
                "spec.oidc.clientAssertion",
                json!({ "privateKeySecretRef": secret(), "certificateSecretRef": secret() }),
            ),
            "spec.oidc",
            one,
        ),
        refused(
            "scopes without openid",
            gateway().with("spec.oidc.scopes", json!(["email"])),
            "spec.oidc.scopes",
            "does not hold openid",
        ),
        refused(
            "a scope of two words",
            gateway().with("spec.oidc.scopes", json!(["openid", "a b"])),
            "spec.oidc.scopes[1]",
            "is no single scope",
        ),
        refused(
            "an address for a domain",
            gateway().with("spec.oidc.allowedEmailDomains", json!(["a@example.com"])),
            "spec.oidc.allowedEmailDomains[0]",
            "is no single e-mail domain",
        ),
        refused(
            "a broken pointer",
            gateway().with("spec.oidc.emailClaim", json!(["/a~b"])),
            "spec.oidc.emailClaim[0]",
            "is no JSON Pointer",
        ),
        refused(
            "an origin with a path",
            gateway().with("spec.oidc.formActionOrigins", json!(["https://a.example.com/x"])),
            "spec.oidc.formActionOrigins[0]",
            "is no origin: write",
        ),
        refused(
            "an origin that ends the directive",
            gateway().with("spec.oidc.formActionOrigins", json!(["https://a.example.com;"])),
            "spec.oidc.formActionOrigins[0]",
            "is no origin: write",
        ),
        refused(
            "an administrator who is no address",
            full_gateway().with("spec.oidc.googleGroups.adminEmail", json!("admin")),
            "spec.oidc.googleGroups.adminEmail",
            "is no e-mail address",
        ),
    ];
    cases.extend(texts(
        gateway,
        "spec.oidc.groupsClaim",
        "is no JSON Pointer",
        &["groups", "/a/b~1c", "a~b"],
        &["/a~b", "/a~"],
    ));
    for name in ["state", "Nonce", "redirect_uri", "code_challenge", "client_id", "scope"] {
        cases.push(refused(
            &format!("the gateway's own parameter {name}"),
            gateway().with("spec.oidc.extraAuthParams", json!([{ "name": name, "value": "x" }])),
            "spec.oidc.extraAuthParams[0].name",
            "is set by the gateway itself",
        ));
    }
    cases
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(super) fn upstreams() -> Vec<Case> {
    let auth = "spec.upstreams[0].provider.anthropic.auth";
    let one = "takes exactly one of apiKeySecretRef, oauthTokenSecretRef, federation";
    let identity = "forwardUserIdentity would send";
    let forwarding = |base_url: Option<&str>| {
        let object = gateway().with("spec.upstreams[0].provider.anthropic.forwardUserIdentity", json!(true));
        match base_url {
            Some(url) => object.with("spec.upstreams[0].provider.anthropic.baseUrl", json!(url)),
            None => object,
        }
    };
    let anthropic = "spec.upstreams[0].provider.anthropic";
    let header = |name: &str, value: Value| {
        gateway().with("spec.upstreams[0].headers", json!([{ "name": name, "value": value }]))
    };
    let mut cases = vec![
        refused(
            "no provider",
            gateway().with("spec.upstreams[0].provider", json!({})),
            "spec.upstreams[0].provider",
            "is empty: write anthropic",
        ),
        refused("no credential of a provider", gateway().with(auth, json!({})), auth, one),
        refused(
            "two credentials of a provider",
            gateway().with(auth, json!({ "apiKeySecretRef": secret(), "oauthTokenSecretRef": secret() })),
            auth,
            one,
        ),
        refused("people's addresses to Anthropic by default", forwarding(None), anthropic, identity),
        refused("people's addresses to Anthropic", forwarding(Some("https://api.anthropic.com")), anthropic, identity),
        refused(
            "people's addresses to Anthropic by another spelling",
            forwarding(Some("https://api.anthropic.com.:443/v1")),
            anthropic,
            identity,
        ),
        accepted("people's addresses to a proxy", forwarding(Some("https://models.example.com"))),
        accepted("people's addresses to a proxy of a like name", forwarding(Some("https://notanthropic.com"))),
        refused(
            "two stars",
            gateway().with("spec.upstreams[0].models", json!(["claude-*-*"])),
            "spec.upstreams[0].models[0]",
            "has more than one *",
        ),
        refused(
            "a header with two values",
            gateway().with(
                "spec.upstreams[0].headers",
                json!([{ "name": "x-a", "value": "b", "valueSecretRef": secret() }]),
            ),
            "spec.upstreams[0].headers[0]",
            "write one of value and valueSecretRef",
        ),
        refused(
            "a header without a value",
            gateway().with("spec.upstreams[0].headers", json!([{ "name": "x-a" }])),
            "spec.upstreams[0].headers[0]",
            "write one of value and valueSecretRef",
        ),
        refused(
            "a header over two lines",
            header("x-a", json!("b\r\nx-c: d")),
            "spec.upstreams[0].headers[0].value",
            "no header can carry",
        ),
        accepted("a header with a value", header("x-a", json!("b c"))),
    ];
    let reserved = [
        "authorization",
        "x-api-key",
        "host",
        "anthropic-beta",
        "x-amz-date",
        "X-Team",
        "x team",
        "cookie",
        "x-litellm-end-user-id",
    ];
    for name in reserved {
        cases.push(refused(
            name,
            header(name, json!("b")),
            "spec.upstreams[0].headers[0].name",
            "is no header of yours to set",
        ));
    }
    cases
}

pub(super) fn models_and_admin() -> Vec<Case> {
    vec![
        refused(
            "a model of an upstream that is not there",
            full_gateway().with("spec.models[0].upstreamModel[0].upstream", json!("other")),
            "spec",
            "models: upstreamModel names an upstream",
        ),
        refused(
            "one id for two keys",
            full_gateway().with("spec.admin.readKeys[0].id", json!("platform")),
            "spec.admin",
            "writeKeys and readKeys share an id",
        ),
        refused(
            "a session that outlives itself",
            gateway().with("spec.session", json!({ "ttlMinutes": 1_441, "maxDays": 1 })),
            "spec.session",
            "ttlMinutes is longer than maxDays",
        ),
        accepted(
            "a session of one token",
            gateway().with("spec.session", json!({ "ttlMinutes": 1_440, "maxDays": 1 })),
        ),
        refused(
            "metrics where people sign in",
            gateway().with("spec.metrics.port", json!(8_080)),
            "spec.metrics",
            "port is the one that the gateway itself serves",
        ),
        refused(
            "lowest above highest",
            full_gateway()
                .with("spec.policies.allowed[0].minPriority", json!(5))
                .with("spec.policies.allowed[0].maxPriority", json!(4)),
            "spec.policies.allowed[0]",
            "minPriority is above maxPriority",
        ),
    ]
}
