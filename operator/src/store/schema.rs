//! The gateway's schema, made and brought up to this binary.

use super::{GatewayStore, StoreError, access, role::run};

impl GatewayStore {
    /// Makes the schema where it is missing, and runs what is missing of the migrations. Safe under pods of the previous
    /// version, and a schema that is newer already is fine.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let migrating = async {
            run(&mut connection, format!("SET statement_timeout = {}", access::MIGRATE.as_millis())).await?;
            claude_gateway_migrations::migrate(&mut connection, self.schema()).await?;
            run(&mut connection, "RESET ALL; SELECT pg_advisory_unlock_all()".to_owned()).await
        };
        let outcome = tokio::time::timeout(access::MIGRATE, migrating).await;
        if !matches!(outcome, Ok(Ok(()))) {
            // What it left behind, a lock perhaps, ends with it.
            drop(connection.detach());
        }
        outcome.unwrap_or_else(|_| Err(StoreError::Unavailable("the migrations did not end in time".to_owned())))
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
