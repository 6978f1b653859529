//! A file with every key that this version does.

use gateway_config::{
    AnthropicAuth, ClientAuthentication, Config, PolicyMode, PolicySource, Provider, Readiness, SigningAlgorithm,
    TelemetryDetail,
};
use secrecy::ExposeSecret;

use crate::support::load;

pub(crate) const COMPLETE: &str = include_str!("complete.yaml");

fn complete() -> Config {
    let loaded = load(COMPLETE);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config
}

#[test]
fn every_key_of_the_listener_and_the_door_reaches_its_place() {
    let config = complete();
    let listen = config.listen;
    assert_eq!((listen.port, listen.public_url.as_str()), (9000, "https://gateway.example.com:8443"));
    assert_eq!(listen.tls.unwrap().key.to_str(), Some("/tls/tls.key"));
    assert_eq!(listen.trusted_proxies.len(), 3);
    assert_eq!(listen.metrics.unwrap().to_string(), "127.0.0.1:9464");
    assert_eq!(config.access_control.deny_cidrs[0].to_string(), "10.6.6.6/32");
    assert_eq!(config.limits.max_url_length, 2_048);
    assert_eq!(config.timeouts.upstream_ttfb.as_millis(), 1_500);
    assert_eq!(config.rate_limits.device_verify.window.as_secs(), 120);
}

#[test]
fn every_key_of_the_provider_reaches_its_place() {
    let oidc = complete().oidc;
    assert_eq!(oidc.issuer_text, "https://idp.example.com/tenant/");
    assert!(matches!(oidc.authentication, ClientAuthentication::Post(_)));
    assert_eq!(oidc.allowed_email_domains, ["example.com", "example.org"]);
    assert_eq!(oidc.allowed_groups, ["Engineering"]);
    assert_eq!(oidc.groups_claim, "/resource_access/gateway/roles");
    assert_eq!(oidc.google_groups.unwrap().admin_email, "admin@example.com");
    assert_eq!(oidc.email_claim.0, ["email", "/identity/upn"]);
    assert_eq!(oidc.scopes, ["openid", "email", "groups"]);
    assert_eq!(oidc.extra_auth_params["prompt"], "consent");
    assert!(oidc.userinfo_fallback && !oidc.use_pkce && oidc.use_proxy && oidc.scope_on_refresh);
    assert_eq!(oidc.clock_skew.as_secs(), 30);
    assert_eq!(oidc.signing_algorithm, SigningAlgorithm::EdDsa);
    assert_eq!(oidc.form_action_origins, ["https://adfs.example.com"]);
}

#[test]
fn every_key_of_session_and_store_reaches_its_place() {
    let config = complete();
    let session = config.session;
    assert_eq!(session.jwt_secrets[1].expose_secret(), "a-secret-of-32-bytes-or-more-in-a-file");
    assert_eq!((session.ttl.as_secs(), session.max_age.as_secs()), (1_800, 30 * 86_400));

    let store = config.store;
    assert_eq!(
        store.postgres_url.expose_secret(),
        "postgresql://gateway:p%40ss%2Fword%231@db.example.com:5433/gateway?sslmode=verify-full"
    );
    assert_eq!((store.schema.as_str(), store.migrate, store.readiness), ("claude_two", false, Readiness::Booted));
}

