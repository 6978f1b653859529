//! One revision's policies, ready to be asked: who decides for somebody, and what follows.

use std::sync::Arc;

use gateway_config::{Policy, PolicyMode};
use serde_json::{Map, Value};

use super::{
    Audited, Effective, PolicyKey, Revision,
    document::Delivery,
    matching::{Facts, Numbered, Vocabulary},
    merging, pushed,
};
use crate::identity::Person;

/// Policies in the order in which they are tried. Whatever has an empty match is the base, wherever it stands.
#[derive(Debug, Default)]
pub struct PolicySet {
    revision: Revision,
    entries: Vec<Entry>,
    base: Option<usize>,
    audited_base: Option<usize>,
    vocabulary: Vocabulary,
}

#[derive(Debug)]
struct Entry {
    key: PolicyKey,
    policy: Policy,
    matcher: Numbered,
}

/// Which policies a result is made of, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ground {
    pub(super) matched: Option<usize>,
    pub(super) base: Option<usize>,
}

/// What is enforced, and what each policy in audit mode would make of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decision {
    pub(super) enforced: Ground,
    pub(super) audited: Vec<(usize, Ground)>,
}

impl PolicySet {
    /// The first match wins.
    pub fn new(revision: Revision, policies: Vec<(PolicyKey, Policy)>) -> Self {
        let mut vocabulary = Vocabulary::default();
        let entries: Vec<_> = policies
            .into_iter()
            .map(|(key, policy)| Entry { key, matcher: vocabulary.number(&policy.matcher), policy })
            .collect();
        let base = |mode| entries.iter().position(|entry| entry.policy.matcher.is_base() && entry.policy.mode == mode);
        let (base, audited_base) = (base(PolicyMode::Enforce), base(PolicyMode::Audit));
        Self { revision, entries, base, audited_base, vocabulary }
    }

    /// Policies without a name are called by their place in the file.
    pub fn of_file(revision: Revision, policies: &[Policy]) -> Self {
        let key = |(n, policy): (usize, &Policy)| match &policy.name {
            Some(name) => name.clone(),
            None => format!("policies[{n}]"),
        };
        let keys = policies.iter().enumerate().map(key).map(|key| PolicyKey(key.into()));
        Self::new(revision, keys.zip(policies.iter().cloned()).collect())
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// In the order in which they are tried.
    pub fn policies(&self) -> impl Iterator<Item = (&PolicyKey, &Policy)> {
        self.entries.iter().map(|entry| (&entry.key, &entry.policy))
    }

    /// What holds for somebody, computed anew.
    pub fn effective(&self, person: &Person) -> Effective {
        let Decision { enforced, audited } = self.decide(&self.facts(person));
        let would_be = |(place, ground)| self.audited(place, Arc::new(self.result(ground, Vec::new())));
        self.result(enforced, audited.into_iter().map(would_be).collect())
    }

    pub(super) fn facts(&self, person: &Person) -> Facts {
        self.vocabulary.facts(person)
    }

    pub(super) fn decide(&self, facts: &Facts) -> Decision {
        let mut audited = Vec::new();
        let mut enforced = Ground { matched: None, base: self.base };
        for (place, entry) in self.entries.iter().enumerate() {
            if entry.policy.matcher.is_base() || !entry.matcher.matches(facts) {
                continue;
            }
            if entry.policy.mode == PolicyMode::Enforce {
                enforced.matched = Some(place);
                break;
            }
            audited.push((place, Ground { matched: Some(place), base: self.base }));
        }
        audited.extend(self.audited_base.map(|place| (place, Ground { base: Some(place), ..enforced })));
        Decision { enforced, audited }
    }

    pub(super) fn audited(&self, place: usize, would_be: Arc<Effective>) -> Audited {
        Audited { policy: self.entries[place].key.clone(), would_be }
    }

    pub(super) fn result(&self, ground: Ground, audited: Vec<Audited>) -> Effective {
        let (above, below) = (self.entry(ground.matched), self.entry(ground.base));
        let key = |entry: Option<&Entry>| entry.map(|entry| entry.key.clone());
        let (upper, lower) = (above.map(|entry| &entry.policy), below.map(|entry| &entry.policy));
        let limits = merged(lower, upper, |policy| &policy.limits, merging::limits).unwrap_or_default();
        let retention = merged(lower, upper, |policy| &policy.retention, merging::retention).unwrap_or_default();
        let mut settings: Option<Map<String, Value>> = merged(lower, upper, |policy| &policy.code, merging::settings);
        if let Some(settings) = &mut settings {
            pushed::push(settings, &limits, &retention);
        }
        let desktop = |policy: Option<&'_ Policy>| policy.and_then(|policy| policy.desktop.clone());
        Effective {
            revision: self.revision,
            matched: key(above),
            base: key(below),
            settings,
            desktop: merging::desktop(desktop(lower).as_ref(), desktop(upper).as_ref()),
            limits,
            retention,
            audited,
            delivery: Delivery::default(),
        }
    }

    fn entry(&self, place: Option<usize>) -> Option<&Entry> {
        place.map(|place| &self.entries[place])
    }
}

/// One part of two policies; of one alone it is that policy's, of none there is none.
fn merged<T: Clone>(
    below: Option<&Policy>,
    above: Option<&Policy>,
    part: impl Fn(&Policy) -> &T,
    merge: impl Fn(&T, &T) -> T,
) -> Option<T> {
    match (below, above) {
        (Some(below), Some(above)) => Some(merge(part(below), part(above))),
        (one, other) => one.or(other).map(|policy| part(policy).clone()),
    }
}

#[cfg(test)]
pub(super) mod tests;
