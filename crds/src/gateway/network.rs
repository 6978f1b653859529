//! What may connect to the pods, and what they may connect to.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::yes;
use crate::text;

/// A NetworkPolicy that lets through what the gateway needs, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Make it. False where another team's policies do this.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The namespaces whose pods may connect, such as the ingress controller's and Prometheus's. Empty: all of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::namespaces")]
    pub ingress_namespaces: Vec<String>,
    /// Where the pods may connect to besides name servers, and besides every public address on port 443: a database, an
    /// identity provider or a proxy within the company.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["cidr", "port"]))]
    pub egress: Vec<Egress>,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { enabled: yes(), ingress_namespaces: Vec::new(), egress: Vec::new() }
    }
}

/// Addresses that the pods may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// The range of addresses.
    #[schemars(schema_with = "text::cidr")]
    pub cidr: String,
    /// The TCP port.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
}

/// A forward proxy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Its address, for https and http requests alike.
    #[schemars(schema_with = "text::proxy_url")]
    pub url: String,
    /// Hosts and domains that are reached without it, as NO_PROXY has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::no_proxy")]
    pub no_proxy: Vec<String>,
    /// The proxy is the only way out and judges addresses itself, so the pods do not.
    #[serde(default)]
    pub is_egress_boundary: bool,
}
