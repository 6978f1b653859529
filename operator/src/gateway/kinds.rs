//! The kinds that a gateway owns, and what each is called.

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::ApiResource;

use crate::engine::discovery::OptionalApi;

pub const HTTP_ROUTE: OptionalApi = OptionalApi {
    group: "gateway.networking.k8s.io",
    version: "v1",
    kind: "HTTPRoute",
    plural: "httproutes",
    brought_by: "the Gateway API",
};
pub const CERTIFICATE: OptionalApi = OptionalApi {
    group: "cert-manager.io",
    version: "v1",
    kind: "Certificate",
    plural: "certificates",
    brought_by: "cert-manager",
};
pub const SERVICE_MONITOR: OptionalApi = OptionalApi {
    group: "monitoring.coreos.com",
    version: "v1",
    kind: "ServiceMonitor",
    plural: "servicemonitors",
    brought_by: "the Prometheus operator",
};
pub const OPTIONAL: [OptionalApi; 3] = [HTTP_ROUTE, CERTIFICATE, SERVICE_MONITOR];

/// In the order in which they are applied: what pods mount comes before the pods, what leads to them after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Secret,
    ServiceAccount,
    NetworkPolicy,
    Service,
    Deployment,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    Certificate,
    Ingress,
    HttpRoute,
    ServiceMonitor,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Secret,
        Self::ServiceAccount,
        Self::NetworkPolicy,
        Self::Service,
        Self::Deployment,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::Certificate,
        Self::Ingress,
        Self::HttpRoute,
        Self::ServiceMonitor,
    ];

    pub fn resource(self) -> ApiResource {
        match self {
            Self::Secret => ApiResource::erase::<Secret>(&()),
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::HorizontalPodAutoscaler => ApiResource::erase::<HorizontalPodAutoscaler>(&()),
            Self::Ingress => ApiResource::erase::<Ingress>(&()),
            Self::Certificate => CERTIFICATE.resource(),
            Self::HttpRoute => HTTP_ROUTE.resource(),
            Self::ServiceMonitor => SERVICE_MONITOR.resource(),
        }
    }

    pub fn optional(self) -> Option<OptionalApi> {
        match self {
            Self::Certificate => Some(CERTIFICATE),
            Self::HttpRoute => Some(HTTP_ROUTE),
            Self::ServiceMonitor => Some(SERVICE_MONITOR),
            _ => None,
        }
    }

    /// Every name that an object of this kind may have, for a gateway of this name.
    pub fn names(self, gateway: &str) -> Vec<String> {
        match self {
            Self::Secret => vec![config(gateway), keys(gateway)],
            _ => vec![gateway.to_owned()],
        }
    }
}

/// The Secret with `gateway.yaml`.
pub fn config(gateway: &str) -> String {
    format!("{gateway}-config")
}

/// The Secret with the keys that sign.
pub fn keys(gateway: &str) -> String {
    format!("{gateway}-keys")
}

/// The Secret that cert-manager writes.
pub fn certificate(gateway: &str) -> String {
    format!("{gateway}-tls")
}

pub const MANAGER: &str = "claude-gateway-operator";
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const GATEWAY: &str = "claude-gateway.dev/gateway";

/// What the operator's own watches select.
pub fn selection() -> String {
    format!("{MANAGED_BY}={MANAGER},{GATEWAY}")
}

/// Whether the operator made this object for the gateway of this UID.
pub fn owned_by(meta: &ObjectMeta, uid: &str) -> bool {
    meta.owner_references.iter().flatten().any(|owner| owner.uid == uid && owner.controller == Some(true))
}
