//! What is added to the built-in list of models.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// A model that clients may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The id that clients send.
    #[schemars(schema_with = "text::model")]
    pub id: String,
    /// The name that clients show; the id unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::word")]
    pub label: Option<String>,
    /// A sentence that some clients show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::sentence")]
    pub description: Option<String>,
    /// What each upstream calls it. A built-in model is tried on every upstream all the same; any other only on the ones
    /// named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["upstream"]))]
    pub upstream_model: Vec<UpstreamModel>,
}

/// What one upstream calls the model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamModel {
    /// The upstream's name.
    #[schemars(schema_with = "text::label")]
    pub upstream: String,
    /// The id that this upstream knows.
    #[schemars(schema_with = "text::model")]
    pub id: String,
}
