use gateway_config::Policy;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::identity::Subject;

fn policy(document: Value) -> Policy {
    Policy::from_document(&document).unwrap()
}

fn set(policies: Vec<Value>) -> PolicySet {
    let policies: Vec<_> = policies.into_iter().map(policy).collect();
    PolicySet::of_file(Revision(7), &policies)
}

fn alice(groups: &[&str]) -> Person {
    Person {
        sub: Subject("alice".to_owned()),
        email: Some("Alice@example.com".to_owned()),
        name: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn explained(set: &PolicySet, person: &Person) -> Explanation {
    let effective = set.effective(person);
    explain(set, person, &effective)
}

#[test]
fn each_policy_says_why_it_did_or_did_not_decide() {
    let set = set(vec![
        json!({"name": "sales", "match": {"groups": ["sales"]}}),
        json!({"name": "watched", "match": {"groups": ["eng"]}, "mode": "audit"}),
        json!({"name": "elsewhere", "match": {"groups": ["eng"], "email_domain": "example.org"}}),
        json!({"name": "eng", "match": {"groups": ["ops", "eng"]}}),
        json!({"name": "alice", "match": {"emails": ["alice@example.com"]}}),
        json!({"name": "everyone", "match": {}}),
    ]);
    let outcomes: Vec<_> = explained(&set, &alice(&["eng"])).policies.into_iter().map(|one| one.outcome).collect();
    let no = |reason: &str| Outcome::NoMatch { reason: reason.to_owned() };
    let expected = [
        no("groups: not a member of sales"),
        Outcome::AuditOnly,
        no("email_domain: example.com is not example.org"),
        Outcome::Matched,
        Outcome::ComesLater { after: PolicyKey("eng".into()) },
        Outcome::Base,
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn each_setting_names_the_policies_that_it_comes_from() {
    let set = set(vec![
        json!({"name": "eng", "match": {"groups": ["eng"]}, "code": {
            "availableModels": ["opus"], "permissions": {"deny": ["WebFetch"]}, "env": {"A": "eng", "B/~": "eng"}, "model": "opus",
        }, "limits": {"tokens_per_day": 5, "max_output_tokens": 9}}),
        json!({"name": "everyone", "match": {}, "code": {
            "availableModels": ["haiku"], "permissions": {"deny": ["Bash"], "ask": ["Edit"]}, "env": {"A": "all", "C": "all"},
        }, "limits": {"tokens_per_day": 1, "requests_per_minute": 3}, "retention": {"transcript_days": 4}}),
    ]);
    let explanation = explained(&set, &alice(&["eng"]));
    let origins = explanation.settings.unwrap().origins;
    let of = |pointer: &str| origins[pointer].join("+");
    assert_eq!(of("/availableModels"), "eng");
    assert_eq!(of("/permissions/deny"), "everyone+eng");
    assert_eq!(of("/permissions/ask"), "everyone");
    assert_eq!((of("/env/A"), of("/env/B~1~0"), of("/env/C")), ("eng".into(), "eng".into(), "everyone".into()));
    assert_eq!(
        (of("/cleanupPeriodDays"), of("/env/CLAUDE_CODE_MAX_OUTPUT_TOKENS")),
        ("gateway".into(), "gateway".into())
    );
    let limits: Vec<_> = explanation.limits.iter().map(|limit| (limit.limit, limit.amount, &*limit.origin.0)).collect();
    let expected =
        [("max_output_tokens", 9, "eng"), ("tokens_per_day", 5, "eng"), ("requests_per_minute", 3, "everyone")];
    assert_eq!(limits, expected);
    assert_eq!(explanation.retention.transcript_days, Some(4));
}

#[test]
fn where_no_policy_applies_there_is_nothing_to_name() {
    let explanation = explained(&set(vec![json!({"match": {"groups": ["ops"]}})]), &alice(&[]));
    assert!(explanation.settings.is_none() && explanation.limits.is_empty());
    assert_eq!(explanation.policies[0].policy.to_string(), "policies[0]");
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

proptest! {
    /// The words come from another way of matching than the verdicts.
    #[test]
    fn the_words_agree_with_the_verdicts(
        policies in prop::collection::vec(
            (prop::collection::vec(word(), 0..3), prop::option::of(word()), prop::collection::vec(word(), 0..2),
             prop::collection::vec(word(), 0..2), any::<bool>()), 1..6),
        sub in word(), domain in prop::option::of(word()), groups in prop::collection::vec(word(), 0..3),
    ) {
        let mut policies: Vec<(PolicyKey, Policy)> = policies.into_iter().enumerate().map(|(n, parts)| {
            let (groups, email_domain, emails, subjects, audited) = parts;
            let emails = emails.into_iter().map(|local| format!("{local}@a")).collect();
            let mut policy = policy(json!({"match": {}, "mode": if audited { "audit" } else { "enforce" }}));
            policy.matcher = Matcher { groups, email_domain, emails, subjects };
            (PolicyKey(n.to_string().into()), policy)
        }).collect();
        let mut bases = [false, false];
        policies.retain(|(_, policy)| {
            let audited = policy.mode == PolicyMode::Audit;
            !(policy.matcher.is_base() && std::mem::replace(&mut bases[usize::from(audited)], true))
        });
        let set = PolicySet::new(Revision(1), policies);
        let person = Person { sub: Subject(sub), email: domain.map(|domain| format!("A@{domain}")), name: None, groups };
        let effective = set.effective(&person);
        let explanation = explain(&set, &person, &effective);
        let with = |wanted: fn(&Outcome) -> bool| {
            explanation.policies.iter().filter(move |one| wanted(&one.outcome)).map(|one| one.policy.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(with(|outcome| *outcome == Outcome::Matched), effective.matched.clone().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(with(|outcome| *outcome == Outcome::Base), effective.base.clone().into_iter().collect::<Vec<_>>());
        let mut audited: Vec<_> = effective.audited.iter().map(|audited| audited.policy.clone()).collect();
        audited.sort();
        prop_assert_eq!(with(|outcome| *outcome == Outcome::AuditOnly), audited);
    }
}
