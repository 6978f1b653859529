//! How the public address leads to the Service: an Ingress, or an HTTPRoute whose answers may take as long as a stream does.

use crds::gateway::exposure::ParentRef;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};
use serde_json::{Value, json};

use super::{PORT_NAME, named, service};
use crate::gateway::validate::{ValidatedGateway, tls_secret};

pub(super) fn ingress(gateway: &ValidatedGateway) -> Ingress {
    let spec = &gateway.spec.exposure;
    let host = gateway.public_url.host_str().unwrap_or_default().to_owned();
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: gateway.identity.name.clone(),
            port: Some(ServiceBackendPort { name: Some(PORT_NAME.to_owned()), number: None }),
        }),
        resource: None,
    };
    let path = HTTPIngressPath { path: Some("/".to_owned()), path_type: "Prefix".to_owned(), backend };
    let mut metadata = named(&gateway.identity.name);
    metadata.annotations = (!spec.annotations.is_empty()).then(|| spec.annotations.clone());
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: spec.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(host.clone()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls: tls_secret(gateway)
                .map(|secret| vec![IngressTLS { hosts: Some(vec![host]), secret_name: Some(secret) }]),
            default_backend: None,
        }),
        status: None,
    }
}

pub(super) fn route(gateway: &ValidatedGateway) -> Value {
    let spec = &gateway.spec.exposure;
    let parents: Vec<_> = spec.parent_refs.iter().map(parent).collect();
    let backend =
        json!({ "group": "", "kind": "Service", "name": gateway.identity.name, "port": service::PORT, "weight": 1 });
    let mut route = json!({
        "metadata": { "name": gateway.identity.name },
        "spec": {
            "parentRefs": parents,
            "hostnames": [gateway.public_url.host_str().unwrap_or_default()],
            "rules": [{
                "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
                "backendRefs": [backend],
                // A stream ends when the model has said everything.
                "timeouts": { "request": "0s", "backendRequest": "0s" },
            }],
        },
    });
    if !spec.annotations.is_empty() {
        route["metadata"]["annotations"] = json!(spec.annotations);
    }
    route
}

fn parent(ParentRef { name, namespace, section_name }: &ParentRef) -> Value {
    let mut parent = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name });
    if !namespace.is_empty() {
        parent["namespace"] = json!(namespace);
    }
    if !section_name.is_empty() {
        parent["sectionName"] = json!(section_name);
    }
    parent
}
