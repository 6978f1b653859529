//! Postgres, as the operator knows it: the schema, the pods' role, policy rows, and what pods say of themselves.
//!
//! Invariant: only this room speaks SQL; no error or log line of it holds a password or a URL; and no call waits longer than
//! it says, whatever the server or the network does. Whatever changes more than one row is one transaction under an advisory
//! lock that carries the schema's name, so two operators come one after the other.
//!
//! [`GatewayStore::connect`] opens nothing yet. The gateway's controller calls [`migrate`](GatewayStore::migrate), then
//! [`ensure_pod_login`](GatewayStore::ensure_pod_login) (or [`grant_to`](GatewayStore::grant_to), where somebody else made
//! the pods' role), and puts the store into [`Stores`], from where the policies' controller takes it.

mod access;
mod error;
mod inspection;
mod login;
mod person;
mod pod;
mod policy;
mod rights;
mod role;
mod schema;
mod stores;
mod verifier;

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

pub use access::DatabaseAccess;
pub use error::{Fault, StoreError};
pub use inspection::Inspection;
pub use login::PodLogin;
pub use pod::{LivePod, UpstreamState};
pub use policy::{Head, PolicyRow, Stood, Written};
pub use stores::{GatewayName, Stores};

/// One gateway's schema, by the role that owns it.
pub struct GatewayStore {
    access: DatabaseAccess,
    pool: PgPool,
}

impl GatewayStore {
    /// Opens nothing: a server that is away is found out by the first call.
    ///
    /// # Errors
    /// Only for a URL that cannot be read.
    pub fn connect(access: DatabaseAccess) -> Result<Self, StoreError> {
        Ok(Self { pool: access.pool()?, access })
    }

    pub fn access(&self) -> &DatabaseAccess {
        &self.access
    }

    pub fn schema(&self) -> &str {
        &self.access.schema
    }

    /// Whether the server answers.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.call(async |connection| {
            sqlx::query!(r#"SELECT 1 AS "one!""#).fetch_one(connection).await?;
            Ok(())
        })
        .await
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn call<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.call_within(access::CALL, statement).await
    }

    async fn call_within<T>(
        &self,
        patience: Duration,
        statements: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.pool.acquire().await?;
        match tokio::time::timeout(patience, statements(&mut connection)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // In the middle of an answer that may never come: closed, never used again.
                drop(connection.detach());
                Err(StoreError::Unavailable("no answer in time".to_owned()))
            }
        }
    }
}
