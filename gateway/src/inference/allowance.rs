//! Whether the limits of a person let a request pass, and what the request holds of them while it runs.
//!
//! Counting tokens uses none, so `count_tokens` is not limited. What policies in audit mode would have said is worked out
//! beside it, counted on limits of their own, and changes nothing.

use std::sync::Arc;

use http::HeaderMap;
use serde::Serialize;

use super::{
    body::Prompt,
    desk::Shared,
    models::GrantedModel,
    refusal::Refusal,
    report::{BYTES_PER_TOKEN, Report},
};
use crate::{
    identity::Subject,
    policy::{Audited, Effective, PolicyKey},
    spend::{Advice, Asked, Estimate, Gate, Needs, OverLimit, Recents, Trial, Wish, check_request},
};

/// What all requests are held against.
pub struct Limits {
    pub gate: Arc<Gate>,
    pub recents: Arc<Recents>,
}

/// One request, as limits see it.
pub struct Asking<'r> {
    pub request_id: &'r str,
    pub subject: &'r Subject,
    pub headers: &'r HeaderMap,
    pub prompt: &'r Prompt,
    pub model: &'r GrantedModel,
}

/// `tokens.blocked`: who was refused, by which limit of which policy, and for how long.
#[derive(Serialize)]
struct Blocked<'a> {
    sub: &'a str,
    model: &'a str,
    policy: Option<&'a PolicyKey>,
    limit: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The report gets what is held, the estimate of the input, and what follows when the reply is over.
pub async fn allow(
    shared: &Shared,
    effective: &Effective,
    asking: &Asking<'_>,
    report: &mut Report,
) -> Result<(), Refusal> {
    let text_bytes = asking.prompt.text_bytes();
    report.input_estimate = text_bytes as u64 / BYTES_PER_TOKEN;
    if effective.limits.is_empty() && effective.audited.iter().all(|audited| audited.would_be.limits.is_empty()) {
        return Ok(());
    }
    let Limits { gate, recents } = &shared.limits;
    let (estimate, lesson) = recents.estimate(asking.asked(text_bytes));
    report.aftermath.lesson = Some(lesson);
    report.input_estimate = estimate.uncached;
    asking.try_audited(gate, effective, estimate, report);
    let needs = Needs::of(&effective.limits, estimate);
    let passed = match check_request(&effective.limits, estimate, asking.wish()) {
        Err(over) => Err(over),
        Ok(()) if needs.is_empty() => Ok(None),
        Ok(()) => gate.pass(asking.subject, &needs).await.map(Some),
    };
    match passed {
        Ok(held) => {
            report.held = held;
            Ok(())
        }
        Err(over) => {
            asking.blocked(shared, effective, over);
            Err(Refusal::OverLimit(over))
        }
    }
}

impl Asking<'_> {
    fn asked(&self, text_bytes: usize) -> Asked<'_> {
        Asked { subject: self.subject, model: &self.model.model, text_bytes, max_tokens: self.prompt.max_tokens }
    }

    fn wish(&self) -> Wish {
        let context = self.model.context_tokens.filter(|_| !asks_for_another_context(self.headers));
        Wish { max_tokens: self.prompt.max_tokens, context }
    }

    /// On limits that only a policy's trial counts: the person's own are somebody else's words. Whom it would have refused
    /// already would not have come so far.
    fn try_audited(&self, gate: &Arc<Gate>, effective: &Effective, estimate: Estimate, report: &mut Report) {
        let trials = effective.audited.iter().zip(&mut report.audited).enumerate();
        for (place, (Audited { policy, would_be }, verdict)) in trials.filter(|(_, (_, verdict))| verdict.is_grant()) {
            let needs = Needs::of(&would_be.limits, estimate);
            match check_request(&would_be.limits, estimate, self.wish()) {
                Err(over) => verdict.verdict = over.key(),
                Ok(()) if needs.is_empty() => {}
                Ok(()) => {
                    let trial = Trial::begin(gate, trial_of(self.subject, policy), needs);
                    report.aftermath.trials.push((place, trial));
                }
            }
        }
    }

    fn blocked(&self, shared: &Shared, effective: &Effective, over: OverLimit) {
        shared.metrics.limit_refused(over.key());
        let retry_after = match over.advice() {
            Advice::Wait(seconds) => Some(seconds),
            Advice::Change | Advice::Stop => None,
        };
        let blocked = Blocked {
            sub: &self.subject.0,
            model: &self.model.model,
            policy: effective.applied(),
            limit: over.key(),
            reason: over.to_string(),
            retry_after,
        };
        shared.audit.event("tokens.blocked", self.request_id, blocked);
    }
}

/// A person's name under which a policy on trial counts; a control character, so that no provider's name is one.
fn trial_of(subject: &Subject, policy: &PolicyKey) -> Subject {
    Subject(format!("{}\u{1f}{policy}", subject.0))
}

/// `context-1m-2025-08-07`, and those that are still to come.
fn asks_for_another_context(headers: &HeaderMap) -> bool {
    let lists = headers.get_all("anthropic-beta").iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|beta| beta.trim_start().starts_with("context-"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_beta_for_another_context_is_found_in_any_of_the_lists() {
        let asks = |lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append("anthropic-beta", HeaderValue::from_static(list));
            }
            asks_for_another_context(&headers)
        };
        assert!(asks(&["claude-code-20250219, context-1m-2025-08-07"]));
        assert!(asks(&["claude-code-20250219", "context-4m-2027-01-01"]));
        assert!(!asks(&["claude-code-20250219,long-context"]) && !asks(&[]));
    }

    #[test]
    fn a_trial_counts_under_a_name_that_is_nobodys() {
        let trial = trial_of(&Subject("alice".to_owned()), &PolicyKey("strict".into()));
        assert_eq!(trial.0, "alice\u{1f}strict");
    }
}
