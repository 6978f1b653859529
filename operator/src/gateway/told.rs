//! What each gateway was told last. The watch brings a status back only later, and whoever compared with what it brought before
//! could take a status that stands no more for the one that stands, and leave an older truth there.
//!
//! Nobody's watch is late for long, and a store that was restored to an older state counts from there again: so this is
//! forgotten soon.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crds::{ClaudeGateway, ClaudeGatewayStatus};
use kube::{Resource, ResourceExt, api::ObjectMeta};

const HOLDS_FOR: Duration = Duration::from_secs(60);

/// By UID.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<String, Last>>);

#[derive(Debug)]
struct Last {
    at: Instant,
    version: u64,
    status: ClaudeGatewayStatus,
}

impl Told {
    /// The status as it stands: the object's own, or what was written since the object was read.
    pub fn status(&self, gateway: &ClaudeGateway) -> Option<ClaudeGatewayStatus> {
        let read = version(gateway.meta());
        let told = self.told();
        match gateway.uid().and_then(|uid| told.get(&uid)) {
            Some(last) if last.at.elapsed() < HOLDS_FOR && read.is_some_and(|read| read < last.version) => {
                Some(last.status.clone())
            }
            _ => gateway.status.clone(),
        }
    }

    /// `answer` is what the API server has of the object since the status was written.
    pub fn note(&self, answer: &ObjectMeta, status: &ClaudeGatewayStatus) {
        let Some((uid, version)) = answer.uid.clone().zip(version(answer)) else { return };
        self.told().insert(uid, Last { at: Instant::now(), version, status: status.clone() });
    }

    /// The gateway is gone.
    pub fn forget(&self, uid: &str) {
        self.told().remove(uid);
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that grows (Kubernetes enhancement 5504).
fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_ref()?.parse().ok()
}
