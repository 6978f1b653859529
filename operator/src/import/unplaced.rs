//! What the file may say and the objects have no place for: said, and taken out before the file is judged where a gateway of this
//! version would refuse it.

use serde_json::{Value, json};

/// `[]` stands for each entry of a list.
const REFUSED: &[(&str, &str)] = &[
    ("telemetry", "no field of a ClaudeGateway says where telemetry goes yet: clients' telemetry is not relayed"),
    ("pricing", "no field of a ClaudeGateway holds prices yet: list prices count"),
    ("load_test_mode", "a gateway in a cluster has no load test mode"),
    (
        "admin.blocked_message",
        "no field of a ClaudeGateway holds it yet: blocked developers read the gateway's own words",
    ),
    ("admin.group_limit_mode", "no field of a ClaudeGateway holds it yet"),
    ("admin.billing_group_tag", "no field of a ClaudeGateway holds it yet"),
    ("upstreams[].region_prefix", "no field of an upstream holds it yet"),
];

/// What is judged with the rest, and then left.
const IGNORED: &[(&str, &str)] = &[
    ("admin.audit_retention_days", "no field of a ClaudeGateway holds it yet: they are kept 365 days"),
    ("admin.identity_retention_days", "no field of a ClaudeGateway holds it yet: 90 days"),
    ("listen.host", "pods serve all addresses of their own"),
    ("listen.port", "pods serve port 8080, the Service port 80, and the way to it is the Ingress's or the HTTPRoute's"),
    ("store.migrate", "the operator creates and alters tables; pods cannot"),
    ("store.readiness", "pods in a cluster are `booted`: a database that is away takes no pod out of the Service"),
    ("store.readiness_grace_seconds", "it goes with readiness strict, and pods in a cluster are `booted`"),
    ("store.journal_dir", "the operator gives each pod a volume of its own for the journal"),
];

/// Upstreams of these providers have no place yet.
const PROVIDERS: [&str; 5] = ["bedrock", "mantle", "anthropicAws", "vertex", "foundry"];

#[derive(Debug, Default)]
pub(super) struct Unplaced {
    pub(super) notes: Vec<String>,
    /// Places in the list of upstreams that hold a stand-in now.
    pub(super) upstreams: Vec<usize>,
}

pub(super) fn take(tree: &mut Value) -> Unplaced {
    let mut unplaced = Unplaced::default();
    for (table, goes) in [(REFUSED, true), (IGNORED, false)] {
        for (pattern, why) in table {
            let mut said = |path: String| unplaced.notes.push(format!("{path} is not taken over: {why}."));
            take_one(tree, pattern, "", goes, &mut said);
        }
    }
    let upstreams = tree.get_mut("upstreams").and_then(Value::as_array_mut);
    for (at, upstream) in upstreams.into_iter().flatten().enumerate() {
        let Some(provider) = upstream["provider"].as_str().filter(|provider| PROVIDERS.contains(provider)) else {
            continue;
        };
        let provider = provider.to_owned();
        unplaced.notes.push(format!(
            "upstreams[{at}] is not taken over: no ClaudeGateway has an upstream of the provider {provider} yet. What went \
             there goes to the others, or nowhere."
        ));
        unplaced.upstreams.push(at);
        // Others may name it, and complaints count places.
        let name = upstream.get("name").cloned().unwrap_or(provider.into());
        *upstream = json!({ "provider": "anthropic", "name": name, "auth": { "api_key": "stand-in" } });
    }
    unplaced
}

fn take_one(value: &mut Value, pattern: &str, path: &str, goes: bool, said: &mut dyn FnMut(String)) {
    let Some(object) = value.as_object_mut() else { return };
    let (step, rest) = pattern.split_once('.').map_or((pattern, None), |(step, rest)| (step, Some(rest)));
    let key = step.trim_end_matches("[]");
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (rest, object.get_mut(key)) {
        (None, Some(_)) => {
            if goes {
                object.shift_remove(key);
            }
            said(path);
        }
        (Some(rest), Some(Value::Array(items))) => {
            for (at, item) in items.iter_mut().enumerate() {
                take_one(item, rest, &format!("{path}[{at}]"), goes, said);
            }
        }
        (Some(rest), Some(inner)) => take_one(inner, rest, &path, goes, said),
        (_, None) => {}
    }
}
