//! The boot's order: store and identity provider, policies, sessions, upstreams, and only then the listener.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{JoinHandle, available_parallelism},
};

use anyhow::Context;
use aws_lc_rs::rand::SecureRandom;
use gateway_config::{Config, Environment, ProcessSettings};
use tokio::task::JoinSet;

use super::{
    drain::Lifecycle,
    prometheus::{self, Scraped},
    pulse::Pulse,
    reload::{Marks, Reloader},
    rooms::Foundation,
    threads::{self, Work},
};
use crate::{
    clock::Clock,
    door::{listener, tls::Certificate, watch::Patience},
    session::{Lifetimes, Sessions},
    spend::Flushing,
    store::Store,
    telemetry::{Lines, Metrics},
};

/// Everything that is decided before the first connection is opened.
pub struct Plan {
    pub config: Config,
    pub process: ProcessSettings,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn SecureRandom + Send + Sync>,
    pub lifetimes: Lifetimes,
    pub patience: Patience,
    pub lines: Lines,
    /// Where the configuration came from, where it is read again.
    pub source: Option<(std::path::PathBuf, Environment, Marks)>,
}

/// A serving process.
pub struct Running {
    pub address: SocketAddr,
    pub metrics_address: Option<SocketAddr>,
    pub lifecycle: Arc<Lifecycle>,
    pub metrics: Arc<Metrics>,
    pub sessions: Arc<Sessions>,
    pub store: Arc<Store>,
    threads: Vec<JoinHandle<()>>,
    flushing: Flushing,
    _pulse: Pulse,
    _tasks: JoinSet<()>,
}

impl Running {
    /// Waits for the data path's threads, after the lifecycle has ended, and tells the store what they counted last.
    pub async fn ended(self) {
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
        self.flushing.end().await;
        self.store.close().await;
    }
}

pub async fn start(plan: Plan) -> anyhow::Result<Running> {
    let config = &plan.config;
    let certificate = config.listen.tls.as_ref().map(Certificate::load).transpose()?;
    let mut tasks = JoinSet::new();
    let foundation = Foundation::lay(&plan).await?;
    let policies = foundation.policies(config.managed.as_ref()).await?;
    let (live, of_file) = (policies.live.clone(), policies.of_file());
    let sessions = foundation.sessions(&plan);
    let shared = foundation.inference(&plan, &sessions, &policies, &mut tasks)?;
    let pulse = foundation.pulse(&plan, policies, &sessions, &shared).await?;
    let flushing = foundation.flushing(&plan, &mut tasks);
    let door = foundation.door(&plan, &sessions, &shared);
    let Foundation {
        metrics,
        audit,
        egress: _,
        store,
        relying_party,
        keys,
        revocations,
        lifecycle,
        pod: _,
        ledger: _,
        book: _,
        admin_keys,
    } = foundation;

    let count = available_parallelism().map_or(1, usize::from);
    let sockets = listener::bind(&config.listen.host, config.listen.port, count)
        .with_context(|| format!("listen: {}:{} cannot be bound", config.listen.host, config.listen.port))?;
    let address = sockets.first().context("listen: no socket")?.local_addr()?;
    let metrics_address = match config.listen.metrics {
        None => None,
        Some(address) => {
            let lines = plan.lines.clone();
            let (metrics, store) = (metrics.clone(), store.clone());
            let scraped = Scraped { metrics, store, revocations, policies: live, shared: shared.clone(), lines };
            Some(prometheus::listen(address, scraped).await.context("listen.metrics")?)
        }
    };
    let work = Work {
        door,
        shared: shared.clone(),
        random: plan.random.clone(),
        tls: certificate.as_ref().map(Certificate::server_config).transpose()?,
        patience: plan.patience,
        max_head: config.limits.max_request_header_bytes,
        closing: lifecycle.follow(),
    };
    let threads = threads::spawn(&work, sockets)?;
    if let Some((path, environment, seen)) = plan.source {
        let store = store.clone();
        let reloader = Reloader {
            path,
            environment,
            keys,
            store,
            relying_party,
            shared,
            certificate,
            policies: of_file,
            admin_keys,
            audit,
        };
        tasks.spawn(reloader.run(plan.config, seen));
    }
    Ok(Running {
        address,
        metrics_address,
        lifecycle,
        metrics,
        sessions,
        store,
        threads,
        flushing,
        _pulse: pulse,
        _tasks: tasks,
    })
}
