use gateway_config::{TelemetryDetail, UpstreamRetention};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document(value: Value) -> Document {
    match value {
        Value::Object(document) => document,
        other => panic!("{other} is no mapping"),
    }
}

/// What another implementation of the same rules was seen to make of these two.
#[test]
fn each_kind_of_key_merges_as_the_table_says() {
    let base = document(json!({
        "availableModels": ["a", "b"], "deniedModels": ["claude-opus-5"], "model": "sonnet", "cleanupPeriodDays": 30,
        "permissions": {
            "allow": ["Bash(a)"], "deny": ["WebFetch", "Read(x)"], "ask": ["Edit(a)"], "defaultMode": "plan",
            "disableBypassPermissionsMode": "disable", "additionalDirectories": ["/base"],
        },
        "env": {"A": "1", "B": "2"}, "modelOverrides": {"claude-opus-4-8": "x"},
        "sandbox": {"enabled": true, "network": {"allowedDomains": ["base.example"]}},
        "disabledMcpjsonServers": ["s1"], "deniedMcpServers": [{"serverName": "one"}],
        "blockedMarketplaces": [{"source": "github", "repo": "a/b"}], "attribution": {"commit": "base", "pr": "base"},
        "hooks": {
            "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "base"}]}],
            "Stop": [{"hooks": [{"type": "command", "command": "stop"}]}],
        },
    }));
    let policy = document(json!({
        "availableModels": ["c"], "deniedModels": ["sonnet", "claude-opus-5"],
        "permissions": {
            "allow": ["Bash(b)"], "deny": ["WebSearch", "WebFetch"], "ask": ["Edit(b)"], "additionalDirectories": ["/policy"],
        },
        "env": {"B": "3", "C": "4"}, "modelOverrides": {"claude-opus-5": "y"},
        "sandbox": {"network": {"allowedDomains": ["policy.example"]}},
        "disabledMcpjsonServers": ["s2", "s1"], "deniedMcpServers": [{"serverName": "two"}, {"serverName": "one"}],
        "blockedMarketplaces": [{"source": "github", "repo": "c/d"}], "attribution": {"commit": "policy"},
        "hooks": {
            "PreToolUse": [
                {"matcher": "Bash", "hooks": [{"type": "command", "command": "policy"}]},
                {"matcher": "Bash", "hooks": [{"type": "command", "command": "base"}]},
            ],
            "PostToolUse": [{"hooks": [{"type": "command", "command": "post"}]}],
        },
    }));
    let expected = json!({
        "availableModels": ["c"], "deniedModels": ["claude-opus-5", "sonnet"], "model": "sonnet", "cleanupPeriodDays": 30,
        "permissions": {
            "allow": ["Bash(b)"], "deny": ["WebFetch", "Read(x)", "WebSearch"], "ask": ["Edit(a)", "Edit(b)"],
            "defaultMode": "plan", "disableBypassPermissionsMode": "disable", "additionalDirectories": ["/policy"],
        },
        "env": {"A": "1", "B": "3", "C": "4"}, "modelOverrides": {"claude-opus-4-8": "x", "claude-opus-5": "y"},
        "sandbox": {"network": {"allowedDomains": ["policy.example"]}},
        "disabledMcpjsonServers": ["s1", "s2"], "deniedMcpServers": [{"serverName": "one"}, {"serverName": "two"}],
        "blockedMarketplaces": [{"source": "github", "repo": "a/b"}, {"source": "github", "repo": "c/d"}],
        "attribution": {"commit": "policy"},
        "hooks": {
            "PreToolUse": [
                {"matcher": "Bash", "hooks": [{"type": "command", "command": "base"}]},
                {"matcher": "Bash", "hooks": [{"type": "command", "command": "policy"}]},
            ],
            "Stop": [{"hooks": [{"type": "command", "command": "stop"}]}],
            "PostToolUse": [{"hooks": [{"type": "command", "command": "post"}]}],
        },
    });
    assert_eq!(Value::Object(settings(&base, &policy)), expected);
}

#[test]
fn desktop_fills_from_the_base_and_keeps_what_the_base_does_not_allow() {
    let base = document(json!({
        "disabledBuiltinTools": ["WebSearch", "Bash"], "builtinToolPolicy": {"WebFetch": "ask", "Bash": "allow"}, "k": {"n": 1},
    }));
    let policy = document(json!({
        "disabledBuiltinTools": ["WebFetch", "WebSearch"],
        "builtinToolPolicy": {"WebFetch": "allow", "Bash": "ask", "Read": "allow"}, "k": {"m": 2},
    }));
    let expected = json!({
        "disabledBuiltinTools": ["WebSearch", "Bash", "WebFetch"],
        "builtinToolPolicy": {"WebFetch": "ask", "Bash": "ask", "Read": "allow"}, "k": {"m": 2},
    });
    assert_eq!(desktop(Some(&base), Some(&policy)).map(Value::Object), Some(expected));
    assert_eq!(desktop(Some(&base), None), Some(base.clone()));
    assert_eq!(desktop(None, Some(&policy)), Some(policy));
    assert_eq!(desktop(None, None), None);
}

#[test]
fn of_retention_the_stricter_wins_whichever_policy_says_it() {
    let lax = Retention {
        transcript_days: Some(30),
        telemetry: Some(TelemetryDetail::Full),
        upstream: Some(UpstreamRetention::Any),
    };
    let strict = Retention {
        transcript_days: Some(7),
        telemetry: Some(TelemetryDetail::None),
        upstream: Some(UpstreamRetention::Zero),
    };
    assert_eq!(retention(&lax, &strict), strict);
    assert_eq!(retention(&strict, &lax), strict);
    assert_eq!(retention(&Retention::default(), &lax), lax);
    assert_eq!(retention(&lax, &Retention::default()), lax);
}

