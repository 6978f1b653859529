//! A ClaudeGateway as `gateway.yaml`: a tree of plain values, in which only this file writes `${file:…}`.
//!
//! Every field of the object's type is taken apart here or named as another file's, so a new one does not compile until it has
//! its place.

use crds::gateway::{
    ClaudeGatewaySpec,
    admin::{Admin, AdminKey, Enforcement},
    door::{AccessControl, DeviceAuthorization, DeviceVerify, Limits, RateLimits, Timeouts},
    model::Model,
    oidc::{ClientAssertion, GoogleGroups, Oidc, QueryParameter},
    session::Session,
    upstream::{Anthropic, AnthropicAuth, Federation, Header, Provider, Upstream},
};
use serde_json::{Map, Value, json};

use super::references::{self, CERTIFICATE, KEY, secret, secret_path};

pub const PORT: u16 = 8080;
pub const JOURNAL: &str = "/var/lib/claude-gateway";
pub const CONFIG: &str = "/etc/claude-gateway";
pub const KEYS: &str = "/run/claude-gateway/keys";

/// What of the file the object does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Without user and password.
    pub database_url: String,
    pub username: String,
    /// The file that holds the password.
    pub password_path: String,
    /// In order.
    pub key_ids: Vec<String>,
}

/// The whole file.
pub fn tree(spec: &ClaudeGatewaySpec, decided: &Decided) -> Value {
    let ClaudeGatewaySpec {
        public_url,
        replicas: _,
        autoscaling: _,
        image: _,
        exposure,
        database,
        oidc,
        session,
        upstreams,
        models,
        auto_include_builtin_models,
        limits,
        timeouts: Timeouts { upstream_ttfb_ms, drain_seconds: _ },
        rate_limits,
        access_control,
        admin,
        enforcement: Enforcement { fail_closed_on_error },
        metrics,
        log_level: _,
        pod_template: _,
        network_policy: _,
        proxy: _,
        policies: _,
        development: _,
    } = spec;
    let mut listen = json!({ "host": "0.0.0.0", "port": PORT, "public_url": public_url });
    set(&mut listen, "trusted_proxies", some(&exposure.trusted_proxies));
    let [cert, key] = [CERTIFICATE, KEY].map(|file| references::shown(exposure, file));
    set(&mut listen, "tls", cert.map(|cert| json!({ "cert": cert, "key": key })));
    set(&mut listen, "metrics", metrics.enabled.then(|| json!(format!("0.0.0.0:{}", metrics.port))));
    let mut store = json!({
        "postgres_url": decided.database_url,
        "username": decided.username,
        "password": format!("${{file:{}}}", decided.password_path),
        "max_connections": database.max_connections,
        "connect_timeout_seconds": database.connect_timeout_seconds,
        "schema": database.schema,
        "migrate": false,
        "readiness": "booted",
        "journal_dir": JOURNAL,
    });
    set(&mut store, "ca_cert_pem", database.ca_certificate.as_ref().map(|ca| json!(references::ca(ca))));
    let mut file = json!({
        "listen": listen,
        "oidc": oidc_section(oidc),
        "session": session_section(session, &decided.key_ids),
        "store": store,
        "upstreams": upstreams.iter().enumerate().map(|(at, upstream)| upstream_entry(at, upstream)).collect::<Vec<_>>(),
        "auto_include_builtin_models": auto_include_builtin_models,
        "limits": limits_section(limits),
        "timeouts": { "upstream_ttfb_ms": upstream_ttfb_ms },
        "rate_limits": rate_limits_section(rate_limits),
        "managed": { "source": "store" },
        "enforcement": { "fail_closed_on_error": fail_closed_on_error },
    });
    set(&mut file, "models", some(&models.iter().map(model_entry).collect::<Vec<_>>()));
    set(&mut file, "access_control", access_control.as_ref().map(access_section));
    set(&mut file, "admin", admin.as_ref().map(admin_section));
    file
}

