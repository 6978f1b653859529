//! The set of one gateway, from what each policy comes to. Pure.
//!
//! Invariant: pods take the set whole: every document in it was judged by their own rules, and of each kind of base there is
//! one. The older keeps its place; of two that are equally old, the one whose key comes first.

use std::{collections::HashMap, sync::Arc};

use super::{
    candidate::Candidate,
    document::Base,
    validate::{Mark, Part, Refusal, Validated, Verdict},
};
use crate::store::PolicyRow;

pub struct Set {
    pub rows: Vec<PolicyRow>,
    pub marks: Vec<Mark>,
    pub verdicts: Vec<Decided>,
}

/// What is said of a policy, and what of it is in the set.
pub struct Decided {
    pub candidate: Arc<Candidate>,
    pub verdict: Verdict,
    pub has_row: bool,
}

pub fn build(validated: Vec<Validated>) -> Set {
    let winners = winners(&validated);
    let mut set = Set { rows: Vec::new(), marks: Vec::new(), verdicts: Vec::new() };
    for Validated { candidate, verdict, part } in validated {
        let winner =
            part.as_ref().and_then(|part| winners.get(&part.base?)).filter(|winner| **winner != candidate.key());
        let (verdict, part) = match (winner, verdict) {
            (None, verdict) => (verdict, part),
            (Some(winner), Verdict::Accepted { .. }) => (conflict(&candidate, winner), None),
            (Some(_), verdict) => (verdict, None),
        };
        set.verdicts.push(Decided { candidate, verdict, has_row: part.is_some() });
        if let Some(Part { row, base: _, mark }) = part {
            set.rows.push(row);
            set.marks.push(mark);
        }
    }
    set
}

/// By kind of base, the key of the policy that has it.
fn winners(validated: &[Validated]) -> HashMap<Base, String> {
    let mut oldest: HashMap<Base, (bool, Option<jiff::Timestamp>, String)> = HashMap::new();
    for Validated { candidate, part, .. } in validated {
        let Some(base) = part.as_ref().and_then(|part| part.base) else { continue };
        let age = (candidate.created().is_none(), candidate.created(), candidate.key());
        let best = oldest.entry(base).or_insert_with(|| age.clone());
        if age < *best {
            *best = age;
        }
    }
    oldest.into_iter().map(|(base, (_, _, key))| (base, key)).collect()
}