/// Nothing twice: a list that is merged has each entry once, one that is not stays as it is written.
fn texts() -> impl Strategy<Value = Value> {
    prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5).prop_shuffle().prop_map(|texts| json!(texts))
}

fn mapping() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(prop::sample::select(vec!["A", "B", "C"]), "[a-c]", 0..4).prop_map(|map| json!(map))
}

/// Any document that the configuration lets in, as far as merging looks.
fn any_settings() -> impl Strategy<Value = Document> {
    let lists = prop::collection::btree_map(
        prop::sample::select([UNITED.as_slice(), &["availableModels", "other"]].concat()),
        texts(),
        0..5,
    );
    let mappings = prop::collection::btree_map(prop::sample::select(OVERLAID.to_vec()), mapping(), 0..3);
    let permissions = prop::option::of(prop::collection::btree_map(
        prop::sample::select(vec!["allow", "deny", "ask", "additionalDirectories"]),
        texts(),
        0..4,
    ));
    let hooks =
        prop::option::of(prop::collection::btree_map(prop::sample::select(vec!["Stop", "PreToolUse"]), texts(), 0..3));
    (lists, mappings, permissions, hooks).prop_map(|(lists, mappings, permissions, hooks)| {
        let mut document: Document =
            lists.into_iter().chain(mappings).map(|(key, value)| (key.to_owned(), value)).collect();
        document.extend(permissions.map(|permissions| ("permissions".to_owned(), json!(permissions))));
        document.extend(hooks.map(|hooks| ("hooks".to_owned(), json!(hooks))));
        document
    })
}

fn any_desktop() -> impl Strategy<Value = Document> {
    let policies = prop::collection::btree_map("[A-C]", prop::sample::select(vec!["allow", "ask", "never"]), 0..4);
    (texts(), policies).prop_map(|(disabled, policies)| {
        document(json!({"disabledBuiltinTools": disabled, "builtinToolPolicy": policies}))
    })
}

/// Everything in a document that forbids, by where it stands.
fn forbidden(document: &Document) -> Vec<(String, Value)> {
    let lists = UNITED.iter().filter_map(|key| Some(((*key).to_owned(), document.get(*key)?)));
    let permissions = document.get("permissions").and_then(Value::as_object).into_iter().flatten();
    let permissions = permissions.filter(|(key, _)| matches!(key.as_str(), "deny" | "ask"));
    let hooks = document.get("hooks").and_then(Value::as_object).into_iter().flatten();
    let nested = permissions.chain(hooks).map(|(key, list)| (key.clone(), list));
    let all = lists
        .chain(nested)
        .flat_map(|(key, list)| list.as_array().into_iter().flatten().map(move |entry| (key.clone(), entry.clone())));
    all.collect()
}

fn as_set(document: &Document) -> Vec<String> {
    let mut entries: Vec<_> = forbidden(document).into_iter().map(|entry| format!("{entry:?}")).collect();
    entries.sort();
    entries
}

proptest! {
    #[test]
    fn merging_again_changes_nothing(base in any_settings(), policy in any_settings()) {
        let once = settings(&base, &policy);
        prop_assert_eq!(&settings(&base, &once), &once);
        prop_assert_eq!(&settings(&once, &policy), &once);
        prop_assert_eq!(settings(&once, &once), once);
    }

    #[test]
    fn what_forbids_only_grows(base in any_settings(), policy in any_settings()) {
        let merged = forbidden(&settings(&base, &policy));
        for entry in forbidden(&base).iter().chain(&forbidden(&policy)) {
            prop_assert!(merged.contains(entry), "{entry:?} is lost");
        }
    }

    #[test]
    fn what_forbids_is_the_same_whichever_lies_on_top(one in any_settings(), other in any_settings()) {
        let both = (settings(&one, &other), settings(&other, &one));
        prop_assert_eq!(as_set(&both.0), as_set(&both.1));
    }

    #[test]
    fn an_empty_policy_or_base_changes_nothing(one in any_settings()) {
        prop_assert_eq!(&settings(&one, &Document::new()), &one);
        prop_assert_eq!(&settings(&Document::new(), &one), &one);
        prop_assert_eq!(&settings(&one, &one), &one);
    }

    #[test]
    fn the_order_of_keys_decides_nothing(base in any_settings(), policy in any_settings()) {
        let backwards = |document: &Document| document.clone().into_iter().rev().collect::<Document>();
        prop_assert_eq!(settings(&backwards(&base), &backwards(&policy)), settings(&base, &policy));
    }

    #[test]
    fn a_tool_that_the_base_restricts_stays_so(base in any_desktop(), policy in any_desktop()) {
        let Some(merged) = desktop(Some(&base), Some(&policy)) else { panic!("both are there") };
        for (tool, verdict) in base["builtinToolPolicy"].as_object().into_iter().flatten() {
            prop_assert!(verdict == "allow" || merged["builtinToolPolicy"][tool] == *verdict);
        }
        for tool in base["disabledBuiltinTools"].as_array().into_iter().flatten() {
            prop_assert!(merged["disabledBuiltinTools"].as_array().is_some_and(|tools| tools.contains(tool)));
        }
        let again = desktop(Some(&base), Some(&merged));
        prop_assert_eq!(again, Some(merged));
    }
}
