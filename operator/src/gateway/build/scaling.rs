//! The autoscaler: quick to add pods, slow to take them away, since each that goes drains for minutes.

use crds::gateway::scaling::Autoscaling;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget, ResourceMetricSource,
};

use super::named;
use crate::gateway::validate::ValidatedGateway;

pub(super) fn autoscaler(
    gateway: &ValidatedGateway,
    autoscaling: &Autoscaling,
    database_ready: bool,
) -> HorizontalPodAutoscaler {
    let Autoscaling { min_replicas, max_replicas, target_cpu_utilization_percentage } = autoscaling;
    let name = &gateway.identity.name;
    HorizontalPodAutoscaler {
        metadata: named(name),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: name.clone(),
            },
            min_replicas: Some(*min_replicas),
            max_replicas: *max_replicas,
            metrics: Some(vec![cpu(*target_cpu_utilization_percentage)]),
            behavior: Some(HorizontalPodAutoscalerBehavior {
                scale_down: Some(slowly(database_ready)),
                scale_up: None,
            }),
        }),
        status: None,
    }
}

fn cpu(percent: i32) -> MetricSpec {
    let target =
        MetricTarget { type_: "Utilization".to_owned(), average_utilization: Some(percent), ..MetricTarget::default() };
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource { name: "cpu".to_owned(), target }),
        ..MetricSpec::default()
    }
}

/// One pod in two minutes, after five quiet ones; none while a pod that went could not come back.
fn slowly(database_ready: bool) -> HPAScalingRules {
    HPAScalingRules {
        stabilization_window_seconds: Some(300),
        select_policy: Some(if database_ready { "Max" } else { "Disabled" }.to_owned()),
        policies: Some(vec![HPAScalingPolicy { type_: "Pods".to_owned(), value: 1, period_seconds: 120 }]),
        ..HPAScalingRules::default()
    }
}
