//! Which policies each gateway has, kept in step by the watches.
//!
//! Invariant: a policy is under one gateway, the one it names. What a change may touch is said when it is put in, so nobody
//! searches ten thousand policies for it. It is [whole](Index::is_whole) when every first list was read; until then nobody makes
//! a set from it, since that would lack policies and let people go.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crds::{ClaudeGateway, UserPolicyStatus};
use kube::{Resource, core::DynamicObject};

use super::candidate::{Candidate, is_paused};
use crate::store::GatewayName;

#[derive(Default)]
pub struct Index {
    policies: HashMap<GatewayName, BTreeMap<String, Arc<Candidate>>>,
    /// By key of the policy.
    places: HashMap<String, GatewayName>,
    gateways: HashMap<GatewayName, Arc<Gateway>>,
    /// First lists that are not read yet, once it is known how many there are.
    unread: Option<usize>,
}

/// What of a gateway its policies depend on.
pub enum Gateway {
    Read(Box<ClaudeGateway>),
    /// It cannot be read: what stands stays until it can.
    Malformed,
}

impl Gateway {
    /// Nothing is changed for its policies.
    pub fn is_at_rest(&self) -> bool {
        match self {
            Self::Read(gateway) => is_paused(gateway.meta()),
            Self::Malformed => true,
        }
    }
}

impl Index {
    pub fn awaits(&mut self, lists: usize) {
        self.unread = Some(lists);
    }

    pub fn has_read_a_first_list(&mut self) {
        self.unread = self.unread.map(|unread| unread.saturating_sub(1));
    }

    pub fn is_whole(&self) -> bool {
        self.unread == Some(0)
    }

    pub fn gateway(&self, name: &GatewayName) -> Option<Arc<Gateway>> {
        self.gateways.get(name).cloned()
    }

    /// In the order of their keys.
    pub fn policies(&self, gateway: &GatewayName) -> Vec<Arc<Candidate>> {
        self.policies.get(gateway).map(|policies| policies.values().cloned().collect()).unwrap_or_default()
    }

    /// Gateways that there are, and those that policies name.
    pub fn names(&self) -> HashSet<GatewayName> {
        self.gateways.keys().chain(self.policies.keys()).cloned().collect()
    }

    /// The gateway to look at, if it matters to it.
    pub fn put_policy(&mut self, object: DynamicObject) -> Option<GatewayName> {
        let key = key(&object);
        // Somebody's finalizer keeps the object; its policy has ended.
        if object.metadata.deletion_timestamp.is_some() {
            return self.remove_policy(&key);
        }
        let place = self.places.get(&key).cloned();
        let before = place.as_ref().and_then(|gateway| self.policies.get(gateway)?.get(&key).cloned());
        let candidate = Candidate::read(object, before.as_deref());
        if place.as_ref().is_some_and(|place| *place != candidate.gateway) {
            // Deleted and made anew for another gateway, which was not heard of.
            self.remove_policy(&key);
        }
        let gateway = candidate.gateway.clone();
        let matters = before.is_none_or(|before| before.differs(&candidate) || before.gateway != gateway);
        self.places.insert(key.clone(), gateway.clone());
        self.policies.entry(gateway.clone()).or_default().insert(key, Arc::new(candidate));
        matters.then_some(gateway)
    }

    pub fn remove_policy(&mut self, key: &str) -> Option<GatewayName> {
        let gateway = self.places.remove(key)?;
        let policies = self.policies.get_mut(&gateway)?;
        policies.remove(key);
        if policies.is_empty() {
            self.policies.remove(&gateway);
        }
        Some(gateway)
    }

    pub fn put_gateway(&mut self, object: DynamicObject) -> Option<GatewayName> {
        let name = gateway_name(&object);
        let gateway = match object.try_parse::<ClaudeGateway>() {
            Ok(gateway) => Gateway::Read(Box::new(gateway)),
            Err(_) => Gateway::Malformed,
        };
        let matters = match (self.gateways.get(&name).map(AsRef::as_ref), &gateway) {
            (Some(Gateway::Read(before)), Gateway::Read(now)) => {
                before.spec.policies != now.spec.policies
                    || before.metadata.uid != now.metadata.uid
                    || is_paused(&before.metadata) != is_paused(&now.metadata)
            }
            _ => true,
        };
        self.gateways.insert(name.clone(), Arc::new(gateway));
        matters.then_some(name)
    }

