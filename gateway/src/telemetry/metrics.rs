//! Our own numbers, for Prometheus. Labels come from closed sets, so no client can grow the series.

use std::{
    collections::BTreeSet,
    fmt::Write,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    pub endpoint: Endpoint,
    pub status: u16,
}

/// Which promise of the door was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Endpoint {
    Messages,
    CountTokens,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamAttempt {
    pub upstream: String,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    Answered,
    FailedOver,
    Cut,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// A catalogue or configured id, so bounded by the operator.
    pub model: String,
    pub kind: TokenKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum TokenKind {
    Input,
    Output,
    CacheRead,
    CacheWrite,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refused {
    pub reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitRefused {
    limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AuditedVerdict {
    policy: String,
    verdict: &'static str,
}

/// Policies with a name of their own in [`Metrics::audited`]; those that come later count together.
const NAMED_POLICIES: usize = 100;
const OTHER_POLICIES: &str = "(other)";

/// The instruments; rooms hold clones of the ones they move.
pub struct Metrics {
    registry: Registry,
    pub answered: Family<Answered, Counter>,
    pub refused: Family<Refused, Counter>,
    pub attempts: Family<UpstreamAttempt, Counter>,
    pub tokens: Family<Tokens, Counter>,
    pub in_flight: Gauge,
    pub connections: Gauge,
    pub store_reachable: Gauge,
    pub store_statements: Counter<u64, AtomicU64>,
    pub revocation_sequence: Gauge,
    pub first_byte_seconds: Histogram,
    pub log_lines_dropped: Gauge<i64>,
    pub idp_key_fetches: Counter<u64, AtomicU64>,
    pub policy_revision: Gauge,
    pub policies: Gauge,
    pub policy_reload_failed: Gauge,
    pub store_last_seen_seconds: Gauge<f64, AtomicU64>,
    pub limits_unchecked: Counter<u64, AtomicU64>,
    limit_refusals: Family<LimitRefused, Counter>,
    audited_verdicts: Family<AuditedVerdict, Counter>,
    audited_policies: Mutex<BTreeSet<String>>,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("claude_gateway");
        let answered = Family::default();
        registry.register("responses", "Replies by endpoint and status", answered.clone());
        let refused = Family::default();
        registry.register("refusals", "Requests that the gateway itself refused, by reason", refused.clone());
        let attempts = Family::default();
        registry.register("upstream_attempts", "What became of each try at an upstream", attempts.clone());
        let tokens = Family::default();
        registry.register("tokens", "Tokens that providers reported, by model and kind", tokens.clone());
        let in_flight = Gauge::default();
        registry.register("requests_in_flight", "Requests whose reply has not ended", in_flight.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open client connections", connections.clone());
        let store_reachable = Gauge::default();
        registry.register("store_reachable", "1 while Postgres answers", store_reachable.clone());
        let store_statements = Counter::default();
        registry.register("store_statements", "Statements sent to Postgres", store_statements.clone());
        let revocation_sequence = Gauge::default();
        registry.register(
            "revocation_sequence",
            "The newest revocation this pod enforces",
            revocation_sequence.clone(),
        );
        let bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        let first_byte_seconds = Histogram::new(bounds);
        registry.register(
            "upstream_first_byte_seconds",
            "From sending to the response head",
            first_byte_seconds.clone(),
        );
        let log_lines_dropped = Gauge::default();
        registry.register("log_lines_dropped", "Lines lost because nobody read them", log_lines_dropped.clone());
        let idp_key_fetches = Counter::default();
        registry.register("idp_key_fetches", "Fetches of the identity provider's keys", idp_key_fetches.clone());
        let policy_revision = Gauge::default();
        registry.register("policy_revision", "The revision of the policies this pod enforces", policy_revision.clone());
        let policies = Gauge::default();
        registry.register("policies", "How many policies this pod knows", policies.clone());
        let policy_reload_failed = Gauge::default();
        registry.register(
            "policy_reload_failed",
            "1 while the newest policies are not valid and older ones are enforced",
            policy_reload_failed.clone(),
        );
        let store_last_seen_seconds = Gauge::default();
        registry.register(
            "store_last_seen_seconds",
            "How long ago this pod last learned what is revoked and which policies hold",
            store_last_seen_seconds.clone(),
        );
        let limits_unchecked = Counter::default();
        registry.register(
            "limits_unchecked",
            "Requests that passed although a limit could not be checked",
            limits_unchecked.clone(),
        );
        let limit_refusals = Family::default();
        registry.register("limit_refusals", "Requests that a token limit refused, by limit", limit_refusals.clone());
        let audited_verdicts = Family::default();
        registry.register(
            "policy_audit_verdicts",
            "What policies in audit mode would have said",
            audited_verdicts.clone(),
        );
        Self {
            registry,
            answered,
            refused,
            attempts,
            tokens,
            in_flight,
            connections,
            store_reachable,
            store_statements,
            revocation_sequence,
            first_byte_seconds,
            log_lines_dropped,
            idp_key_fetches,
            policy_revision,
            policies,
            policy_reload_failed,
            store_last_seen_seconds,
            limits_unchecked,
            limit_refusals,
            audited_verdicts,
            audited_policies: Mutex::default(),
        }
    }

    /// The text exposition format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            let _ = text.write_str("# EOF\n");
        }
        text
    }

    pub fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    pub fn limit_refused(&self, limit: &'static str) {
        self.limit_refusals.get_or_create(&LimitRefused { limit }).inc();
    }

    /// Policies come and go for as long as the process runs, so their names are a closed set only up to a number.
    pub fn audited(&self, policy: &str, verdict: &'static str) {
        let mut named = self.audited_policies.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = match named.contains(policy) || named.len() < NAMED_POLICIES && named.insert(policy.to_owned()) {
            true => policy,
            false => OTHER_POLICIES,
        };
        drop(named);
        self.audited_verdicts.get_or_create(&AuditedVerdict { policy: policy.to_owned(), verdict }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_shows_with_its_labels() {
        let metrics = Metrics::new();
        metrics.answered.get_or_create(&Answered { endpoint: Endpoint::Messages, status: 200 }).inc();
        let text = metrics.render();
        assert!(text.contains(r#"claude_gateway_responses_total{endpoint="Messages",status="200"} 1"#), "{text}");
    }

    #[test]
    fn policies_without_end_are_a_series_with_one() {
        let metrics = Metrics::new();
        for n in 0..=2 * NAMED_POLICIES {
            metrics.audited(&format!("policy-{n}"), "granted");
        }
        metrics.audited("policy-7", "granted");
        let text = metrics.render();
        assert_eq!(text.matches("policy_audit_verdicts_total{").count(), NAMED_POLICIES + 1);
        assert!(text.contains(r#"{policy="policy-7",verdict="granted"} 2"#), "{text}");
        assert!(text.contains(r#"{policy="(other)",verdict="granted"} 101"#), "{text}");
    }
}