#[test]
fn every_key_of_an_upstream_reaches_its_place() {
    let config = complete();
    let [api_key, proxy, federated] = config.upstreams.as_slice() else { panic!("three upstreams") };
    let Provider::Anthropic { auth, .. } = &api_key.provider;
    assert!(matches!(auth, AnthropicAuth::ApiKey(key) if key.expose_secret() == "canary-api-key"));
    assert_eq!((api_key.priority, api_key.weight, api_key.max_concurrent), (0, 3, Some(100)));
    assert!(api_key.models[0].matches("claude-opus-5"));
    assert!(api_key.zero_retention && !proxy.zero_retention);
    let Provider::Anthropic { auth, forward_user_identity } = &proxy.provider;
    assert!(matches!(auth, AnthropicAuth::OauthToken(_)) && *forward_user_identity);
    assert_eq!((proxy.base_url.as_str(), proxy.priority), ("https://proxy.example.com/anthropic", 1));
    assert_eq!(proxy.headers[0].name, "x-source");
    let Provider::Anthropic { auth, .. } = &federated.provider;
    assert!(matches!(auth, AnthropicAuth::WorkloadIdentity(identity) if identity.workspace_id.is_some()));
}

#[test]
fn every_key_of_a_policy_reaches_its_place() {
    let managed = complete().managed.unwrap();
    assert_eq!(managed.source, PolicySource::File);
    let [contractors, base] = managed.policies.as_slice() else { panic!("two policies") };
    assert_eq!(contractors.name.as_deref(), Some("contractors"));
    assert_eq!(contractors.matcher.email_domain.as_deref(), Some("example.com"));
    assert_eq!(
        (contractors.matcher.emails.as_slice(), contractors.mode),
        (&["a@example.com".to_owned()][..], PolicyMode::Audit)
    );
    assert_eq!(contractors.code["hooks"]["PostToolUse"][0]["hooks"][0]["command"], "echo ${NOT_A_VARIABLE}");
    assert_eq!(contractors.code["env"]["CLAUDE_CODE_ENABLE_TELEMETRY"], 1);
    assert_eq!(contractors.desktop.as_ref().unwrap()["builtinToolPolicy"]["Bash"], "ask");
    let limits = &contractors.limits;
    assert_eq!(
        (limits.max_input_tokens, limits.concurrent_requests, limits.count_cache_reads),
        (Some(1), Some(7), Some(true))
    );
    assert_eq!(contractors.retention.telemetry, Some(TelemetryDetail::Redacted));
    assert!(base.matcher.is_base() && base.desktop.is_none() && base.limits.is_empty());
}

#[test]
fn every_key_of_the_administration_reaches_its_place() {
    let config = complete();
    let admin = config.admin.unwrap();
    assert_eq!((admin.write_keys[0].id.as_str(), admin.read_keys[0].id.as_str()), ("terraform", "reporting"));
    assert_eq!(admin.admin_groups, ["finops"]);
    let kept = (admin.audit_retention_days, admin.spend_retention_months, admin.identity_retention_days);
    assert_eq!(kept, (30, 6, 10));
    assert!(config.enforcement.fail_closed_on_error);
}

#[test]
fn every_model_reaches_its_place() {
    let config = complete();
    assert!(!config.auto_include_builtin_models);
    assert_eq!(config.models[0].upstream_model["proxy"], "sonnet");
    assert_eq!(config.models[1].id, "corp-sonnet[1m]");
    assert!(!config.load_test_mode.unwrap().enabled);
}

#[test]
fn every_file_that_was_read_is_listed() {
    let config = complete();
    let files: Vec<_> = config.files.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(files, ["/run/google.json", "/run/jwt", "/tls/tls.crt", "/tls/tls.key"]);
}

#[test]
fn a_client_proves_itself_by_certificate() {
    let oidc = "
  issuer: https://idp.example.com
  client_id: gateway
  token_endpoint_auth_method: private_key_jwt
  client_assertion:
    private_key_pem: ${CLIENT_KEY}
    certificate_pem: ${CERTIFICATE}";
    let config = load(&crate::support::with("oidc", oidc)).config;
    assert!(matches!(config.oidc.authentication, ClientAuthentication::PrivateKeyJwt(_)));
    let config = load(&crate::support::with("oidc", &oidc.replace("CLIENT_KEY", "CLIENT_KEY_PKCS1"))).config;
    assert!(matches!(config.oidc.authentication, ClientAuthentication::PrivateKeyJwt(_)));
}
