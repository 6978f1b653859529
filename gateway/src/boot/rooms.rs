//! The rooms, built in the order in which they need each other: nothing here opens a port.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use aws_lc_rs::rand::SecureRandom;
use axum::Router;
use chrono::Months;
use gateway_config::{Config, ProcessSettings};
use gateway_egress::{Egress, EgressSettings};
use serde_json::json;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};

use super::{
    drain::Lifecycle,
    health::{self, Readyz},
    policies::Policies,
    pulse::{Body, Pulse},
    start::Plan,
};
use crate::{
    admin::{self, AdminKeys, AdminParts},
    door::{Door, RequestId, service::ROUTES},
    identity::RelyingParty,
    inference::{Catalogue, Limits, Models, Shared, body::Bounds, listing},
    oauth,
    policy::{self, Applied, PolicyParts},
    protocol_page,
    session::{Journal, KeyRing, Revocations, SessionParts, Sessions},
    spend::{Book, Flusher, Flushing, Gate, Ledger, Pace, Recents, Replay, journal::Owner},
    store::{Store, pod::Pod},
    telemetry::{Audit, Metrics},
    upstream::Upstream,
};

/// Where the file has no `admin` section: its default.
const USAGE_KEPT: Months = Months::new(13);

/// What every room stands on.
pub(super) struct Foundation {
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Audit,
    pub(super) egress: Arc<Egress>,
    pub(super) store: Arc<Store>,
    pub(super) relying_party: Arc<RelyingParty>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) pod: Pod,
    pub(super) ledger: Arc<Ledger>,
    pub(super) book: Arc<Book>,
    /// `None`: no `admin` section, so nobody administers.
    pub(super) admin_keys: Option<Arc<AdminKeys>>,
}

impl Foundation {
    /// The store and the identity provider are asked side by side.
    pub(super) async fn lay(plan: &Plan) -> anyhow::Result<Self> {
        let Plan { config, process, clock, lines, .. } = plan;
        let egress = Egress::new(egress_settings(process));
        let redirect_uri = config.listen.public_url.join("/oauth/callback");
        let opening = async { Store::open(&config.store).await.context("store") };
        let discovering = async {
            let discovered = RelyingParty::discover(&config.oidc, &redirect_uri, egress.clone(), clock.clone()).await;
            discovered.context("oidc.issuer")
        };
        let (store, relying_party) = tokio::try_join!(opening, discovering)?;
        let pod = this_pod(&*plan.random);
        Ok(Self {
            metrics: Arc::new(Metrics::new()),
            audit: Audit::new(lines.clone(), clock.clone()),
            egress,
            store,
            relying_party: Arc::new(relying_party),
            keys: KeyRing::new(&config.session.jwt_secrets)?,
            revocations: Arc::default(),
            lifecycle: Arc::default(),
            ledger: Ledger::open(&config.store.journal_dir, owner(config, &pod), clock.clone()),
            book: Book::new(Pace::default()),
            pod,
            admin_keys: config.admin.as_ref().map(AdminKeys::new),
        })
    }

    pub(super) fn sessions(&self, plan: &Plan) -> Arc<Sessions> {
        Sessions::new(SessionParts {
            keys: self.keys.clone(),
            revocations: self.revocations.clone(),
            store: self.store.clone(),
            relying_party: self.relying_party.clone(),
            public_url: plan.config.listen.public_url.clone(),
            lifetimes: plan.lifetimes,
            journal: Journal::open(&plan.config.store.journal_dir, &self.pod.incarnation),
            clock: plan.clock.clone(),
            random: plan.random.clone(),
        })
    }

