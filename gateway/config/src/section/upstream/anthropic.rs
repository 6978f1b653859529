//! `provider: anthropic`: the API itself, or a proxy that speaks it.

use secrecy::SecretString;
use url::Url;

use super::{AnthropicAuth, Provider, WorkloadIdentity};
use crate::{fields::Fields, header};

const FEDERATION: &[&str] =
    &["federation_rule_id", "organization_id", "identity_token_file", "workspace_id", "service_account_id"];

pub(super) fn default_base_url() -> Option<Url> {
    Url::parse("https://api.anthropic.com").ok()
}

pub(super) fn read(fields: &Fields<'_>, base_url: Option<&Url>) -> Option<Provider> {
    let forward_user_identity = fields.flag("forward_user_identity");
    if forward_user_identity == Some(true) && base_url.is_some_and(is_anthropic) {
        fields.refuse(
            "forward_user_identity",
            "would send developers' e-mail addresses to Anthropic",
            "set base_url to a proxy of your own, or remove it",
        );
    }
    let auth = auth(&fields.section("auth")?);
    Some(Provider::Anthropic { auth: auth?, forward_user_identity: forward_user_identity? })
}

fn is_anthropic(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    host == "anthropic.com" || host.ends_with(".anthropic.com")
}

/// Exactly one of three ways.
fn auth(fields: &Fields<'_>) -> Option<AnthropicAuth> {
    let federation: Vec<_> = FEDERATION.iter().filter(|key| fields.written(key)).collect();
    let ways = [fields.written("api_key"), fields.written("oauth_token"), !federation.is_empty()];
    match ways {
        [true, false, false] => credential(fields, "api_key").map(AnthropicAuth::ApiKey),
        [false, true, false] => credential(fields, "oauth_token").map(AnthropicAuth::OauthToken),
        [false, false, true] => workload_identity(fields).map(AnthropicAuth::WorkloadIdentity),
        [false, false, false] => {
            fields.refuse_here(
                "holds no credential",
                "write api_key, oauth_token, or the keys of workload identity federation",
            );
            None
        }
        _ => {
            fields.refuse_here(
                "holds more than one kind of credential",
                "keep one of api_key, oauth_token and workload identity federation",
            );
            None
        }
    }
}

fn credential(fields: &Fields<'_>, key: &str) -> Option<SecretString> {
    fields.parsed(key, |text| header::check_value(text).map(|()| SecretString::from(text)))
}

fn workload_identity(fields: &Fields<'_>) -> Option<WorkloadIdentity> {
    for key in ["federation_rule_id", "organization_id", "identity_token_file"] {
        if !fields.written(key) {
            fields.refuse(key, "is missing, and workload identity federation needs it", "write it");
        }
    }
    Some(WorkloadIdentity {
        federation_rule_id: fields.owned("federation_rule_id")?,
        organization_id: fields.owned("organization_id")?,
        identity_token_file: fields.text("identity_token_file")?.into(),
        workspace_id: fields.owned("workspace_id"),
        service_account_id: fields.owned("service_account_id"),
    })
}
