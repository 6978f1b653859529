//! Which models there are.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// Which models there are. An entry is a family (`opus`), a model, or the beginning of models (`claude-opus-4`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Models {
    /// Only these; unless said every one, and none where the list is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "text::models")]
    pub available: Option<Vec<String>>,
    /// Never these, in any spelling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::models")]
    pub denied: Vec<String>,
    /// Exact lets no entry of `available` be a beginning; Prefix unless said.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    pub matching: Option<ModelMatching>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum ModelMatching {
    Prefix,
    Exact,
}

impl ModelMatching {
    /// As a settings document says it, under `availableModelsMatch`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Exact => "exact",
        }
    }
}
