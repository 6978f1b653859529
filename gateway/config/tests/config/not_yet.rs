//! What the file may say and this version does not do.

use crate::support::{complaints, load, with};

pub(crate) const NOT_YET: &str = include_str!("not_yet.yaml");
const LATER: &str = "is understood, but this version does not do it yet: remove it";

/// The least file with other sections in place of its own.
fn beside_the_least(sections: &str) -> String {
    let (other, upstreams) = sections.split_once("\nupstreams:").unwrap_or((sections, ""));
    let least = if upstreams.is_empty() { crate::support::LEAST.to_owned() } else { with("upstreams", upstreams) };
    format!("{least}\n{other}")
}

#[test]
fn every_such_key_is_checked_and_then_refused_by_name() {
    let expected = [
        "admin.billing_group_tag",
        "admin.blocked_message",
        "admin.group_limit_mode",
        "load_test_mode.enabled",
        "pricing",
        "telemetry",
        "upstreams[0].provider",
        "upstreams[0].region_prefix",
        "upstreams[1].provider",
        "upstreams[2].provider",
        "upstreams[3].provider",
        "upstreams[4].provider",
        "upstreams[5].provider",
        "upstreams[6].provider",
    ];
    let expected: Vec<_> = expected.iter().map(|field| format!("{field}: {LATER}")).collect();
    assert_eq!(complaints(&beside_the_least(NOT_YET)), expected.join("\n"));
}

#[test]
fn a_mantle_upstream_is_one_of_them() {
    let text = with("upstreams", "[{ provider: mantle, region: us-east-1, models: [claude-haiku-4-5] }]");
    assert_eq!(complaints(&text), format!("upstreams[0].provider: {LATER}"));
}

/// An operator's file for the reference, as its documentation suggests one.
#[test]
fn a_file_of_the_reference_gets_no_other_complaint() {
    let text = r#"
listen:
  host: 0.0.0.0
  port: 8080
  public_url: https://claude.internal.example.com
oidc:
  issuer: https://example.okta.com
  client_id: 0oa1
  client_secret: ${CLIENT_SECRET}
  allowed_email_domains: [example.com]
  userinfo_fallback: true
  scopes: [openid, profile, email, offline_access, groups]
session:
  jwt_secret: ${JWT_SECRET}
store:
  postgres_url: postgres://gateway@db.example.com/gateway
upstreams:
  - provider: anthropic
    auth: { api_key: "${API_KEY}" }
auto_include_builtin_models: true
models:
  - id: claude-opus-4-8
    label: Claude Opus 4.8
    upstream_model: { anthropic: claude-opus-4-8 }
managed:
  policies:
    - match: { groups: [contractors] }
      cli:
        availableModels: [claude-haiku-4-5]
        permissions: { allow: [Read, Grep] }
    - match: {}
      cli:
        availableModels: [claude-opus-4-8, claude-haiku-4-5]
        enforceAvailableModels: true
        permissions: { allow: [Read, Bash], deny: [WebFetch] }
        env: { HTTP_PROXY: "http://proxy.example.com:8080" }
telemetry:
  forward_to:
    - url: https://otel.internal.example.com:4318
      headers: { Authorization: "Bearer ${API_KEY}" }
"#;
    assert_eq!(complaints(text), format!("telemetry: {LATER}"));
}

#[test]
fn the_numbers_of_a_load_test_may_stay_in_the_file() {
    let text = with("load_test_mode", "{ enabled: false, reply_tokens: 10 }");
    assert_eq!(load(&text).config.load_test_mode.unwrap().reply_tokens, 10);
}