    pub fn remove_gateway(&mut self, name: &GatewayName) -> Option<GatewayName> {
        self.gateways.remove(name).map(|_| name.clone())
    }

    /// What a list of one scope did not hold is gone; `holds` says what it is a list of.
    pub fn keep_policies(&mut self, listed: &HashSet<String>, holds: impl Fn(&str) -> bool) -> Vec<GatewayName> {
        let gone = |key: &&String| !listed.contains(*key) && key.split_once('/').is_some_and(|(place, _)| holds(place));
        let gone: Vec<_> = self.places.keys().filter(gone).cloned().collect();
        gone.iter().filter_map(|key| self.remove_policy(key)).collect()
    }

    pub fn keep_gateways(&mut self, listed: &HashSet<String>, holds: impl Fn(&str) -> bool) -> Vec<GatewayName> {
        let gone = |name: &&GatewayName| !listed.contains(&name.to_string()) && holds(&name.namespace);
        let gone: Vec<_> = self.gateways.keys().filter(gone).cloned().collect();
        gone.iter().filter_map(|name| self.remove_gateway(name)).collect()
    }

    /// What was just written, until the watch says it too.
    pub fn note_status(&mut self, written: &Candidate, status: UserPolicyStatus) {
        let policies = self.policies.get_mut(&written.gateway);
        let Some(known) = policies.and_then(|policies| policies.get_mut(&written.key())) else { return };
        if known.metadata.uid == written.metadata.uid {
            let Candidate { metadata, gateway, reading, status: _ } = known.as_ref();
            let (metadata, gateway, reading) = (metadata.clone(), gateway.clone(), reading.clone());
            *known = Arc::new(Candidate { metadata, gateway, reading, status });
        }
    }
}

/// `namespace/name`
pub fn key(object: &DynamicObject) -> String {
    gateway_name(object).to_string()
}

pub fn gateway_name(object: &DynamicObject) -> GatewayName {
    let metadata = &object.metadata;
    GatewayName {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(key: &str, generation: i64, gateway: &str) -> DynamicObject {
        let (namespace, name) = key.split_once('/').unwrap();
        serde_json::from_value(json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy",
            "metadata": {"namespace": namespace, "name": name, "uid": key, "generation": generation},
            "spec": {"gatewayRef": {"name": gateway, "namespace": "platform"}},
        }))
        .unwrap()
    }

    fn named(name: &str) -> GatewayName {
        GatewayName { namespace: "platform".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn only_what_may_change_a_set_is_a_reason_to_look() {
        let mut index = Index::default();
        assert_eq!(index.put_policy(policy("a/one", 1, "g")), Some(named("g")));
        let mut with_status = policy("a/one", 1, "g");
        with_status.data["status"] = json!({"revision": 4});
        assert_eq!(index.put_policy(with_status), None);
        assert_eq!(index.policies(&named("g"))[0].status.revision, Some(4));
        assert_eq!(index.put_policy(policy("a/one", 2, "g")), Some(named("g")));
        let mut paused = policy("a/one", 2, "g");
        paused.metadata.annotations = Some([("claude-gateway.dev/paused".to_owned(), "true".to_owned())].into());
        assert_eq!(index.put_policy(paused), Some(named("g")));
    }

    #[test]
    fn what_a_list_does_not_hold_is_gone_in_its_own_scope() {
        let mut index = Index::default();
        for key in ["a/one", "a/two", "b/three"] {
            index.put_policy(policy(key, 1, "g"));
        }
        let gone = index.keep_policies(&HashSet::from(["a/one".to_owned()]), |namespace| namespace == "a");
        assert_eq!(gone, [named("g")]);
        let left: Vec<_> = index.policies(&named("g")).iter().map(|policy| policy.key()).collect();
        assert_eq!(left, ["a/one", "b/three"]);
    }

    #[test]
    fn a_policy_that_ends_leaves_its_gateway_at_once() {
        let mut index = Index::default();
        index.put_policy(policy("a/one", 1, "g"));
        let mut ending = policy("a/one", 2, "g");
        ending.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(index.put_policy(ending), Some(named("g")));
        assert!(index.policies(&named("g")).is_empty() && index.names().is_empty());
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_still_somebodys() {
        let mut index = Index::default();
        let mut bad = policy("a/one", 1, "g");
        bad.data["spec"]["priority"] = json!("high");
        assert_eq!(index.put_policy(bad), Some(named("g")));
        assert!(index.policies(&named("g"))[0].may_keep_what_stands());
    }
}
