//! Where inference goes: which provider, with which account, and in which order.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    secret::{CaCertificate, SecretKeyRef},
    text,
};

/// One way to a model provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// What the rest of the gateway calls this upstream.
    #[schemars(schema_with = "text::label")]
    pub name: String,
    /// Who serves the models.
    pub provider: Provider,
    /// Only these models go here; one `*` may stand in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::some_model_patterns")]
    pub models: Vec<String>,
    /// Lower is tried first, equals share by weight; unless set, the place in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub priority: Option<u32>,
    /// Share among upstreams of the same priority.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000))]
    pub weight: u32,
    /// Requests in flight from one pod; more go elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_concurrent: Option<u32>,
    /// Headers added to every inference request; none that the gateway or the provider sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<Header>,
    /// You declare that this upstream keeps nothing.
    #[serde(default)]
    pub zero_retention: bool,
    /// CA certificates that take the place of the system's here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<CaCertificate>,
}

/// Exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Provider {
    /// The Anthropic API, or a proxy that speaks it.
    Anthropic(Anthropic),
}

/// The Anthropic API, or a proxy that speaks it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!self.forwardUserIdentity || (has(self.baseUrl) && \
     !self.baseUrl.matches('^https?://([^/]*[.])?anthropic[.]com[.]?(:[0-9]+)?(/|$)'))",
    "forwardUserIdentity would send developers' e-mail addresses to Anthropic: set baseUrl to a proxy of your own, or remove \
     it",
))]
pub struct Anthropic {
    /// Where requests go, if not to `https://api.anthropic.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::base_url")]
    pub base_url: Option<String>,
    /// The credential.
    pub auth: AnthropicAuth,
    /// Tell a proxy of your own who sent each request, by three headers; refused for Anthropic's own address.
    #[serde(default)]
    pub forward_user_identity: bool,
}

/// Exactly one kind of credential.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum AnthropicAuth {
    /// An API key, sent as x-api-key.
    ApiKeySecretRef(SecretKeyRef),
    /// A token, sent as a bearer token.
    OauthTokenSecretRef(SecretKeyRef),
    /// The pods' own identity, exchanged for a short-lived token. There is no secret to keep.
    Federation(Federation),
}

/// Workload identity federation with a token of the pods' ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Federation {
    /// The federation rule that trusts the cluster's tokens.
    #[schemars(schema_with = "text::word")]
    pub federation_rule_id: String,
    /// The organization that the rule belongs to.
    #[schemars(schema_with = "text::word")]
    pub organization_id: String,
    /// The workspace, where the rule covers more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::word")]
    pub workspace_id: Option<String>,
    /// The service account that the exchange must yield.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::word")]
    pub service_account_id: Option<String>,
    /// The audience of the ServiceAccount's token, as the rule expects it.
    #[serde(default = "anthropic_api")]
    #[schemars(schema_with = "text::word")]
    pub audience: String,
}

/// A header with its value, in exactly one of two ways.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.value) != has(self.valueSecretRef)",
    "write one of value and valueSecretRef: what is secret goes into a Secret",
))]
pub struct Header {
    /// The header's name, in lower case.
    #[schemars(schema_with = "text::header_name")]
    pub name: String,
    /// Its value, where everybody who reads the object may know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::header_value")]
    pub value: Option<String>,
    /// The Secret that holds its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_secret_ref: Option<SecretKeyRef>,
}

fn one() -> u32 {
    1
}

fn anthropic_api() -> String {
    "https://api.anthropic.com".into()
}
