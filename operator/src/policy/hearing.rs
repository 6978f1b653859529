//! What the watches say, put into the index; which gateways to look at because of it.
//!
//! Nothing is asked for before every first list is read.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use kube::{
    Client,
    api::{ApiResource, DynamicObject},
    runtime::watcher::{Config, Event},
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Policies, gateway_resource,
    index::{Index, gateway_name, key},
    resource,
};
use crate::{
    engine::{scope::Scope, watch::watch},
    store::GatewayName,
};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Policy,
    Gateway,
}

pub async fn hear(context: Arc<Policies>, scopes: Vec<Scope>, asking: UnboundedSender<GatewayName>) {
    context.index().awaits(scopes.len() * 2);
    let one = |scope: Scope, kind: Kind| {
        let (context, asking) = (context.clone(), asking.clone());
        async move {
            let (own, listed, has_listed) = (scope.clone(), None, false);
            let mut ear = Ear { context: context.clone(), scope: own, kind, listed, has_listed, asking };
            let (client, resource) = (&context.client, ear.resource());
            watch(api(&scope, client, &resource), Config::default(), &context.metrics, |event| ear.hear(event)).await;
        }
    };
    join_all(scopes.into_iter().flat_map(|scope| [one(scope.clone(), Kind::Policy), one(scope, Kind::Gateway)])).await;
}

fn api(scope: &Scope, client: &Client, resource: &ApiResource) -> kube::Api<DynamicObject> {
    scope.dynamic(client, resource)
}

struct Ear {
    context: Arc<Policies>,
    scope: Scope,
    kind: Kind,
    /// While a list is read, what it has held so far.
    listed: Option<HashSet<String>>,
    has_listed: bool,
    asking: UnboundedSender<GatewayName>,
}

impl Ear {
    fn resource(&self) -> ApiResource {
        match self.kind {
            Kind::Policy => resource(),
            Kind::Gateway => gateway_resource(),
        }
    }

    fn hear(&mut self, event: Event<DynamicObject>) {
        let context = self.context.clone();
        let mut index = context.index();
        let touched = match event {
            Event::Init => {
                self.listed = Some(HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(key(&object));
                }
                self.put(object, &mut index).into_iter().collect()
            }
            Event::Apply(object) => self.put(object, &mut index).into_iter().collect(),
            Event::Delete(object) => match self.kind {
                Kind::Policy => index.remove_policy(&key(&object)).into_iter().collect(),
                Kind::Gateway => index.remove_gateway(&gateway_name(&object)).into_iter().collect(),
            },
            Event::InitDone => {
                let mut touched = self.end_list(&mut index);
                if index.is_whole() {
                    touched.extend(index.names());
                }
                touched
            }
        };
        if index.is_whole() {
            // Nobody listens any more: this watch is about to end too.
            touched.into_iter().for_each(|gateway| drop(self.asking.send(gateway)));
        }
    }

    fn put(&self, object: DynamicObject, index: &mut Index) -> Option<GatewayName> {
        match self.kind {
            Kind::Policy => index.put_policy(object),
            Kind::Gateway => index.put_gateway(object),
        }
    }

    /// Whatever was deleted while nobody watched is missing from the list.
    fn end_list(&mut self, index: &mut Index) -> Vec<GatewayName> {
        let Some(listed) = self.listed.take() else { return Vec::new() };
        let scope = self.scope.clone();
        let holds = |namespace: &str| scope.holds(namespace);
        // A list may be read again; only the first one is waited for.
        if !std::mem::replace(&mut self.has_listed, true) {
            index.has_read_a_first_list();
        }
        match self.kind {
            Kind::Policy => index.keep_policies(&listed, holds),
            Kind::Gateway => index.keep_gateways(&listed, holds),
        }
    }
}
