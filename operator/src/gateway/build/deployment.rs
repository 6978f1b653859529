//! The Deployment: pods are replaced one by one, each new one ready before an old one drains.

use aws_lc_rs::digest;
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::Value;

use super::{named, pods, selector};
use crate::gateway::{rendering, validate::ValidatedGateway};

/// Pods unless the object says how many.
pub const REPLICAS: i32 = 2;

/// On a Deployment whose image is the operator's to choose: which one it was given, and what for.
const IMAGE: &str = "claude-gateway.dev/given-image";
const FOR: &str = "claude-gateway.dev/given-for";

/// The image of pods that run, which outlives an operator that would give another: only who owns a gateway replaces its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    image: String,
    /// The hash of everything else that makes a pod what it is.
    mark: String,
}

/// What the Deployment that there is says of itself.
pub fn given(deployment: Option<&Deployment>) -> Option<Given> {
    let annotations = deployment?.metadata.annotations.as_ref()?;
    Some(Given { image: annotations.get(IMAGE)?.clone(), mark: annotations.get(FOR)?.clone() })
}

/// With the image that it came to.
pub(super) fn deployment(gateway: &ValidatedGateway, file: &Value, given: Option<&Given>) -> (Deployment, String) {
    let checksum = checksum(gateway, file);
    let mut metadata = named(&gateway.identity.name);
    let mut image = gateway.image.clone();
    if let Some(follows) = &gateway.image_follows {
        let mark = mark(gateway, &checksum, follows);
        if let Some(given) = given.filter(|given| given.mark == mark) {
            image.clone_from(&given.image);
        }
        metadata.annotations = Some([(IMAGE.to_owned(), image.clone()), (FOR.to_owned(), mark)].into());
    }
    (with_image(gateway, metadata, &checksum, &image), image)
}

fn mark(gateway: &ValidatedGateway, checksum: &str, follows: &str) -> String {
    let template = serde_json::to_vec(&pods::template(gateway, checksum, "")).unwrap_or_default();
    hash(&[&template, follows.as_bytes()])
}

fn with_image(gateway: &ValidatedGateway, metadata: ObjectMeta, checksum: &str, image: &str) -> Deployment {
    let spec = &gateway.spec;
    let rolling = RollingUpdateDeployment {
        max_unavailable: Some(IntOrString::Int(0)),
        max_surge: Some(IntOrString::String("25%".to_owned())),
    };
    Deployment {
        metadata,
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
            template: pods::template(gateway, checksum, image),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// Of what a running pod does not take.
fn checksum(gateway: &ValidatedGateway, file: &Value) -> String {
    hash(&[rendering::lasting(file).to_string().as_bytes(), gateway.lasting_values.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
