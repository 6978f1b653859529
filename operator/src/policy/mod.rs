//! The `UserPolicy` controller: the policies of a gateway become one set of rows, and each object says what became of it.
//!
//! What is reconciled is a gateway's set, not a policy: `dereference`, `validate`, `build`, `apply`, `update_status`, in that
//! order, and only the first and the last two ask anybody. So an edit among ten thousand policies costs one look at each in
//! memory, one transaction and one status.
//!
//! Invariant: the rows of a gateway are what its accepted policies say, all of them or, while they cannot be written, none of
//! the change. Policies need no finalizer: the set is written from the policies that exist, so one that is deleted (also
//! while the operator is away, or with Postgres or the gateway gone) is missing from the next set, and nothing can hold up
//! its deletion. A policy that cannot be read or is not valid keeps what was accepted of it last; one that is not permitted,
//! or is a second base, does not.

pub mod apply;
pub mod build;
pub mod candidate;
pub mod dereference;
pub mod document;
pub mod hearing;
pub mod index;
pub mod memory;
pub mod queue;
pub mod status;
pub mod update_status;
pub mod validate;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Client, core::ApiResource};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc, watch as signal},
    task::JoinSet,
    time::Instant,
};

use self::{
    apply::apply,
    build::build,
    dereference::{Away, dereference},
    index::Index,
    memory::Memory,
    queue::Queue,
    update_status::{NotTold, Outcome, update_status},
    validate::validate,
};
use crate::{
    clock::Clock,
    engine::{
        events::Events,
        fence::Fence,
        metrics::{self, Metrics},
        scope::Scope,
    },
    store::{GatewayName, Stores},
};

/// Gateways at a time.
const AT_ONCE: usize = 8;
/// What is applied together is heard of one by one.
const GATHER: Duration = Duration::from_millis(20);
/// While pods have yet to take a set: often at first, since they report once a second.
const SPREADING: [(Duration, Duration); 2] =
    [(Duration::from_secs(15), Duration::from_millis(200)), (Duration::from_secs(120), Duration::from_secs(1))];
const STEADY: Duration = Duration::from_secs(5);
/// A database that is away, an API server that refused: tried again.
const TROUBLE: Duration = Duration::from_secs(2);
/// Without a store or with nothing to do, the next look is only a safeguard: whatever matters is heard of.
const AT_REST: Duration = Duration::from_secs(60);

pub struct Policies {
    pub client: Client,
    pub stores: Arc<Stores>,
    pub fence: Fence,
    pub events: Arc<Events>,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    index: Mutex<Index>,
    memories: Mutex<HashMap<GatewayName, Arc<tokio::sync::Mutex<Memory>>>>,
}

impl Policies {
    pub fn new(
        client: Client,
        stores: Arc<Stores>,
        fence: Fence,
        (events, metrics): (Arc<Events>, Arc<Metrics>),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (index, memories) = (Mutex::default(), Mutex::default());
        Self { client, stores, fence, events, metrics, clock, index, memories }
    }

