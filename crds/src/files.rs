//! The files that follow from the types: the CRDs of both charts, and the reference.

mod reference;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;
use serde_json::json;

use crate::{ClaudeGateway, UserPolicy};

/// What the API server writes as `status.observedGeneration` of an object that no operator has seen yet.
pub const UNSEEN: i64 = -1;

/// A file of the repository, by its path from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    pub path: &'static str,
    pub text: String,
}

/// Both, as they are installed.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [ClaudeGateway::crd(), UserPolicy::crd()].map(unseen_at_first)
}

/// Whoever waits for an object (Helm, Flux) takes one without a status for done; a generation that never was, for unseen.
fn unseen_at_first(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let properties = schema.and_then(|schema| schema.properties.as_mut());
        if let Some(status) = properties.and_then(|properties| properties.get_mut("status")) {
            status.default = Some(JSON(json!({ "observedGeneration": UNSEEN })));
        }
    }
    definition
}

/// # Errors
/// A definition that YAML cannot say.
pub fn generated() -> Result<Vec<GeneratedFile>, serde_saphyr::ser::Error> {
    let [gateways, policies] = definitions();
    let texts = [serde_saphyr::to_string(&gateways)?, serde_saphyr::to_string(&policies)?];
    let [of_gateways, of_policies] = &texts;
    let file = |path: &'static str, text: &String| GeneratedFile { path, text: text.clone() };
    Ok(vec![
        file("charts/claude-gateway-operator/files/crds/claudegateways.yaml", of_gateways),
        file("charts/claude-gateway-operator/files/crds/userpolicies.yaml", of_policies),
        // A chart reads no file of another's.
        file("charts/claude-gateway-crds/files/crds/claudegateways.yaml", of_gateways),
        file("charts/claude-gateway-crds/files/crds/userpolicies.yaml", of_policies),
        GeneratedFile { path: "docs/reference.md", text: reference::page(&[gateways, policies]) },
    ])
}
