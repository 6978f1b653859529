//! The APIs that a cluster may lack, and may get later.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use kube::{
    Client,
    core::{ApiResource, GroupVersionKind},
};

/// A kind that somebody else's CRD brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionalApi {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    /// Who brings it, for a message.
    pub brought_by: &'static str,
}

impl OptionalApi {
    pub fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }
}

/// Which of them are there.
#[derive(Debug)]
pub struct Discovery {
    present: RwLock<BTreeMap<OptionalApi, bool>>,
}

impl Discovery {
    pub fn of(optional: &[OptionalApi]) -> Self {
        Self { present: RwLock::new(optional.iter().map(|api| (*api, false)).collect()) }
    }

    pub fn has(&self, api: &OptionalApi) -> bool {
        self.present.read().unwrap_or_else(PoisonError::into_inner).get(api).copied().unwrap_or(false)
    }

    /// Looks at each and returns those that came since the last look. A group that cannot be asked about stays as it was.
    pub async fn look(&self, client: &Client) -> Vec<OptionalApi> {
        let known: Vec<OptionalApi> =
            self.present.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        let mut came = Vec::new();
        for api in known {
            let Some(present) = served(client, &api).await else { continue };
            let before = self.present.write().unwrap_or_else(PoisonError::into_inner).insert(api, present);
            if present && before == Some(false) {
                came.push(api);
            }
        }
        came
    }
}

async fn served(client: &Client, api: &OptionalApi) -> Option<bool> {
    let version = format!("{}/{}", api.group, api.version);
    match client.list_api_group_resources(&version).await {
        Ok(list) => Some(list.resources.iter().any(|resource| resource.name == api.plural)),
        Err(kube::Error::Api(status)) if status.code == 404 => Some(false),
        Err(error) => {
            tracing::warn!(%error, group = api.group, "an optional API could not be looked for");
            None
        }
    }
}
