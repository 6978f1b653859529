//! Which UserPolicies of other namespaces a gateway accepts, and what they may say.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// Without an entry no other namespace's policy is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// The namespaces, each with what its policies may match and say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namespace"]))]
    pub allowed: Vec<AllowedPolicies>,
}

/// What policies of one namespace may match and say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.minPriority) || !has(self.maxPriority) || self.minPriority <= self.maxPriority",
    "minPriority is above maxPriority: lower it, or raise maxPriority",
))]
pub struct AllowedPolicies {
    /// The namespace.
    #[schemars(schema_with = "text::label")]
    pub namespace: String,
    /// A policy has to match on groups, and on none but these. Empty: it may match on any, or on none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::words")]
    pub groups: Vec<String>,
    /// A policy has to match on an e-mail domain or on e-mail addresses, and on none but of these domains. Empty: it may match
    /// on any, or on none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::email_domains")]
    pub email_domains: Vec<String>,
    /// The lowest priority that a policy may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub min_priority: Option<i32>,
    /// The highest priority that a policy may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub max_priority: Option<i32>,
    /// A policy may carry `claudeCode` and `desktop`, which can run commands on developers' machines.
    #[serde(default)]
    pub managed_settings: bool,
}
