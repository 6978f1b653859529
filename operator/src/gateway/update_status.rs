//! Tells what was found and done: one write where something is new, none where nothing is.

use crds::{ClaudeGateway, ClaudeGatewayStatus};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    condition::Reason,
    kinds::MANAGER,
    status::{CERTIFICATE_RENEWAL_DUE, CONDITIONS, Outcome, READY, status},
};
use crate::engine::{
    events::{Events, Turn},
    metrics::Metrics,
};

/// Writes the status if it is another than the object has.
pub async fn update_status(
    client: &Client,
    gateway: &ClaudeGateway,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> Result<ClaudeGatewayStatus, kube::Error> {
    let next = status(gateway.status.as_ref(), gateway.meta().generation, outcome, now);
    if gateway.status.as_ref() == Some(&next) {
        return Ok(next);
    }
    let whole = json!({
        "apiVersion": ClaudeGateway::api_version(&()),
        "kind": ClaudeGateway::kind(&()),
        "metadata": { "name": gateway.name_any() },
        "status": next,
    });
    let api = Api::<ClaudeGateway>::namespaced(client.clone(), &gateway.namespace().unwrap_or_default());
    let params = PatchParams::apply(MANAGER).force();
    api.patch_status(&gateway.name_any(), &params, &Patch::Apply(&whole)).await?;
    Ok(next)
}

/// The same for those who watch events and metrics.
pub async fn announce(events: &Events, metrics: &Metrics, gateway: &ClaudeGateway, status: &ClaudeGatewayStatus) {
    let (namespace, name) = (gateway.namespace().unwrap_or_default(), gateway.name_any());
    for known in CONDITIONS {
        match status.conditions.iter().find(|condition| condition.type_ == known) {
            Some(condition) => metrics.condition("ClaudeGateway", (&namespace, &name), known, &condition.status),
            None => metrics.forget_condition("ClaudeGateway", (&namespace, &name), known),
        }
    }
    if let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == READY) {
        // A start is no reason to worry.
        let warning = ready.status == "False" && ready.reason != Reason::PodsNotReady.to_string();
        let turn = Turn { warning, reason: ready.reason.clone(), note: ready.message.clone() };
        events.publish(&gateway.object_ref(&()), turn).await;
    }
    let due = status.conditions.iter().find(|condition| condition.type_ == CERTIFICATE_RENEWAL_DUE);
    let turn = match due {
        Some(due) => Turn { warning: true, reason: due.reason.clone(), note: due.message.clone() },
        None => Turn { warning: false, reason: "CertificateRenewed".to_owned(), note: renewed(status) },
    };
    events.publish_of(&gateway.object_ref(&()), CERTIFICATE_RENEWAL_DUE, turn).await;
}

fn renewed(status: &ClaudeGatewayStatus) -> String {
    let hash = status.tls_sha256.as_deref().unwrap_or("not known yet");
    format!("Another certificate is served; each developer has to trust it. Its SHA-256: {hash}.")
}
