//! Who administers the gateway, and what limits do while the database is away.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{secret::SecretKeyRef, text};

/// The admin API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.writeKeys) || !has(self.readKeys) || self.writeKeys.all(one, self.readKeys.all(other, one.id != other.id))",
    "writeKeys and readKeys share an id: give each key its own, the audit log tells them apart by it",
))]
pub struct Admin {
    /// Keys that may read and change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub write_keys: Vec<AdminKey>,
    /// Keys that may only read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub read_keys: Vec<AdminKey>,
    /// Members of these groups administer with their own sign-in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::words")]
    pub admin_groups: Vec<String>,
    /// Months that counters of usage are kept.
    #[serde(default = "thirteen")]
    #[schemars(range(min = 1, max = 1_200))]
    pub spend_retention_months: u32,
}

/// A static key, sent as x-api-key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminKey {
    /// What the audit log calls it.
    #[schemars(schema_with = "text::word")]
    pub id: String,
    /// The Secret that holds it: 32 characters or more.
    pub key_secret_ref: SecretKeyRef,
}

/// What limits do while the database does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enforcement {
    /// Refuse everyone while limits cannot be checked; false: let them pass.
    #[serde(default)]
    pub fail_closed_on_error: bool,
}

fn thirteen() -> u32 {
    13
}
