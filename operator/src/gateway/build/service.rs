//! The Service: what leads to pods that are ready.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{METRICS_PORT_NAME, PORT_NAME, named, selected};
use crate::gateway::{references::ends_tls, validate::ValidatedGateway};

/// What the Service is asked at.
pub(super) const PORT: i32 = 80;
/// The same, where pods end TLS themselves.
const TLS_PORT: i32 = 443;

pub(super) fn service(gateway: &ValidatedGateway) -> Service {
    let port = |name: &str, port: i32| ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    };
    let serving = if ends_tls(&gateway.spec.exposure) { TLS_PORT } else { PORT };
    let metrics = &gateway.spec.metrics;
    let metrics = metrics.enabled.then(|| port(METRICS_PORT_NAME, i32::from(metrics.port)));
    Service {
        metadata: named(&gateway.identity.name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selected(gateway)),
            ports: Some([Some(port(PORT_NAME, serving)), metrics].into_iter().flatten().collect()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
