//! What the pods tell about themselves.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::yes;
use crate::schema;

/// Prometheus metrics of the pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.port != 8080",
    "port is the one that the gateway itself serves: choose another",
))]
pub struct Metrics {
    /// Serve them.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The port of the pods that serves them and nothing else.
    #[serde(default = "prometheus")]
    #[schemars(range(min = 1_024, max = 65_535))]
    pub port: u16,
    /// A ServiceMonitor of the Prometheus operator; present, it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitor>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: yes(), port: prometheus(), service_monitor: None }
    }
}

/// A ServiceMonitor of the Prometheus operator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitor {
    /// Seconds between two scrapes.
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 5, max = 3_600))]
    pub interval_seconds: u32,
    /// Labels by which your Prometheus finds it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = schema::short_map)]
    pub labels: BTreeMap<String, String>,
}

impl Default for ServiceMonitor {
    fn default() -> Self {
        Self { interval_seconds: half_a_minute(), labels: BTreeMap::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// As the gateway's environment says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

fn prometheus() -> u16 {
    9_464
}

fn half_a_minute() -> u32 {
    30
}
