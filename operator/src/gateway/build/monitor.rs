//! A ServiceMonitor, for a Prometheus that looks for such.

use crds::gateway::observation::ServiceMonitor;
use serde_json::{Value, json};

use super::{METRICS_PORT_NAME, selected};
use crate::gateway::validate::ValidatedGateway;

pub(super) fn monitor(
    gateway: &ValidatedGateway,
    ServiceMonitor { interval_seconds, labels }: &ServiceMonitor,
) -> Value {
    json!({
        "metadata": { "name": gateway.identity.name, "labels": labels },
        "spec": {
            "selector": { "matchLabels": selected(gateway) },
            "endpoints": [{ "port": METRICS_PORT_NAME, "interval": format!("{interval_seconds}s") }],
        },
    })
}
