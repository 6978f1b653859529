//! What the chart tells the operator, by flag or by environment.

use std::net::SocketAddr;

use clap::{ArgAction, Args};

#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The namespaces to watch, parted by commas; empty for all.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',', global = true)]
    pub watch_namespaces: Vec<String>,
    /// Where Prometheus scrapes.
    #[arg(long, env = "METRICS_ADDRESS", default_value = "0.0.0.0:8080", global = true)]
    pub metrics_address: SocketAddr,
    /// Where the kubelet probes `/livez` and `/readyz`.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:8081", global = true)]
    pub health_address: SocketAddr,
    /// The image of a gateway that names none.
    #[arg(long, env = "GATEWAY_IMAGE", global = true)]
    pub gateway_image: Option<String>,
    /// Whether a lease decides which replica writes.
    #[arg(long, env = "LEADER_ELECTION", default_value_t = true, action = ArgAction::Set, global = true)]
    pub leader_election: bool,
    /// Who this replica is, among those that want the lease.
    #[arg(long, env = "POD_NAME", global = true)]
    pub pod_name: Option<String>,
    /// Where the lease lives.
    #[arg(long, env = "POD_NAMESPACE", global = true)]
    pub pod_namespace: Option<String>,
    #[arg(long, env = "LEASE_NAME", default_value = "claude-gateway-operator", global = true)]
    pub lease_name: String,
    /// Seconds between two looks for APIs that a cluster may lack.
    #[arg(long, env = "API_LOOK_SECONDS", default_value_t = 30, hide = true, global = true)]
    pub api_look_seconds: u64,
    /// debug, info, warn or error.
    #[arg(long, env = "LOG_LEVEL", default_value = "info", global = true)]
    pub log_level: tracing::Level,
}
