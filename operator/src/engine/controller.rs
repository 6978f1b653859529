//! One kind, reconciled: a cache of its objects, a queue that watches feed, and a bounded number of reconciles at a time.
//!
//! Invariant: an object that cannot be read is reported and passed over; one that fails waits longer each time; no object is
//! reconciled twice at once.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::rand::SystemRandom;
use futures_util::{StreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Resource, ResourceExt,
    api::ObjectMeta,
    core::DeserializeGuard,
    runtime::{
        Config, applier,
        controller::{Action, ReconcileRequest},
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use prometheus_client::metrics::gauge::Gauge;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc, watch as signal};

use super::{
    backoff::Backoff,
    events::{Events, Turn},
    metrics::{Metrics, Outcome},
    scope::Scope,
    watch::watch,
};

/// An object as it was read, or what is wrong with it.
pub type Guarded<K> = DeserializeGuard<K>;

/// Kinds that can be reconciled.
pub trait Reconcilable:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Reconcilable for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// What all controllers share.
pub struct Surroundings {
    pub client: kube::Client,
    pub metrics: Arc<Metrics>,
    pub events: Arc<Events>,
    /// How many reconciles there are at a time, over all controllers and namespaces.
    pub places: Arc<Semaphore>,
    /// Turns true when no new reconcile is to begin.
    pub stop: signal::Receiver<bool>,
}

/// Asks for reconciles of objects of one kind in one scope. Cheap to clone.
pub struct Queue<K: Reconcilable> {
    sender: mpsc::UnboundedSender<ObjectRef<Guarded<K>>>,
    depth: Gauge,
    cache: Store<Guarded<K>>,
}

impl<K: Reconcilable> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), depth: self.depth.clone(), cache: self.cache.clone() }
    }
}

impl<K: Reconcilable> Queue<K> {
    pub fn ask(&self, namespace: &str, name: &str) {
        self.send(ObjectRef::new(name).within(namespace));
    }

    pub fn ask_all(&self) {
        self.ask_where(|_| true);
    }

    /// Those of the cache that can be read and are meant.
    pub fn ask_where(&self, mut meant: impl FnMut(&K) -> bool) {
        for object in self.cache.state() {
            if object.0.as_ref().is_ok_and(&mut meant) {
                self.send(ObjectRef::from_obj(object.as_ref()));
            }
        }
    }

    pub fn cache(&self) -> &Store<Guarded<K>> {
        &self.cache
    }

    fn send(&self, object: ObjectRef<Guarded<K>>) {
        if self.sender.send(object).is_ok() {
            self.depth.inc();
        }
    }
}

/// A controller of one scope before it runs.
pub struct Controller<K: Reconcilable> {
    name: &'static str,
    queue: Queue<K>,
    asked: mpsc::UnboundedReceiver<ObjectRef<Guarded<K>>>,
    writer: Writer<Guarded<K>>,
    surroundings: Arc<Surroundings>,
}

impl<K: Reconcilable> Controller<K> {
    pub fn new(name: &'static str, surroundings: Arc<Surroundings>) -> Self {
        let writer = Writer::new(());
        let (sender, asked) = mpsc::unbounded_channel();
        let queue = Queue { sender, depth: surroundings.metrics.queued(name), cache: writer.as_reader() };
        Self { name, queue, asked, writer, surroundings }
    }

    pub fn queue(&self) -> Queue<K> {
        self.queue.clone()
    }

    /// Watches the kind and reconciles until it is told to stop; the reconciles under way are then finished. `filled` is set
    /// when the first list is read, `gone` is told of each object that is deleted.
    pub async fn run<Future, Failure>(
        self,
        scope: Scope,
        filled: Arc<AtomicBool>,
        gone: impl Fn(&ObjectMeta) + Send + 'static,
        reconcile: impl Fn(Arc<K>) -> Future + Send + Sync + 'static,
    ) where
        Future: std::future::Future<Output = Result<Duration, Failure>> + Send + 'static,
        Failure: std::error::Error + Send + Sync + 'static,
    {
        let Self { name, queue, asked, writer, surroundings } = self;
        let cache = queue.cache.clone();
        let depth = queue.depth.clone();
        let api = scope.api::<Guarded<K>>(&surroundings.client);
        let watching = surroundings.clone();
        let watched = tokio::spawn(async move {
            let mut main = Main { writer, queue, filled, seen: HashMap::new(), gone };
            watch(api, watcher::Config::default(), &watching.metrics, |event| main.hear(event)).await;
        });
        let mut stop = surroundings.stop.clone();
        let stopped = Box::pin(async move { while !*stop.borrow_and_update() && stop.changed().await.is_ok() {} });
        let asked = stream::unfold((asked, depth), async |(mut asked, depth)| {
            let object = asked.recv().await?;
            depth.dec();
            Some((Ok::<_, std::convert::Infallible>(ReconcileRequest::from(object)), (asked, depth)))
        });
        let one = Arc::new(One { name, surroundings, backoff: Backoff::default(), reconcile });
        let begun = move |object: Arc<Guarded<K>>, one: Arc<One<_>>| Box::pin(one.reconcile(object));
        let never = |_: Arc<Guarded<K>>, _: &std::convert::Infallible, _: Arc<One<_>>| Action::await_change();
        let asked = Box::pin(asked.take_until(stopped));
        applier(begun, never, one, cache, asked, Config::default()).for_each(async |_| ()).await;
        watched.abort();
    }
}

