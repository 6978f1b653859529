//! A policy in a row says what a policy in the file says.

use gateway_config::{Matcher, Policy, PolicyMode, Retention, TelemetryDetail, TokenLimits, UpstreamRetention};
use proptest::{option, prelude::*};
use serde_json::{Map, Value, json};

fn complaints(document: &Value) -> String {
    Policy::from_document(document).map_or_else(|errors| errors.to_string(), |_| String::new())
}

#[test]
fn a_row_is_read_in_the_words_of_the_file() {
    let policy = Policy::from_document(&json!({
        "name": "contractors",
        "match": { "groups": ["contractors"], "email_domain": "@Example.com", "emails": ["A@example.com"] },
        "code": { "availableModels": ["claude-opus-4-8"] },
        "desktop": {},
        "limits": { "tokens_per_day": 1_000_000, "count_cache_reads": true },
        "retention": { "transcript_days": 7, "telemetry": "redacted", "upstream": "zero" },
        "mode": "audit"
    }))
    .unwrap();
    assert_eq!(policy.name.as_deref(), Some("contractors"));
    assert_eq!(policy.matcher.email_domain.as_deref(), Some("example.com"));
    assert_eq!(policy.matcher.emails, ["a@example.com"]);
    assert_eq!(policy.desktop, Some(Map::new()));
    assert_eq!(policy.limits.tokens_per_day, Some(1_000_000));
    assert_eq!(policy.retention.upstream, Some(UpstreamRetention::Zero));
    assert_eq!(policy.mode, PolicyMode::Audit);
}

#[test]
fn a_reference_in_a_row_is_plain_text_everywhere() {
    let reference = "${file:/etc/passwd}";
    let policy = Policy::from_document(&json!({
        "name": "${HOME}",
        "match": { "groups": [reference], "subjects": ["${", "${UNSET}"] },
        "code": { "hooks": { "Stop": [{ "hooks": [{ "type": "command", "command": "echo ${HOME}" }] }] } },
    }))
    .unwrap();
    assert_eq!(policy.name.as_deref(), Some("${HOME}"));
    assert_eq!(policy.matcher.groups, [reference]);
    assert_eq!(policy.matcher.subjects, ["${", "${UNSET}"]);
    assert_eq!(policy.code["hooks"]["Stop"][0]["hooks"][0]["command"], "echo ${HOME}");
}

#[test]
fn a_wrong_row_is_refused_with_every_field() {
    let document = json!({
        "match": { "groups": [], "mails": ["a@example.com"] },
        "code": { "mcpServers": {}, "env": { "A": [] } },
        "limits": { "tokens_per_day": "${LIMIT}" },
        "mode": "enforced",
    });
    assert_eq!(
        complaints(&document).lines().map(|line| line.split(": ").next().unwrap()).collect::<Vec<_>>(),
        ["code.env.A", "code.mcpServers", "limits.tokens_per_day", "match.groups", "match.mails", "mode"]
    );
    assert_eq!(
        complaints(&json!({})),
        "match: is missing: write it: Whom it is for; empty: everyone, and the base of all others."
    );
    assert_eq!(complaints(&json!([])), "document: is no mapping: write it as an object");
    assert!(complaints(&json!({ "match": {}, "code": {}, "cli": {} })).starts_with("cli: is another spelling"));
}

fn texts(pattern: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(pattern, 0..3)
}

fn matchers() -> impl Strategy<Value = Matcher> {
    let domain = option::of("[a-z]{1,8}\\.[a-z]{2,3}");
    (texts("\\PC{0,6}[a-z$]"), domain, texts("[a-z]{1,5}@[a-z]{1,5}\\.org"), texts("[!-~]{1,12}"))
        .prop_map(|(groups, email_domain, emails, subjects)| Matcher { groups, email_domain, emails, subjects })
}

fn limits() -> impl Strategy<Value = TokenLimits> {
    let count = || option::of(1_u64..=1_000_000_000_000_000);
    (count(), count(), count(), count(), count(), count(), count(), option::of(any::<bool>())).prop_map(
        |(input, output, minute, day, month, requests, concurrent, count_cache_reads)| TokenLimits {
            max_input_tokens: input,
            max_output_tokens: output,
            tokens_per_minute: minute,
            tokens_per_day: day,
            tokens_per_month: month,
            requests_per_minute: requests,
            concurrent_requests: concurrent,
            count_cache_reads,
        },
    )
}

fn retentions() -> impl Strategy<Value = Retention> {
    let telemetry = prop::sample::select(vec![TelemetryDetail::Full, TelemetryDetail::Redacted, TelemetryDetail::None]);
    let upstream = prop::sample::select(vec![UpstreamRetention::Any, UpstreamRetention::Zero]);
    (option::of(1_u32..=36_500), option::of(telemetry), option::of(upstream))
        .prop_map(|(transcript_days, telemetry, upstream)| Retention { transcript_days, telemetry, upstream })
}

fn documents() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    // No key of the reference, whose shape would be judged.
    prop::collection::btree_map("x-[a-z]{0,5}", value, 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn policies() -> impl Strategy<Value = Policy> {
    let mode = prop::sample::select(vec![PolicyMode::Enforce, PolicyMode::Audit]);
    (option::of("[a-z$]\\PC{0,8}"), matchers(), documents(), option::of(documents()), limits(), retentions(), mode)
        .prop_map(|(name, matcher, code, desktop, limits, retention, mode)| Policy {
            name,
            matcher,
            code,
            desktop,
            limits,
            retention,
            mode,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_policy_comes_back_from_its_row_as_it_was(policy in policies()) {
        let document = policy.to_document();
        let through_text: Value = serde_json::from_str(&document.to_string()).unwrap();
        prop_assert_eq!(Policy::from_document(&through_text), Ok(policy));
    }

    #[test]
    fn any_row_is_read_or_refused(keys in prop::collection::vec("match|code|desktop|limits|retention|mode|name", 0..4), text in any::<String>()) {
        let document: Map<_, _> = keys.into_iter().map(|key| (key, Value::from(text.clone()))).collect();
        let _ = Policy::from_document(&Value::Object(document));
    }
}
