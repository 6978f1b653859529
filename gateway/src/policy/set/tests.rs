use gateway_config::{Matcher, Retention, TelemetryDetail, TokenLimits};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::identity::Subject;

pub(in crate::policy) fn policy(name: &str, groups: &[&str], code: Value) -> Policy {
    let Value::Object(code) = code else { panic!("a mapping") };
    Policy {
        name: Some(name.to_owned()),
        matcher: Matcher { groups: groups.iter().map(|group| (*group).to_owned()).collect(), ..Matcher::default() },
        code,
        desktop: None,
        limits: TokenLimits::default(),
        retention: Retention::default(),
        mode: PolicyMode::Enforce,
    }
}

pub(in crate::policy) fn member(sub: &str, groups: &[&str]) -> Person {
    Person {
        sub: Subject(sub.to_owned()),
        email: None,
        name: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn audit(policy: Policy) -> Policy {
    Policy { mode: PolicyMode::Audit, ..policy }
}

fn set(policies: &[Policy]) -> PolicySet {
    PolicySet::of_file(Revision(7), policies)
}

fn named(key: &Option<PolicyKey>) -> Option<&str> {
    key.as_ref().map(|key| &*key.0)
}

fn models(effective: &Effective) -> Option<&Value> {
    effective.settings.as_ref().and_then(|settings| settings.get("availableModels"))
}

#[test]
fn the_first_match_decides_and_lies_on_the_base_wherever_that_stands() {
    let (eng, all) =
        (policy("eng", &["eng"], json!({"model": "a"})), policy("all", &["eng", "sales"], json!({"model": "b"})));
    let base = policy("base", &[], json!({"model": "c", "env": {"A": "1"}}));
    for set in [set(&[eng.clone(), all.clone(), base.clone()]), set(&[base, eng, all])] {
        let decided = |groups: &[&str]| {
            let effective = set.effective(&member("x", groups));
            let settings = effective.settings.clone().unwrap();
            assert_eq!((named(&effective.base), &settings["env"]), (Some("base"), &json!({"A": "1"})));
            (named(&effective.matched).map(str::to_owned), settings["model"].clone())
        };
        assert_eq!(decided(&["sales", "eng"]), (Some("eng".to_owned()), json!("a")));
        assert_eq!(decided(&["sales"]), (Some("all".to_owned()), json!("b")));
        assert_eq!(decided(&["other"]), (None, json!("c")));
    }
}

#[test]
fn no_policy_is_not_an_empty_policy() {
    let set = set(&[policy("eng", &["eng"], json!({}))]);
    let (eng, other) = (set.effective(&member("a", &["eng"])), set.effective(&member("b", &[])));
    assert_eq!(eng.settings, Some(Map::new()));
    assert_eq!((other.settings, other.matched, other.base), (None, None, None));
    assert_eq!((eng.revision, eng.applied().map(|key| &*key.0)), (Revision(7), Some("eng")));
}

#[test]
fn a_policy_without_a_name_is_called_by_its_place() {
    let nameless = Policy { name: None, ..policy("", &["eng"], json!({})) };
    let set = set(&[policy("first", &["sales"], json!({})), nameless]);
    assert_eq!(named(&set.effective(&member("a", &["eng"])).matched), Some("policies[1]"));
}

#[test]
fn limits_and_retention_merge_and_reach_the_document() {
    let mut base = policy("base", &[], json!({"cleanupPeriodDays": 90}));
    base.limits = TokenLimits { tokens_per_day: Some(100), max_output_tokens: Some(9000), ..TokenLimits::default() };
    base.retention = Retention { transcript_days: Some(30), ..Retention::default() };
    let mut eng = policy("eng", &["eng"], json!({}));
    eng.limits = TokenLimits { tokens_per_day: Some(500), ..TokenLimits::default() };
    eng.retention = Retention { transcript_days: Some(60), telemetry: Some(TelemetryDetail::Redacted), upstream: None };
    let effective = set(&[eng, base]).effective(&member("a", &["eng"]));
    assert_eq!((effective.limits.tokens_per_day, effective.limits.max_output_tokens), (Some(500), Some(9000)));
    assert_eq!(effective.retention.transcript_days, Some(30), "the stricter, though the policy says more");
    let settings = effective.settings.unwrap();
    assert_eq!(settings["cleanupPeriodDays"], 30);
    assert_eq!(settings["env"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"], "9000");
    assert_eq!(settings["env"]["OTEL_LOG_USER_PROMPTS"], "0");
}

#[test]
fn an_audited_policy_decides_nothing_and_its_own_verdict_is_kept() {
    let trial = audit(policy("trial", &["eng"], json!({"availableModels": ["claude-haiku-4-5"]})));
    let eng = policy("eng", &["eng"], json!({"availableModels": ["claude-opus-5"]}));
    let base = policy("base", &[], json!({"deniedModels": ["sonnet"]}));
    let effective = set(&[trial, eng, base]).effective(&member("a", &["eng"]));
    assert_eq!(models(&effective), Some(&json!(["claude-opus-5"])));
    let [audited] = effective.audited.as_slice() else { panic!("one verdict") };
    assert_eq!((&*audited.policy.0, models(&audited.would_be)), ("trial", Some(&json!(["claude-haiku-4-5"]))));
    assert_eq!(audited.would_be.settings.as_ref().unwrap()["deniedModels"], json!(["sonnet"]), "on the base");
    assert!(audited.would_be.audited.is_empty());
}

#[test]
fn an_audited_policy_behind_the_one_that_decides_has_no_verdict() {
    let set = set(&[policy("eng", &["eng"], json!({})), audit(policy("trial", &["eng", "sales"], json!({})))]);
    assert!(set.effective(&member("a", &["eng"])).audited.is_empty());
    let sales = set.effective(&member("b", &["sales"]));
    assert_eq!((sales.settings, sales.audited.len()), (None, 1));
}

#[test]
fn an_audited_base_is_tried_below_whatever_decides() {
    let (eng, trial) =
        (policy("eng", &["eng"], json!({"model": "a"})), audit(policy("trial", &[], json!({"env": {"A": "1"}}))));
    let set = set(&[eng, trial]);
    let eng = set.effective(&member("a", &["eng"]));
    assert_eq!((named(&eng.matched), &eng.base), (Some("eng"), &None));
    let would_be = &eng.audited[0].would_be;
    assert_eq!((named(&would_be.matched), named(&would_be.base)), (Some("eng"), Some("trial")));
    let other = set.effective(&member("b", &[]));
    assert_eq!(other.settings, None);
    assert_eq!(other.audited[0].would_be.settings.as_ref().unwrap()["env"], json!({"A": "1"}));
}

fn any_policies() -> impl Strategy<Value = Vec<Policy>> {
    let groups = prop::sample::subsequence(vec!["a", "b", "c"], 0..=2);
    let one = (groups, any::<bool>(), prop::sample::subsequence(vec!["x", "y", "z"], 0..=3));
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let policies = all.into_iter().enumerate().map(|(n, (groups, enforced, denied))| {
            let policy = policy(&format!("p{n}"), &groups, json!({"permissions": {"deny": denied}}));
            if enforced { policy } else { audit(policy) }
        });
        policies.collect()
    })
}

fn any_member() -> impl Strategy<Value = Person> {
    prop::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_map(|groups| member("x", &groups))
}

proptest! {
    #[test]
    fn policies_that_do_not_match_change_nothing(policies in any_policies(), person in any_member()) {
        let whole = set(&policies).effective(&person);
        let matching = policies.iter().filter(|policy| {
            policy.matcher.is_base() || policy.matcher.groups.iter().any(|group| person.groups.contains(group))
        });
        let matching: Vec<_> = matching.cloned().collect();
        prop_assert_eq!(set(&matching).effective(&person), whole);
    }

    #[test]
    fn what_is_enforced_is_as_if_nothing_were_audited(policies in any_policies(), person in any_member()) {
        let whole = Effective { audited: Vec::new(), ..set(&policies).effective(&person) };
        let enforced: Vec<_> = policies.iter().filter(|policy| policy.mode == PolicyMode::Enforce).cloned().collect();
        prop_assert_eq!(set(&enforced).effective(&person), whole);
    }

    #[test]
    fn an_audited_verdict_is_what_enforcing_that_policy_brings(policies in any_policies(), person in any_member()) {
        let effective = set(&policies).effective(&person);
        for Audited { policy, would_be } in &effective.audited {
            let flipped: Vec<_> = policies.iter().cloned().filter_map(|one| match one.mode {
                PolicyMode::Enforce => (!(one.matcher.is_base() && would_be.base.as_ref() == Some(policy))).then_some(one),
                PolicyMode::Audit => (one.name.as_deref() == Some(&*policy.0)).then_some(Policy { mode: PolicyMode::Enforce, ..one }),
            }).collect();
            prop_assert_eq!(&set(&flipped).effective(&person), &**would_be);
        }
    }

    #[test]
    fn what_the_base_denies_everybody_is_denied(policies in any_policies(), person in any_member()) {
        let denied = |settings: &Option<Map<String, Value>>| {
            settings.as_ref().and_then(|settings| settings.get("permissions")?.get("deny")?.as_array().cloned()).unwrap_or_default()
        };
        let set = set(&policies);
        let base = policies.iter().find(|policy| policy.matcher.is_base() && policy.mode == PolicyMode::Enforce);
        let effective = set.effective(&person);
        for rule in base.map(|base| denied(&Some(base.code.clone()))).unwrap_or_default() {
            prop_assert!(denied(&effective.settings).contains(&rule));
        }
    }
}
