//! Makes the cluster as it shall be: what differs is applied, what shall not be is deleted, and what is not ours is left.
//!
//! Invariant: nothing is written before every object was looked at, and none of them belongs to somebody else; nor from memory.
//! [`Applied`] exists only after all of that, so a status cannot tell of what was not done.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::DynamicObject,
};
use serde_json::json;

use super::{
    build::{Desired, Planned},
    condition::{Finding, Reason},
    drift::{Memory, seal},
    kinds::{self, Kind, MANAGER},
    sight::{Sight, Watched},
    validate::{Identity, ValidatedGateway},
};

/// Holds the number of pods while it passes from us to an autoscaler.
const SCALER: &str = "claude-gateway-operator-scale";

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the {} {name} belongs to somebody else", kind.resource().kind)]
    NameConflict { kind: Kind, name: String },
    #[error("the {} {name} could not be {verb}", kind.resource().kind)]
    Api { kind: Kind, name: String, verb: &'static str, source: kube::Error },
    #[error("the {} {name} could not be compared", kind.resource().kind)]
    Json { kind: Kind, name: String, source: serde_json::Error },
}

impl ApplyError {
    pub fn finding(&self) -> Finding {
        match self {
            Self::NameConflict { kind, name } => {
                let kind = kind.resource().kind;
                let message = format!(
                    "There is a {kind} {name} already that this gateway does not own, and it is left alone. Delete or rename \
                     it, or make the gateway under another name."
                );
                Finding::bad(Reason::NameConflict, message)
            }
            Self::Api { kind, name, verb, source } => {
                let refusal = match source {
                    kube::Error::Api(status) => status.message.as_str(),
                    _ => "the API server does not answer",
                };
                let kind = kind.resource().kind;
                let message = format!("The {kind} {name} could not be {verb}: {refusal}. It is tried again.");
                Finding::bad(Reason::ApplyFailed, message)
            }
            Self::Json { .. } => Finding::bad(Reason::OperatorFault, format!("{self}. Report this.")),
        }
    }
}

/// That all was applied, but for what waits.
#[derive(Debug)]
pub struct Applied {
    deployment: Option<Deployment>,
    waits: bool,
    writes: usize,
}

impl Applied {
    pub fn deployment(&self) -> Option<&Deployment> {
        self.deployment.as_ref()
    }

    /// Pods that there shall be wait for the database.
    pub fn waits(&self) -> bool {
        self.waits
    }

    pub fn writes(&self) -> usize {
        self.writes
    }

    #[cfg(test)]
    pub(super) fn stand_in(deployment: Deployment) -> Self {
        Self { deployment: Some(deployment), waits: false, writes: 0 }
    }
}

/// Nothing where there is something to write, and what shall be written comes from memory.
pub async fn apply(
    sight: &Sight<'_>,
    gateway: &ValidatedGateway,
    desired: &Desired,
    memory: &Memory,
) -> Result<Option<Applied>, ApplyError> {
    let work = Work { sight, identity: &gateway.identity, memory };
    let mut looked = Vec::with_capacity(desired.objects.len());
    for planned in &desired.objects {
        looked.push(work.compared(planned).await?);
    }
    let surplus = work.surplus(gateway, desired).await?;
    let all_in_step = surplus.is_empty() && looked.iter().all(|compared| compared.is_in_step);
    if !all_in_step && sight.has_remembered() {
        return Ok(None);
    }
    let mut applied = Applied { deployment: None, waits: false, writes: 0 };
    for compared in looked {
        work.bring(compared, desired.held, &mut applied).await?;
    }
    if !desired.objects.iter().any(|planned| planned.kind == Kind::Deployment) {
        applied.waits = true;
    }
    for (kind, object) in surplus {
        work.delete(kind, &object).await?;
        applied.writes += 1;
    }
    Ok(Some(applied))
}

/// An object as it shall be, beside what there is.
struct Compared<'a> {
    planned: &'a Planned,
    desired: DynamicObject,
    live: Option<DynamicObject>,
    is_in_step: bool,
}

/// What each step needs.
struct Work<'a> {
    sight: &'a Sight<'a>,
    identity: &'a Identity,
    memory: &'a Memory,
}

