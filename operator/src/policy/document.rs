//! From a `UserPolicy` to the document that pods read, and back from that document's words to the object's.

use std::sync::Arc;

use crds::policy::{
    Mode, UserPolicySpec,
    limits::TokenLimits,
    matching::Match,
    models::Models,
    retention::{Retention, TelemetryDetail, UpstreamRetention},
};
use gateway_config::{ConfigErrors, Policy, PolicyMode};
use serde_json::{Map, Value, json};

type Document = Map<String, Value>;

/// A document that every pod of this version takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Shared, because each reconcile takes it up again.
    pub document: Arc<Value>,
    pub base: Option<Base>,
    /// Valid, and seldom meant; in the object's words.
    pub warnings: Vec<String>,
}

/// An empty match: one that decides and one on trial stand beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Base {
    Enforced,
    OnTrial,
}

/// Everything that is wrong, in the object's words.
pub fn judged(spec: &UserPolicySpec) -> Result<Judged, String> {
    let document = Value::Object(document(spec));
    // Postgres keeps no such character in a text, and one of them would keep the whole set from being written.
    if has_null_character(&document) {
        return Err("spec: a text holds the character U+0000, which the database cannot keep: remove it".to_owned());
    }
    let says = |text: String| in_words_of_the_object(&text, spec);
    match Policy::judged(&document) {
        Ok((policy, warnings)) => Ok(Judged {
            base: base(&policy),
            document: Arc::new(document),
            warnings: warnings.iter().map(|warning| says(warning.to_string())).collect(),
        }),
        Err(errors) => Err(lines(&errors).into_iter().map(says).collect::<Vec<_>>().join("; ")),
    }
}

/// A document that was written before. `None`: it is none that pods take.
pub fn judged_again(document: &Value) -> Option<Judged> {
    let policy = Policy::from_document(document).ok()?;
    Some(Judged { base: base(&policy), document: Arc::new(document.clone()), warnings: Vec::new() })
}

fn base(policy: &Policy) -> Option<Base> {
    policy.matcher.is_base().then_some(match policy.mode {
        PolicyMode::Enforce => Base::Enforced,
        PolicyMode::Audit => Base::OnTrial,
    })
}

fn document(spec: &UserPolicySpec) -> Document {
    let UserPolicySpec {
        gateway_ref: _,
        priority: _,
        matcher,
        models,
        token_limits,
        retention,
        claude_code,
        desktop,
        mode,
    } = spec;
    let mut code = claude_code.clone().unwrap_or_default();
    if let Some(models) = models {
        put_models(&mut code, models);
    }
    let mut document = Document::new();
    document.insert("match".to_owned(), Value::Object(matching(matcher)));
    if !code.is_empty() {
        document.insert("code".to_owned(), Value::Object(code));
    }
    put(&mut document, "desktop", desktop.clone());
    put(&mut document, "limits", token_limits.as_ref().map(limits));
    put(&mut document, "retention", retention.as_ref().map(kept));
    let mode = match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
    };
    put(&mut document, "mode", Some(mode));
    document
}

fn matching(matcher: &Match) -> Document {
    let Match { groups, email_domain, emails, subjects } = matcher;
    let some = |texts: &Vec<String>| (!texts.is_empty()).then(|| texts.clone());
    let mut document = Document::new();
    put(&mut document, "groups", some(groups));
    put(&mut document, "email_domain", email_domain.as_deref());
    put(&mut document, "emails", some(emails));
    put(&mut document, "subjects", some(subjects));
    document
}

fn put_models(code: &mut Document, models: &Models) {
    let Models { available, denied, matching } = models;
    put(code, "availableModels", available.clone());
    put(code, "deniedModels", (!denied.is_empty()).then(|| denied.clone()));
    put(code, "availableModelsMatch", matching.map(|matching| matching.word()));
}

fn limits(limits: &TokenLimits) -> Document {
    let TokenLimits {
        max_input_tokens,
        max_output_tokens,
        tokens_per_minute,
        tokens_per_day,
        tokens_per_month,
        requests_per_minute,
        concurrent_requests,
        count_cache_reads,
    } = limits;
    let mut document = Document::new();
    put(&mut document, "max_input_tokens", *max_input_tokens);
    put(&mut document, "max_output_tokens", *max_output_tokens);
    put(&mut document, "tokens_per_minute", *tokens_per_minute);
    put(&mut document, "tokens_per_day", *tokens_per_day);
    put(&mut document, "tokens_per_month", *tokens_per_month);
    put(&mut document, "requests_per_minute", *requests_per_minute);
    put(&mut document, "concurrent_requests", *concurrent_requests);
    put(&mut document, "count_cache_reads", *count_cache_reads);
    document
}

