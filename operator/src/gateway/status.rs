//! What a gateway's status says, from what was found; pure.
//!
//! Invariant: the same findings give the same status but for nothing, so there is nothing to write; a condition's time moves
//! only when its status does; `Reconciling`, `Stalled` and `Paused` are there only while they are true.

use crds::ClaudeGatewayStatus;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::apps::v1::Deployment,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};

use super::{
    apply::Applied,
    condition::{Finding, Reason},
    probe::Probed,
};

pub const READY: &str = "Ready";
pub const DATABASE_READY: &str = "DatabaseReady";
pub const IDENTITY_PROVIDER_READY: &str = "IdentityProviderReady";
pub const UPSTREAMS_READY: &str = "UpstreamsReady";
pub const POLICIES_SYNCED: &str = "PoliciesSynced";
pub const PROGRESSING: &str = "Progressing";
pub const CERTIFICATE_RENEWAL_DUE: &str = "CertificateRenewalDue";
pub const RECONCILING: &str = "Reconciling";
pub const STALLED: &str = "Stalled";
pub const PAUSED: &str = "Paused";

/// In the order in which they stand.
pub const CONDITIONS: [&str; 10] = [
    READY,
    DATABASE_READY,
    IDENTITY_PROVIDER_READY,
    UPSTREAMS_READY,
    POLICIES_SYNCED,
    PROGRESSING,
    CERTIFICATE_RENEWAL_DUE,
    RECONCILING,
    STALLED,
    PAUSED,
];

/// How long before a certificate's renewal people are told of it: each of them will have to trust the new one.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How a reconcile ended.
pub enum Outcome<'a> {
    /// It began: nothing is known yet.
    Begun,
    Paused,
    /// The object, or what it refers to, is not as it has to be; nothing was applied.
    Refused(&'a Finding),
    /// The world was looked at, and could not be made as it shall be.
    Failed {
        probed: &'a Probed,
        finding: &'a Finding,
    },
    Applied {
        probed: &'a Probed,
        applied: &'a Applied,
        facts: &'a Facts,
    },
}

/// What is told besides conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub url: String,
    pub selector: String,
    pub tls_sha256: Option<String>,
    /// What the object asks for; `None` where an autoscaler decides.
    pub replicas: Option<i32>,
    /// The operator's own image, where pods keep an older one.
    pub newer_image: Option<String>,
    /// When cert-manager will issue another certificate.
    pub renewal: Option<Timestamp>,
}

