//! `models`: what the operator adds to the built-in catalogue.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    pub id: String,
    pub label: Option<String>,
    pub description: Option<String>,
    /// Upstream name → the id that upstream knows.
    pub upstream_model: BTreeMap<String, String>,
}
