//! Tells what was found and done: one write where something is new, none where nothing is.

use crds::{ClaudeGateway, ClaudeGatewayStatus};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{PartialObjectMeta, Patch, PatchParams},
};
use serde_json::json;

use super::{
    condition::Reason,
    kinds::MANAGER,
    status::{CERTIFICATE_RENEWAL_DUE, CONDITIONS, Outcome, READY, status},
    told::Told,
};
use crate::engine::{
    events::{Events, Turn},
    metrics::Metrics,
};

/// Writes the status if it is another than the one that stands.
pub async fn update_status(
    client: &Client,
    told: &Told,
    gateway: &ClaudeGateway,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> Result<ClaudeGatewayStatus, kube::Error> {
    let before = told.status(gateway);
    let next = status(before.as_ref(), gateway.meta().generation, outcome, now);
    if before.as_ref() == Some(&next) {
        return Ok(next);
    }
    let whole = json!({
        "apiVersion": ClaudeGateway::api_version(&()),
        "kind": ClaudeGateway::kind(&()),
        "metadata": { "name": gateway.name_any() },
        "status": next,
    });
    let namespace = gateway.namespace().unwrap_or_default();
    let api = Api::<PartialObjectMeta<ClaudeGateway>>::namespaced(client.clone(), &namespace);
    let params = PatchParams::apply(MANAGER).force();
    let answer = api.patch_status(&gateway.name_any(), &params, &Patch::Apply(&whole)).await?;
    told.note(&answer.metadata, &next);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::{condition::Finding, fixtures, server::Server};

    fn read_at(version: u64, status: Option<&ClaudeGatewayStatus>) -> ClaudeGateway {
        let mut gateway = fixtures::object(fixtures::minimal());
        gateway.metadata.resource_version = Some(version.to_string());
        gateway.status = status.cloned();
        gateway
    }

    #[tokio::test]
    async fn a_status_is_compared_with_the_one_that_stands_and_not_with_the_one_that_was_read() {
        let (server, told) = (Server::default(), Told::default());
        let path = "/apis/claude-gateway.dev/v1alpha1/namespaces/team/claudegateways/claude/status";
        server.put(path, json!({ "metadata": { "uid": fixtures::object(fixtures::minimal()).uid() } }));
        let missing = |name: &str| Finding::bad(Reason::SecretMissing, format!("There is no Secret {name}."));
        let write = async |gateway: &ClaudeGateway, finding: &Finding| {
            let (client, outcome) = (server.client(), Outcome::Refused(finding));
            let written = update_status(&client, &told, gateway, &outcome, Timestamp::UNIX_EPOCH).await;
            (written.unwrap(), server.calls().len())
        };
        let (first, writes) = write(&read_at(0, None), &missing("a")).await;
        assert_eq!(writes, 1);
        // The watch has brought the first, and not the second yet.
        let (second, writes) = write(&read_at(1, Some(&first)), &missing("b")).await;
        assert_eq!(writes, 1);
        assert_eq!(write(&read_at(1, Some(&first)), &missing("b")).await, (second, 0), "it stands already");
        assert_eq!(write(&read_at(1, Some(&first)), &missing("a")).await, (first.clone(), 1), "it stands no more");
        // Somebody else has taken it away since.
        assert_eq!(write(&read_at(9, None), &missing("a")).await, (first, 1));
    }
}
