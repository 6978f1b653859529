//! What makes gateways be looked at: themselves, what they own, what they refer to, and APIs that come.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use crds::{ClaudeGateway, PERMITTED_USE};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    ResourceExt,
    api::ObjectMeta,
    core::{DynamicObject, PartialObjectMeta},
    runtime::watcher::{self, Event},
};
use tokio::{sync::watch as signal, task::JoinSet};

use super::{
    kinds::{self, Kind},
    reconcile::{Context, reconcile},
    references::References,
    sight::Watched,
};
use crate::{
    engine::{
        controller::{Controller, Queue, Surroundings},
        discovery::OptionalApi,
        scope::Scope,
        watch::watch,
    },
    store::GatewayName,
};

const NAME: &str = "ClaudeGateway";

/// Reconciles the gateways of one scope until it is told to stop.
pub async fn run(context: Arc<Context>, surroundings: Arc<Surroundings>, scope: Scope, filled: Arc<AtomicBool>) {
    let controller = Controller::<ClaudeGateway>::new(NAME, surroundings.clone());
    let queue = controller.queue();
    let mut watches = JoinSet::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.optional().is_none()) {
        watches.spawn(owned(kind, context.clone(), scope.clone(), surroundings.clone(), queue.clone()));
    }
    watches.spawn(secrets(context.clone(), scope.clone(), surroundings.clone(), queue.clone()));
    watches.spawn(config_maps(context.clone(), scope.clone(), surroundings.clone(), queue.clone()));
    watches.spawn(optional(context.clone(), scope.clone(), surroundings, queue));
    let (forgetting, reconciling) = (context.clone(), context);
    let gone = move |meta: &ObjectMeta| forget(&forgetting, meta);
    controller
        .run(scope, filled, gone, move |gateway| {
            let context = reconciling.clone();
            async move {
                let rest = reconcile(&context, &gateway).await;
                let (namespace, name) = (gateway.namespace().unwrap_or_default(), gateway.name_any());
                context.prober.stores.examined(&GatewayName { namespace, name });
                rest
            }
        })
        .await;
    watches.shutdown().await;
}

fn forget(context: &Context, meta: &ObjectMeta) {
    let (namespace, name) = (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
    let uid = meta.uid.clone().unwrap_or_default();
    for condition in super::status::CONDITIONS {
        context.metrics.forget_condition(NAME, (&namespace, &name), condition);
    }
    context.events.forget(&uid);
    context.sights.forget(&uid);
    context.told.forget(&uid);
    context.prober.forget(&GatewayName { namespace, name }, &uid);
}

/// Objects of this kind that gateways own: only what they are called and who owns them is read. What the operator wrote itself
/// is no news.
async fn owned(
    kind: Kind,
    context: Arc<Context>,
    scope: Scope,
    surroundings: Arc<Surroundings>,
    queue: Queue<ClaudeGateway>,
) {
    let api = scope.dynamic::<PartialObjectMeta<DynamicObject>>(&surroundings.client, &kind.resource());
    let ours = watcher::Config::default().labels(&kinds::selection());
    watch(api, ours, &surroundings.metrics, |event| {
        let is_news = noted(&context, Watched::Owned(kind), &scope, &event);
        match event {
            Event::Apply(object) | Event::Delete(object) if is_news => owner(&object.metadata, &queue),
            // Between two lists anything may have gone.
            Event::InitDone => queue.ask_all(),
            _ => {}
        }
    })
    .await;
}

/// What the operator remembers goes by what it hears. True unless it knew that.
fn noted<K>(context: &Context, watched: Watched, scope: &Scope, event: &Event<PartialObjectMeta<K>>) -> bool {
    match event {
        Event::Init => context.sights.lists(watched, scope),
        Event::InitApply(_) => {}
        Event::InitDone => context.sights.listens(watched, scope),
        Event::Apply(object) => return context.sights.heard(watched, &object.metadata, false),
        Event::Delete(object) => return context.sights.heard(watched, &object.metadata, true),
    }
    true
}

fn owner(meta: &ObjectMeta, queue: &Queue<ClaudeGateway>) {
    let owners = meta.owner_references.iter().flatten();
    let gateways = owners.filter(|owner| owner.kind == NAME && owner.api_version.starts_with(crds::GROUP));
    gateways.for_each(|owner| queue.ask(meta.namespace.as_deref().unwrap_or_default(), &owner.name));
}

/// Secrets whose owner permits their use; of all others nothing is heard.
async fn secrets(context: Arc<Context>, scope: Scope, surroundings: Arc<Surroundings>, queue: Queue<ClaudeGateway>) {
    let (label, value) = PERMITTED_USE;
    let api = scope.api::<PartialObjectMeta<Secret>>(&surroundings.client);
    let permitted = watcher::Config::default().labels(&format!("{label}={value}"));
    watch(api, permitted, &surroundings.metrics, |event| {
        noted(&context, Watched::Permitted, &scope, &event);
        let named = |gateway: &ClaudeGateway, name: &str| {
            References::of(&gateway.spec).names_secret(name) || kinds::certificate(&gateway.name_any()) == name
        };
        referred(event, &queue, named);
    })
    .await;
}

async fn config_maps(
    context: Arc<Context>,
    scope: Scope,
    surroundings: Arc<Surroundings>,
    queue: Queue<ClaudeGateway>,
) {
    let api = scope.api::<PartialObjectMeta<ConfigMap>>(&surroundings.client);
    watch(api, watcher::Config::default(), &surroundings.metrics, |event| {
        noted(&context, Watched::ConfigMaps, &scope, &event);
        referred(event, &queue, |gateway, name| References::of(&gateway.spec).names_config_map(name));
    })
    .await;
}

/// Asks for exactly those gateways that refer to what changed.
fn referred<K>(
    event: Event<PartialObjectMeta<K>>,
    queue: &Queue<ClaudeGateway>,
    names: impl Fn(&ClaudeGateway, &str) -> bool,
) {
    match event {
        Event::Apply(object) | Event::Delete(object) => {
            let (namespace, name) = (object.metadata.namespace, object.metadata.name.unwrap_or_default());
            queue.ask_where(|gateway| gateway.metadata.namespace == namespace && names(gateway, &name));
        }
        Event::InitDone => queue.ask_all(),
        Event::Init | Event::InitApply(_) => {}
    }
}

/// Watches kinds of optional APIs when they are there, and looks for those that are not.
async fn optional(context: Arc<Context>, scope: Scope, surroundings: Arc<Surroundings>, queue: Queue<ClaudeGateway>) {
    let mut watched: Vec<OptionalApi> = Vec::new();
    let mut watches = JoinSet::new();
    loop {
        for kind in Kind::ALL {
            let Some(api) = kind.optional().filter(|api| context.discovery.has(api) && !watched.contains(api)) else {
                continue;
            };
            watched.push(api);
            watches.spawn(owned(kind, context.clone(), scope.clone(), surroundings.clone(), queue.clone()));
            queue.ask_all();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Looks for optional APIs until it is told to stop.
pub async fn discover(context: Arc<Context>, pause: Duration, mut stop: signal::Receiver<bool>) {
    loop {
        let came = context.discovery.look(&context.client).await;
        for api in came {
            tracing::info!(kind = api.kind, group = api.group, "an optional API is there");
        }
        if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}
