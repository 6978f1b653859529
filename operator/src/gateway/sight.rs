//! What a gateway's objects, and those it refers to, were when they were read or written last: nobody asks the API server again
//! while a watch that would have told of a change has not.
//!
//! Invariant: an object is remembered only while a watch listens whose selection holds it, in exactly the version that the
//! watch speaks of; that an object is absent, only where the watch would speak of whatever came. What is remembered is a
//! reason to write no object, never one to write any: whoever has something to write and [was told from
//! memory](Sight::has_remembered) [begins anew](Sight::begin_anew), and reads. Nothing here can be printed: it holds Secrets.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crds::{ClaudeGateway, PERMITTED_USE};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, ObjectMeta},
    core::DynamicObject,
};
use serde::de::DeserializeOwned;

use super::kinds::{self, Kind};
use crate::engine::{controller::mark, scope::Scope};

/// Everything is read afresh after this, in case a watch has missed something.
const STANDS_FOR: Duration = Duration::from_secs(300);
/// What is larger is read each time: whoever writes Secrets and ConfigMaps does not decide how much is kept here.
const LARGEST: usize = 64 * 1024;

/// The watch that would tell of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Watched {
    Owned(Kind),
    /// Secrets whose owner permits their use.
    Permitted,
    ConfigMaps,
}

/// What is remembered of all gateways.
#[derive(Default)]
pub struct Sights(Mutex<State>);

/// The same for one gateway at one look, with the way to read what is not remembered.
pub struct Sight<'a> {
    sights: &'a Sights,
    pub client: &'a Client,
    namespace: String,
    uid: String,
    /// What was asked for later was asked for at this look.
    begun: u64,
    has_remembered: AtomicBool,
}

#[derive(Default)]
struct State {
    listening: HashSet<(Watched, Scope)>,
    /// By UID.
    gateways: HashMap<String, Remembered>,
    asked: u64,
}

struct Remembered {
    namespace: String,
    /// What the gateway itself was.
    mark: u64,
    since: Instant,
    objects: HashMap<(Watched, String), Known>,
}

enum Known {
    /// The answer is on its way; what the watch said meanwhile, a version or that it is gone.
    Asked {
        number: u64,
        heard: Option<Option<String>>,
    },
    Read {
        number: u64,
        version: Option<String>,
        object: Arc<[u8]>,
    },
    Absent {
        number: u64,
    },
}

impl Sights {
    /// Of a gateway that is another than it was, or has been looked at long ago, nothing is remembered.
    pub fn of<'a>(&'a self, client: &'a Client, gateway: &ClaudeGateway, now: Instant) -> Sight<'a> {
        let (uid, mark) = (gateway.uid().unwrap_or_default(), mark(gateway.meta()));
        let namespace = gateway.namespace().unwrap_or_default();
        let mut state = self.state();
        // Also those that are gone, and were looked at once more when they went.
        state.gateways.retain(|_, known| now.saturating_duration_since(known.since) < STANDS_FOR);
        if state.gateways.get(&uid).is_none_or(|known| known.mark != mark) {
            let fresh = Remembered { namespace: namespace.clone(), mark, since: now, objects: HashMap::new() };
            state.gateways.insert(uid.clone(), fresh);
        }
        let begun = state.asked;
        Sight { sights: self, client, namespace, uid, begun, has_remembered: AtomicBool::new(false) }
    }

    /// The gateway is gone.
    pub fn forget(&self, uid: &str) {
        self.state().gateways.remove(uid);
    }

    /// A list is about to be read: what happened before it is not told.
    pub fn lists(&self, watched: Watched, scope: &Scope) {
        let mut state = self.state();
        state.listening.remove(&(watched, scope.clone()));
        state.forget_all(watched, scope);
    }

    /// The list was read. What was asked for meanwhile may be older than that.
    pub fn listens(&self, watched: Watched, scope: &Scope) {
        let mut state = self.state();
        state.forget_all(watched, scope);
        state.listening.insert((watched, scope.clone()));
    }

    /// The watch speaks of an object: of this version, or that it is gone. True unless that was known.
    pub fn heard(&self, watched: Watched, meta: &ObjectMeta, is_gone: bool) -> bool {
        let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.clone().unwrap_or_default());
        let (key, said) = ((watched, name), meta.resource_version.clone().filter(|_| !is_gone));
        let mut is_news = true;
        for gateway in self.state().gateways.values_mut().filter(|gateway| gateway.namespace == namespace) {
            match gateway.objects.get_mut(&key) {
                Some(Known::Asked { heard, .. }) => *heard = Some(said.clone()),
                Some(Known::Read { version, .. }) if !is_gone && *version == said => is_news = false,
                Some(Known::Absent { .. }) if is_gone => is_news = false,
                Some(_) => drop(gateway.objects.remove(&key)),
                None => {}
            }
        }
        is_news
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_all(&mut self, of: Watched, scope: &Scope) {
        for gateway in self.gateways.values_mut().filter(|gateway| scope.holds(&gateway.namespace)) {
            gateway.objects.retain(|(watched, _), _| *watched != of);
        }
    }