fn kept(retention: &Retention) -> Document {
    let Retention { transcript_days, telemetry, upstream } = retention;
    let telemetry = telemetry.map(|detail| match detail {
        TelemetryDetail::Full => "full",
        TelemetryDetail::Redacted => "redacted",
        TelemetryDetail::None => "none",
    });
    let upstream = upstream.map(|upstream| match upstream {
        UpstreamRetention::Any => "any",
        UpstreamRetention::Zero => "zero",
    });
    let mut document = Document::new();
    put(&mut document, "transcript_days", *transcript_days);
    put(&mut document, "telemetry", telemetry);
    put(&mut document, "upstream", upstream);
    document
}

fn put(document: &mut Document, key: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        document.insert(key.to_owned(), json!(value));
    }
}

fn has_null_character(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_null_character),
        Value::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || has_null_character(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn lines(errors: &ConfigErrors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// The paths that the document calls otherwise than the object. A longer one stands before the one it begins with.
const MODELS: [(&str, &str); 3] = [
    ("code.availableModelsMatch", "spec.models.match"),
    ("code.availableModels", "spec.models.available"),
    ("code.deniedModels", "spec.models.denied"),
];
const SECTIONS: [(&str, &str); 5] = [
    ("match", "spec.match"),
    ("code", "spec.claudeCode"),
    ("desktop", "spec.desktop"),
    ("limits", "spec.tokenLimits"),
    ("retention", "spec.retention"),
];

/// `limits.tokens_per_day: …` is `spec.tokenLimits.tokensPerDay: …`.
fn in_words_of_the_object(text: &str, spec: &UserPolicySpec) -> String {
    let (path, rest) = text.split_once(": ").unwrap_or((text, ""));
    let models = MODELS.iter().filter(|_| spec.models.is_some());
    let named = models.chain(&SECTIONS).find_map(|(ours, theirs)| {
        let below = path.strip_prefix(ours)?;
        (below.is_empty() || below.starts_with(['.', '['])).then_some((*theirs, below))
    });
    let path = match named {
        // Below a settings document the words are Claude Code's own.
        Some((theirs @ ("spec.claudeCode" | "spec.desktop"), below)) => format!("{theirs}{below}"),
        Some((theirs, below)) => format!("{theirs}{}", in_camel_case(below)),
        None => format!("spec: {path}"),
    };
    format!("{path}: {rest}")
}

fn in_camel_case(words: &str) -> String {
    let mut parts = words.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| {
        let mut letters = part.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        said + &initial.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, option, prelude::*};

    use super::*;

    fn spec(document: Value) -> UserPolicySpec {
        let mut spec = json!({"gatewayRef": {"name": "claude"}});
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), document) {
            spec.extend(more);
        }
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn every_part_of_a_policy_reaches_the_pods() {
        let whole = spec(json!({
            "priority": 7,
            "match": {"groups": ["eng"], "emailDomain": "Example.com", "emails": ["a@example.com"], "subjects": ["s"]},
            "models": {"available": ["opus"], "denied": ["haiku"], "match": "Exact"},
            "tokenLimits": {"maxInputTokens": 1, "maxOutputTokens": 2, "tokensPerMinute": 3, "tokensPerDay": 4,
                "tokensPerMonth": 5, "requestsPerMinute": 6, "concurrentRequests": 7, "countCacheReads": true},
            "retention": {"transcriptDays": 30, "telemetry": "Redacted", "upstream": "Zero"},
            "claudeCode": {"env": {"A": "${HOME}"}},
            "desktop": {},
            "mode": "Audit",
        }));
        let expected = json!({
            "match": {"groups": ["eng"], "email_domain": "Example.com", "emails": ["a@example.com"], "subjects": ["s"]},
            "code": {"env": {"A": "${HOME}"}, "availableModels": ["opus"], "deniedModels": ["haiku"],
                "availableModelsMatch": "exact"},
            "desktop": {},
            "limits": {"max_input_tokens": 1, "max_output_tokens": 2, "tokens_per_minute": 3, "tokens_per_day": 4,
                "tokens_per_month": 5, "requests_per_minute": 6, "concurrent_requests": 7, "count_cache_reads": true},
            "retention": {"transcript_days": 30, "telemetry": "redacted", "upstream": "zero"},
            "mode": "audit",
        });
        let judged = judged(&whole).unwrap();
        assert_eq!((judged.document.as_ref(), judged.base), (&expected, None));
    }

    #[test]
    fn an_empty_match_is_the_base_of_its_mode() {
        assert_eq!(judged(&spec(json!({}))).unwrap().base, Some(Base::Enforced));
        assert_eq!(judged(&spec(json!({"mode": "Audit"}))).unwrap().base, Some(Base::OnTrial));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_object() {
        let cases = [
            (json!({"tokenLimits": {"tokensPerDay": 0}}), "spec.tokenLimits.tokensPerDay: "),
            (json!({"retention": {"transcriptDays": 0}}), "spec.retention.transcriptDays: "),
            (json!({"match": {"emailDomain": "a@b"}}), "spec.match.emailDomain: "),
            (json!({"match": {"emails": ["nobody"]}}), "spec.match.emails[0]: "),
            (json!({"claudeCode": {"mcpServers": {}}}), "spec.claudeCode.mcpServers: "),
            (json!({"claudeCode": {"availableModels": "opus"}}), "spec.claudeCode.availableModels: "),
            (json!({"claudeCode": {"env": {"some_name": []}}}), "spec.claudeCode.env.some_name: "),
            (json!({"desktop": {"inferenceModels": []}}), "spec.desktop.inferenceModels: "),
            (json!({"claudeCode": {"env": {"A": "a\u{0}b"}}}), "spec: a text holds the character U+0000"),
        ];
        for (document, said) in cases {
            let error = judged(&spec(document.clone())).unwrap_err();
            assert!(error.starts_with(said), "{document}: {error}");
        }
        let two = judged(&spec(json!({"tokenLimits": {"tokensPerDay": 0, "tokensPerMonth": 0}}))).unwrap_err();
        assert!(two.contains("tokensPerDay") && two.contains("; spec.tokenLimits.tokensPerMonth"), "{two}");
    }

    #[test]
    fn what_is_seldom_meant_is_said_in_the_words_of_the_object() {
        let narrow = judged(&spec(json!({"models": {"available": ["haiku"]}}))).unwrap();
        assert!(narrow.warnings[0].starts_with("spec.models.available: "), "{:?}", narrow.warnings);
        let unknown = judged(&spec(json!({"claudeCode": {"modle": "x"}}))).unwrap();
        assert!(unknown.warnings[0].starts_with("spec.claudeCode.modle: "), "{:?}", unknown.warnings);
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        btree_set("[a-zA-Z0-9][a-zA-Z0-9 _./:${}-]{0,20}[a-z0-9]", 1..5).prop_map(|words| words.into_iter().collect())
    }

    fn matcher() -> impl Strategy<Value = Match> {
        let some = || option::of(words()).prop_map(Option::unwrap_or_default);
        let emails = btree_set("[a-z0-9.]{1,9}@[a-z]{1,9}[.]com", 1..5);
        let emails = option::of(emails).prop_map(|emails| emails.unwrap_or_default().into_iter().collect());
        (some(), option::of("[a-zA-Z]{1,9}[.][a-z]{2,3}"), emails, some())
            .prop_map(|(groups, email_domain, emails, subjects)| Match { groups, email_domain, emails, subjects })
    }

    fn token_limits() -> impl Strategy<Value = TokenLimits> {
        let some = || option::of(1..=1_000_000_000_000_000_u64);
        let amounts = (some(), some(), some(), some(), some(), some(), some());
        (amounts, option::of(any::<bool>())).prop_map(|(amounts, count_cache_reads)| TokenLimits {
            max_input_tokens: amounts.0,
            max_output_tokens: amounts.1,
            tokens_per_minute: amounts.2,
            tokens_per_day: amounts.3,
            tokens_per_month: amounts.4,
            requests_per_minute: amounts.5,
            concurrent_requests: amounts.6,
            count_cache_reads,
        })
    }

    fn retention() -> impl Strategy<Value = Retention> {
        use prop::sample::select;
        let telemetry = select(vec![TelemetryDetail::Full, TelemetryDetail::Redacted, TelemetryDetail::None]);
        let upstream = select(vec![UpstreamRetention::Any, UpstreamRetention::Zero]);
        (option::of(1..=36_500_u32), option::of(telemetry), option::of(upstream))
            .prop_map(|(transcript_days, telemetry, upstream)| Retention { transcript_days, telemetry, upstream })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Of whatever the schema of the CRD lets pass, in what the operator itself writes.
        #[test]
        fn every_valid_policy_renders_to_a_document_that_pods_take(
            matcher in matcher(),
            models in option::of((option::of(words()), option::of(words()))),
            token_limits in option::of(token_limits()),
            retention in option::of(retention()),
            environment in option::of(words()),
            has_desktop in any::<bool>(),
            is_on_trial in any::<bool>(),
        ) {
            let mut policy = spec(json!({}));
            let is_base = matcher.is_base();
            policy.matcher = matcher;
            policy.models = models.map(|(available, denied)| Models {
                available,
                denied: denied.unwrap_or_default(),
                matching: None,
            });
            policy.token_limits = token_limits;
            policy.retention = retention;
            policy.claude_code = environment.map(|values| {
                let variables: Map<String, Value> =
                    values.into_iter().enumerate().map(|(n, value)| (format!("V{n}"), value.into())).collect();
                Map::from_iter([("env".to_owned(), Value::Object(variables))])
            });
            policy.desktop = has_desktop.then(Map::new);
            policy.mode = if is_on_trial { Mode::Audit } else { Mode::Enforce };
            let judged = judged(&policy).map_err(TestCaseError::fail)?;
            prop_assert_eq!(judged.base.is_some(), is_base);
            prop_assert_eq!(judged_again(&judged.document).map(|again| again.document), Some(judged.document));
        }
    }
}
