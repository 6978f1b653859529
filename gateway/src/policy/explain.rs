//! Why something holds for somebody: which policy matched and why the others did not, and where each setting comes from.
//!
//! Nothing here decides. The verdicts are [`PolicySet`]'s; this says in words what they rest on, and a test holds the words
//! against the verdicts.

use std::collections::BTreeMap;

use gateway_config::{Matcher, PolicyMode, Retention, TelemetryDetail, UpstreamRetention};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Effective, PolicyKey, PolicySet, Revision};
use crate::identity::Person;

/// What `explain` says of policies. The rest (models, what is used) is added by those who know it.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub revision: Revision,
    pub policies: Vec<Considered>,
    /// The settings as they are delivered; `None`: no policy applies.
    pub settings: Option<Settings>,
    pub limits: Vec<ExplainedLimit>,
    pub retention: ExplainedRetention,
}

/// One policy, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    pub policy: PolicyKey,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// For everyone: the others are merged onto it.
    Base,
    Matched,
    /// It would have matched, but an earlier one did.
    ComesLater {
        after: PolicyKey,
    },
    /// In audit mode: it would have decided, and is only logged.
    AuditOnly,
    NoMatch {
        reason: String,
    },
}

#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    pub document: Map<String, Value>,
    /// By JSON pointer (RFC 6901): the policies that a value comes from, or `gateway`.
    pub origins: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedLimit {
    pub limit: &'static str,
    pub amount: u64,
    pub origin: PolicyKey,
    /// What the person has used of it, as all pods together last said; `None`: nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedRetention {
    pub transcript_days: Option<u32>,
    pub telemetry: &'static str,
    pub upstream: &'static str,
}

impl Settings {
    /// What stands at one of [`origins`](Self::origins).
    pub fn value(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = match pointer.strip_prefix('/')?.split_once('/') {
            Some((first, rest)) => (first, format!("/{rest}")),
            None => (pointer.strip_prefix('/')?, String::new()),
        };
        self.document.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(&rest)
    }
}

const GATEWAY: &str = "gateway";

pub fn explain(set: &PolicySet, person: &Person, effective: &Effective) -> Explanation {
    let of = |key: &Option<PolicyKey>| key.as_ref().and_then(|key| set.policies().find(|(other, _)| *other == key));
    let layers: Vec<_> = [of(&effective.base), of(&effective.matched)].into_iter().flatten().collect();
    let documents: Vec<_> = layers.iter().map(|(key, policy)| (*key, &policy.code)).collect();
    let settings = effective
        .settings
        .as_ref()
        .map(|document| Settings { document: document.clone(), origins: origins(document, &documents) });
    let limits = effective.limits.amounts().into_iter().filter_map(|(limit, amount)| {
        let amount = amount?;
        let gives = |layer: &&(&PolicyKey, &gateway_config::Policy)| {
            layer.1.limits.amounts().into_iter().any(|(other, given)| other == limit && given.is_some())
        };
        // The upper layer's value wins.
        let (origin, _) = layers.iter().rev().find(gives)?;
        Some(ExplainedLimit { limit, amount, origin: (*origin).clone(), used: None })
    });
    Explanation {
        revision: set.revision(),
        policies: considered(set, person),
        settings,
        limits: limits.collect(),
        retention: retention(&effective.retention),
    }
}

fn considered(set: &PolicySet, person: &Person) -> Vec<Considered> {
    let mut matched: Option<&PolicyKey> = None;
    let mut considered = Vec::new();
    for (key, policy) in set.policies() {
        let audited = policy.mode == PolicyMode::Audit;
        let outcome = match (mismatch(&policy.matcher, person), matched) {
            (Some(reason), _) => Outcome::NoMatch { reason },
            (None, _) if policy.matcher.is_base() && !audited => Outcome::Base,
            (None, Some(after)) if !policy.matcher.is_base() => Outcome::ComesLater { after: after.clone() },
            (None, _) if audited => Outcome::AuditOnly,
            (None, _) => {
                matched = Some(key);
                Outcome::Matched
            }
        };
        considered.push(Considered { policy: key.clone(), outcome });
    }
    considered
}

/// The first part that does not match, in words; `None`: all do.
fn mismatch(matcher: &Matcher, person: &Person) -> Option<String> {
    let Matcher { groups, email_domain, emails, subjects } = matcher;
    let email = person.email.as_ref().map(|email| email.to_lowercase());
    let domain = email.as_ref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
    if !groups.is_empty() && !groups.iter().any(|group| person.groups.contains(group)) {
        return Some(format!("groups: not a member of {}", one_of(groups)));
    }
    if let Some(wanted) = email_domain
        && domain != Some(wanted.as_str())
    {
        return Some(match domain {
            Some(domain) => format!("email_domain: {domain} is not {wanted}"),
            None => format!("email_domain: there is no address to compare with {wanted}"),
        });
    }
    if !emails.is_empty() && !email.as_ref().is_some_and(|email| emails.contains(email)) {
        return Some(match &email {
            Some(email) => format!("emails: {email} is not among them"),
            None => "emails: there is no address to compare".to_owned(),
        });
    }
    if !subjects.is_empty() && !subjects.contains(&person.sub.0) {
        return Some(format!("subjects: {} is not among them", person.sub.0));
    }
    None
}

fn one_of(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        many => format!("any of {}", many.join(", ")),
    }
}

/// Who said each value of a merged document. Told from the documents alone: a value that none of them holds is the gateway's.
fn origins(merged: &Map<String, Value>, layers: &[(&PolicyKey, &Map<String, Value>)]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (key, value) in merged {
        let below: Vec<_> =
            layers.iter().filter_map(|(policy, document)| Some((*policy, document.get(key)?))).collect();
        originate(&format!("/{}", escaped(key)), value, &below, &mut found);
    }
    found
}

fn originate(pointer: &str, value: &Value, layers: &[(&PolicyKey, &Value)], found: &mut BTreeMap<String, Vec<String>>) {
    if let Value::Object(entries) = value
        && !entries.is_empty()
    {
        for (key, value) in entries {
            let below: Vec<_> = layers.iter().filter_map(|(policy, layer)| Some((*policy, layer.get(key)?))).collect();
            originate(&format!("{pointer}/{}", escaped(key)), value, &below, found);
        }
        return;
    }
    let said = layers.iter().filter(|(_, layer)| holds(layer, value)).map(|(policy, _)| policy.to_string());
    let mut said: Vec<_> = said.collect();
    if said.is_empty() {
        said.push(GATEWAY.to_owned());
    }
    found.insert(pointer.to_owned(), said);
}

/// A list is made of the lists whose entries it has.
fn holds(layer: &Value, merged: &Value) -> bool {
    match (layer, merged) {
        (Value::Array(entries), Value::Array(all)) if !entries.is_empty() => {
            entries.iter().all(|entry| all.contains(entry))
        }
        _ => layer == merged,
    }
}

/// RFC 6901, section 3.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn retention(retention: &Retention) -> ExplainedRetention {
    let Retention { transcript_days, telemetry, upstream } = retention;
    ExplainedRetention {
        transcript_days: *transcript_days,
        telemetry: telemetry.unwrap_or(TelemetryDetail::Full).word(),
        upstream: upstream.unwrap_or(UpstreamRetention::Any).word(),
    }
}

#[cfg(test)]
mod tests;
