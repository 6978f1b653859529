//! Files of any kind: whatever one says, its objects say too.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    CERTIFICATE,
    cluster::{Cluster, assert_same},
    environment, files, imported, with,
};

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[A-Za-z][A-Za-z0-9 ._-]{0,12}[a-z]", 1..4)
        .prop_map(|words| words.into_iter().collect())
}

fn policy() -> impl Strategy<Value = Value> {
    let matcher = prop_oneof![
        words().prop_map(|groups| json!({ "groups": groups })),
        "[a-z]{1,9}[.]com".prop_map(|domain| json!({ "email_domain": domain })),
        ("[a-z]{1,9}@[a-z]{1,9}[.]com", words())
            .prop_map(|(email, subjects)| json!({ "emails": [email], "subjects": subjects })),
    ];
    let code = prop_oneof![
        Just(json!({})),
        words().prop_map(|models| json!({ "availableModels": models, "model": "opus" })),
        "[ -~\n]{0,30}".prop_map(|text| json!({ "claudeMd": text, "env": { "A": "${HOME}" } })),
    ];
    let limits = prop::option::of(1..1_000_000_u64);
    let retention = prop::sample::select(vec!["full", "redacted", "none"]);
    (matcher, code, limits, retention, any::<bool>(), prop::option::of("[A-Za-z ]{1,9}")).prop_map(
        |(matcher, code, limits, telemetry, is_trial, desktop)| {
            let mut policy = json!({ "match": matcher, "code": code, "retention": { "telemetry": telemetry } });
            policy["mode"] = json!(if is_trial { "audit" } else { "enforce" });
            if let Some(limit) = limits {
                policy["limits"] = json!({ "tokens_per_day": limit, "count_cache_reads": is_trial });
            }
            if let Some(desktop) = desktop {
                policy["desktop"] = json!({ "note": desktop });
            }
            policy
        },
    )
}

fn database_section() -> impl Strategy<Value = Value> {
    let login = (prop::option::of("[a-z]{1,9}"), prop::option::of("[!-~]{1,20}"));
    (login, 1..60_u32, "[a-z_]{1,9}").prop_filter_map(
        "a schema of Postgres's own",
        |((username, password), number, schema)| {
            let word = password.filter(|word| !word.contains("${"));
            let mut store = json!({ "postgres_url": "postgresql://a:b%40c@db.example.com/d?sslmode=require" });
            store["max_connections"] = json!(number);
            store["connect_timeout_seconds"] = json!(number);
            store["schema"] = json!(schema);
            if let Some(username) = username {
                store["username"] = json!(username);
            }
            if let Some(word) = word {
                store["password"] = json!(word);
            }
            (!schema.starts_with("pg_")).then_some(store)
        },
    )
}

fn upstream(name: String) -> impl Strategy<Value = Value> {
    let auth = prop_oneof![
        "[!-#%-~]{1,20}".prop_map(|key| json!({ "api_key": key })),
        "[!-#%-~]{1,20}".prop_map(|key| json!({ "oauth_token": key })),
        Just(json!({ "federation_rule_id": "r", "organization_id": "o", "identity_token_file": "/t" })),
    ];
    let numbers = (prop::option::of(0..10_000_u32), 1..1_000_u32, prop::option::of(1..1_000_u32), any::<bool>());
    (auth, numbers, prop::option::of("[a-z]{1,9}")).prop_map(move |(auth, (priority, weight, most, zero), host)| {
        let mut upstream =
            json!({ "provider": "anthropic", "name": name, "auth": auth, "weight": weight, "zero_retention": zero });
        if let Some(priority) = priority {
            upstream["priority"] = json!(priority);
        }
        if let Some(most) = most {
            upstream["max_concurrent"] = json!(most);
            upstream["headers"] = json!({ "X-One": "1 2", "x-two": "3" });
            upstream["models"] = json!(["claude-*", "b"]);
        }
        if let Some(host) = host {
            upstream["base_url"] = json!(format!("https://{host}.example.com/a/"));
            upstream["forward_user_identity"] = json!(zero);
            upstream["ca_cert_pem"] = json!(CERTIFICATE);
        }
        upstream
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_a_file_says_the_objects_say_too(
        mut policies in prop::collection::vec(policy(), 0..6),
        base in prop::option::of(policy()),
        store in database_section(),
        upstreams in (upstream("first".to_owned()), upstream("second".to_owned())),
        minutes in 1..5_000_u32,
        groups in words(),
        proxies in prop::option::of(Just(vec!["10.0.0.0/8", "192.0.2.7"])),
        flags in any::<[bool; 6]>(),
    ) {
        let mut tree = with("store", store);
        if let Some(mut base) = base {
            base["match"] = json!({});
            base["mode"] = json!("enforce");
            policies.insert(policies.len() / 2, base);
        }
        tree["managed"] = json!({ "policies": policies });
        tree["upstreams"] = json!([upstreams.0, upstreams.1]);
        tree["session"]["ttl_hours"] = json!(f64::from(minutes) / 60.0);
        tree["oidc"]["allowed_groups"] = json!(groups);
        tree["oidc"]["use_pkce"] = json!(flags[0]);
        tree["oidc"]["email_claim"] = json!(if flags[1] { json!("upn") } else { json!(["/a/b", "email"]) });
        tree["oidc"]["extra_auth_params"] = json!({ "prompt": groups[0] });
        tree["auto_include_builtin_models"] = json!(flags[2]);
        tree["limits"] = json!({ "max_request_bytes": minutes });
        tree["access_control"] = json!({ "deny_cidrs": if flags[3] { json!(["10.6.6.6"]) } else { json!([]) } });
        if let Some(proxies) = proxies {
            tree["listen"]["trusted_proxies"] = json!(proxies);
        }
        if flags[4] {
            tree["listen"]["metrics"] = json!("127.0.0.1:9500");
            tree["oidc"]["use_proxy"] = json!(flags[5]);
        }
        if flags[5] {
            let keys = json!([{ "id": "Terraform Cloud", "key": "k".repeat(40) }, { "id": "terraform cloud", "key": "l".repeat(40) }]);
            tree["admin"] = json!({ "write_keys": keys, "admin_groups": groups });
            tree["enforcement"] = json!({ "fail_closed_on_error": true });
        }
        let text = tree.to_string();
        let imported = imported(&text);
        assert_same(&text, &Cluster::of(&imported, &|_| None), &environment(), &files());
    }
}
