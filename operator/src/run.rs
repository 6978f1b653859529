//! One replica from its start to its end: it stands by, leads, and stops when it is told to or when it leads no more.

use std::{
    fmt::Debug,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use aws_lc_rs::rand::SystemRandom;
use gateway_config::{Environment, ProcessSettings};
use gateway_egress::{Egress, EgressSettings};
use kube::{Client, Config};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    clock::SystemClock,
    engine::{
        access,
        controller::Surroundings,
        discovery::Discovery,
        events::Events,
        fence::Fence,
        health::Health,
        leadership::{Candidate, Leadership, LeadershipError, TENURE},
        metrics::Metrics,
        progress::Progress,
        scope::Scope,
        settings::Settings,
    },
    gateway::{
        controller, drift::Memory, issuer::Issuers, kinds::OPTIONAL, probe::Prober, reconcile::Context, sight::Sights,
        told::Told,
    },
    policy::Policies,
    store::Stores,
};

/// Reconciles at a time.
const PLACES: usize = 16;
/// How long reconciles under way may take when it is time to stop.
const LAST: Duration = Duration::from_secs(1);

/// Runs until `told`; an error means that the process has to end because it may not go on.
pub async fn run(settings: Settings, told: impl Future<Output = ()>) -> anyhow::Result<()> {
    let (metrics, progress) = (Arc::new(Metrics::default()), Progress::begin(Instant::now()));
    let health = Health::new(progress.clone(), metrics.clone());
    let config = Config::infer().await.context("no way to the API server is known")?;
    let mut served = tokio::spawn(health.clone().serve(settings.health_address, settings.metrics_address));
    tokio::pin!(told);
    let elected = elected(&settings, &config, &health, told.as_mut(), &mut served).await?;
    let Some((fence, mut leadership)) = elected else { return Ok(()) };
    let client = access::controllers(config, &fence, &progress)?;
    let (stop, stopped) = watch::channel(false);
    let mut controllers = JoinSet::new();
    let surroundings = surroundings(&settings, client, metrics, stopped);
    let reconciles = async {
        lead(&settings, &surroundings, fence, &health, &mut controllers).await;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "reconciling");
        controllers.join_next().await
    };
    tokio::select! {
        () = &mut told => {}
        lost = lost(&mut leadership) => return Err(lost.into()),
        ended = &mut served => bail!("the probes' server ended: {ended:?}"),
        ended = reconciles => bail!("a controller ended: {ended:?}"),
    }
    stop.send_replace(true);
    let _ = tokio::time::timeout(LAST, async { while controllers.join_next().await.is_some() {} }).await;
    controllers.shutdown().await;
    if let Some(leadership) = leadership {
        leadership.release().await;
    }
    Ok(())
}

/// The fence to write through, once this replica leads or needs no election; `None` where it was told to end before.
async fn elected<T: Debug>(
    settings: &Settings,
    config: &Config,
    health: &Health,
    mut told: Pin<&mut impl Future<Output = ()>>,
    served: &mut JoinHandle<T>,
) -> anyhow::Result<Option<(Fence, Option<Leadership>)>> {
    if !settings.leader_election {
        return Ok(Some((Fence::open(), None)));
    }
    let fence = Fence::closed(TENURE);
    let candidate = candidate(settings)?;
    let client = access::election(config.clone(), &fence, &candidate.identity)?;
    let mut leadership = tokio::select! {
        () = &mut told => return Ok(None),
        leadership = Leadership::stand(client, candidate, fence.clone()) => leadership,
        ended = &mut *served => bail!("the probes' server ended: {ended:?}"),
    };
    health.stands_by();
    tokio::select! {
        () = told => {
            leadership.release().await;
            Ok(None)
        }
        won = leadership.won() => {
            won?;
            Ok(Some((fence, Some(leadership))))
        }
        ended = served => bail!("the probes' server ended: {ended:?}"),
    }
}

/// Nobody loses what nobody was elected to.
async fn lost(leadership: &mut Option<Leadership>) -> LeadershipError {
    match leadership {
        Some(leadership) => leadership.lost().await,
        None => std::future::pending().await,
    }
}

fn surroundings(
    settings: &Settings,
    client: Client,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
) -> Arc<Surroundings> {
    let events = Arc::new(Events::new(client.clone(), settings.pod_name.clone()));
    Arc::new(Surroundings { client, metrics, events, places: Arc::new(Semaphore::new(PLACES)), stop })
}

/// Starts every controller in every scope.
async fn lead(
    settings: &Settings,
    surroundings: &Arc<Surroundings>,
    fence: Fence,
    health: &Arc<Health>,
    controllers: &mut JoinSet<()>,
) {
    let Surroundings { client, metrics, events, places: _, stop } = &**surroundings;
    let discovery = Arc::new(Discovery::of(&OPTIONAL));
    discovery.look(client).await;
    let stores = Arc::new(Stores::default());
    let issuers = Issuers::new(Egress::new(way_out()));
    let context = Arc::new(Context {
        client: client.clone(),
        clock: Arc::new(SystemClock),
        prober: Prober::new(stores.clone(), issuers, Arc::new(SystemRandom::new()), fence.clone()),
        discovery,
        events: events.clone(),
        metrics: metrics.clone(),
        memory: Memory::default(),
        sights: Sights::default(),
        told: Told::default(),
        default_image: settings.gateway_image.clone(),
    });
    controllers.spawn(controller::discover(
        context.clone(),
        Duration::from_secs(settings.api_look_seconds),
        stop.clone(),
    ));
    let scopes = Scope::of(&settings.watch_namespaces);
    for scope in scopes.clone() {
        let filled = health.cache();
        controllers.spawn(controller::run(context.clone(), surroundings.clone(), scope, filled));
    }
    let told = (events.clone(), metrics.clone());
    let policies = Arc::new(Policies::new(client.clone(), stores, fence, told, Arc::new(SystemClock)));
    controllers.spawn(policies.run(scopes, stop.clone()));
    health.leads();
}

fn candidate(settings: &Settings) -> anyhow::Result<Candidate> {
    let named = |name: &Option<String>, what| name.clone().with_context(|| format!("an election needs {what}"));
    Ok(Candidate {
        identity: named(&settings.pod_name, "a name for this replica: set POD_NAME")?,
        namespace: named(&settings.pod_namespace, "a namespace for the lease: set POD_NAMESPACE")?,
        lease: settings.lease_name.clone(),
    })
}

/// The environment decides on proxies and loopback for the operator as it does for pods.
pub fn way_out() -> EgressSettings {
    let environment = Environment::from_os(std::env::vars_os());
    let Ok((process, _)) = ProcessSettings::read(&environment) else { return EgressSettings::default() };
    EgressSettings {
        allow_loopback: process.allow_loopback,
        https_proxy: process.https_proxy,
        http_proxy: process.http_proxy,
        no_proxy: process.no_proxy,
        proxy_is_boundary: process.proxy_is_boundary,
    }
}
