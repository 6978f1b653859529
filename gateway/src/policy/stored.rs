//! Policies from rows (`managed.source: store`).
//!
//! Invariant: a revision is taken whole or not at all. One document that cannot be read keeps the whole set of before, said
//! once with its key; nobody is let go because a denial could not be read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_config::{ConfigErrors, Policy, PolicyMode, Warning};
use serde_json::{Value, json};

use super::{LivePolicies, PolicyKey, PolicySet, Revision};
use crate::{
    store::{
        Store, StoreError,
        policy::{PolicyHead, UnverifiedSet},
    },
    telemetry::Audit,
};

#[derive(Debug, thiserror::Error)]
#[error("policy {key} of revision {revision} is not valid: {problem}")]
pub struct BadPolicy {
    pub key: PolicyKey,
    pub revision: Revision,
    pub problem: String,
}

#[derive(Debug, thiserror::Error)]
pub enum StoredPoliciesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bad(#[from] BadPolicy),
}

pub struct StoredPolicies {
    live: Arc<LivePolicies>,
    store: Arc<Store>,
    audit: Audit,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    served: PolicyHead,
    /// What was refused last: it is not read again.
    refused: Option<PolicyHead>,
    /// The last reading failed, and it was said.
    unread: bool,
}

/// A whole revision that holds from now on.
struct Verified {
    head: PolicyHead,
    set: PolicySet,
    warnings: Vec<(PolicyKey, Warning)>,
}

impl StoredPolicies {
    /// Reads the set that stands; a process that has none to fall back on does not begin with a bad one.
    pub async fn open(store: Arc<Store>, audit: Audit) -> Result<Self, StoredPoliciesError> {
        let verified = verified(store.policies().await?)?;
        if verified.head.revision == Revision::default() {
            tracing::warn!("managed.source is store, and nobody has written policies yet: none apply");
        }
        verified.warn();
        let seen = Seen { served: verified.head, ..Seen::default() };
        Ok(Self { live: Arc::new(LivePolicies::new(verified.set)), store, audit, seen: Mutex::new(seen) })
    }

    /// The set that stands now.
    pub async fn read(store: &Store) -> Result<PolicySet, StoredPoliciesError> {
        Ok(verified(store.policies().await?)?.set)
    }

    pub fn live(&self) -> &Arc<LivePolicies> {
        &self.live
    }

    /// Takes what stands if `head` is not what is served; a head that went back is a database that was restored. True where
    /// another set holds now. What cannot be read is said once and tried again at the next look.
    pub async fn catch_up(&self, head: &PolicyHead) -> bool {
        if self.knows(head) {
            return false;
        }
        // The newest at this moment, which may be newer than `head`.
        match self.store.policies().await {
            Ok(unverified) => self.take(unverified),
            Err(error) => {
                self.live.refused();
                if !std::mem::replace(&mut self.seen().unread, true) {
                    tracing::error!(?error, "the newest policies could not be read; the old ones stay");
                }
                false
            }
        }
    }

    fn knows(&self, head: &PolicyHead) -> bool {
        let mut seen = self.seen();
        if seen.served == *head {
            // What was refused was taken back.
            (seen.refused, seen.unread) = (None, false);
            self.live.taken();
            return true;
        }
        seen.refused.as_ref() == Some(head)
    }

    fn take(&self, unverified: UnverifiedSet) -> bool {
        let (head, policies) = (unverified.head.clone(), unverified.rows.len());
        let revision = head.revision;
        let fields =
            |outcome: &str| json!({"source": "store", "outcome": outcome, "revision": revision, "policies": policies});
        match verified(unverified) {
            Ok(verified) => {
                verified.warn();
                self.live.replace(verified.set);
                *self.seen() = Seen { served: head, ..Seen::default() };
                tracing::info!(%revision, policies, "other policies hold");
                self.audit.event("policy.reload", "", fields("taken"));
                true
            }
            Err(error) => {
                self.live.refused();
                let mut seen = self.seen();
                (seen.refused, seen.unread) = (Some(head), false);
                drop(seen);
                tracing::error!(%error, "the stored policies are not valid; the old ones stay");
                let mut fields = fields("refused");
                fields["policy"] = json!(error.key);
                self.audit.event("policy.reload", "", fields);
                false
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verified {
    fn warn(&self) {
        for (policy, warning) in &self.warnings {
            tracing::warn!(%policy, "{warning}");
        }
    }
}

fn verified(unverified: UnverifiedSet) -> Result<Verified, BadPolicy> {
    let UnverifiedSet { head, rows } = unverified;
    let (mut policies, mut warnings): (Vec<(PolicyKey, Policy)>, _) = (Vec::new(), Vec::new());
    for (key, document) in rows {
        let bad = |problem| BadPolicy { key: key.clone(), revision: head.revision, problem };
        let (policy, more) = judged(&document).map_err(bad)?;
        if let Some(other) = policies.iter().find(|(_, other)| both_are_the_base(other, &policy)) {
            return Err(bad(format!("match is empty, and so is that of {} in the same mode", other.0)));
        }
        warnings.extend(more.into_iter().map(|warning| (key.clone(), warning)));
        policies.push((key, policy));
    }
    Ok(Verified { set: PolicySet::new(head.revision, policies), head, warnings })
}

fn judged(document: &str) -> Result<(Policy, Vec<Warning>), String> {
    let document: Value =
        serde_json::from_str(document).map_err(|error| format!("document cannot be read: {error}"))?;
    Policy::judged(&document).map_err(|errors| in_one_line(&errors))
}

/// One that is enforced and one on trial stand beside each other.
fn both_are_the_base(one: &Policy, other: &Policy) -> bool {
    let mode = |policy: &Policy| policy.matcher.is_base().then_some(policy.mode == PolicyMode::Audit);
    mode(one).is_some() && mode(one) == mode(other)
}

fn in_one_line(errors: &ConfigErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, &str)]) -> Result<Verified, BadPolicy> {
        let rows = rows.iter().map(|(key, document)| (PolicyKey((*key).into()), (*document).to_owned())).collect();
        verified(UnverifiedSet { head: PolicyHead::default(), rows })
    }

    #[test]
    fn a_document_that_no_reader_takes_is_named() {
        let deep = format!(r#"{{"match":{{}},"code":{}1{}}}"#, r#"{"a":"#.repeat(500), "}".repeat(500));
        for bad in [r#"{"match": {}, "limits": {"tokens_per_day": 1e999}}"#, &deep] {
            let refused = of(&[("good", r#"{"match": {"groups": ["a"]}}"#), ("bad", bad)]).err().unwrap();
            assert_eq!(&*refused.key.0, "bad");
        }
    }

    #[test]
    fn a_second_base_of_one_mode_is_named() {
        let (base, trial) = (r#"{"match": {}}"#, r#"{"match": {}, "mode": "audit"}"#);
        assert_eq!(of(&[("a", base), ("b", trial)]).ok().unwrap().set.len(), 2);
        for (first, second) in [(base, base), (trial, trial)] {
            let refused = of(&[("a", first), ("b", second)]).err().unwrap();
            assert!(&*refused.key.0 == "b" && refused.problem.contains(" a "), "{refused}");
        }
    }
}
