//! Writes the set, if it is another than the one that stands, and asks who enforces it.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::{Policies, build::Set, memory::Memory};
use crate::store::{GatewayStore, StoreError};

/// A set that stands in the store.
pub struct Applied {
    /// By key, the revision that brought each policy as it is.
    pub changed_in: Arc<HashMap<String, i64>>,
    /// The revision that each live pod enforces.
    pub pods: Vec<i64>,
    /// Whether there have been so many pods for a while.
    pub pods_have_settled: bool,
    pub people: Arc<HashMap<String, i64>>,
    pub revision: i64,
}

impl Applied {
    pub fn enforcing(&self, revision: i64) -> usize {
        self.pods.iter().filter(|served| **served >= revision).count()
    }

    pub fn is_enforced_everywhere(&self) -> bool {
        self.enforcing(self.revision) == self.pods.len()
    }
}

pub async fn apply(
    context: &Policies,
    store: &Arc<GatewayStore>,
    set: &Set,
    memory: &mut Memory,
) -> Result<Applied, StoreError> {
    let mut head = store.policy_head().await?;
    let changed_in = match memory.standing(store, &set.marks, &head) {
        Some(changed_in) => changed_in,
        None => {
            let leads = context.fence.pass(Instant::now());
            leads.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let written = store.replace_policies(&set.rows).await?;
            let changed_in = Arc::new(written.changed_in);
            head = written.head;
            memory.wrote(store, set.marks.clone(), head.clone(), changed_in.clone());
            if written.changed {
                tracing::info!(
                    schema = store.schema(),
                    revision = head.revision,
                    policies = set.rows.len(),
                    "policies written"
                );
            }
            changed_in
        }
    };
    let pods: Vec<_> = store.live_pods().await?.iter().map(|pod| pod.policy_revision).collect();
    let people = match memory.people() {
        Some(people) => people,
        None => memory.counted(store.people().await?),
    };
    let pods_have_settled = memory.saw_pods(&pods);
    Ok(Applied { changed_in, pods, pods_have_settled, people, revision: head.revision })
}
