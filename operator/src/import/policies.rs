//! `managed.policies`: one UserPolicy each, tried in the order of the file.

use std::collections::BTreeSet;

use crds::policy::{
    GatewayRef, Mode, UserPolicySpec,
    limits::TokenLimits,
    matching::Match,
    retention::{Retention, TelemetryDetail, UpstreamRetention},
};
use gateway_config::{Config, Matcher, Policy, PolicyMode, PolicySource};
use serde_json::json;

use super::{
    Wishes,
    gateway::unique,
    names, pruning,
    stream::{Document, Notes},
};

/// The range of priorities.
const HIGHEST: usize = 10_000;
/// Room for a policy between two.
const STEP: usize = 10;
/// Of an object's name.
const LONGEST: usize = 63;

pub(super) fn documents(config: &Config, wishes: &Wishes, problems: &mut Vec<String>) -> Vec<Document> {
    let Some(managed) = &config.managed else { return Vec::new() };
    if managed.source == PolicySource::Store {
        problems.push(
            "managed.source: is store, so the policies are rows that an operator wrote: its UserPolicies say them already; \
             remove managed to import the rest"
                .to_owned(),
        );
        return Vec::new();
    }
    let count = managed.policies.len();
    if count > HIGHEST {
        problems.push(format!("managed.policies: are more than {HIGHEST}, the number of priorities: unite some"));
        return Vec::new();
    }
    let step = (HIGHEST / count.max(1)).clamp(1, STEP);
    let mut taken = BTreeSet::new();
    let documents = managed.policies.iter().enumerate();
    documents.map(|(at, policy)| document((at, (count - at) * step), policy, wishes, &mut taken)).collect()
}

fn document(
    (at, priority): (usize, usize),
    policy: &Policy,
    wishes: &Wishes,
    taken: &mut BTreeSet<String>,
) -> Document {
    let Policy { name: old, matcher, code, desktop, limits, retention, mode } = policy;
    let is_base = matcher.is_base();
    let mut notes = Notes::default();
    let called = old.clone().unwrap_or_else(|| made_up(matcher, *mode));
    let name = names::distinct(&format!("{}-{called}", wishes.name), taken, LONGEST);
    notes.say(
        "/metadata/name",
        match old {
            Some(old) => format!("managed.policies[{at}], called {old:?} there."),
            None => format!("managed.policies[{at}]; it has no name there, this one is made up."),
        },
    );
    if is_base {
        notes.say("/spec/gatewayRef", "The base that all others build on: no priority counts for it.");
    } else {
        notes.say("/spec/priority", "Keeps the order of the file: higher is tried first.");
    }
    let spec = UserPolicySpec {
        gateway_ref: GatewayRef { name: wishes.name.clone(), namespace: None },
        priority: if is_base { 0 } else { i32::try_from(priority).unwrap_or(i32::MAX) },
        matcher: matching(matcher),
        // The document says them, as the file does.
        models: None,
        token_limits: (!limits.is_empty()).then(|| self::limits(limits)),
        retention: (*retention != gateway_config::Retention::default()).then(|| self::retention(retention)),
        claude_code: (!code.is_empty()).then(|| code.clone()),
        desktop: desktop.clone(),
        mode: match mode {
            PolicyMode::Enforce => Mode::Enforce,
            PolicyMode::Audit => Mode::Audit,
        },
    };
    let object = json!({
        "apiVersion": "claude-gateway.dev/v1alpha1", "kind": "UserPolicy", "metadata": wishes.metadata(&name),
        "spec": pruning::pruned(&spec, "/spec", &notes),
    });
    Document { object, notes }
}

fn made_up(matcher: &Matcher, mode: PolicyMode) -> String {
    let first =
        matcher.groups.iter().chain(&matcher.email_domain).chain(&matcher.emails).chain(&matcher.subjects).next();
    let said = first.map_or("everyone", String::as_str);
    match mode {
        PolicyMode::Enforce => said.to_owned(),
        PolicyMode::Audit => format!("{said}-trial"),
    }
}

fn matching(matcher: &Matcher) -> Match {
    let Matcher { groups, email_domain, emails, subjects } = matcher.clone();
    Match {
        groups: unique(groups.into_iter()),
        email_domain,
        emails: unique(emails.into_iter()),
        subjects: unique(subjects.into_iter()),
    }
}

fn limits(limits: &gateway_config::TokenLimits) -> TokenLimits {
    let gateway_config::TokenLimits {
        max_input_tokens,
        max_output_tokens,
        tokens_per_minute,
        tokens_per_day,
        tokens_per_month,
        requests_per_minute,
        concurrent_requests,
        count_cache_reads,
    } = limits.clone();
    TokenLimits {
        max_input_tokens,
        max_output_tokens,
        tokens_per_minute,
        tokens_per_day,
        tokens_per_month,
        requests_per_minute,
        concurrent_requests,
        count_cache_reads,
    }
}

fn retention(retention: &gateway_config::Retention) -> Retention {
    let gateway_config::Retention { transcript_days, telemetry, upstream } = retention;
    Retention {
        transcript_days: *transcript_days,
        telemetry: telemetry.map(|detail| match detail {
            gateway_config::TelemetryDetail::Full => TelemetryDetail::Full,
            gateway_config::TelemetryDetail::Redacted => TelemetryDetail::Redacted,
            gateway_config::TelemetryDetail::None => TelemetryDetail::None,
        }),
        upstream: upstream.map(|retention| match retention {
            gateway_config::UpstreamRetention::Any => UpstreamRetention::Any,
            gateway_config::UpstreamRetention::Zero => UpstreamRetention::Zero,
        }),
    }
}