/// What of the file a running pod does not take: a change of anything here needs new pods.
pub fn lasting(file: &Value) -> Value {
    let mut file = file.clone();
    let sections = [("session", &["jwt_secret"][..]), ("admin", &["write_keys", "read_keys", "admin_groups"][..])];
    for (section, keys) in sections {
        if let Some(section) = file.get_mut(section).and_then(Value::as_object_mut) {
            keys.iter().for_each(|key| drop(section.remove(*key)));
        }
    }
    // Who a pod is at the database it takes for its next connections. Where a credential lies that it reads again is no matter.
    if let Some(store) = file.get_mut("store").and_then(Value::as_object_mut) {
        store.remove("username");
        store.remove("password");
    }
    if let Some(oidc) = file.get_mut("oidc").and_then(Value::as_object_mut) {
        oidc.remove("client_secret");
    }
    file
}

fn oidc_section(oidc: &Oidc) -> Value {
    let Oidc {
        issuer,
        discovery_url,
        ca_certificate,
        use_proxy,
        id_token_signed_response_alg,
        clock_skew_seconds,
        client_id,
        client_secret_ref,
        token_endpoint_auth_method,
        client_assertion,
        additional_authorized_parties,
        allowed_email_domains,
        allowed_groups,
        groups_claim,
        email_claim,
        google_groups,
        userinfo_fallback,
        scopes,
        scope_on_refresh,
        extra_auth_params,
        use_pkce,
        form_action_origins,
    } = oidc;
    let mut section = json!({
        "issuer": issuer,
        "client_id": client_id,
        "id_token_signed_response_alg": id_token_signed_response_alg,
        "clock_skew_seconds": clock_skew_seconds,
        "groups_claim": groups_claim,
        "email_claim": email_claim,
        "userinfo_fallback": userinfo_fallback,
        "scopes": scopes,
        "scope_on_refresh": scope_on_refresh,
        "use_pkce": use_pkce,
    });
    set(&mut section, "discovery_url", discovery_url.as_ref().map(|url| json!(url)));
    set(&mut section, "ca_cert_pem", ca_certificate.as_ref().map(|ca| json!(references::ca(ca))));
    set(&mut section, "use_proxy", use_proxy.map(|used| json!(used)));
    set(&mut section, "client_secret", client_secret_ref.as_ref().map(|key| json!(secret(key))));
    set(&mut section, "token_endpoint_auth_method", token_endpoint_auth_method.map(|method| json!(method)));
    set(&mut section, "client_assertion", client_assertion.as_ref().map(|ClientAssertion { private_key_secret_ref, certificate_secret_ref }| {
        json!({ "private_key_pem": secret(private_key_secret_ref), "certificate_pem": secret(certificate_secret_ref) })
    }));
    set(&mut section, "additional_authorized_parties", some(additional_authorized_parties));
    set(&mut section, "allowed_email_domains", some(allowed_email_domains));
    set(&mut section, "allowed_groups", some(allowed_groups));
    set(
        &mut section,
        "google_groups",
        google_groups.as_ref().map(|GoogleGroups { service_account_secret_ref, admin_email }| {
            let path = secret_path(&service_account_secret_ref.name, &service_account_secret_ref.key);
            json!({ "service_account_json_path": path, "admin_email": admin_email })
        }),
    );
    let params: Map<_, _> =
        extra_auth_params.iter().map(|QueryParameter { name, value }| (name.clone(), json!(value))).collect();
    set(&mut section, "extra_auth_params", (!params.is_empty()).then_some(Value::Object(params)));
    set(&mut section, "form_action_origins", some(form_action_origins));
    section
}

fn session_section(Session { ttl_minutes, max_days }: &Session, key_ids: &[String]) -> Value {
    let keys: Vec<_> = key_ids.iter().map(|id| format!("${{file:{KEYS}/{id}}}")).collect();
    json!({ "jwt_secret": keys, "ttl_hours": f64::from(*ttl_minutes) / 60.0, "max_days": max_days })
}

