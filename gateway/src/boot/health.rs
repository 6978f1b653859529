//! `GET /healthz` and `GET /readyz`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use gateway_config::Readiness;

use crate::store::Store;

#[derive(Clone)]
pub struct Readyz {
    pub draining: Arc<AtomicBool>,
    pub store: Arc<Store>,
    pub readiness: Readiness,
    pub grace: Duration,
}

pub fn routes(readyz: Readyz) -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready)).with_state(readyz)
}

async fn ready(State(readyz): State<Readyz>) -> (StatusCode, &'static str) {
    let away = readyz.store.health().away_for();
    match away {
        _ if readyz.draining.load(Ordering::Relaxed) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Some(away) if readyz.readiness == Readiness::Strict && away >= readyz.grace => {
            (StatusCode::SERVICE_UNAVAILABLE, "the store is unreachable")
        }
        _ => (StatusCode::OK, "ready"),
    }
}