/// The other one is named only to somebody of its own namespace.
fn conflict(candidate: &Candidate, winner: &str) -> Verdict {
    let is_neighbour = winner.split_once('/').is_some_and(|(namespace, _)| namespace == candidate.namespace());
    let other = if is_neighbour { format!("the policy {winner}") } else { "an older policy".to_owned() };
    let message = format!(
        "match is empty, and so is that of {other} in the same mode: a gateway has one such base; say whom this one is for, \
         or delete one of the two"
    );
    Verdict::Refused { reason: Refusal::BaseConflict, message }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        policy::{
            dereference::{Away, World},
            index::{Gateway, Index},
            validate::validate,
        },
        store::{GatewayName, Stood},
    };

    fn object(document: Value) -> DynamicObject {
        serde_json::from_value(document).unwrap()
    }

    /// `spec` without the reference, which is `platform/claude`.
    fn policy(key: &str, created: &str, spec: Value) -> DynamicObject {
        let (namespace, name) = key.split_once('/').unwrap();
        let mut policy = object(json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy",
            "metadata": {"namespace": namespace, "name": name, "uid": key, "generation": 1,
                "creationTimestamp": format!("2026-01-{created}T00:00:00Z")},
            "spec": {"gatewayRef": {"name": "claude", "namespace": "platform"}},
        }));
        policy.data["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        policy
    }

    fn gateway(allowed: Value) -> DynamicObject {
        let secret = json!({"name": "secrets", "key": "key"});
        object(json!({
            "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "ClaudeGateway",
            "metadata": {"name": "claude", "namespace": "platform"},
            "spec": {
                "publicUrl": "https://claude.example.com",
                "exposure": {"kind": "None"},
                "database": {"urlSecretRef": secret},
                "oidc": {"issuer": "https://login.example.com", "clientId": "claude", "clientSecretRef": secret},
                "upstreams": [{"name": "anthropic", "provider": {"anthropic": {"auth": {"apiKeySecretRef": secret}}}}],
                "policies": {"allowed": allowed},
            },
        }))
    }

    fn world(gateway: Option<DynamicObject>, policies: Vec<DynamicObject>, stood: HashMap<String, Stood>) -> World {
        let mut index = Index::default();
        let is_there = gateway.is_some();
        gateway.into_iter().for_each(|gateway| drop(index.put_gateway(gateway)));
        policies.into_iter().for_each(|policy| drop(index.put_policy(policy)));
        let name = GatewayName { namespace: "platform".to_owned(), name: "claude".to_owned() };
        let gateway = index.gateway(&name);
        assert_eq!(gateway.as_ref().is_some_and(|gateway| matches!(**gateway, Gateway::Read(_))), is_there);
        let away = Away { reason: "", message: String::new() };
        World { gateway, policies: index.policies(&name), stood, store: Err(away) }
    }

    fn set(policies: Vec<DynamicObject>) -> Set {
        build(validate(&world(Some(gateway(json!([]))), policies, HashMap::new())))
    }

    fn keys(set: &Set) -> Vec<&str> {
        set.rows.iter().map(|row| row.key.as_str()).collect()
    }

    fn said(set: &Set, key: &str) -> (&'static str, String) {
        let decided = set.verdicts.iter().find(|decided| decided.candidate.key() == key).unwrap();
        match &decided.verdict {
            Verdict::Accepted { .. } => ("Accepted", String::new()),
            Verdict::Refused { reason, message } => (reason.word(), message.clone()),
            Verdict::Paused => ("Paused", String::new()),
        }
    }

    #[test]
    fn a_higher_priority_is_tried_first_and_no_policy_moves_another() {
        let of = |groups: &str, priority: i32| json!({"match": {"groups": [groups]}, "priority": priority});
        let few = set(vec![policy("platform/a", "01", of("x", 5)), policy("platform/b", "01", of("y", 9))]);
        let positions: HashMap<_, _> = few.rows.iter().map(|row| (row.key.clone(), row.position)).collect();
        assert!(positions["platform/b"] < positions["platform/a"]);
        let more = set(vec![
            policy("platform/a", "01", of("x", 5)),
            policy("platform/between", "02", of("z", 7)),
            policy("platform/b", "01", of("y", 9)),
        ]);
        for row in more.rows.iter().filter(|row| row.key != "platform/between") {
            assert_eq!(row.position, positions[&row.key]);
        }
    }

    #[test]
    fn of_two_bases_the_older_stays_and_one_on_trial_stands_beside() {
        let set = set(vec![
            policy("platform/a-young", "02", json!({})),
            policy("platform/old", "01", json!({})),
            policy("platform/trial", "03", json!({"mode": "Audit"})),
            policy("platform/z-same-age", "01", json!({})),
        ]);
        assert_eq!(keys(&set), ["platform/old", "platform/trial"]);
        for loser in ["platform/a-young", "platform/z-same-age"] {
            let (reason, message) = said(&set, loser);
            assert!(reason == "BaseConflict" && message.contains("platform/old"), "{message}");
        }
    }

    #[test]
    fn a10_a_base_of_another_namespace_is_not_named() {
        let allowed = gateway(json!([{"namespace": "team"}]));
        let policies = vec![policy("platform/base", "01", json!({})), policy("team/base", "02", json!({}))];
        let set = build(validate(&world(Some(allowed), policies, HashMap::new())));
        let (reason, message) = said(&set, "team/base");
        assert!(reason == "BaseConflict" && !message.contains("platform"), "{message}");
    }

    #[test]
    fn a10_a_foreign_policy_is_told_the_same_of_a_gateway_that_is_not_there() {
        let foreign = || vec![policy("team/a", "01", json!({"match": {"groups": ["x"]}}))];
        let absent = build(validate(&world(None, foreign(), HashMap::new())));
        let closed = set(foreign());
        assert_eq!(said(&absent, "team/a"), said(&closed, "team/a"));
        assert_eq!(said(&closed, "team/a").0, "RefNotPermitted");
        assert!(closed.rows.is_empty());
        let own = build(validate(&world(None, vec![policy("platform/a", "01", json!({}))], HashMap::new())));
        assert_eq!(said(&own, "platform/a").0, "GatewayNotFound");
    }

    /// What an entry says, what a policy says, and whether that is permitted.
    #[test]
    fn a10_what_a_namespace_may_match_and_say_is_held() {
        let eng = json!({"groups": ["eng"]});
        let cases = [
            (json!({}), json!({"match": eng, "claudeCode": {}}), false),
            (json!({}), json!({"match": eng, "desktop": {}}), false),
            (json!({}), json!({"match": eng, "models": {"available": ["opus"]}}), true),
            (json!({"managedSettings": true}), json!({"match": eng, "claudeCode": {}}), true),
            (json!({}), json!({}), true),
            (json!({"groups": ["eng"]}), json!({}), false),
            (json!({"groups": ["eng"]}), json!({"match": eng}), true),
            (json!({"groups": ["eng"]}), json!({"match": {"groups": ["eng", "ops"]}}), false),
            (json!({"emailDomains": ["Example.com"]}), json!({"match": {"emailDomain": "example.COM"}}), true),
            (json!({"emailDomains": ["example.com"]}), json!({"match": {"emails": ["a@other.com"]}}), false),
            (json!({"emailDomains": ["example.com"]}), json!({"match": eng}), false),
            (json!({"minPriority": 10, "maxPriority": 20}), json!({"match": eng, "priority": 9}), false),
            (json!({"minPriority": 10, "maxPriority": 20}), json!({"match": eng, "priority": 20}), true),
            (json!({"minPriority": 10, "maxPriority": 20}), json!({"match": eng, "priority": 21}), false),
        ];
        for (mut entry, spec, permitted) in cases {
            entry["namespace"] = json!("team");
            let policies = vec![policy("team/a", "01", spec.clone())];
            let set = build(validate(&world(Some(gateway(json!([entry]))), policies, HashMap::new())));
            let expected = if permitted { "Accepted" } else { "RefNotPermitted" };
            assert_eq!(said(&set, "team/a").0, expected, "{entry} {spec}");
            assert_eq!(set.rows.len(), usize::from(permitted));
        }
    }

    fn stood(document: Value) -> Stood {
        Stood { position: -3, changed_in: 7, document: Some(document) }
    }

    #[test]
    fn c7_what_cannot_be_read_keeps_what_stands_of_it_and_stops_no_other() {
        let narrow = json!({"match": {"groups": ["x"]}, "code": {"availableModels": ["haiku"]}});
        let mut malformed = policy("platform/bad", "01", json!({}));
        malformed.data["spec"]["priority"] = json!("high");
        let invalid = policy("platform/invalid", "01", json!({"claudeCode": {"env": 7}}));
        let mut paused = policy("platform/paused", "01", json!({"match": {"groups": ["new"]}}));
        paused.metadata.annotations = Some([("claude-gateway.dev/paused".to_owned(), "true".to_owned())].into());
        let good = policy("platform/good", "01", json!({"match": {"groups": ["y"]}}));
        let kept = ["platform/bad", "platform/invalid", "platform/paused"];
        let stood: HashMap<_, _> = kept.iter().map(|key| ((*key).to_owned(), stood(narrow.clone()))).collect();
        let policies = || vec![malformed.clone(), invalid.clone(), paused.clone(), good.clone()];
        let set = build(validate(&world(Some(gateway(json!([]))), policies(), stood)));
        assert_eq!(keys(&set), ["platform/bad", "platform/good", "platform/invalid", "platform/paused"]);
        assert!(set.rows.iter().filter(|row| row.key != "platform/good").all(|row| *row.document == narrow));
        let reasons = kept.map(|key| said(&set, key).0);
        assert_eq!(reasons, ["Malformed", "Invalid", "Paused"]);
        let set = build(validate(&world(Some(gateway(json!([]))), policies(), HashMap::new())));
        assert_eq!(keys(&set), ["platform/good"], "nothing stood");
    }

    #[test]
    fn a_base_that_stays_in_force_is_not_joined_by_a_second_one() {
        let invalid = policy("platform/old", "01", json!({"claudeCode": {"env": 7}}));
        let stood = HashMap::from([("platform/old".to_owned(), stood(json!({"match": {}})))]);
        let policies = vec![invalid, policy("platform/young", "02", json!({}))];
        let set = build(validate(&world(Some(gateway(json!([]))), policies, stood)));
        assert_eq!(keys(&set), ["platform/old"]);
        assert_eq!(said(&set, "platform/young").0, "BaseConflict");
    }
}
