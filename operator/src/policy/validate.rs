//! What each policy comes to by itself: accepted, refused with a reason, or left as it is. Pure.

use std::sync::Arc;

use crds::ClaudeGateway;

use super::{
    candidate::{Candidate, Reading},
    dereference::World,
    document::{Base, judged_again},
    index::Gateway,
};
use crate::store::{PolicyRow, Stood};

/// A policy, what is said of it, and its part in the set.
pub struct Validated {
    pub candidate: Arc<Candidate>,
    pub verdict: Verdict,
    pub part: Option<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accepted {
        warnings: Vec<String>,
    },
    Refused {
        reason: Refusal,
        message: String,
    },
    /// Its author has asked for it: nothing is changed and nothing is said.
    Paused,
}

/// The reasons of `Accepted=False`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    GatewayNotFound,
    RefNotPermitted,
    Malformed,
    Invalid,
    BaseConflict,
}

/// A row, and what else has to be known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub row: PolicyRow,
    pub base: Option<Base>,
    pub mark: Mark,
}

/// What a row was made from: equal marks are equal rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub key: String,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Object {
        uid: String,
        generation: i64,
    },
    /// What stood before stays.
    Stood {
        changed_in: i64,
    },
}

impl Refusal {
    pub fn word(self) -> &'static str {
        match self {
            Self::GatewayNotFound => "GatewayNotFound",
            Self::RefNotPermitted => "RefNotPermitted",
            Self::Malformed => "Malformed",
            Self::Invalid => "Invalid",
            Self::BaseConflict => "BaseConflict",
        }
    }
}

pub fn validate(world: &World) -> Vec<Validated> {
    world.policies.iter().map(|candidate| validated(candidate, world)).collect()
}

fn validated(candidate: &Arc<Candidate>, world: &World) -> Validated {
    let (verdict, part) = match permitted(candidate, world.gateway.as_deref()) {
        Err((reason, message)) => (Verdict::Refused { reason, message }, None),
        Ok(()) => judge(candidate, world.stood.get(&candidate.key())),
    };
    Validated { candidate: candidate.clone(), verdict, part }
}

/// A policy that cannot be taken as it is keeps what stands of it: nobody is let go because a restriction could not be read.
fn judge(candidate: &Candidate, stood: Option<&Stood>) -> (Verdict, Option<Part>) {
    let kept = || stood.and_then(|stood| kept(candidate, stood));
    if candidate.is_paused() {
        return (Verdict::Paused, kept());
    }
    let refused = |reason, message| (Verdict::Refused { reason, message }, kept());
    let (policy, judged) = match &candidate.reading {
        Reading::Malformed(problem) => {
            let message = format!("cannot be read: {problem}: correct it, or delete it and apply it anew");
            return refused(Refusal::Malformed, message);
        }
        Reading::Policy { policy, judged } => (policy, judged),
    };
    match judged.as_ref() {
        Err(problems) => refused(Refusal::Invalid, problems.clone()),
        Ok(judged) => {
            let row = PolicyRow {
                key: candidate.key(),
                position: position(policy.spec.priority),
                document: judged.document.clone(),
            };
            let source = Source::Object { uid: candidate.uid().to_owned(), generation: candidate.generation() };
            let mark = Mark { key: row.key.clone(), source };
            let verdict = Verdict::Accepted { warnings: judged.warnings.clone() };
            (verdict, Some(Part { row, base: judged.base, mark }))
        }
    }
}

/// Pods try lower positions first, and equals by the key: so a policy's row depends on no other policy.
fn position(priority: i32) -> i32 {
    priority.saturating_neg()
}

fn kept(candidate: &Candidate, stood: &Stood) -> Option<Part> {
    let judged = judged_again(stood.document.as_ref()?)?;
    let row = PolicyRow { key: candidate.key(), position: stood.position, document: judged.document };
    let mark = Mark { key: row.key.clone(), source: Source::Stood { changed_in: stood.changed_in } };
    Some(Part { row, base: judged.base, mark })
}

/// What a policy of another namespace is told does not depend on whether there is such a gateway.
fn permitted(candidate: &Candidate, gateway: Option<&Gateway>) -> Result<(), (Refusal, String)> {
    let is_own = candidate.gateway.namespace == candidate.namespace();
    let Some(gateway) = gateway else {
        return Err(match is_own {
            true => {
                let message = "gatewayRef names no gateway of this namespace: create it, or delete this policy";
                (Refusal::GatewayNotFound, message.to_owned())
            }
            false => not_permitted(crds::NotPermitted::Namespace),
        });
    };
    let Gateway::Read(gateway) = gateway else {
        // Nothing is changed before it can be read; until then nobody else's word is taken.
        return if is_own { Ok(()) } else { Err(not_permitted(crds::NotPermitted::Namespace)) };
    };
    match &candidate.reading {
        Reading::Policy { policy, .. } => gateway.permits(policy).map_err(not_permitted),
        // What it says cannot be compared with what it may say; whether it may say anything can.
        Reading::Malformed(_) if is_own || names(gateway, candidate.namespace()) => Ok(()),
        Reading::Malformed(_) => Err(not_permitted(crds::NotPermitted::Namespace)),
    }
}

fn not_permitted(why: crds::NotPermitted) -> (Refusal, String) {
    (Refusal::RefNotPermitted, why.to_string())
}

fn names(gateway: &ClaudeGateway, namespace: &str) -> bool {
    let allowed = gateway.spec.policies.iter().flat_map(|policies| &policies.allowed);
    allowed.into_iter().any(|entry| entry.namespace == namespace)
}
