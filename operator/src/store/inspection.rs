//! What a server and a role are fit for, before anything is made there.

use super::{GatewayStore, StoreError};

/// What was found; nothing was changed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// As `server_version_num` has it: 160004 for 16.4.
    pub version: i32,
    /// It takes no writes.
    pub is_standby: bool,
    /// The role may make schemas in the database.
    pub may_create: bool,
    /// `None`: there is no such schema.
    pub owns_schema: Option<bool>,
    /// The role may make others.
    pub makes_roles: bool,
}

impl GatewayStore {
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        self.call(async |connection| {
            let found = sqlx::query!(
                r#"
                SELECT current_setting('server_version_num')::int4 AS "version!", pg_is_in_recovery() AS "is_standby!",
                    has_database_privilege(current_database(), 'CREATE') AS "may_create!",
                    (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1::text) AS owns_schema,
                    EXISTS (
                        SELECT FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper)
                    ) AS "makes_roles!"
                "#,
                self.schema(),
            )
            .fetch_one(connection)
            .await?;
            Ok(Inspection {
                version: found.version,
                is_standby: found.is_standby,
                may_create: found.may_create,
                owns_schema: found.owns_schema,
                makes_roles: found.makes_roles,
            })
        })
        .await
    }
}
