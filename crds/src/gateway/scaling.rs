//! How many pods there are, where the load decides.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A HorizontalPodAutoscaler of the pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.minReplicas <= self.maxReplicas",
    "minReplicas is above maxReplicas: lower it, or raise maxReplicas",
))]
pub struct Autoscaling {
    /// Never fewer pods than this.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 1_000))]
    pub min_replicas: i32,
    /// Never more pods than this.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_replicas: i32,
    /// The share of the requested CPU, in per cent, that the pods shall use on average.
    #[serde(default = "seventy")]
    #[schemars(range(min = 1, max = 100))]
    pub target_cpu_utilization_percentage: i32,
}

fn two() -> i32 {
    2
}

fn seventy() -> i32 {
    70
}
