//! What a running process can take.

use gateway_config::{Config, restart_needed};

use super::complete::COMPLETE;
use crate::support::{LEAST, load, with};

fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(COMPLETE.contains(from), "{from}");
    let (old, new): (Config, Config) = (load(COMPLETE).config, load(&COMPLETE.replacen(from, to, 1)).config);
    restart_needed(&old, &new)
}

#[test]
fn an_unchanged_file_needs_nothing() {
    assert!(changed("8443", "8443").is_empty());
}

#[test]
fn secrets_and_certificates_are_taken_as_they_come() {
    for (from, to) in [
        ("client_secret: ${CLIENT_SECRET}", "client_secret: another"),
        ("jwt_secret: [\"${JWT_SECRET}\", \"${file:/run/jwt}\"]", "jwt_secret: \"${JWT_SECRET}\""),
        ("password: p@ss/word#1", "password: another"),
        ("username: gateway", "username: another"),
        ("  username: gateway\n  password: p@ss/word#1\n", ""),
        ("somebody:else@", "anybody:other@"),
        ("oauth_token: token", "oauth_token: another"),
        ("identity_token_file: /var/run/token", "identity_token_file: /var/run/other"),
        ("key: /tls/tls.key", "key: /tls/other.key"),
    ] {
        assert_eq!(changed(from, to), [""; 0], "{from}");
    }
}

#[test]
fn policies_and_administrators_are_taken_as_they_come() {
    let (policies, admin) = (COMPLETE.find("managed:").unwrap(), COMPLETE.find("admin:").unwrap());
    for (from, to) in [
        ("availableModels: [claude-haiku-4-5, opus]", "availableModels: []"),
        ("tokens_per_day: 4", "tokens_per_day: 40"),
        ("mode: audit", "mode: enforce"),
        ("source: file", ""),
        (&COMPLETE[policies..admin], ""),
        ("key: \"${JWT_SECRET}\"", "key: \"another-key-of-thirty-two-characters\""),
        ("admin_groups: [finops]", "admin_groups: [platform]"),
        ("read_keys: [{ id: reporting, key: \"${file:/run/jwt}\" }]", "read_keys: []"),
    ] {
        assert_eq!(changed(from, to), [""; 0], "{from}");
    }
}

#[test]
fn policies_that_move_to_the_store_need_a_new_process() {
    let file = load(&with("managed", "{ policies: [] }")).config;
    let store = load(&with("managed", "{ source: store }")).config;
    assert_eq!(restart_needed(&file, &store), ["managed.source"]);
    assert_eq!(restart_needed(&store, &load(LEAST).config), ["managed.source"]);
}

#[test]
fn everything_else_is_named() {
    for (from, to, field) in [
        ("port: ${PORT}", "port: 1234", "listen.port"),
        ("  tls: { cert: /tls/tls.crt, key: /tls/tls.key }\n", "", "listen.tls"),
        ("issuer: https://idp.example.com/tenant/", "issuer: https://idp.example.com/tenant", "oidc.issuer"),
        ("client_secret_post", "client_secret_basic", "oidc.token_endpoint_auth_method"),
        ("ttl_hours: 0.5", "ttl_hours: 1", "session.ttl_hours"),
        ("db.example.com:5433", "db.example.com:5434", "store.postgres_url"),
        ("x-proxy-token: \"${API_KEY}\"", "x-proxy-token: other", "upstreams[1].headers"),
        ("oauth_token: token", "api_key: another", "upstreams[1].auth"),
        ("weight: 3", "weight: 4", "upstreams[0].weight"),
        ("- name: federated", "- name: renamed", "upstreams"),
        ("label: Corporate Sonnet", "label: Sonnet", "models"),
        ("allow_cidrs: [10.0.0.0/8]", "allow_cidrs: [10.0.0.0/9]", "access_control"),
        ("audit_retention_days: 30", "audit_retention_days: 31", "admin.audit_retention_days"),
        ("fail_closed_on_error: true", "fail_closed_on_error: false", "enforcement"),
        ("upstream_ttfb_ms: 1500", "upstream_ttfb_ms: 1501", "timeouts"),
    ] {
        assert_eq!(changed(from, to), [field]);
    }
    assert_eq!(changed("admin_groups: [finops]", "admin_groups: [platform]"), [""; 0], "taken in place");
}
