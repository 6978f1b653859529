//! `upstreams`: where inference goes.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    pub provider: Provider,
    /// The provider's own address unless the file says another; no trailing slash.
    pub base_url: Url,
    pub headers: Vec<StaticHeader>,
    /// Empty: every model; else only what one of these matches.
    pub models: Vec<ModelGlob>,
    /// Lower first; the place in the list unless said.
    pub priority: u32,
    pub weight: u32,
    pub max_concurrent: Option<u32>,
    pub zero_retention: bool,
    pub ca_cert_pem: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Provider {
    Anthropic { auth: AnthropicAuth, forward_user_identity: bool },
}

#[derive(Debug, Clone)]
pub enum AnthropicAuth {
    /// Sent as `x-api-key`.
    ApiKey(SecretString),
    /// Sent as `Authorization: Bearer`.
    OauthToken(SecretString),
    WorkloadIdentity(WorkloadIdentity),
}

/// Exchanged at `<base_url>/v1/oauth/token` for a short-lived token (RFC 7523 JWT bearer grant).
#[derive(Debug, Clone)]
pub struct WorkloadIdentity {
    pub federation_rule_id: String,
    pub organization_id: String,
    pub identity_token_file: PathBuf,
    pub workspace_id: Option<String>,
    pub service_account_id: Option<String>,
}

/// A header that the operator adds to every request; its name is none of the reserved ones.
#[derive(Debug, Clone)]
pub struct StaticHeader {
    pub name: String,
    pub value: SecretString,
}

/// A model id with at most one `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelGlob(String);

impl ModelGlob {
    /// `None` when there is more than one `*`, or nothing at all.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && text.matches('*').count() <= 1).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, model: &str) -> bool {
        match self.0.split_once('*') {
            None => self.0 == model,
            Some((head, tail)) => {
                model.len() >= head.len() + tail.len() && model.starts_with(head) && model.ends_with(tail)
            }
        }
    }
}
