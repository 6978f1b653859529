//! How an object refers to what it must not hold: keys of Secrets and ConfigMaps of its own namespace. None of these types
//! has a field for another namespace.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// A key of a Secret in the gateway's own namespace. The Secret has to carry the label `claude-gateway.dev/use: gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// The key within the Secret.
    #[schemars(schema_with = "text::data_key")]
    pub key: String,
}

/// A user name and a password in a Secret of the gateway's own namespace, as `kubernetes.io/basic-auth` has them. The Secret
/// has to carry the label `claude-gateway.dev/use: gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// The name of the Secret.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// The key that holds the user name.
    #[serde(default = "username")]
    #[schemars(schema_with = "text::data_key")]
    pub username_key: String,
    /// The key that holds the password.
    #[serde(default = "password")]
    #[schemars(schema_with = "text::data_key")]
    pub password_key: String,
}

fn username() -> String {
    "username".into()
}

fn password() -> String {
    "password".into()
}

/// CA certificates in PEM form, in exactly one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum CaCertificate {
    /// A key of a ConfigMap in the gateway's own namespace.
    ConfigMapRef(ConfigMapKeyRef),
    /// A key of a Secret in the gateway's own namespace, which has to carry the label `claude-gateway.dev/use: gateway`.
    SecretRef(SecretKeyRef),
}

/// A key of a ConfigMap in the gateway's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// The name of the ConfigMap.
    #[schemars(schema_with = "text::object_name")]
    pub name: String,
    /// The key within the ConfigMap.
    #[schemars(schema_with = "text::data_key")]
    pub key: String,
}
