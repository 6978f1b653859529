//! What policies in audit mode would say to a request: worked out, logged and counted, and nothing else.

use serde::Serialize;

use super::{Models, body::Prompt};
use crate::policy::{Effective, PolicyKey};

const GRANTED: &str = "granted";

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditedVerdict {
    pub policy: PolicyKey,
    /// `granted`, or the reason of the refusal.
    pub verdict: &'static str,
}

impl AuditedVerdict {
    pub fn is_grant(&self) -> bool {
        self.verdict == GRANTED
    }
}

pub fn of_audited(models: &Models, prompt: &Prompt, effective: &Effective) -> Vec<AuditedVerdict> {
    let verdict = |would_be: &Effective| match models.grant_all(&prompt.model, &prompt.other_models, would_be) {
        Ok(_) => GRANTED,
        Err(refusal) => refusal.reason(),
    };
    let audited = effective.audited.iter();
    audited
        .map(|audited| AuditedVerdict { policy: audited.policy.clone(), verdict: verdict(&audited.would_be) })
        .collect()
}
