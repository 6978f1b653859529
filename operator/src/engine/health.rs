//! What the kubelet and Prometheus ask: `/livez`, `/readyz`, and `/metrics` on a port of its own.
//!
//! Alive is whoever hears of its watches, or does not lead; ready is whoever has seen everything once, or stands by.
//! Neither asks about another replica.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use super::{metrics::Metrics, progress::Progress};

/// What the probes are answered from.
pub struct Health {
    progress: Progress,
    leads: AtomicBool,
    stands_by: AtomicBool,
    caches: Mutex<Vec<Arc<AtomicBool>>>,
    metrics: Arc<Metrics>,
}

impl Health {
    pub fn new(progress: Progress, metrics: Arc<Metrics>) -> Arc<Self> {
        let (leads, stands_by) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { progress, leads, stands_by, caches: Mutex::default(), metrics })
    }

    /// The election runs, and another replica may hold the lease.
    pub fn stands_by(&self) {
        self.stands_by.store(true, Ordering::Release);
    }

    /// From now on watches are to be heard of. Call it when all caches are [announced](Self::cache).
    pub fn leads(&self) {
        self.leads.store(true, Ordering::Release);
        self.metrics.leads(true);
    }

    /// A cache that has to be filled before this replica is ready; set the flag when it is.
    pub fn cache(&self) -> Arc<AtomicBool> {
        let filled = Arc::new(AtomicBool::new(false));
        self.caches.lock().unwrap_or_else(PoisonError::into_inner).push(filled.clone());
        filled
    }

    fn alive(&self, now: Instant) -> bool {
        !self.leads.load(Ordering::Acquire) || self.progress.alive(now)
    }

    fn ready(&self) -> bool {
        match self.leads.load(Ordering::Acquire) {
            true => {
                let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
                caches.iter().all(|filled| filled.load(Ordering::Acquire))
            }
            false => self.stands_by.load(Ordering::Acquire),
        }
    }

    /// Serves until the process ends.
    pub async fn serve(self: Arc<Self>, probes: SocketAddr, metrics: SocketAddr) -> std::io::Result<()> {
        let (probes, metrics) = (TcpListener::bind(probes).await?, TcpListener::bind(metrics).await?);
        let scraped = self.clone();
        let text = move || std::future::ready(scraped.metrics.text(&scraped.progress, Instant::now()));
        let scrapes = axum::serve(metrics, Router::new().route("/metrics", get(text))).into_future();
        let (alive, ready) = (self.clone(), self);
        let livez = move || std::future::ready(verdict(alive.alive(Instant::now())));
        let readyz = move || std::future::ready(verdict(ready.ready()));
        let probed = axum::serve(probes, Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)));
        let probed = probed.into_future();
        tokio::try_join!(scrapes, probed).map(|_| ())
    }
}

fn verdict(good: bool) -> (StatusCode, &'static str) {
    match good {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not now\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::progress::SILENCE;

    fn health(begun: Instant) -> Arc<Health> {
        Health::new(Progress::begin(begun), Arc::default())
    }

    #[test]
    fn c16_a_leader_is_ready_once_every_cache_is_filled_and_a_follower_once_it_stands_by() {
        let health = health(Instant::now());
        assert!(!health.ready());
        health.stands_by();
        assert!(health.ready());
        let (one, two) = (health.cache(), health.cache());
        health.leads();
        one.store(true, Ordering::Release);
        assert!(!health.ready());
        two.store(true, Ordering::Release);
        assert!(health.ready());
    }

    #[test]
    fn c13_a_leader_that_hears_of_no_watch_is_not_alive_and_a_follower_needs_none() {
        let begun = Instant::now();
        let health = health(begun);
        assert!(health.alive(begun + SILENCE + Duration::from_secs(1)));
        health.leads();
        assert!(health.alive(begun + SILENCE - Duration::from_secs(1)));
        assert!(!health.alive(begun + SILENCE));
    }
}
