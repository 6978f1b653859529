//! The policies that hold now, and what was worked out from them.
//!
//! Invariant: whoever asks sees one whole revision; what is kept belongs to that revision and goes with it. Kept results are
//! bounded, whatever people and policies there are: when there are too many, all are worked out anew.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;
use gateway_config::Policy;

use super::{
    Effective, Explanation, PolicySet, Revision, explain,
    matching::Facts,
    set::{Decision, Ground},
};
use crate::{hashing::Map, identity::Person};

/// Sets of facts, a hundred bytes or so each: more than there are people who differ in what policies ask.
const FACTS: usize = 65_536;
/// Results beside one for each policy. A result is as large as its document.
const RESULTS: usize = 512;

/// Shared by whoever decides something for a person.
pub struct LivePolicies {
    snapshot: ArcSwap<Snapshot>,
    /// Something newer is there, and not valid.
    refusing: AtomicBool,
}

#[derive(Default)]
struct Snapshot {
    set: PolicySet,
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    by_facts: Map<Facts, Arc<Effective>>,
    by_decision: Map<Decision, Arc<Effective>>,
}

impl LivePolicies {
    pub fn none() -> Self {
        Self::new(PolicySet::default())
    }

    pub fn new(set: PolicySet) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot { set, kept: RwLock::default() }),
            refusing: AtomicBool::default(),
        }
    }

    /// What holds for somebody. Costs one look-up unless nobody like them has come under this revision.
    pub fn effective(&self, person: &Person) -> Arc<Effective> {
        let snapshot = self.snapshot.load();
        let facts = snapshot.set.facts(person);
        match snapshot.find(&facts) {
            Some(effective) => effective,
            None => snapshot.work_out(facts),
        }
    }

    /// What holds for somebody, and why.
    pub fn explain(&self, person: &Person) -> (Explanation, Effective) {
        let snapshot = self.snapshot.load();
        let effective = snapshot.set.effective(person);
        (explain(&snapshot.set, person, &effective), effective)
    }

    pub fn revision(&self) -> Revision {
        self.snapshot.load().set.revision()
    }

    /// How many policies there are.
    pub fn count(&self) -> usize {
        self.snapshot.load().set.len()
    }

    /// A whole revision in place of another. The old one is freed here, not by a request that saw it last.
    pub fn replace(&self, set: PolicySet) {
        let old = self.snapshot.swap(Arc::new(Snapshot { set, kept: RwLock::default() }));
        self.taken();
        drop(old);
    }

    /// Whether these very policies hold.
    pub fn holds(&self, policies: &[Policy]) -> bool {
        self.snapshot.load().set.policies().map(|(_, policy)| policy).eq(policies)
    }

    /// What is newer is not valid: what holds stays.
    pub fn refused(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    /// What is newest holds.
    pub fn taken(&self) {
        self.refusing.store(false, Ordering::Relaxed);
    }

    pub fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }
}

impl Snapshot {
    fn find(&self, facts: &Facts) -> Option<Arc<Effective>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).by_facts.get(facts).cloned()
    }

    fn work_out(&self, facts: Facts) -> Arc<Effective> {
        let decision = self.set.decide(&facts);
        let effective = self.result(decision);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.by_facts.len() >= FACTS {
            kept.by_facts.clear();
        }
        kept.by_facts.insert(facts, effective.clone());
        effective
    }

    /// The same decision is one result, however many people it holds for.
    fn result(&self, decision: Decision) -> Arc<Effective> {
        if let Some(known) = self.kept.read().unwrap_or_else(PoisonError::into_inner).by_decision.get(&decision) {
            return known.clone();
        }
        let Decision { enforced, audited } = &decision;
        let audited = audited.iter().map(|(place, ground)| self.set.audited(*place, self.would_be(*ground))).collect();
        let result = Arc::new(self.set.result(*enforced, audited));
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.by_decision.len() >= self.set.len() + RESULTS {
            *kept = Kept::default();
        }
        kept.by_decision.entry(decision).or_insert(result).clone()
    }

    fn would_be(&self, ground: Ground) -> Arc<Effective> {
        self.result(Decision { enforced: ground, audited: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::set::tests::{member, policy};

    fn set(revision: i64, models: &str) -> PolicySet {
        let policies = [policy("eng", &["eng"], json!({"availableModels": [models]})), policy("base", &[], json!({}))];
        PolicySet::of_file(Revision(revision), &policies)
    }

    #[test]
    fn whoever_policies_do_not_tell_apart_shares_one_result() {
        let live = LivePolicies::new(set(1, "a"));
        let (one, other) = (live.effective(&member("a", &["eng", "x"])), live.effective(&member("b", &["y", "eng"])));
        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &live.effective(&member("a", &[]))));
    }

    #[test]
    fn a_replaced_set_holds_from_the_next_question_on() {
        let live = LivePolicies::new(set(1, "a"));
        let alice = member("alice", &["eng"]);
        let before = live.effective(&alice);
        live.replace(set(2, "b"));
        let after = live.effective(&alice);
        assert_eq!((before.revision, after.revision, live.revision()), (Revision(1), Revision(2), Revision(2)));
        assert_ne!(before.settings, after.settings);
        assert_eq!((live.count(), LivePolicies::none().count()), (2, 0));
        assert_eq!(LivePolicies::none().effective(&alice).settings, None);
    }

    #[test]
    fn the_kept_is_what_would_be_worked_out() {
        let live = LivePolicies::new(set(1, "a"));
        for groups in [&["eng"] as &[&str], &[], &["eng"], &["sales"]] {
            let person = member("x", groups);
            assert_eq!(*live.effective(&person), set(1, "a").effective(&person));
        }
    }

    #[test]
    fn results_are_bounded_however_many_verdicts_there_are() {
        let audited = |n: usize| {
            let mut policy = policy(&format!("trial-{n}"), &[], json!({}));
            policy.matcher.groups = vec![format!("g{n}")];
            policy.mode = gateway_config::PolicyMode::Audit;
            policy
        };
        let policies: Vec<_> = (0..12).map(audited).collect();
        let live = LivePolicies::new(PolicySet::of_file(Revision(1), &policies));
        for chosen in 0..4096_u32 {
            let groups: Vec<_> = (0..12).filter(|n| chosen >> n & 1 == 1).map(|n| format!("g{n}")).collect();
            let mut person = member("x", &[]);
            person.groups = groups;
            assert_eq!(live.effective(&person).audited.len(), person.groups.len());
        }
        let snapshot = live.snapshot.load();
        assert!(snapshot.kept.read().unwrap().by_decision.len() <= RESULTS + policies.len());
    }
}