    /// Returns when every revocation so far is known.
    pub(super) async fn pulse(
        &self,
        plan: &Plan,
        policies: Policies,
        sessions: &Arc<Sessions>,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<Pulse> {
        let Policies { live, stored } = policies;
        let inference = shared.clone();
        let body = Body {
            pod: self.pod.clone(),
            store: self.store.clone(),
            sessions: sessions.clone(),
            policies: live,
            stored,
            applied: shared.applied.clone(),
            clock: plan.clock.clone(),
            usage_kept: plan
                .config
                .admin
                .as_ref()
                .map_or(USAGE_KEPT, |admin| Months::new(admin.spend_retention_months)),
            upstreams: Box::new(move || {
                let now = Instant::now();
                let conditions = inference.upstreams.iter().map(|upstream| upstream.condition(now));
                json!(conditions.collect::<Vec<_>>())
            }),
        };
        Pulse::start(body).await.context("store")
    }

    /// Tells the store what is counted here, and what was counted by processes that are gone. The store must know this pod.
    pub(super) fn flushing(&self, plan: &Plan, tasks: &mut JoinSet<()>) -> Flushing {
        let store = self.store.clone();
        let directory = plan.config.store.journal_dir.clone();
        let owner = owner(&plan.config, &self.pod);
        tasks.spawn(Replay { directory, owner, store: store.clone(), pace: *self.book.pace() }.run());
        let (ledger, book, incarnation) = (self.ledger.clone(), self.book.clone(), self.pod.incarnation.clone());
        Flusher { ledger, book, store, incarnation }.start()
    }

    /// The data path's shared parts; what keeps minted credentials fresh joins `tasks`.
    pub(super) fn inference(
        &self,
        plan: &Plan,
        sessions: &Sessions,
        policies: &Policies,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Arc<Shared>> {
        let config = &plan.config;
        let mut upstreams = Vec::with_capacity(config.upstreams.len());
        for configured in &config.upstreams {
            let upstream = Upstream::new(configured, &self.egress, plan.clock.clone(), &self.metrics)?;
            if let Some(federation) = upstream.federation() {
                tasks.spawn(federation.keep(upstream.name.to_string()));
            }
            upstreams.push(upstream);
        }
        Ok(Arc::new(Shared {
            verifier: sessions.verifier(),
            models: Arc::new(Models::new(config, &Catalogue::builtin())?),
            policies: policies.live.clone(),
            applied: policies.stored.is_some().then(|| Arc::new(Applied::new(plan.clock.clone()))),
            upstreams,
            egress: self.egress.clone(),
            audit: self.audit.clone(),
            metrics: self.metrics.clone(),
            bounds: Bounds { most: config.limits.max_request_bytes, idle: plan.patience.body },
            ttfb: config.timeouts.upstream_ttfb,
            ledger: self.ledger.clone(),
            limits: self.limits(plan),
        }))
    }

    fn limits(&self, plan: &Plan) -> Limits {
        let (store, fail_closed) = (self.store.clone(), plan.config.enforcement.fail_closed_on_error);
        let gate = Gate::new(self.book.clone(), fail_closed, move || !store.health().is_reachable());
        Limits { gate: Arc::new(gate), recents: Recents::new() }
    }

    pub(super) fn door(&self, plan: &Plan, sessions: &Arc<Sessions>, shared: &Arc<Shared>) -> Arc<Door> {
        let config = &plan.config;
        let routes = Router::new()
            .merge(health::routes(self.readyz(plan)))
            .merge(oauth::routes(self.oauth_parts(plan, sessions)))
            .merge(listing::routes(shared.clone()))
            .merge(policy::routes(self.policy_parts(plan, shared)))
            .merge(protocol_page::routes())
            .merge(self.admin_routes(sessions, shared));
        Arc::new(Door {
            access: config.access_control.clone(),
            trusted_proxies: config.listen.trusted_proxies.clone(),
            max_url_length: config.limits.max_url_length,
            routes,
            control: Handle::current(),
            places: Arc::new(Semaphore::new(ROUTES)),
            draining: self.lifecycle.draining.clone(),
            activity: self.lifecycle.activity.clone(),
            audit: self.audit.clone(),
            metrics: self.metrics.clone(),
        })
    }

    fn policy_parts(&self, plan: &Plan, shared: &Arc<Shared>) -> PolicyParts {
        PolicyParts {
            verifier: shared.verifier.clone(),
            policies: shared.policies.clone(),
            applied: shared.applied.clone(),
            models: shared.clone(),
            public_url: plan.config.listen.public_url.clone(),
            audit: self.audit.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn admin_routes(&self, sessions: &Arc<Sessions>, shared: &Arc<Shared>) -> Router {
        let Some(keys) = self.admin_keys.clone() else { return Router::new() };
        let (store, audit) = (self.store.clone(), self.audit.clone());
        let (sessions, shared) = (sessions.clone(), shared.clone());
        admin::routes(AdminParts { keys, sessions, shared, store, audit })
    }

    fn readyz(&self, plan: &Plan) -> Readyz {
        Readyz {
            draining: self.lifecycle.draining.clone(),
            store: self.store.clone(),
            readiness: plan.config.store.readiness,
            grace: plan.config.store.readiness_grace,
        }
    }

    fn oauth_parts(&self, plan: &Plan, sessions: &Arc<Sessions>) -> oauth::OauthParts {
        oauth::OauthParts {
            public_url: plan.config.listen.public_url.clone(),
            form_action_origins: plan.config.oidc.form_action_origins.clone(),
            rate_limits: plan.config.rate_limits,
            lifetimes: plan.lifetimes,
            // No key of the file sets it so far.
            login_notice: None,
            sessions: sessions.clone(),
            relying_party: self.relying_party.clone(),
            store: self.store.clone(),
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            clock: plan.clock.clone(),
            random: plan.random.clone(),
        }
    }
}

/// New at each start; the name is what the platform calls this machine.
fn this_pod(random: &dyn SecureRandom) -> Pod {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let incarnation = RequestId::random(random).as_str().trim_start_matches("req_").to_owned();
    Pod { incarnation, name, version: env!("CARGO_PKG_VERSION") }
}

fn owner(config: &Config, pod: &Pod) -> Owner {
    Owner::new(config.listen.public_url.as_str(), &pod.incarnation)
}

fn egress_settings(process: &ProcessSettings) -> EgressSettings {
    let ProcessSettings {
        log_level: _,
        drain_timeout: _,
        client_stall: _,
        allow_loopback,
        proxy_is_boundary,
        https_proxy,
        http_proxy,
        no_proxy,
    } = process.clone();
    EgressSettings { allow_loopback, https_proxy, http_proxy, no_proxy, proxy_is_boundary }
}
