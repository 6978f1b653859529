//! `listen.metrics`: Prometheus and nothing else.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

use crate::{
    inference::Shared,
    policy::LivePolicies,
    session::Revocations,
    spend::Unflushed,
    store::Store,
    telemetry::{Lines, Metrics},
};

/// What is read when somebody scrapes.
#[derive(Clone)]
pub struct Scraped {
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub revocations: Arc<Revocations>,
    pub policies: Arc<LivePolicies>,
    pub shared: Arc<Shared>,
    pub lines: Lines,
}

/// Binds at once, so that a port in use stops the boot; serves until the process ends.
pub async fn listen(address: SocketAddr, scraped: Scraped) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let routes = Router::new().route("/metrics", get(scrape)).with_state(scraped);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(bound)
}

async fn scrape(State(scraped): State<Scraped>) -> impl IntoResponse {
    let Scraped { metrics, store, revocations, policies, shared, lines } = scraped;
    metrics.store_reachable.set(i64::from(store.health().is_reachable()));
    metrics.store_statements.inner().store(store.calls(), Ordering::Relaxed);
    metrics.revocation_sequence.set(revocations.sequence());
    metrics.store_last_seen_seconds.set(store.health().heard_ago().as_secs_f64());
    metrics.policy_revision.set(policies.revision().0);
    metrics.policies.set(i64::try_from(policies.count()).unwrap_or(i64::MAX));
    metrics.policy_reload_failed.set(i64::from(policies.is_refusing()));
    metrics.log_lines_dropped.set(i64::try_from(lines.dropped()).unwrap_or(i64::MAX));
    let Unflushed { keys, age, in_journal, is_refused } = shared.ledger.unflushed(Instant::now());
    metrics.ledger_unflushed_keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    metrics.ledger_unflushed_seconds.set(age.as_secs_f64());
    metrics.ledger_in_journal.set(i64::from(in_journal));
    metrics.ledger_refused.set(i64::from(is_refused));
    let gate = &shared.limits.gate;
    metrics.limits_held.set(i64::from(gate.holds_limits()));
    metrics.limits_unchecked.inner().store(gate.unchecked(), Ordering::Relaxed);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.render())
}