fn upstream_entry(at: usize, upstream: &Upstream) -> Value {
    let Upstream { name, provider, models, priority, weight, max_concurrent, headers, zero_retention, ca_certificate } =
        upstream;
    let Provider::Anthropic(Anthropic { base_url, auth, forward_user_identity }) = provider;
    let mut entry = json!({
        "name": name,
        "provider": "anthropic",
        "auth": auth_section(at, auth),
        "weight": weight,
        "zero_retention": zero_retention,
    });
    set(&mut entry, "base_url", base_url.as_ref().map(|url| json!(url)));
    set(&mut entry, "forward_user_identity", forward_user_identity.then_some(Value::Bool(true)));
    set(&mut entry, "models", some(models));
    set(&mut entry, "priority", priority.map(|priority| json!(priority)));
    set(&mut entry, "max_concurrent", max_concurrent.map(|most| json!(most)));
    set(&mut entry, "ca_cert_pem", ca_certificate.as_ref().map(|ca| json!(references::ca(ca))));
    let headers: Map<_, _> = headers
        .iter()
        .filter_map(|Header { name, value, value_secret_ref }| {
            let value = value.clone().or_else(|| value_secret_ref.as_ref().map(secret))?;
            Some((name.clone(), json!(value)))
        })
        .collect();
    set(&mut entry, "headers", (!headers.is_empty()).then_some(Value::Object(headers)));
    entry
}

fn auth_section(at: usize, auth: &AnthropicAuth) -> Value {
    match auth {
        AnthropicAuth::ApiKeySecretRef(key) => json!({ "api_key": secret(key) }),
        AnthropicAuth::OauthTokenSecretRef(key) => json!({ "oauth_token": secret(key) }),
        AnthropicAuth::Federation(Federation {
            federation_rule_id,
            organization_id,
            workspace_id,
            service_account_id,
            audience: _,
        }) => {
            let mut section = json!({
                "federation_rule_id": federation_rule_id,
                "organization_id": organization_id,
                "identity_token_file": token_path(at),
            });
            set(&mut section, "workspace_id", workspace_id.as_ref().map(|id| json!(id)));
            set(&mut section, "service_account_id", service_account_id.as_ref().map(|id| json!(id)));
            section
        }
    }
}

/// Where the token for the upstream in this place lies.
pub fn token_path(at: usize) -> String {
    format!("{}/{at}", references::TOKENS)
}

fn model_entry(Model { id, label, description, upstream_model }: &Model) -> Value {
    let mut entry = json!({ "id": id });
    set(&mut entry, "label", label.as_ref().map(|label| json!(label)));
    set(&mut entry, "description", description.as_ref().map(|description| json!(description)));
    let ids: Map<_, _> = upstream_model.iter().map(|at| (at.upstream.clone(), json!(at.id))).collect();
    set(&mut entry, "upstream_model", (!ids.is_empty()).then_some(Value::Object(ids)));
    entry
}

fn limits_section(Limits { max_request_bytes, max_request_header_bytes, max_url_length }: &Limits) -> Value {
    json!({
        "max_request_bytes": max_request_bytes,
        "max_request_header_bytes": max_request_header_bytes,
        "max_url_length": max_url_length,
    })
}

fn rate_limits_section(RateLimits { device_authorization, device_verify }: &RateLimits) -> Value {
    let DeviceAuthorization { max: authorizations, window_seconds: authorization_window } = device_authorization;
    let DeviceVerify { max: verifications, window_seconds: verification_window } = device_verify;
    json!({
        "device_authorization": { "max": authorizations, "window_seconds": authorization_window },
        "device_verify": { "max": verifications, "window_seconds": verification_window },
    })
}

fn access_section(AccessControl { allow_cidrs, deny_cidrs }: &AccessControl) -> Value {
    let mut section = json!({});
    set(&mut section, "allow_cidrs", some(allow_cidrs));
    set(&mut section, "deny_cidrs", some(deny_cidrs));
    section
}

fn admin_section(Admin { write_keys, read_keys, admin_groups, spend_retention_months }: &Admin) -> Value {
    let keys = |keys: &[AdminKey]| {
        let entry = |AdminKey { id, key_secret_ref }: &AdminKey| json!({ "id": id, "key": secret(key_secret_ref) });
        some(&keys.iter().map(entry).collect::<Vec<_>>())
    };
    let mut section = json!({ "spend_retention_months": spend_retention_months });
    set(&mut section, "write_keys", keys(write_keys));
    set(&mut section, "read_keys", keys(read_keys));
    set(&mut section, "admin_groups", some(admin_groups));
    section
}

fn some<T: serde::Serialize>(list: &[T]) -> Option<Value> {
    (!list.is_empty()).then(|| json!(list))
}

fn set(section: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        section[key] = value;
    }
}