/// What the main watch keeps.
struct Main<K: Reconcilable, Gone> {
    writer: Writer<Guarded<K>>,
    queue: Queue<K>,
    filled: Arc<AtomicBool>,
    /// What of each object was reconciled last: a change of its status alone is none.
    seen: HashMap<ObjectRef<Guarded<K>>, u64>,
    gone: Gone,
}

impl<K: Reconcilable, Gone: Fn(&ObjectMeta)> Main<K, Gone> {
    fn hear(&mut self, event: Event<Guarded<K>>) {
        self.writer.apply_watcher_event(&event);
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                let mark = mark(object.meta());
                let object = ObjectRef::from_obj(&object);
                if self.seen.insert(object.clone(), mark) != Some(mark) {
                    self.queue.send(object);
                }
            }
            Event::Delete(object) => self.forget(&ObjectRef::from_obj(&object), object.meta()),
            Event::InitDone => {
                let missed: Vec<_> =
                    self.seen.keys().filter(|object| self.writer.as_reader().get(object).is_none()).cloned().collect();
                for object in missed {
                    let meta = ObjectMeta {
                        name: Some(object.name.clone()),
                        namespace: object.namespace.clone(),
                        uid: object.extra.uid.clone(),
                        ..ObjectMeta::default()
                    };
                    self.forget(&object, &meta);
                }
                self.filled.store(true, Ordering::Release);
            }
            Event::Init => {}
        }
    }

    fn forget(&mut self, object: &ObjectRef<Guarded<K>>, meta: &ObjectMeta) {
        self.seen.remove(object);
        (self.gone)(meta);
    }
}

/// Everything of an object but its status and who wrote what when.
pub fn mark(meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&meta.uid, meta.generation, &meta.labels, &meta.annotations, &meta.finalizers).hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    hasher.finish()
}

/// What one reconcile needs.
struct One<Reconcile> {
    name: &'static str,
    surroundings: Arc<Surroundings>,
    backoff: Backoff<(Option<String>, String)>,
    reconcile: Reconcile,
}

impl<Reconcile> One<Reconcile> {
    /// Never fails: what a failure leads to is a longer wait.
    async fn reconcile<K, Future, Failure>(
        self: Arc<Self>,
        object: Arc<Guarded<K>>,
    ) -> Result<Action, std::convert::Infallible>
    where
        K: Reconcilable,
        Reconcile: Fn(Arc<K>) -> Future,
        Future: std::future::Future<Output = Result<Duration, Failure>>,
        Failure: std::error::Error,
    {
        let Ok(_place) = self.surroundings.places.acquire().await else { return Ok(Action::await_change()) };
        let running = self.surroundings.metrics.running(self.name);
        running.inc();
        let begun = Instant::now();
        let (outcome, action) = self.judged(object.as_ref()).await;
        running.dec();
        self.surroundings.metrics.reconciled(self.name, outcome, begun.elapsed());
        Ok(action)
    }

    async fn judged<K, Future, Failure>(&self, object: &Guarded<K>) -> (Outcome, Action)
    where
        K: Reconcilable,
        Reconcile: Fn(Arc<K>) -> Future,
        Future: std::future::Future<Output = Result<Duration, Failure>>,
        Failure: std::error::Error,
    {
        let key = (object.namespace(), object.name_any());
        let reference = object.object_ref(&());
        let parsed = match &object.0 {
            Ok(parsed) => Arc::new(parsed.clone()),
            Err(invalid) => {
                tracing::error!(kind = self.name, name = key.1, namespace = key.0, error = %invalid, "cannot be read");
                let note =
                    format!("This object cannot be read: {invalid}. Correct it, or delete it and apply it anew.");
                let turn = Turn { warning: true, reason: "Malformed".to_owned(), note };
                self.surroundings.events.publish(&reference, turn).await;
                return (Outcome::Malformed, Action::await_change());
            }
        };
        match (self.reconcile)(parsed).await {
            Ok(again) => {
                self.backoff.succeeded(&key);
                (Outcome::Done, Action::requeue(again))
            }
            Err(error) => {
                let wait = self.backoff.failed(key.clone(), &SystemRandom::new());
                let causes = in_full(&error);
                tracing::warn!(kind = self.name, name = key.1, namespace = key.0, error = causes, ?wait, "failed");
                (Outcome::Failed, Action::requeue(wait))
            }
        }
    }
}

/// An error with its causes, in one line.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
