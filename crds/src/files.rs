//! The files that follow from the types: the CRDs of both charts, and the reference.

mod reference;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{ClaudeGateway, UserPolicy};

/// A file of the repository, by its path from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    pub path: &'static str,
    pub text: String,
}

/// Both, as they are installed.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [ClaudeGateway::crd(), UserPolicy::crd()]
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
