//! Postgres: one file per table, literal SQL, one statement (so one round trip and one transaction) per call.
//!
//! Invariant: no call that anybody waits for takes longer than [`CALL`], whatever the server or the network does; a connection
//! whose call was given up is closed, never reused. Nothing here decides: the rooms above make ids and rules, this room writes
//! what it is given. Only this room imports sqlx.

pub mod bell;
mod dead;
pub mod device_grant;
mod error;
pub mod flush;
pub mod health;
pub mod limit;
mod open;
pub mod pod;
pub mod policy;
pub mod rate_window;
pub mod revocation;
pub mod seen_session;
pub mod session;
mod usage;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{PgConnection, PgPool};
use tokio::sync::broadcast;

pub use error::{OpenError, StoreError};
pub use health::StoreHealth;

/// How long a caller waits for the store, a free connection included.
pub const CALL: Duration = Duration::from_secs(2);

/// The most rows that one statement of a sweep deletes: it then takes a moment, however much there is to sweep.
pub const AT_ONCE: i64 = 2_000;

/// The gateway's own schema in Postgres.
pub struct Store {
    pool: PgPool,
    /// For the tick alone, so that no crowd of callers makes the store look away or keeps a revocation from this pod.
    pulse: Option<PgPool>,
    /// For the bell alone, so that a waiting LISTEN takes no connection from the callers.
    ears: Option<PgPool>,
    channel: String,
    limit_channel: String,
    limit_rings: broadcast::Sender<Arc<str>>,
    health: StoreHealth,
    calls: AtomicU64,
}

impl Store {
    pub fn health(&self) -> &StoreHealth {
        &self.health
    }

    /// How many statements this pod has sent: a metric, and the measure of what a request costs.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub async fn close(&self) {
        for pool in self.pools() {
            pool.close().await;
        }
    }

    fn pools(&self) -> impl Iterator<Item = &PgPool> {
        [Some(&self.pool), self.pulse.as_ref(), self.ears.as_ref()].into_iter().flatten()
    }

    /// One statement. Fails at once while the store is known to be away: callers have better things to do than to wait.
    async fn call<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        match self.health.is_reachable() {
            true => self.call_through(&self.pool, statement).await,
            false => Err(StoreError::Unavailable("the store was away a moment ago".to_owned())),
        }
    }

    /// As [`call`](Self::call), for the tick: it finds out whether the store is back.
    async fn call_of_tick<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.call_through(self.pulse.as_ref().unwrap_or(&self.pool), statement).await
    }

    async fn call_through<T>(
        &self,
        pool: &PgPool,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.call_within(CALL, pool, statement).await
    }

    async fn call_within<T>(
        &self,
        patience: Duration,
        pool: &PgPool,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let until = tokio::time::Instant::now() + patience;
        let mut connection = match tokio::time::timeout_at(until, pool.acquire()).await {
            Ok(connection) => connection?,
            Err(_) => return Err(StoreError::Unavailable("no connection was free in time".to_owned())),
        };
        match tokio::time::timeout_at(until, statement(&mut connection)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                // In the middle of an answer that may never come: closed, so that its place is free at once.
                drop(connection.detach());
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
        }
    }
}

/// The channel's name carries the schema, because channels are per database. Postgres takes 63 bytes.
fn channel(schema: &str, about: &str) -> String {
    let name: String = schema.chars().take(50).collect();
    format!("{name}_{about}")
}

/// Shared by everything that keeps something.
pub type SharedStore = Arc<Store>;
