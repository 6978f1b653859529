//! Kinds of somebody else's controller, where only that they are served matters.

use serde_json::{Value, json};

pub const HTTP_ROUTE: Foreign = Foreign("gateway.networking.k8s.io", "httproutes", "HTTPRoute");
pub const CERTIFICATE: Foreign = Foreign("cert-manager.io", "certificates", "Certificate");
pub const SERVICE_MONITOR: Foreign = Foreign("monitoring.coreos.com", "servicemonitors", "ServiceMonitor");
pub const PROMETHEUS_RULE: Foreign = Foreign("monitoring.coreos.com", "prometheusrules", "PrometheusRule");

/// Its group, plural and kind.
#[derive(Debug, Clone, Copy)]
pub struct Foreign(&'static str, &'static str, &'static str);

impl Foreign {
    /// A CustomResourceDefinition that takes any object.
    pub fn definition(self) -> Value {
        let Self(group, plural, kind) = self;
        let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let version = json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": open } });
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}"),
                "annotations": { "api-approved.kubernetes.io": "unapproved, a stand-in for a test" } },
            "spec": { "group": group, "scope": "Namespaced",
                "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind }, "versions": [version] },
        })
    }
}
