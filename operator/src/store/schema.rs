//! The gateway's schema, made and brought up to this binary.

use sqlx::Connection;

use super::{GatewayStore, StoreError, access};

impl GatewayStore {
    /// Makes the schema where it is missing, and runs what is missing of the migrations. Safe under pods of the previous
    /// version, and a schema that is newer already is fine.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A connection of its own, because the search path it leaves behind and the time it may take are not the pool's.
        let mut connection = self.access.connection(access::MIGRATE).await?;
        let migrating = claude_gateway_migrations::migrate(&mut connection, self.schema());
        match tokio::time::timeout(access::MIGRATE, migrating).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(StoreError::Unavailable("the migrations did not end in time".to_owned())),
        }
        let _ = connection.close().await;
        Ok(())
    }

    /// Whether there is nothing to migrate; one look, which changes nothing.
    pub async fn is_migrated(&self) -> Result<bool, StoreError> {
        self.call(async |connection| match claude_gateway_migrations::verify(connection, self.schema()).await {
            Ok(()) => Ok(true),
            Err(claude_gateway_migrations::MigrationError::Behind { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        })
        .await
    }
}
