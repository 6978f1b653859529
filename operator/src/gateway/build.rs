//! What there shall be: every object of a gateway, from what was validated and found; pure.
//!
//! Invariant: the same input gives the same bytes, so a second reconcile has nothing to write. What a running pod cannot take
//! is in the pod template, as itself or as a checksum; nothing else is, so nothing else rolls pods.

mod certificate;
mod configuration;
mod deployment;
mod disruption;
mod exposure;
mod monitor;
mod network;
mod pods;
mod scaling;
mod service;
mod volumes;

use std::collections::BTreeMap;

use crds::gateway::exposure::{ExposureKind, Tls};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{Resource, core::DynamicObject};
use serde::Serialize;

pub use configuration::{Held, LOGIN_PASSWORD, held};
pub use deployment::{Given, REPLICAS, given};

use super::{
    keys::KeySet,
    kinds::{GATEWAY, Kind, MANAGED_BY, MANAGER},
    login::StandingLogin,
    rendering::Decided,
    validate::ValidatedGateway,
};

/// Before a pod is told to drain, everybody who sends to it has to have heard that it goes.
pub const PRE_STOP_SECONDS: i64 = 15;
/// After the drain, what is left to flush and close.
pub const AFTER_DRAIN_SECONDS: i64 = 5;
pub const METRICS_PORT_NAME: &str = "metrics";
pub const PORT_NAME: &str = "http";

/// One object that shall be.
#[derive(Debug, Clone)]
pub struct Planned {
    pub kind: Kind,
    pub object: DynamicObject,
}

impl Planned {
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }
}

/// What was found and made besides what the object says.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// `None`: the database has not been reached since there is a gateway, so pods could not start.
    pub login: Option<&'a StandingLogin>,
    pub keys: &'a KeySet,
    /// Pods that would start could do so.
    pub database_ready: bool,
    /// What the Deployment that there is was given.
    pub given: Option<&'a Given>,
}

/// Everything that shall be. What is not in here and is ours, shall not be.
#[derive(Debug, Clone)]
pub struct Desired {
    pub objects: Vec<Planned>,
    /// Objects that may be made or changed only while the database is ready: pods that they start, or stop for others to take
    /// their place, could not come back.
    pub held: bool,
    /// The operator's own image, where the pods keep an older one.
    pub newer_image: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("an object of the kind {kind:?} cannot be written")]
pub struct BuildError {
    kind: Kind,
    source: serde_json::Error,
}

pub fn build(gateway: &ValidatedGateway, found: &Found<'_>) -> Result<Desired, BuildError> {
    let spec = &gateway.spec;
    let mut plan = Plan { gateway, objects: Vec::new() };
    let mut newer_image = None;
    plan.add(Kind::Secret, configuration::keys(gateway, found.keys))?;
    plan.add(Kind::ServiceAccount, pods::service_account(gateway))?;
    plan.add(Kind::Service, service::service(gateway))?;
    if spec.network_policy.enabled {
        plan.add(Kind::NetworkPolicy, network::policy(gateway))?;
    }
    if let Some(decided) = decided(gateway, found) {
        let file = super::rendering::tree(spec, &decided);
        plan.add(Kind::Secret, configuration::config(gateway, &file, found.login))?;
        let (deployment, image) = deployment::deployment(gateway, &file, found.given);
        newer_image = (image != gateway.image).then(|| gateway.image.clone());
        plan.add(Kind::Deployment, deployment)?;
    }
    if disruption::is_due(spec) {
        plan.add(Kind::PodDisruptionBudget, disruption::budget(gateway))?;
    }
    if let Some(autoscaling) = &spec.autoscaling {
        plan.add(Kind::HorizontalPodAutoscaler, scaling::autoscaler(gateway, autoscaling, found.database_ready))?;
    }
    match spec.exposure.kind {
        ExposureKind::Ingress => plan.add(Kind::Ingress, exposure::ingress(gateway))?,
        ExposureKind::HttpRoute => plan.add_value(Kind::HttpRoute, exposure::route(gateway))?,
        ExposureKind::None => {}
    }
    if let Some(Tls::CertManager(issuer)) = &spec.exposure.tls {
        plan.add_value(Kind::Certificate, certificate::certificate(gateway, issuer))?;
    }
    if let Some(monitor) = spec.metrics.service_monitor.as_ref().filter(|_| spec.metrics.enabled)
        && gateway.served.contains(&Kind::ServiceMonitor)
    {
        plan.add_value(Kind::ServiceMonitor, monitor::monitor(gateway, monitor))?;
    }
    plan.objects.sort_by(|a, b| (a.kind, a.name()).cmp(&(b.kind, b.name())));
    Ok(Desired { objects: plan.objects, held: !found.database_ready, newer_image })
}

fn decided(gateway: &ValidatedGateway, found: &Found<'_>) -> Option<Decided> {
    let (username, password_path) = configuration::pod_login(gateway, found.login)?;
    Some(Decided {
        database_url: gateway.database_url.clone(),
        username,
        password_path,
        key_ids: found.keys.keys().iter().map(|key| key.id.clone()).collect(),
    })
}

struct Plan<'a> {
    gateway: &'a ValidatedGateway,
    objects: Vec<Planned>,
}

impl Plan<'_> {
    fn add<K: Resource<DynamicType = ()> + Serialize>(&mut self, kind: Kind, object: K) -> Result<(), BuildError> {
        let wrong = |source| BuildError { kind, source };
        self.add_value(kind, serde_json::to_value(object).map_err(wrong)?)
    }

    fn add_value(&mut self, kind: Kind, value: serde_json::Value) -> Result<(), BuildError> {
        let wrong = |source| BuildError { kind, source };
        let mut object: DynamicObject = serde_json::from_value(value).map_err(wrong)?;
        let resource = kind.resource();
        object.types = Some(kube::core::TypeMeta { api_version: resource.api_version, kind: resource.kind });
        object.metadata.namespace = Some(self.gateway.identity.namespace.clone());
        object.metadata.owner_references = Some(vec![owner(self.gateway)]);
        object.metadata.labels.get_or_insert_default().extend(labels(self.gateway));
        self.objects.push(Planned { kind, object });
        Ok(())
    }
}

fn owner(gateway: &ValidatedGateway) -> OwnerReference {
    OwnerReference {
        api_version: crds::ClaudeGateway::api_version(&()).into_owned(),
        kind: crds::ClaudeGateway::kind(&()).into_owned(),
        name: gateway.identity.name.clone(),
        uid: gateway.identity.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn labels(gateway: &ValidatedGateway) -> BTreeMap<String, String> {
    let mut labels = selected(gateway);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert(GATEWAY.to_owned(), gateway.identity.name.clone());
    labels
}

/// What a Service, a budget and a Deployment know pods by. It can never change.
pub fn selected(gateway: &ValidatedGateway) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name".to_owned(), "claude-gateway".to_owned()),
        ("app.kubernetes.io/instance".to_owned(), gateway.identity.name.clone()),
    ]
    .into()
}

fn selector(gateway: &ValidatedGateway) -> LabelSelector {
    LabelSelector { match_labels: Some(selected(gateway)), match_expressions: None }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

#[cfg(test)]
#[path = "build/tests.rs"]
mod tests;
