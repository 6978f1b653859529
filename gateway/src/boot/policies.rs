//! The policies that a pod begins with, and where newer ones will come from.

use std::sync::Arc;

use anyhow::Context;
use gateway_config::{Managed, PolicySource};

use super::rooms::Foundation;
use crate::policy::{LivePolicies, PolicySet, Revision, StoredPolicies};

/// The policies that hold.
pub(super) struct Policies {
    pub(super) live: Arc<LivePolicies>,
    /// Where they are rows; `None`: they come from the file.
    pub(super) stored: Option<StoredPolicies>,
}

impl Policies {
    /// What the file's policies go into when it changes, if that is where they come from. It may get its first ones while the
    /// process runs.
    pub(super) fn of_file(&self) -> Option<Arc<LivePolicies>> {
        self.stored.is_none().then(|| self.live.clone())
    }
}

impl Foundation {
    pub(super) async fn policies(&self, managed: Option<&Managed>) -> anyhow::Result<Policies> {
        let live = match managed {
            None => LivePolicies::none(),
            Some(Managed { source: PolicySource::File, policies }) => {
                LivePolicies::new(PolicySet::of_file(Revision(1), policies))
            }
            Some(Managed { source: PolicySource::Store, .. }) => {
                let stored = StoredPolicies::open(self.store.clone(), self.audit.clone()).await;
                let stored = stored.context("managed.source")?;
                return Ok(Policies { live: stored.live().clone(), stored: Some(stored) });
            }
        };
        Ok(Policies { live: Arc::new(live), stored: None })
    }
}
