//! Tells the objects what became of them: only those for which something is different.

use std::sync::Arc;

use crds::UserPolicyStatus;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;

use super::{
    Policies,
    apply::Applied,
    build::Decided,
    candidate::Candidate,
    dereference::Away,
    resource,
    status::{Facts, Settled, Stands, condition, status, worth_writing},
    validate::Verdict,
};
use crate::engine::events::Turn;

/// Writes at a time, of one gateway.
const AT_ONCE: usize = 24;
const MANAGER: &str = "claude-gateway-operator";

#[derive(Debug, thiserror::Error)]
#[error("{failed} statuses could not be written; one of them: {example}")]
pub struct NotTold {
    failed: usize,
    example: kube::Error,
}

/// What was applied, or why nothing was.
pub enum Outcome {
    Applied(Applied),
    Away { away: Away, has_lasted: bool },
}

pub async fn update_status(context: &Policies, decided: &[Decided], outcome: &Outcome) -> Result<(), NotTold> {
    let settled = match outcome {
        Outcome::Applied(applied) => Settled { pods: applied.pods_have_settled, outage: true },
        Outcome::Away { has_lasted, .. } => Settled { pods: false, outage: *has_lasted },
    };
    let now = context.clock.now();
    let due = decided.iter().filter_map(|decided| {
        let Decided { candidate, verdict, .. } = decided;
        let facts = Facts { generation: candidate.generation(), verdict, part: stands(decided, outcome) };
        let next = worth_writing(status(&facts, &candidate.status, now), &candidate.status, settled)?;
        Some((candidate.clone(), *verdict != Verdict::Paused, next))
    });
    let due: Vec<_> = due.collect();
    let mut failures = stream::iter(due)
        .map(|(candidate, is_judged, next)| tell(context, candidate, is_judged, next))
        .buffer_unordered(AT_ONCE)
        .filter_map(async |told| told.err())
        .collect::<Vec<_>>()
        .await;
    match failures.pop() {
        None => Ok(()),
        Some(example) => Err(NotTold { failed: failures.len() + 1, example }),
    }
}

fn stands<'a>(decided: &Decided, outcome: &'a Outcome) -> Stands<'a> {
    match outcome {
        Outcome::Away { away, .. } => Stands::Unknown(away),
        Outcome::Applied(_) if !decided.has_row => Stands::Nothing,
        Outcome::Applied(applied) => {
            let key = decided.candidate.key();
            match applied.changed_in.get(&key) {
                None => Stands::Nothing,
                Some(revision) => Stands::Row {
                    revision: *revision,
                    enforcing: applied.enforcing(*revision),
                    pods: applied.pods.len(),
                    people: applied.people.get(&key).copied().unwrap_or_default(),
                },
            }
        }
    }
}

async fn tell(
    context: &Policies,
    candidate: Arc<Candidate>,
    is_judged: bool,
    next: UserPolicyStatus,
) -> Result<(), kube::Error> {
    let resource = resource();
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), candidate.namespace(), &resource);
    let patch = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        // Another object under the same name is not meant: the server refuses it.
        "metadata": {"name": candidate.name(), "uid": candidate.uid()},
        "status": next,
    });
    match api.patch_status(candidate.name(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await {
        Ok(_) => {}
        // Deleted meanwhile, and perhaps made anew: the watch says so.
        Err(kube::Error::Api(refusal)) if matches!(refusal.code, 404 | 409) => return Ok(()),
        Err(error) => return Err(error),
    }
    if is_judged {
        say_turn(context, &candidate, &next).await;
    }
    context.index().note_status(&candidate, next);
    Ok(())
}

/// Only what becomes of the object itself: that a database went away is the gateway's event.
async fn say_turn(context: &Policies, candidate: &Candidate, next: &UserPolicyStatus) {
    let Some(accepted) = condition(next, "Accepted") else { return };
    let before = condition(&candidate.status, "Accepted");
    let is_as_before = match before {
        Some(before) => (&before.status, &before.reason) == (&accepted.status, &accepted.reason),
        // To be accepted at once is no turn: ten thousand new policies would be ten thousand events.
        None => accepted.status == "True",
    };
    if is_as_before {
        return;
    }
    let resource = resource();
    let object = ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        namespace: candidate.metadata.namespace.clone(),
        name: candidate.metadata.name.clone(),
        uid: candidate.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    let (reason, note) = (accepted.reason.clone(), accepted.message.clone());
    context.events.publish(&object, Turn { warning: accepted.status == "False", reason, note }).await;
}
