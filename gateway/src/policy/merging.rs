//! A policy laid over the base: what replaces, what unites, what is filled in (`configuration.md`, "managed").
//!
//! Invariant: what forbids only grows. Nothing that the base denies, asks about, blocks or hooks is lost in a merge, and
//! merging a result onto the same base again changes nothing.

use gateway_config::{Retention, TokenLimits};
use serde_json::{Map, Value, map::Entry};

type Document = Map<String, Value>;

/// The base's entries, then those of the policy that are not among them.
const UNITED: [&str; 4] = ["deniedModels", "disabledMcpjsonServers", "deniedMcpServers", "blockedMarketplaces"];
const OVERLAID: [&str; 3] = ["env", "modelOverrides", "skillOverrides"];

/// A managed-settings document of Claude Code.
pub(super) fn settings(base: &Document, policy: &Document) -> Document {
    merged(base, policy, |key, below, above| match key {
        _ if UNITED.contains(&key) => united(below, above),
        _ if OVERLAID.contains(&key) => overlaid(below, above, |_, _, above| above.clone()),
        "permissions" => overlaid(below, above, |key, below, above| match key {
            "deny" | "ask" => united(below, above),
            _ => above.clone(),
        }),
        "hooks" => overlaid(below, above, |_, below, above| united(below, above)),
        _ => above.clone(),
    })
}

/// Claude Desktop's part. A policy without one takes the base's, and the other way round.
pub(super) fn desktop(base: Option<&Document>, policy: Option<&Document>) -> Option<Document> {
    match (base, policy) {
        (Some(base), Some(policy)) => Some(merged(base, policy, |key, below, above| match key {
            "disabledBuiltinTools" => united(below, above),
            "builtinToolPolicy" => overlaid(below, above, |_, below, above| match below.as_str() {
                Some("allow") => above.clone(),
                _ => below.clone(),
            }),
            _ => above.clone(),
        })),
        (one, other) => one.or(other).cloned(),
    }
}

/// Key by key, the policy's value winning.
pub(super) fn limits(base: &TokenLimits, policy: &TokenLimits) -> TokenLimits {
    let TokenLimits {
        max_input_tokens,
        max_output_tokens,
        tokens_per_minute,
        tokens_per_day,
        tokens_per_month,
        requests_per_minute,
        concurrent_requests,
        count_cache_reads,
    } = policy;
    TokenLimits {
        max_input_tokens: max_input_tokens.or(base.max_input_tokens),
        max_output_tokens: max_output_tokens.or(base.max_output_tokens),
        tokens_per_minute: tokens_per_minute.or(base.tokens_per_minute),
        tokens_per_day: tokens_per_day.or(base.tokens_per_day),
        tokens_per_month: tokens_per_month.or(base.tokens_per_month),
        requests_per_minute: requests_per_minute.or(base.requests_per_minute),
        concurrent_requests: concurrent_requests.or(base.concurrent_requests),
        count_cache_reads: count_cache_reads.or(base.count_cache_reads),
    }
}

/// The stricter of each.
pub(super) fn retention(base: &Retention, policy: &Retention) -> Retention {
    let Retention { transcript_days, telemetry, upstream } = policy;
    Retention {
        transcript_days: match (base.transcript_days, *transcript_days) {
            (Some(base), Some(policy)) => Some(base.min(policy)),
            (base, policy) => base.or(policy),
        },
        telemetry: base.telemetry.max(*telemetry),
        upstream: base.upstream.max(*upstream),
    }
}

/// Both documents' keys; `join` decides where both have one.
fn merged(base: &Document, policy: &Document, join: impl Fn(&str, &Value, &Value) -> Value) -> Document {
    let mut result = base.clone();
    for (key, above) in policy {
        match result.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(above.clone());
            }
            Entry::Occupied(mut below) => {
                let joined = join(key, below.get(), above);
                below.insert(joined);
            }
        }
    }
    result
}

/// [`merged`] one level down. What is no mapping, which the configuration does not let in, is replaced.
fn overlaid(below: &Value, above: &Value, join: impl Fn(&str, &Value, &Value) -> Value) -> Value {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => Value::Object(merged(below, above, join)),
        _ => above.clone(),
    }
}

/// Each entry once. What is no list, which the configuration does not let in, forbids nothing.
fn united(below: &Value, above: &Value) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for entry in [below, above].into_iter().filter_map(Value::as_array).flatten() {
        if !all.contains(entry) {
            all.push(entry.clone());
        }
    }
    Value::Array(all)
}

#[cfg(test)]
mod tests;
