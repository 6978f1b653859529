//! The gateway's schema, made and brought up to this binary.

use super::{GatewayStore, StoreError, access, role::run};

impl GatewayStore {
    /// Makes the schema where it is missing, and runs what is missing of the migrations. Safe under pods of the previous
    /// version, and a schema that is newer already is fine.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.call_within(access::MIGRATE, async |connection| {
            let patience = access::MIGRATE.as_millis();
            run(connection, format!("SET statement_timeout = {patience}")).await?;
            let outcome = claude_gateway_migrations::migrate(connection, self.schema()).await;
            // The connection goes on to whoever is next, also where this failed.
            let reset = run(connection, "RESET ALL".to_owned()).await;
            outcome?;
            reset
        })
        .await
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
