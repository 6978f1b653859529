//! `upstreams`: where inference goes.

mod anthropic;
pub mod cloud;
mod headers;
mod words;

use std::{collections::BTreeSet, path::PathBuf};

use secrecy::SecretString;
use url::Url;

use crate::{address, complaint::Complaint, fields::Fields, header, pem};

pub(crate) use words::UPSTREAM;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl Upstream {
    pub(crate) fn read_all(fields: &Fields<'_>) -> Vec<Self> {
        let entries = fields.sections("upstreams");
        if fields.written("upstreams") && entries.is_empty() && !fields.has_entries("upstreams") {
            fields.refuse("upstreams", "is an empty list", "write one upstream at least");
        }
        let mut seen = BTreeSet::new();
        for entry in &entries {
            if let Some(name) = name(entry)
                && !seen.insert(name)
            {
                entry.refuse("name", "is the name of an earlier upstream too", "give each its own `name`");
            }
        }
        entries.iter().zip(0..).filter_map(|(entry, place)| Self::read(entry, place)).collect()
    }

    fn read(fields: &Fields<'_>, place: u32) -> Option<Self> {
        let base_url = if fields.written("base_url") {
            fields.parsed("base_url", address::base)
        } else {
            anthropic::default_base_url()
        };
        let headers = header::read(fields, "headers", headers::is_reserved);
        let models = fields.parsed_texts("models", model_glob);
        if fields.written("models") && !fields.has_entries("models") {
            fields.refuse("models", "is an empty list, so nothing would go here", "name models, or remove the key");
        }
        let ca_cert_pem = fields.parsed("ca_cert_pem", pem::trust_store);
        let provider = match fields.text("provider")? {
            "anthropic" => anthropic::read(fields, base_url.as_ref()),
            // Read for its complaints only, as long as `not_yet` refuses it.
            _ => cloud::CloudProvider::read(fields).and(None),
        };
        if let Some(url) = base_url.as_ref().filter(|url| url.scheme() == "http" && !address::is_loopback(url)) {
            let host = url.host_str().unwrap_or_default();
            fields.warn("base_url", format!("sends the credential to {host} without TLS"));
        }
        Some(Self {
            name: name(fields)?.to_owned(),
            provider: provider?,
            base_url: base_url?,
            headers,
            models,
            priority: fields.whole("priority").unwrap_or(place),
            weight: fields.whole("weight")?,
            max_concurrent: fields.whole("max_concurrent"),
            zero_retention: fields.flag("zero_retention")?,
            ca_cert_pem,
        })
    }
}

/// Every name that stands in the file, of the upstreams that could not be read too.
pub(crate) fn names<'a>(fields: &Fields<'a>) -> BTreeSet<&'a str> {
    fields.sections("upstreams").iter().filter_map(name).collect()
}

/// The provider's own name unless said.
fn name<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    if fields.written("name") { fields.text("name") } else { fields.text("provider") }
}

fn model_glob(text: &str) -> Result<ModelGlob, Complaint> {
    ModelGlob::parse(text).ok_or_else(|| Complaint::new("has more than one `*`", "write one entry for each pattern"))
}
