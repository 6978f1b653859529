//! The Deployment: pods are replaced one by one, each new one ready before an old one drains.

use aws_lc_rs::digest;
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::Value;

use super::{named, pods, selector};
use crate::gateway::{rendering, validate::ValidatedGateway};

/// Pods unless the object says how many.
pub const REPLICAS: i32 = 2;

pub(super) fn deployment(gateway: &ValidatedGateway, file: &Value) -> Deployment {
    let spec = &gateway.spec;
    let rolling = RollingUpdateDeployment {
        max_unavailable: Some(IntOrString::Int(0)),
        max_surge: Some(IntOrString::String("25%".to_owned())),
    };
    Deployment {
        metadata: named(&gateway.identity.name),
        spec: Some(DeploymentSpec {
            // Where an autoscaler decides, the number is its own.
            replicas: spec.autoscaling.is_none().then(|| spec.replicas.unwrap_or(REPLICAS)),
            selector: selector(gateway),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(rolling),
            }),
            min_ready_seconds: Some(5),
            revision_history_limit: Some(5),
            progress_deadline_seconds: Some(600),
            template: pods::template(gateway, &checksum(gateway, file)),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// Of what a running pod does not take.
fn checksum(gateway: &ValidatedGateway, file: &Value) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(rendering::lasting(file).to_string().as_bytes());
    context.update(gateway.lasting_values.as_bytes());
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
