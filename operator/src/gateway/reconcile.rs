//! One reconcile of one gateway: five calls and a probe, in their order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crds::{ClaudeGateway, ClaudeGatewayStatus, PAUSED};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, Resource, ResourceExt};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    apply::{Applied, ApplyError, apply},
    build::{self, BuildError, Found, build},
    condition::{Finding, Reason, Verdict},
    dereference::dereference,
    drift::Memory,
    keys::{KeySet, KeysError},
    probe::{Probed, Prober},
    sight::{Sight, Sights},
    status::{DATABASE_READY, Facts, IDENTITY_PROVIDER_READY, Outcome},
    told::Told,
    update_status::{announce, update_status},
    validate::{ValidatedGateway, validate},
};
use crate::{
    clock::Clock,
    engine::{discovery::Discovery, events::Events, metrics::Metrics},
};

/// Pods' rows change without a word from the API server, so a gateway is looked at again after this.
const CALM: Duration = Duration::from_secs(30);
/// While something is under way or wrong that may pass by itself.
const WATCHFUL: Duration = Duration::from_secs(5);
/// While a database or an identity provider has been away for long: soon enough when it returns, and a look costs the API
/// server some fifteen reads, so less than one a second.
const PATIENT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("what the gateway refers to could not be read")]
    Dereference(#[source] kube::Error),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("the signing keys")]
    Keys(#[from] KeysError),
    #[error("the status could not be written")]
    Status(#[source] kube::Error),
}

/// What every reconcile needs.
pub struct Context {
    pub client: Client,
    pub clock: Arc<dyn Clock>,
    pub prober: Prober,
    pub discovery: Arc<Discovery>,
    pub events: Arc<Events>,
    pub metrics: Arc<Metrics>,
    pub memory: Memory,
    pub sights: Sights,
    pub told: Told,
    pub default_image: Option<String>,
}

/// Returns when to look again.
pub async fn reconcile(context: &Context, gateway: &ClaudeGateway) -> Result<Duration, ReconcileError> {
    if gateway.meta().deletion_timestamp.is_some() {
        return Ok(CALM);
    }
    if gateway.annotations().get(PAUSED).is_some_and(|paused| paused == "true") {
        return tell(context, gateway, &Outcome::Paused).await.map(|()| CALM);
    }
    if is_new(context.told.status(gateway)) {
        update_status(&context.client, &context.told, gateway, &Outcome::Begun, context.clock.now())
            .await
            .map_err(ReconcileError::Status)?;
    }
    let sight = context.sights.of(&context.client, gateway, Instant::now());
    match try_with(context, gateway, &sight).await? {
        Some(again) => Ok(again),
        None => {
            sight.begin_anew();
            let again = try_with(context, gateway, &sight).await?;
            Ok(again.unwrap_or(WATCHFUL))
        }
    }
}

/// Nothing where what is remembered does not do.
async fn try_with(
    context: &Context,
    gateway: &ClaudeGateway,
    sight: &Sight<'_>,
) -> Result<Option<Duration>, ReconcileError> {
    let world = dereference(sight, &context.discovery, gateway).await.map_err(ReconcileError::Dereference)?;
    let validated = match validate(gateway, &world, context.default_image.as_deref()) {
        Ok(validated) => validated,
        Err(finding) => return tell(context, gateway, &Outcome::Refused(&finding)).await.map(|()| Some(CALM)),
    };
    let today = context.clock.now();
    let held = match build::held(world.config.as_ref(), world.keys.as_ref(), today) {
        Ok(held) => held,
        Err(error) => {
            let damaged = damaged(&error, &world.keys);
            return tell(context, gateway, &Outcome::Refused(&damaged)).await.map(|()| Some(CALM));
        }
    };
    let probed = context.prober.probe(&validated, held.login, (Instant::now(), today)).await;
    let keys = keys(context, &validated, held.keys, &probed)?;
    let given = build::given(world.deployment.as_ref());
    let found = Found {
        login: probed.login.as_ref(),
        keys: &keys,
        database_ready: probed.database.is_good(),
        given: given.as_ref(),
    };
    let desired = build(&validated, &found)?;
    match apply(sight, &validated, &desired, &context.memory).await {
        Ok(None) => Ok(None),
        Ok(Some(applied)) => {
            let facts = facts(&validated, desired.newer_image);
            let outcome = Outcome::Applied { probed: &probed, applied: &applied, facts: &facts };
            let status = told(context, gateway, &outcome).await?;
            Ok(Some(rest(&probed, &applied, &status, context.clock.now())))
        }
        Err(error) => {
            let finding = error.finding();
            tell(context, gateway, &Outcome::Failed { probed: &probed, finding: &finding }).await?;
            match finding.reason.is_terminal() {
                true => Ok(Some(CALM)),
                false => Err(error.into()),
            }
        }
    }
}

fn is_new(status: Option<ClaudeGatewayStatus>) -> bool {
    let observed = status.and_then(|status| status.observed_generation);
    observed.is_none_or(|observed| observed == crds::files::UNSEEN)
}

/// How long until the next look.
fn rest(probed: &Probed, applied: &Applied, status: &ClaudeGatewayStatus, now: Timestamp) -> Duration {
    let answers = probed.database.is_good() && probed.identity_provider.is_good();
    match (answers, applied.writes()) {
        (true, 0) => CALM,
        (true, _) => WATCHFUL,
        (false, _) => patience(status, now),
    }
}

/// Whoever has been away for long is asked less often.
fn patience(status: &ClaudeGatewayStatus, now: Timestamp) -> Duration {
    let away = status.conditions.iter().filter(|condition| {
        let probed = matches!(condition.type_.as_str(), DATABASE_READY | IDENTITY_PROVIDER_READY);
        probed && condition.status == Verdict::False.word()
    });
    let since = away.map(|condition| condition.last_transition_time.0).min().unwrap_or(now);
    let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    (lasted / 2).clamp(WATCHFUL, PATIENT)
}

async fn tell(context: &Context, gateway: &ClaudeGateway, outcome: &Outcome<'_>) -> Result<(), ReconcileError> {
    told(context, gateway, outcome).await.map(drop)
}

async fn told(
    context: &Context,
    gateway: &ClaudeGateway,
    outcome: &Outcome<'_>,
) -> Result<ClaudeGatewayStatus, ReconcileError> {
    let now = context.clock.now();
    let status =
        update_status(&context.client, &context.told, gateway, outcome, now).await.map_err(ReconcileError::Status)?;
    announce(&context.events, &context.metrics, gateway, &status).await;
    Ok(status)
}

/// The keys that stand, or the next step of their rotation.
fn keys(
    context: &Context,
    gateway: &ValidatedGateway,
    held: Option<KeySet>,
    probed: &Probed,
) -> Result<KeySet, KeysError> {
    let (now, random) = (context.clock.now(), &*context.prober.random);
    let Some(held) = held else { return KeySet::made(now, random) };
    let known: Vec<_> = probed.pods.iter().flatten().map(|pod| pod.session_keys.clone()).collect();
    let session = SignedDuration::from_hours(24 * i64::from(gateway.spec.session.max_days));
    Ok(held.next(now, session, &known, random)?.unwrap_or(held))
}

fn damaged(error: &KeysError, keys: &Option<Secret>) -> Finding {
    let name = keys.as_ref().map(ResourceExt::name_any).unwrap_or_default();
    let message = format!(
        "The Secret {name}: {error}. Restore it from a backup; or delete it, and everybody has to sign in again with new keys."
    );
    Finding::bad(Reason::SigningKeysDamaged, message)
}

fn facts(gateway: &ValidatedGateway, newer_image: Option<String>) -> Facts {
    let selector = build::selected(gateway).iter().map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>();
    let fixed = || gateway.spec.replicas.unwrap_or(build::REPLICAS);
    Facts {
        url: gateway.spec.public_url.clone(),
        selector: selector.join(","),
        tls_sha256: gateway.leaf.as_deref().and_then(fingerprint),
        replicas: gateway.spec.autoscaling.is_none().then(fixed),
        newer_image,
        renewal: gateway.renewal,
    }
}

/// As browsers and `openssl` show it.
fn fingerprint(pem: &[u8]) -> Option<String> {
    let leaf = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
    Some(digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    #[test]
    fn c6_who_has_been_away_for_long_is_asked_less_often() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let away = |seconds: i64, status: &str| Condition {
            type_: DATABASE_READY.to_owned(),
            status: status.to_owned(),
            last_transition_time: Time(now - SignedDuration::from_secs(seconds)),
            message: String::new(),
            reason: String::new(),
            observed_generation: None,
        };
        for (lasted, wait) in [(0, 5), (10, 5), (30, 15), (60, 20), (86_400, 20)] {
            let status = ClaudeGatewayStatus { conditions: vec![away(lasted, "False")], ..Default::default() };
            assert_eq!(patience(&status, now), Duration::from_secs(wait), "away for {lasted} s");
        }
        let other = ClaudeGatewayStatus { conditions: vec![away(86_400, "True")], ..Default::default() };
        assert_eq!(patience(&other, now), WATCHFUL);
    }
}