    /// Reconciles until it is told to stop; what is under way is then finished.
    pub async fn run(self: Arc<Self>, scopes: Vec<Scope>, mut stop: signal::Receiver<bool>) {
        let (asking, mut asked) = mpsc::unbounded_channel();
        let mut news = self.stores.news();
        let hearing = tokio::spawn(hearing::hear(self.clone(), scopes, asking));
        let (mut queue, mut tasks, mut names) = (Queue::<GatewayName>::default(), JoinSet::new(), HashMap::new());
        while !*stop.borrow_and_update() {
            while queue.running() < AT_ONCE
                && let Some(gateway) = queue.take(Instant::now())
            {
                let task = tasks.spawn(self.clone().one(gateway.clone())).id();
                names.insert(task, gateway);
            }
            self.metrics.queued("UserPolicy").set(queue.waiting().try_into().unwrap_or(i64::MAX));
            let soon = Instant::now() + GATHER;
            let next = queue.next().filter(|_| queue.running() < AT_ONCE);
            tokio::select! {
                Some(gateway) = asked.recv() => queue.ask(gateway, soon),
                told = news.recv() => match told {
                    Ok(gateway) => queue.ask(gateway, soon),
                    Err(RecvError::Lagged(_)) => self.index().names().into_iter().for_each(|name| queue.ask(name, soon)),
                    Err(RecvError::Closed) => break,
                },
                Some(done) = tasks.join_next_with_id() => {
                    let (task, again) = done.unwrap_or_else(|error| (error.id(), Some(TROUBLE)));
                    if let Some(gateway) = names.remove(&task) {
                        queue.done(&gateway);
                        again.into_iter().for_each(|again| queue.ask(gateway.clone(), Instant::now() + again));
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(|| soon + AT_REST)) => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
        }
        hearing.abort();
        while tasks.join_next().await.is_some() {}
    }

    /// Never fails: a failure is said here and leads to another try.
    async fn one(self: Arc<Self>, gateway: GatewayName) -> Option<Duration> {
        let running = self.metrics.running("UserPolicy");
        running.inc();
        let begun = Instant::now();
        let (outcome, again) = match self.reconcile(&gateway).await {
            Ok(again) => (metrics::Outcome::Done, again),
            Err(error) => {
                tracing::warn!(%gateway, %error, "policies could not be told what became of them");
                (metrics::Outcome::Failed, Some(TROUBLE))
            }
        };
        running.dec();
        self.metrics.reconciled("UserPolicy", outcome, begun.elapsed());
        again
    }

    /// One gateway's set. How long until the next look; `None` when there is nothing left to look at.
    pub async fn reconcile(&self, gateway: &GatewayName) -> Result<Option<Duration>, NotTold> {
        let memory = self.memory(gateway);
        let mut memory = memory.lock().await;
        // Every gateway is asked for when all are known.
        let Some(world) = dereference(self, gateway).await else { return Ok(Some(AT_REST)) };
        if world.gateway.as_ref().is_some_and(|gateway| gateway.is_at_rest()) {
            return Ok(Some(AT_REST));
        }
        let is_there = world.gateway.is_some();
        let set = build(validate(&world));
        let (outcome, again) = match world.store {
            Err(away) => {
                let has_store = is_there && self.stores.get(gateway).is_some();
                let has_lasted = match has_store {
                    true => memory.failed(),
                    // Whoever has just begun has not looked at the gateway, and is heard of when it has.
                    false => !is_there || self.stores.was_examined(gateway),
                };
                (Outcome::Away { away, has_lasted }, if has_store { TROUBLE } else { AT_REST })
            }
            Ok(store) => match apply(self, &store, &set, &mut memory).await {
                Ok(applied) => {
                    memory.succeeded();
                    let again = pause(&applied, &memory);
                    (Outcome::Applied(applied), again)
                }
                Err(error) => {
                    let has_lasted = memory.failed();
                    tracing::warn!(%gateway, %error, "the policies of a gateway could not be written");
                    (Outcome::Away { away: Away::from(&error), has_lasted }, TROUBLE)
                }
            },
        };
        update_status(self, &set.verdicts, &outcome).await?;
        if !is_there && set.verdicts.is_empty() {
            self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(gateway);
            return Ok(None);
        }
        Ok(Some(again))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self, gateway: &GatewayName) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.entry(gateway.clone()).or_default().clone()
    }
}

fn pause(applied: &apply::Applied, memory: &Memory) -> Duration {
    if applied.is_enforced_everywhere() {
        return STEADY;
    }
    let age = memory.stood_for();
    SPREADING.iter().find(|(until, _)| age < *until).map_or(STEADY, |(_, again)| *again)
}

/// `UserPolicy`, for objects that may not be readable as one.
fn resource() -> ApiResource {
    ApiResource::erase::<crds::UserPolicy>(&())
}

fn gateway_resource() -> ApiResource {
    ApiResource::erase::<crds::ClaudeGateway>(&())
}
