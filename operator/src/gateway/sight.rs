//! What a gateway's objects, and those it refers to, were when they were read or written last: nobody asks the API server again
//! while a watch that would have told of a change has not.
//!
//! Invariant: an object is remembered only while a watch listens whose selection holds it, in exactly the version that the
//! watch speaks of; that an object is absent, only until the watch speaks of it. What is remembered is a reason to do nothing,
//! never to write: before a write all of the gateway's own objects are read afresh. Nothing here can be printed: it holds Secrets.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crds::{ClaudeGateway, PERMITTED_USE};
use kube::{Api, Client, Resource, ResourceExt, api::ObjectMeta};
use serde::{Serialize, de::DeserializeOwned};

use super::kinds::{self, Kind};
use crate::engine::{controller::mark, scope::Scope};

/// Everything is read afresh after this, in case a watch has missed something.
const STANDS_FOR: Duration = Duration::from_secs(600);

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

/// The same for one gateway, with the way to read what is not remembered.
pub struct Sight<'a> {
    sights: &'a Sights,
    pub client: &'a Client,
    uid: String,
}

/// An object, or that there is none.
#[derive(Debug)]
pub struct Seen<K> {
    pub object: Option<K>,
    /// It was not asked for just now.
    pub is_remembered: bool,
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
        version: Option<String>,
        object: Vec<u8>,
    },
    Absent,
}

impl Sights {
    /// Of a gateway that is another than it was, or has been looked at long ago, nothing is remembered.
    pub fn of<'a>(&'a self, client: &'a Client, gateway: &ClaudeGateway, now: Instant) -> Sight<'a> {
        let (uid, mark) = (gateway.uid().unwrap_or_default(), mark(gateway.meta()));
        let mut state = self.state();
        let holds = |known: &Remembered| known.mark == mark && now.duration_since(known.since) < STANDS_FOR;
        if !state.gateways.get(&uid).is_some_and(holds) {
            let namespace = gateway.namespace().unwrap_or_default();
            let fresh = Remembered { namespace, mark, since: now, objects: HashMap::new() };
            state.gateways.insert(uid.clone(), fresh);
        }
        Sight { sights: self, client, uid }
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
                Some(Known::Absent) if is_gone => is_news = false,
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
    pub async fn get<K>(&self, watched: Watched, api: &Api<K>, name: &str) -> Result<Seen<K>, kube::Error>
    where
        K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        match self.remembered(watched, name) {
            Some(object) => Ok(Seen { object, is_remembered: true }),
            None => Ok(Seen { object: self.read(watched, api, name).await?, is_remembered: false }),
        }
    }

    pub async fn read<K>(&self, watched: Watched, api: &Api<K>, name: &str) -> Result<Option<K>, kube::Error>
    where
        K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let asked = self.asks(watched, name);
        let object = api.get_opt(name).await?;
        self.answered(watched, name, asked, object.as_ref());
        Ok(object)
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

    pub fn answered<K: Resource + Clone + Serialize>(
        &self,
        watched: Watched,
        name: &str,
        asked: u64,
        object: Option<&K>,
    ) {
        let mut state = self.sights.state();
        let Some(gateway) = state.gateways.get(&self.uid) else { return };
        let listens = state.listens(watched, &gateway.namespace);
        let Some(gateway) = state.gateways.get_mut(&self.uid) else { return };
        let key = (watched, name.to_owned());
        // Asked anew, or the watch began anew.
        let Some(Known::Asked { number, heard }) = gateway.objects.get(&key) else { return };
        if *number != asked {
            return;
        }
        let version = object.and_then(|object| object.meta().resource_version.clone());
        let is_newest = heard.as_ref().is_none_or(|heard| *heard == version);
        let known = match object {
            _ if !listens || !is_newest => None,
            None => Some(Known::Absent),
            Some(object) if !watched.selects(object.meta()) => None,
            Some(object) => written(object).map(|object| Known::Read { version, object }),
        };
        match known {
            Some(known) => drop(gateway.objects.insert(key, known)),
            None => drop(gateway.objects.remove(&key)),
        }
    }

    fn remembered<K: DeserializeOwned>(&self, watched: Watched, name: &str) -> Option<Option<K>> {
        match self.sights.state().gateways.get(&self.uid)?.objects.get(&(watched, name.to_owned()))? {
            Known::Asked { .. } => None,
            Known::Read { object, .. } => serde_json::from_slice(object).ok().map(Some),
            Known::Absent => Some(None),
        }
    }
}

impl Watched {
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

/// In little space. Who owns which field is asked for only before a write.
fn written<K: Resource + Clone + Serialize>(object: &K) -> Option<Vec<u8>> {
    let mut object = object.clone();
    object.meta_mut().managed_fields = None;
    serde_json::to_vec(&object).ok()
}

#[cfg(test)]
#[path = "sight/tests.rs"]
mod tests;
