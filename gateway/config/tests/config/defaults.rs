//! What a right file gives.

use crate::support::{LEAST, load, with};
use secrecy::ExposeSecret;

#[test]
fn the_least_file_gives_every_default() {
    let loaded = load(LEAST);
    let config = loaded.config;
    assert_eq!(config.listen.host, "0.0.0.0");
    assert_eq!(config.listen.port, 8080);
    assert_eq!(config.listen.public_url.as_str(), "https://gateway.example.com");
    assert_eq!(config.oidc.issuer_text, "https://idp.example.com");
    assert_eq!(config.oidc.scopes, ["openid", "profile", "email", "offline_access"]);
    assert_eq!(config.oidc.email_claim.0, ["email"]);
    assert!(config.oidc.use_pkce);
    assert_eq!(config.session.ttl.as_secs(), 3_600);
    assert_eq!(config.session.max_age.as_secs(), 90 * 86_400);
    assert_eq!(config.store.schema, "claude_gateway");
    assert_eq!(config.upstreams[0].name, "anthropic");
    assert_eq!(config.upstreams[0].base_url.as_str(), "https://api.anthropic.com/");
    assert_eq!(config.limits.max_request_bytes, 32 << 20);
    assert_eq!(config.timeouts.upstream_ttfb.as_millis(), 120_000);
    assert_eq!(config.rate_limits.device_verify.max, 10);
    assert!(config.auto_include_builtin_models);
    assert_eq!(config.session.jwt_secrets[0].expose_secret(), "canary-jwt-secret-of-32-bytes-or-more");
}

#[test]
fn a_loopback_host_is_its_own_public_url() {
    assert_eq!(load(&with("listen", "{ host: 127.0.0.1 }")).config.listen.public_url.as_str(), "http://127.0.0.1:8080");
    let six = load(&with("listen", "{ host: '::1', port: 9000 }"));
    assert_eq!(six.config.listen.public_url.as_str(), "http://[::1]:9000");
    assert!(six.warnings.is_empty());
}