/// The status after this outcome.
pub fn status(
    before: Option<&ClaudeGatewayStatus>,
    generation: Option<i64>,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> ClaudeGatewayStatus {
    let mut status = before.cloned().unwrap_or_default();
    let stamp = Stamp { before: status.conditions.clone(), generation, now };
    match outcome {
        Outcome::Begun => {
            let begun = Finding::unknown(Reason::Reconciling, "The gateway is looked at for the first time.");
            status.conditions = stamp.all(|name| {
                matches!(name, READY | RECONCILING).then(|| match name {
                    READY => begun.clone(),
                    _ => Finding::good(Reason::Reconciling, begun.message()),
                })
            });
        }
        Outcome::Paused => {
            let paused = Finding::good(Reason::Paused, format!("Nothing is changed while {} is true.", crds::PAUSED));
            let kept = |name: &str| !matches!(name, RECONCILING | STALLED);
            status.conditions = stamp.over(|name| match name {
                PAUSED => Change::To(paused.clone()),
                name if kept(name) => Change::None,
                _ => Change::Gone,
            });
        }
        Outcome::Refused(finding) => {
            let stalled = finding.reason.is_terminal();
            status.conditions = stamp.over(|name| match name {
                READY => Change::To((*finding).clone()),
                STALLED if stalled => Change::To(Finding::good(finding.reason, finding.message())),
                RECONCILING if !stalled => Change::To(Finding::good(finding.reason, finding.message())),
                RECONCILING | STALLED | PAUSED => Change::Gone,
                _ => Change::None,
            });
        }
        Outcome::Failed { probed, finding } => {
            let stalled = finding.reason.is_terminal();
            status.conditions = stamp.over(|name| match name {
                READY => Change::To((*finding).clone()),
                STALLED if stalled => Change::To(Finding::good(finding.reason, finding.message())),
                RECONCILING if !stalled => Change::To(Finding::good(finding.reason, finding.message())),
                RECONCILING | STALLED | PAUSED => Change::Gone,
                name => of_probes(probed, name).map_or(Change::None, Change::To),
            });
        }
        Outcome::Applied { probed, applied, facts } => {
            let rollout = rollout(applied, facts);
            let ready = ready(probed, applied, facts);
            status.conditions = stamp.over(|name| match name {
                READY => Change::To(ready.clone()),
                PROGRESSING => Change::To(rollout.clone()),
                CERTIFICATE_RENEWAL_DUE => renewal(facts, now).map_or(Change::Gone, Change::To),
                RECONCILING if rollout.is_good() && !ready.reason.is_terminal() => Change::To(rollout.clone()),
                STALLED if ready.reason.is_terminal() => Change::To(Finding::good(ready.reason, ready.message())),
                RECONCILING | STALLED | PAUSED => Change::Gone,
                name => of_probes(probed, name).map_or(Change::None, Change::To),
            });
            tell(&mut status, probed, applied, facts);
        }
    }
    status.observed_generation = generation;
    status
}

fn tell(status: &mut ClaudeGatewayStatus, probed: &Probed, applied: &Applied, facts: &Facts) {
    let pods = applied.deployment().and_then(|deployment| deployment.status.as_ref());
    status.replicas = Some(pods.and_then(|pods| pods.replicas).unwrap_or_default());
    status.ready_replicas = Some(pods.and_then(|pods| pods.ready_replicas).unwrap_or_default());
    status.selector = Some(facts.selector.clone());
    status.url = Some(facts.url.clone());
    status.tls_sha256.clone_from(&facts.tls_sha256);
    if let Some(pods) = probed.pods.as_ref().filter(|pods| !pods.is_empty()) {
        let versions: std::collections::BTreeSet<_> = pods.iter().map(|pod| pod.version.as_str()).collect();
        status.version = (versions.len() == 1).then(|| pods[0].version.clone());
        status.policy_revision = pods.iter().map(|pod| pod.policy_revision).min();
    }
}

/// What the probes say of this condition.
fn of_probes(probed: &Probed, name: &str) -> Option<Finding> {
    match name {
        DATABASE_READY => Some(probed.database.clone()),
        IDENTITY_PROVIDER_READY => Some(probed.identity_provider.clone()),
        UPSTREAMS_READY => Some(probed.upstreams()),
        POLICIES_SYNCED => Some(probed.policies()),
        _ => None,
    }
}

fn ready(probed: &Probed, applied: &Applied, facts: &Facts) -> Finding {
    let pods = applied.deployment().and_then(|deployment| deployment.status.as_ref());
    let available = pods.and_then(|pods| pods.available_replicas).unwrap_or_default();
    let unready = [&probed.database, &probed.identity_provider].into_iter().find(|finding| !finding.is_good());
    if let Some(unready) = unready {
        return Finding::bad(unready.reason, unready.message());
    }
    if facts.replicas == Some(0) {
        return Finding::bad(Reason::ScaledToZero, "No pod is asked for. Raise replicas when people shall work.");
    }
    match available {
        0 => {
            Finding::bad(Reason::PodsNotReady, "No pod is ready yet. If this stays, look at the pods' events and logs.")
        }
        _ => Finding::good(Reason::Available, format!("People can sign in at {}.", facts.url)),
    }
}

/// `True` while something is on its way.
fn rollout(applied: &Applied, facts: &Facts) -> Finding {
    if applied.waits() {
        let message = "Pods that would start now could not: the change waits until the database is ready.";
        return Finding::good(Reason::WaitingForDatabase, message);
    }
    match applied.deployment().is_some_and(|deployment| rolled_out(deployment, facts)) {
        true => match &facts.newer_image {
            None => Finding::bad(Reason::RolledOut, "Every pod is as it shall be."),
            Some(newer) => Finding::bad(Reason::NewerImage, newer_image(newer)),
        },
        false => Finding::good(Reason::RollingOut, "Pods are being started or replaced."),
    }
}

fn newer_image(newer: &str) -> String {
    format!(
        "Every pod is as it shall be, with the image that it was given. The operator's own is {newer} now: give the annotation \
         {} another value to take it, or name one in spec.image.",
        crds::TAKE_IMAGE
    )
}

/// There only while it is near.
fn renewal(facts: &Facts, now: Timestamp) -> Option<Finding> {
    let renewal = facts.renewal.filter(|renewal| *renewal - NOTICE <= now && now < *renewal)?;
    let message = format!(
        "cert-manager issues another certificate for {} at {renewal}. Clients pin the one that they know, so each developer has \
         to trust the new one then: tell them, with its SHA-256 from status.tlsSha256 once it is there.",
        facts.url
    );
    Some(Finding::good(Reason::CertificateRenewalDue, message))
}

fn rolled_out(deployment: &Deployment, facts: &Facts) -> bool {
    let Some(status) = &deployment.status else { return false };
    let asked = facts.replicas.or(deployment.spec.as_ref().and_then(|spec| spec.replicas)).unwrap_or(1);
    let is = |number: Option<i32>| number.unwrap_or_default() == asked;
    status.observed_generation >= deployment.metadata.generation
        && is(status.replicas)
        && is(status.updated_replicas)
        && is(status.available_replicas)
}

enum Change {
    To(Finding),
    /// It stays as it was.
    None,
    Gone,
}

/// Writes conditions that keep their time while they keep their status.
struct Stamp {
    before: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Stamp {
    fn all(&self, finding: impl Fn(&str) -> Option<Finding>) -> Vec<Condition> {
        self.over(|name| finding(name).map_or(Change::Gone, Change::To))
    }

    fn over(&self, change: impl Fn(&str) -> Change) -> Vec<Condition> {
        let condition = |name: &&str| match change(name) {
            Change::To(finding) => Some(self.condition(name, &finding)),
            Change::None => self.was(name).cloned(),
            Change::Gone => None,
        };
        CONDITIONS.iter().filter_map(condition).collect()
    }

    fn was(&self, name: &str) -> Option<&Condition> {
        self.before.iter().find(|condition| condition.type_ == name)
    }

    fn condition(&self, name: &str, finding: &Finding) -> Condition {
        let status = finding.verdict.word();
        let since =
            self.was(name).filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
        Condition {
            type_: name.to_owned(),
            status: status.to_owned(),
            reason: finding.reason.to_string(),
            message: finding.message().to_owned(),
            observed_generation: self.generation,
            // The API keeps whole seconds.
            last_transition_time: since
                .unwrap_or_else(|| Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now))),
        }
    }
}

#[cfg(test)]
#[path = "status/tests.rs"]
mod tests;
