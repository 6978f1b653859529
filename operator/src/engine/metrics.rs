//! What Prometheus is told of the operator.
//!
//! Labels are bounded: kinds, outcomes and condition types are ours, and an object's series end with the object.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::progress::Progress;

/// One controller, by the kind it reconciles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciled {
    controller: &'static str,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    Done,
    Failed,
    /// The stored object could not be read.
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    resource: String,
}

/// A condition of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionOf {
    kind: &'static str,
    namespace: String,
    name: String,
    condition: &'static str,
}

pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconciled, Counter>,
    durations: Family<Controller, Histogram, fn() -> Histogram>,
    queued: Family<Controller, Gauge>,
    running: Family<Controller, Gauge>,
    watch_errors: Family<Resource, Counter>,
    watch_ages: Family<Resource, Gauge<f64, std::sync::atomic::AtomicU64>>,
    leader: Gauge,
    conditions: Family<ConditionOf, Gauge>,
    /// A scrape reads the ages of this moment.
    scraping: Mutex<()>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("claude_gateway_operator"),
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 14))),
            queued: Family::default(),
            running: Family::default(),
            watch_errors: Family::default(),
            watch_ages: Family::default(),
            leader: Gauge::default(),
            conditions: Family::default(),
            scraping: Mutex::default(),
        };
        let Self { registry, reconciles, durations, queued, running, .. } = &mut metrics;
        registry.register("reconciles", "Reconciles that ended, by outcome", reconciles.clone());
        registry.register("reconcile_duration_seconds", "How long a reconcile took", durations.clone());
        registry.register("queue_depth", "Requests to reconcile that wait to be looked at", queued.clone());
        registry.register("reconciles_running", "Reconciles under way", running.clone());
        let Self { registry, watch_errors, watch_ages, leader, conditions, .. } = &mut metrics;
        registry.register("watch_errors", "Failures of a watch", watch_errors.clone());
        registry.register("watch_age_seconds", "Since a watch was last heard of", watch_ages.clone());
        registry.register("leader", "Whether this replica holds the lease", leader.clone());
        let help = "A condition of an object: 1 is True, 0 False, -1 Unknown";
        registry.register("condition", help, conditions.clone());
        metrics
    }
}

impl Metrics {
    pub fn reconciled(&self, controller: &'static str, outcome: Outcome, took: Duration) {
        self.reconciles.get_or_create(&Reconciled { controller, outcome }).inc();
        self.durations.get_or_create(&Controller { controller }).observe(took.as_secs_f64());
    }

    pub fn queued(&self, controller: &'static str) -> Gauge {
        self.queued.get_or_create(&Controller { controller }).clone()
    }

    pub fn running(&self, controller: &'static str) -> Gauge {
        self.running.get_or_create(&Controller { controller }).clone()
    }

    pub fn watch_failed(&self, resource: &str) {
        self.watch_errors.get_or_create(&Resource { resource: resource.to_owned() }).inc();
    }

    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// `status` as a condition writes it.
    pub fn condition(&self, kind: &'static str, object: (&str, &str), condition: &'static str, status: &str) {
        let value = match status {
            "True" => 1,
            "False" => 0,
            _ => -1,
        };
        self.conditions.get_or_create(&labels(kind, object, condition)).set(value);
    }

    /// The object, or only this condition of it, is gone.
    pub fn forget_condition(&self, kind: &'static str, object: (&str, &str), condition: &'static str) {
        self.conditions.remove(&labels(kind, object, condition));
    }

    pub fn text(&self, progress: &Progress, now: Instant) -> String {
        let _one_at_a_time = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        for (resource, age) in progress.ages(now) {
            self.watch_ages.get_or_create(&Resource { resource }).set(age.as_secs_f64());
        }
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn labels(kind: &'static str, (namespace, name): (&str, &str), condition: &'static str) -> ConditionOf {
    ConditionOf { kind, namespace: namespace.to_owned(), name: name.to_owned(), condition }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_a_scrape_shows_what_was_done_and_what_is() {
        let metrics = Metrics::default();
        metrics.reconciled("ClaudeGateway", Outcome::Failed, Duration::from_millis(7));
        metrics.queued("ClaudeGateway").inc();
        metrics.leads(true);
        metrics.condition("ClaudeGateway", ("a", "b"), "Ready", "False");
        metrics.condition("ClaudeGateway", ("a", "gone"), "Ready", "True");
        metrics.forget_condition("ClaudeGateway", ("a", "gone"), "Ready");
        let text = metrics.text(&Progress::begin(Instant::now()), Instant::now());
        for line in [
            r#"claude_gateway_operator_reconciles_total{controller="ClaudeGateway",outcome="Failed"} 1"#,
            r#"claude_gateway_operator_reconcile_duration_seconds_count{controller="ClaudeGateway"} 1"#,
            r#"claude_gateway_operator_queue_depth{controller="ClaudeGateway"} 1"#,
            "claude_gateway_operator_leader 1",
            r#"claude_gateway_operator_condition{kind="ClaudeGateway",namespace="a",name="b",condition="Ready"} 0"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("gone"), "{text}");
    }
}
