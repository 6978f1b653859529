//! How many pods may be taken away at a time by whoever drains nodes.

use crds::ClaudeGatewaySpec;
use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{deployment::REPLICAS, named, selector};
use crate::gateway::validate::ValidatedGateway;

/// A budget over a single pod would only keep its node from being drained.
pub(super) fn is_due(spec: &ClaudeGatewaySpec) -> bool {
    let fewest = spec.autoscaling.as_ref().map(|autoscaling| autoscaling.min_replicas);
    fewest.or(spec.replicas).unwrap_or(REPLICAS) >= 2
}

pub(super) fn budget(gateway: &ValidatedGateway) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: named(&gateway.identity.name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(gateway)),
            // A pod that never became ready holds up no node.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
