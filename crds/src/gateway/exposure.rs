//! How the public address reaches the pods.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{schema, text};

/// An Ingress, an HTTPRoute, or something of your own in front of the Service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.kind == 'None' || (has(self.trustedProxies) && size(self.trustedProxies) > 0)",
    "trustedProxies is missing: name the addresses of the ingress controller or Gateway, or everybody would count as one \
     client address and share its sign-in limit",
))]
#[x_kube(validation = (
    "self.kind == 'HTTPRoute' ? has(self.parentRefs) && size(self.parentRefs) > 0 : !has(self.parentRefs)",
    "parentRefs goes with kind HTTPRoute, and it needs one at least: name the Gateway, or remove parentRefs",
))]
#[x_kube(validation = (
    "self.kind == 'Ingress' || !has(self.className)",
    "className goes with kind Ingress: remove it, or change kind",
))]
#[x_kube(validation = (
    "self.kind != 'None' || !has(self.annotations)",
    "annotations go with kind Ingress or HTTPRoute: remove them, or change kind",
))]
pub struct Exposure {
    /// Ingress, HTTPRoute (Gateway API), or None: only the Service is made.
    pub kind: ExposureKind,
    /// The class of the Ingress; the cluster's default one unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::object_name")]
    pub class_name: Option<String>,
    /// The Gateways that the HTTPRoute attaches to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "namespace", "sectionName"])
    )]
    pub parent_refs: Vec<ParentRef>,
    /// Annotations of the Ingress or HTTPRoute, besides those that the operator sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = schema::short_map)]
    #[x_kube(validation = (
        "self.all(key, !key.endsWith('-snippet') && !key.endsWith('-snippets'))",
        "has a snippet, which is configuration of the ingress controller itself: ask its administrators to set it",
    ))]
    pub annotations: BTreeMap<String, String>,
    /// The certificate of the public address. Ingress: named in it. HTTPRoute: for the Gateway's listener to refer to. None:
    /// the pods end TLS themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Addresses and ranges of what stands in front of the pods, whose X-Forwarded-For is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::networks")]
    pub trusted_proxies: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum ExposureKind {
    Ingress,
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    None,
}

/// A Gateway of the Gateway API, or a listener of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// The name of the Gateway.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// Its namespace; the ClaudeGateway's own when empty.
    #[serde(default)]
    #[schemars(schema_with = "text::label_or_empty")]
    pub namespace: String,
    /// The listener; every one that fits when empty.
    #[serde(default)]
    #[schemars(schema_with = "text::object_name_or_empty")]
    pub section_name: String,
}

/// Where the certificate is from, in exactly one way.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Tls {
    /// A Secret of the type `kubernetes.io/tls` in the gateway's own namespace.
    SecretRef(TlsSecret),
    /// A Certificate of cert-manager, valid for a year: clients pin the certificate, so each new one makes every developer
    /// trust again.
    CertManager(CertManager),
}

/// A Secret of the type `kubernetes.io/tls`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSecret {
    /// The name of the Secret.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
}

/// Who issues the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertManager {
    /// The issuer of cert-manager.
    pub issuer_ref: IssuerRef,
}

/// An Issuer in the gateway's own namespace, a ClusterIssuer, or another project's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// The name of the issuer.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// Issuer, ClusterIssuer, or the kind of another group.
    #[serde(default = "issuer")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The API group of the kind.
    #[serde(default = "cert_manager")]
    #[schemars(schema_with = "text::object_name")]
    pub group: String,
}

fn issuer() -> String {
    "Issuer".into()
}

fn cert_manager() -> String {
    "cert-manager.io".into()
}