impl Work<'_> {
    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.sight.client.clone(), &self.identity.namespace, &kind.resource())
    }

    async fn get(&self, kind: Kind, name: &str) -> Result<Option<DynamicObject>, ApplyError> {
        let found = self.sight.get(Watched::Owned(kind), name).await;
        found.map_err(|source| ApplyError::Api { kind, name: name.to_owned(), verb: "read", source })
    }

    /// Ours, or nobody's.
    async fn look(&self, kind: Kind, name: &str) -> Result<Option<DynamicObject>, ApplyError> {
        let live = self.get(kind, name).await?;
        match live.as_ref().is_none_or(|live| kinds::owned_by(&live.metadata, &self.identity.uid)) {
            true => Ok(live),
            false => Err(ApplyError::NameConflict { kind, name: name.to_owned() }),
        }
    }

    async fn compared<'p>(&self, planned: &'p Planned) -> Result<Compared<'p>, ApplyError> {
        let live = self.look(planned.kind, planned.name()).await?;
        let json = |source| ApplyError::Json { kind: planned.kind, name: planned.name().to_owned(), source };
        let desired = seal(&planned.object).map_err(json)?;
        let is_in_step = match &live {
            Some(live) => self.memory.in_step(live, &desired).map_err(json)?,
            None => false,
        };
        Ok(Compared { planned, desired, live, is_in_step })
    }

    /// What is ours and not asked for any more. What every gateway has is never surplus.
    async fn surplus(
        &self,
        gateway: &ValidatedGateway,
        desired: &Desired,
    ) -> Result<Vec<(Kind, DynamicObject)>, ApplyError> {
        let mut surplus = Vec::new();
        for kind in gateway.served.iter().copied().filter(|kind| may_go(*kind)) {
            for name in kind.names(&self.identity.name) {
                if desired.objects.iter().any(|planned| planned.kind == kind && planned.name() == name) {
                    continue;
                }
                let live = self.get(kind, &name).await?;
                let ours = live.filter(|live| {
                    let managed = live.metadata.labels.as_ref().and_then(|labels| labels.get(kinds::MANAGED_BY));
                    kinds::owned_by(&live.metadata, &self.identity.uid) && managed.is_some_and(|by| by == MANAGER)
                });
                surplus.extend(ours.map(|live| (kind, live)));
            }
        }
        Ok(surplus)
    }

    async fn bring(&self, compared: Compared<'_>, held: bool, applied: &mut Applied) -> Result<(), ApplyError> {
        let Compared { planned, desired, live, is_in_step } = compared;
        let (kind, name) = (planned.kind, planned.name());
        let json = |source| ApplyError::Json { kind, name: name.to_owned(), source };
        let waits = kind == Kind::Deployment && held && !is_in_step;
        let now = if is_in_step || waits {
            live
        } else {
            if kind == Kind::Deployment {
                self.hand_over(live.as_ref(), &desired).await?;
            }
            let answer = self.patch(kind, &desired, MANAGER).await?;
            self.memory.learn(&answer, &desired).map_err(json)?;
            applied.writes += 1;
            Some(answer)
        };
        if kind == Kind::Deployment {
            applied.waits = waits;
            applied.deployment = now.map(|now| now.try_parse()).transpose().map_err(|error| ApplyError::Json {
                kind,
                name: name.to_owned(),
                source: serde::de::Error::custom(error),
            })?;
        }
        Ok(())
    }

    /// A number of pods that we said and do not say any more would fall back to one: somebody else holds it first.
    async fn hand_over(&self, live: Option<&DynamicObject>, desired: &DynamicObject) -> Result<(), ApplyError> {
        let says = |object: &DynamicObject| object.data.pointer("/spec/replicas").cloned();
        let Some(live) = live.filter(|live| says(desired).is_none() && sets_replicas(live)) else { return Ok(()) };
        let resource = Kind::Deployment.resource();
        let held = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": { "name": self.identity.name },
            "spec": { "replicas": says(live) },
        });
        let held: DynamicObject = serde_json::from_value(held).map_err(|source| ApplyError::Json {
            kind: Kind::Deployment,
            name: self.identity.name.clone(),
            source,
        })?;
        self.patch(Kind::Deployment, &held, SCALER).await.map(drop)
    }

    async fn patch(&self, kind: Kind, object: &DynamicObject, manager: &str) -> Result<DynamicObject, ApplyError> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let (watched, params) = (Watched::Owned(kind), PatchParams::apply(manager).force());
        let asked = self.sight.asks(watched, &name);
        let answer = self.api(kind).patch(&name, &params, &Patch::Apply(object)).await;
        if let Ok(answer) = &answer {
            self.sight.answered(watched, &name, asked, Some(answer));
        }
        answer.map_err(|source| ApplyError::Api { kind, name, verb: "applied", source })
    }

    async fn delete(&self, kind: Kind, object: &DynamicObject) -> Result<(), ApplyError> {
        let name = object.metadata.name.clone().unwrap_or_default();
        // The very object that was judged: another of the name is not meant.
        let preconditions = Preconditions { uid: object.metadata.uid.clone(), resource_version: None };
        let this = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        self.memory.forget(object);
        self.sight.asks(Watched::Owned(kind), &name);
        match self.api(kind).delete(&name, &this).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(source) => Err(ApplyError::Api { kind, name, verb: "deleted", source }),
        }
    }
}

fn may_go(kind: Kind) -> bool {
    match kind {
        Kind::Secret | Kind::ServiceAccount | Kind::Service | Kind::Deployment => false,
        Kind::NetworkPolicy
        | Kind::PodDisruptionBudget
        | Kind::HorizontalPodAutoscaler
        | Kind::Certificate
        | Kind::Ingress
        | Kind::HttpRoute
        | Kind::ServiceMonitor => true,
    }
}

fn sets_replicas(live: &DynamicObject) -> bool {
    live.metadata.managed_fields.iter().flatten().any(|entry| {
        let ours = entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply");
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        ours && fields.is_some_and(|fields| fields.pointer("/f:spec/f:replicas").is_some())
    })
}

#[cfg(test)]
#[path = "apply/tests.rs"]
mod tests;
