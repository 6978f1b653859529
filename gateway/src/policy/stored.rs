//! Policies from rows (`managed.source: store`).
//!
//! Invariant: a revision is taken whole or not at all. One document that cannot be read keeps the whole set of before, said
//! once with its key; nobody is let go because a denial could not be read.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_config::{ConfigErrors, Policy};
use serde_json::json;

use super::{LivePolicies, PolicyKey, PolicySet, Revision};
use crate::{
    store::{Store, StoreError, policy::UnverifiedSet},
    telemetry::Audit,
};

#[derive(Debug, thiserror::Error)]
#[error("policy {key} of revision {revision} is not valid: {}", in_one_line(errors))]
pub struct BadPolicy {
    pub key: PolicyKey,
    pub revision: Revision,
    pub errors: ConfigErrors,
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
    /// The revision that was refused last: it is not read again.
    refused: Mutex<Option<Revision>>,
}

impl StoredPolicies {
    /// Reads the set that stands; a process that has none to fall back on does not begin with a bad one.
    pub async fn open(store: Arc<Store>, audit: Audit) -> Result<Self, StoredPoliciesError> {
        let set = Self::read(&store).await?;
        if set.revision() == Revision::default() {
            tracing::warn!("managed.source is store, and nobody has written policies yet: none apply");
        }
        Ok(Self { live: Arc::new(LivePolicies::new(set)), store, audit, refused: Mutex::default() })
    }

    /// The set that stands now.
    pub async fn read(store: &Store) -> Result<PolicySet, StoredPoliciesError> {
        Ok(verified(store.policies().await?)?)
    }

    pub fn live(&self) -> &Arc<LivePolicies> {
        &self.live
    }

    /// Takes what stands if `head` is not what is served; a head that went back is a database that was restored. True where
    /// another revision holds now.
    pub async fn catch_up(&self, head: Revision) -> Result<bool, StoreError> {
        if head == self.live.revision() {
            // The bad revision was taken back.
            self.live.taken();
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Ok(false);
        }
        if *self.refused.lock().unwrap_or_else(PoisonError::into_inner) == Some(head) {
            return Ok(false);
        }
        // The newest at this moment, which may be newer than `head`.
        Ok(self.take(self.store.policies().await?))
    }

    fn take(&self, unverified: UnverifiedSet) -> bool {
        let (revision, policies) = (unverified.revision, unverified.rows.len());
        let fields =
            |outcome: &str| json!({"source": "store", "outcome": outcome, "revision": revision, "policies": policies});
        match verified(unverified) {
            Ok(set) => {
                self.live.replace(set);
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
                tracing::info!(%revision, policies, "other policies hold");
                self.audit.event("policy.reload", "", fields("taken"));
                true
            }
            Err(error) => {
                self.live.refused();
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(revision);
                tracing::error!(%error, "the stored policies are not valid; the old ones stay");
                let mut fields = fields("refused");
                fields["policy"] = json!(error.key);
                self.audit.event("policy.reload", "", fields);
                false
            }
        }
    }
}

fn verified(unverified: UnverifiedSet) -> Result<PolicySet, BadPolicy> {
    let UnverifiedSet { revision, rows } = unverified;
    let policies = rows.into_iter().map(|(key, document)| match Policy::from_document(&document) {
        Ok(policy) => Ok((key, policy)),
        Err(errors) => Err(BadPolicy { key, revision, errors }),
    });
    Ok(PolicySet::new(revision, policies.collect::<Result<_, _>>()?))
}

fn in_one_line(errors: &ConfigErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