    fn listens(&self, watched: Watched, namespace: &str) -> bool {
        let is = |scope| self.listening.contains(&(watched, scope));
        is(Scope::Cluster) || is(Scope::Namespace(namespace.to_owned()))
    }
}

impl Sight<'_> {
    /// As it is remembered, or else as it is.
    pub async fn get<K: DeserializeOwned>(&self, watched: Watched, name: &str) -> Result<Option<K>, kube::Error> {
        if let Some(known) = self.remembered(watched, name) {
            let object = known.map(|object| serde_json::from_slice(&object)).transpose();
            return object.map_err(kube::Error::SerdeError);
        }
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &watched.resource());
        let asked = self.asks(watched, name);
        let object = api.get_opt(name).await?;
        self.answered(watched, name, asked, object.as_ref());
        let read = object.map(|object| serde_json::from_value(serde_json::to_value(object)?)).transpose();
        read.map_err(kube::Error::SerdeError)
    }

    /// Something at this look is what it was at an earlier one.
    pub fn has_remembered(&self) -> bool {
        self.has_remembered.load(Ordering::Relaxed)
    }

    /// From here on everything is read.
    pub fn begin_anew(&self) {
        if let Some(gateway) = self.sights.state().gateways.get_mut(&self.uid) {
            gateway.objects.clear();
        }
        self.has_remembered.store(false, Ordering::Relaxed);
    }

    /// A question or a write begins, which [`answered`](Self::answered) ends. Nothing is remembered until then.
    pub fn asks(&self, watched: Watched, name: &str) -> u64 {
        let mut state = self.sights.state();
        state.asked += 1;
        let number = state.asked;
        if let Some(gateway) = state.gateways.get_mut(&self.uid) {
            gateway.objects.insert((watched, name.to_owned()), Known::Asked { number, heard: None });
        }
        number
    }

    pub fn answered(&self, watched: Watched, name: &str, asked: u64, object: Option<&DynamicObject>) {
        let mut state = self.sights.state();
        let listens = state.listens(watched, &self.namespace);
        let Some(gateway) = state.gateways.get_mut(&self.uid) else { return };
        let key = (watched, name.to_owned());
        // Asked anew, or the watch began anew.
        let Some(Known::Asked { number, heard }) = gateway.objects.get(&key) else { return };
        if *number != asked {
            return;
        }
        let (number, version) = (*number, object.and_then(|object| object.metadata.resource_version.clone()));
        let is_newest = heard.as_ref().is_none_or(|heard| *heard == version);
        let known = match object {
            _ if !listens || !is_newest => None,
            None => watched.tells_of_all().then_some(Known::Absent { number }),
            Some(object) if !watched.selects(&object.metadata) => None,
            Some(object) => written(watched, object).map(|object| Known::Read { number, version, object }),
        };
        match known {
            Some(known) => drop(gateway.objects.insert(key, known)),
            None => drop(gateway.objects.remove(&key)),
        }
    }

    fn remembered(&self, watched: Watched, name: &str) -> Option<Option<Arc<[u8]>>> {
        let state = self.sights.state();
        let (number, object) = match state.gateways.get(&self.uid)?.objects.get(&(watched, name.to_owned()))? {
            Known::Asked { .. } => return None,
            Known::Read { number, object, .. } => (*number, Some(object.clone())),
            Known::Absent { number } => (*number, None),
        };
        if number <= self.begun {
            self.has_remembered.store(true, Ordering::Relaxed);
        }
        Some(object)
    }
}

impl Watched {
    fn resource(self) -> ApiResource {
        match self {
            Self::Owned(kind) => kind.resource(),
            Self::Permitted => ApiResource::erase::<Secret>(&()),
            Self::ConfigMaps => ApiResource::erase::<ConfigMap>(&()),
        }
    }

    /// Whether its watch would tell that an object has come, whatever it is. Of those that a gateway owns the operator is the
    /// one who makes them, and not before it has looked.
    fn tells_of_all(self) -> bool {
        !matches!(self, Self::Permitted)
    }

    /// Whether its watch tells of an object like this.
    fn selects(self, meta: &ObjectMeta) -> bool {
        let label = |name: &str| meta.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
        match self {
            Self::Owned(_) => label(kinds::MANAGED_BY) == Some(kinds::MANAGER) && label(kinds::GATEWAY).is_some(),
            Self::Permitted => label(PERMITTED_USE.0) == Some(PERMITTED_USE.1),
            Self::ConfigMaps => true,
        }
    }
}

/// In little space. Who owns which field matters of Deployments alone, whose number of pods may be another's.
fn written(watched: Watched, object: &DynamicObject) -> Option<Arc<[u8]>> {
    let mut object = object.clone();
    if watched != Watched::Owned(Kind::Deployment) {
        object.metadata.managed_fields = None;
    }
    let written = serde_json::to_vec(&object).ok().filter(|written| written.len() <= LARGEST)?;
    Some(written.into())
}

#[cfg(test)]
#[path = "sight/tests.rs"]
mod tests;
