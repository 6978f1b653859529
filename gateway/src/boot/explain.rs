//! `claude-gateway explain`: what a pod with this configuration would decide, without being one.

use anyhow::Context;
use gateway_config::{Config, Managed, PolicySource, Store as StoreConfig};

use crate::{
    admin::{Explained, Explainer, Question},
    inference::{Catalogue, Models},
    policy::{LivePolicies, PolicySet, Revision, StoredPolicies},
    store::Store,
};

/// Reads with the pod's own rights and changes nothing. Where the policies are in the file, a store that is away only means
/// that sessions and what is used stay unknown.
pub async fn explain(config: &Config, question: &Question, warn: impl Fn(String)) -> anyhow::Result<Explained> {
    let store = Store::open(&StoreConfig { migrate: false, ..config.store.clone() }).await.context("store");
    let (policies, store) = match &config.managed {
        Some(Managed { source: PolicySource::Store, .. }) => {
            let store = store?;
            (StoredPolicies::read(&store).await.context("managed.source")?, Some(store))
        }
        Some(Managed { source: PolicySource::File, policies }) => {
            (PolicySet::of_file(Revision(1), policies), unless_away(store, warn))
        }
        None => (PolicySet::default(), unless_away(store, warn)),
    };
    let models = Models::new(config, &Catalogue::builtin())?;
    let explainer = Explainer { policies: &LivePolicies::new(policies), models: &models, store: store.as_deref() };
    explainer.explain(question).await.context("store")
}

fn unless_away<T>(store: anyhow::Result<T>, warn: impl Fn(String)) -> Option<T> {
    store.map_err(|error| warn(format!("sessions and what is used stay unknown: {error:#}"))).ok()
}
