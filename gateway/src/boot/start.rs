//! The boot's order: store and identity provider, sessions, upstreams, and only then the listener.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{JoinHandle, available_parallelism},
};

use anyhow::Context;
use aws_lc_rs::rand::SecureRandom;
use axum::Router;
use gateway_config::{Config, Environment, ProcessSettings};
use gateway_egress::{Egress, EgressSettings};
use tokio::{runtime::Handle, task::JoinSet};

use super::{
    drain::Lifecycle,
    health::{self, Readyz},
    prometheus::{self, Scraped},
    reload::{Marks, Reloader},
    threads::{self, Work},
};
use crate::{
    clock::Clock,
    door::{Door, RequestId, listener, tls::Certificate, watch::Patience},
    identity::RelyingParty,
    inference::{Catalogue, Models, Shared, body::Bounds, listing},
    oauth, protocol_page,
    session::{Journal, KeyRing, Lifetimes, Revocations, SessionParts, Sessions, Watch},
    store::{Store, pod::Pod},
    telemetry::{Audit, Lines, Metrics},
    upstream::Upstream,
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
    pub source: Option<(std::path::PathBuf, Environment)>,
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
    _watch: Watch,
    _tasks: JoinSet<()>,
}

impl Running {
    /// Waits for the data path's threads, after the lifecycle has ended.
    pub async fn ended(self) {
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
        self.store.close().await;
    }
}

pub async fn start(plan: Plan) -> anyhow::Result<Running> {
    let Plan { config, process, clock, random, lifetimes, patience, lines, source } = plan;
    let source = source.map(|(path, environment)| (Marks::of(&path, &config.files), path, environment));
    let mut tasks = JoinSet::new();
    let metrics = Arc::new(Metrics::new());
    let audit = Audit::new(lines.clone(), clock.clone());
    let egress = Egress::new(egress_settings(&process));
    let certificate = config.listen.tls.as_ref().map(Certificate::load).transpose()?;

    let redirect_uri = config.listen.public_url.join("/oauth/callback");
    let opening = async { Store::open(&config.store).await.context("store") };
    let discovering = async {
        let discovered = RelyingParty::discover(&config.oidc, &redirect_uri, egress.clone(), clock.clone()).await;
        discovered.context("oidc.issuer")
    };
    let (store, relying_party) = tokio::try_join!(opening, discovering)?;
    let relying_party = Arc::new(relying_party);

    let pod = this_pod(&*random);
    let revocations = Arc::new(Revocations::default());
    let keys = KeyRing::new(&config.session.jwt_secrets)?;
    let sessions = Sessions::new(SessionParts {
        keys: keys.clone(),
        revocations: revocations.clone(),
        store: store.clone(),
        relying_party: relying_party.clone(),
        public_url: config.listen.public_url.clone(),
        lifetimes,
        journal: Journal::open(&config.store.journal_dir, &pod.incarnation),
        clock: clock.clone(),
        random: random.clone(),
    });
    let watch = Watch::start(sessions.clone(), pod).await.context("store")?;

    let upstreams: Result<Vec<_>, _> =
        config.upstreams.iter().map(|upstream| Upstream::new(upstream, &egress, clock.clone())).collect();
    let upstreams = upstreams?;
    for upstream in &upstreams {
        if let Some(federation) = upstream.federation() {
            tasks.spawn(federation.keep(upstream.name.clone()));
        }
    }
    let shared = Arc::new(Shared {
        verifier: sessions.verifier(),
        models: Models::new(&config, &Catalogue::builtin()),
        upstreams,
        egress,
        audit: audit.clone(),
        metrics: metrics.clone(),
        bounds: Bounds { most: config.limits.max_request_bytes, idle: patience.body },
        ttfb: config.timeouts.upstream_ttfb,
    });

    let lifecycle = Arc::new(Lifecycle::new());
    let readyz = Readyz {
        draining: lifecycle.draining.clone(),
        store: store.clone(),
        readiness: config.store.readiness,
        grace: config.store.readiness_grace,
    };
    let oauth_parts = oauth::OauthParts {
        public_url: config.listen.public_url.clone(),
        form_action_origins: config.oidc.form_action_origins.clone(),
        rate_limits: config.rate_limits,
        lifetimes,
        login_notice: None,
        sessions: sessions.clone(),
        relying_party: relying_party.clone(),
        store: store.clone(),
        keys: keys.clone(),
        audit: audit.clone(),
        clock: clock.clone(),
        random: random.clone(),
    };
    let routes = Router::new()
        .merge(health::routes(readyz))
        .merge(oauth::routes(oauth_parts))
        .merge(listing::routes(shared.clone()))
        .merge(protocol_page::routes());
    let door = Arc::new(Door {
        access: config.access_control.clone(),
        trusted_proxies: config.listen.trusted_proxies.clone(),
        max_url_length: config.limits.max_url_length,
        random,
        routes,
        control: Handle::current(),
        draining: lifecycle.draining.clone(),
        activity: lifecycle.activity.clone(),
        audit: audit.clone(),
        metrics: metrics.clone(),
    });

    let count = available_parallelism().map_or(1, usize::from);
    let sockets = listener::bind(&config.listen.host, config.listen.port, count)
        .with_context(|| format!("listen: {}:{} cannot be bound", config.listen.host, config.listen.port))?;
    let address = sockets.first().context("listen: no socket")?.local_addr()?;
    let metrics_address = match config.listen.metrics {
        None => None,
        Some(address) => {
            let scraped = Scraped { metrics: metrics.clone(), store: store.clone(), revocations, lines };
            Some(prometheus::listen(address, scraped).await.context("listen.metrics")?)
        }
    };
    let work = Work {
        door,
        shared: shared.clone(),
        tls: certificate.as_ref().map(Certificate::server_config).transpose()?,
        patience,
        max_head: config.limits.max_request_header_bytes,
        closing: lifecycle.follow(),
    };
    let threads = threads::spawn(&work, sockets)?;
    if let Some((seen, path, environment)) = source {
        let store = store.clone();
        let reloader = Reloader { path, environment, keys, store, relying_party, shared, certificate, audit };
        tasks.spawn(reloader.run(config, seen));
    }
    Ok(Running { address, metrics_address, lifecycle, metrics, sessions, store, threads, _watch: watch, _tasks: tasks })
}

/// New at each start; the name is what the platform calls this machine.
fn this_pod(random: &dyn SecureRandom) -> Pod {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let incarnation = RequestId::random(random).0.trim_start_matches("req_").to_owned();
    Pod { incarnation, name, version: env!("CARGO_PKG_VERSION") }
}

fn egress_settings(process: &ProcessSettings) -> EgressSettings {
    let ProcessSettings {
        log_level: _,
        drain_timeout: _,
        allow_loopback,
        proxy_is_boundary,
        https_proxy,
        http_proxy,
        no_proxy,
    } = process.clone();
    EgressSettings { allow_loopback, https_proxy, http_proxy, no_proxy, proxy_is_boundary }
}
