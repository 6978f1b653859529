//! Our own numbers, for Prometheus. Labels come from closed sets, so no client can grow the series.

use std::{
    collections::BTreeSet,
    fmt::Write,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

pub use prometheus_client::metrics::counter::Counter;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
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
struct UpstreamAttempt {
    upstream: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Answered,
    FailedOver,
    Cut,
}

/// What became of the tries at one upstream, found once and not at each request.
pub struct Attempts {
    pub answered: Counter,
    pub failed_over: Counter,
    pub cut: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokensOf {
    model: String,
    kind: TokenKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum TokenKind {
    Input,
    Output,
    CacheRead,
    CacheWrite,
}

/// One model's.
pub struct Tokens {
    pub input: Counter,
    pub output: Counter,
    pub cache_read: Counter,
    pub cache_write: Counter,
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
    attempts: Family<UpstreamAttempt, Counter>,
    tokens: Family<TokensOf, Counter>,
    pub in_flight: Gauge,
    pub connections: Gauge,
    pub store_reachable: Gauge,
    pub store_statements: Counter<u64, AtomicU64>,
    pub revocation_sequence: Gauge,
    pub first_byte_seconds: Histogram,
    pub log_lines_dropped: Gauge<i64>,
    pub ledger_unflushed_keys: Gauge,
    pub ledger_unflushed_seconds: Gauge<f64, AtomicU64>,
    pub ledger_in_journal: Gauge,
    pub ledger_refused: Gauge,
    pub limits_held: Gauge,
    pub limits_unchecked: Counter<u64, AtomicU64>,
    limit_refusals: Family<LimitRefused, Counter>,
    connection_cuts: Family<Refused, Counter>,
    pub idp_key_fetches: Counter<u64, AtomicU64>,
    pub policy_revision: Gauge,
    pub policies: Gauge,
    pub policy_reload_failed: Gauge,
    pub store_last_seen_seconds: Gauge<f64, AtomicU64>,
    audited_verdicts: Family<AuditedVerdict, Counter>,
    audited_policies: Mutex<BTreeSet<String>>,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("claude_gateway");
        let r = &mut registry;
        let bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        let first_byte_seconds = Histogram::new(bounds);
        r.register("upstream_first_byte_seconds", "From sending to the response head", first_byte_seconds.clone());
        let limits_held: Gauge = registered(r, "limits_held", "0 while limits are not held because Postgres is away");
        limits_held.set(1);
        Self {
            answered: registered(r, "responses", "Replies by endpoint and status"),
            refused: registered(r, "refusals", "Requests that the gateway itself refused, by reason"),
            attempts: registered(r, "upstream_attempts", "What became of each try at an upstream"),
            tokens: registered(r, "tokens", "Tokens that providers reported, by model and kind"),
            in_flight: registered(r, "requests_in_flight", "Requests whose reply has not ended"),
            connections: registered(r, "connections", "Open client connections"),
            store_reachable: registered(r, "store_reachable", "1 while Postgres answers"),
            store_statements: registered(r, "store_statements", "Statements sent to Postgres"),
            revocation_sequence: registered(r, "revocation_sequence", "The newest revocation this pod enforces"),
            first_byte_seconds,
            log_lines_dropped: registered(r, "log_lines_dropped", "Lines lost because nobody read them"),
            ledger_unflushed_keys: registered(
                r,
                "ledger_unflushed_keys",
                "Counters with usage that Postgres does not know yet",
            ),
            ledger_unflushed_seconds: registered(r, "ledger_unflushed_seconds", "How long the oldest of it has waited"),
            ledger_in_journal: registered(
                r,
                "ledger_in_journal",
                "1 while the local journal has all of it, 0 while a kill would lose it",
            ),
            ledger_refused: registered(r, "ledger_refused", "1 while Postgres answers and refuses it"),
            limits_held,
            limits_unchecked: registered(
                r,
                "limits_unchecked",
                "Requests that passed although a limit could not be checked",
            ),
            limit_refusals: registered(r, "limit_refusals", "Requests that a token limit refused, by limit"),
            connection_cuts: registered(
                r,
                "connection_cuts",
                "Connections and streams that a guard cut off, by reason",
            ),
            idp_key_fetches: registered(r, "idp_key_fetches", "Fetches of the identity provider's keys"),
            policy_revision: registered(r, "policy_revision", "The revision of the policies this pod enforces"),
            policies: registered(r, "policies", "How many policies this pod knows"),
            policy_reload_failed: registered(
                r,
                "policy_reload_failed",
                "1 while the newest policies are not valid and older ones are enforced",
            ),
            store_last_seen_seconds: registered(
                r,
                "store_last_seen_seconds",
                "How long ago this pod last learned what is revoked and which policies hold",
            ),
            audited_verdicts: registered(r, "policy_audit_verdicts", "What policies in audit mode would have said"),
            audited_policies: Mutex::default(),
            registry,
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

    pub fn attempts_at(&self, upstream: &str) -> Attempts {
        let counter =
            |outcome| self.attempts.get_or_create(&UpstreamAttempt { upstream: upstream.to_owned(), outcome }).clone();
        Attempts {
            answered: counter(Outcome::Answered),
            failed_over: counter(Outcome::FailedOver),
            cut: counter(Outcome::Cut),
        }
    }

    /// `model` is a catalogue or configured id, so bounded by the operator.
    pub fn tokens_of(&self, model: &str) -> Tokens {
        let counter = |kind| self.tokens.get_or_create(&TokensOf { model: model.to_owned(), kind }).clone();
        Tokens {
            input: counter(TokenKind::Input),
            output: counter(TokenKind::Output),
            cache_read: counter(TokenKind::CacheRead),
            cache_write: counter(TokenKind::CacheWrite),
        }
    }

    pub fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// A flood, or a client that takes nothing.
    pub fn cut(&self, reason: &'static str) {
        self.connection_cuts.get_or_create(&Refused { reason }).inc();
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

fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let instrument = M::default();
    registry.register(name, help, instrument.clone());
    instrument
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
