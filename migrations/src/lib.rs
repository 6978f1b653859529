//! The SQL that makes a gateway's schema, and the code that runs it.
//!
//! Invariant: everything is made in the gateway's own schema, the list of applied migrations too, under an advisory lock
//! whose key carries the schema's name: pods that start at once, and gateways that share a database, do not meet.
//! Migrations are append-only and safe under the previous binary, so a schema newer than this binary is fine.

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    migrate::{MigrateError as RunError, Migrator},
};

static MIGRATIONS: Migrator = sqlx::migrate!("./sql");

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("`{0}` is no plain identifier, so no schema")]
    BadSchemaName(String),
    #[error(
        "the schema `{schema}` is at version {found} and this binary needs {needed}: migrate it with a role that has DDL \
         rights, or set store.migrate"
    )]
    Behind { schema: String, found: i64, needed: i64 },
    #[error("the schema `{schema}` could not be migrated")]
    Run { schema: String, source: RunError },
    #[error("the store")]
    Store(#[from] sqlx::Error),
}

/// The version that this binary needs.
pub fn needed() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Makes the schema where it is missing, and brings it to [`needed`]. Leaves the connection's search path at the schema.
pub async fn migrate(connection: &mut PgConnection, schema: &str) -> Result<(), MigrationError> {
    let quoted = quoted(schema)?;
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('claude-gateway migrations of ' || $1, 0))")
        .bind(schema)
        .execute(&mut *connection)
        .await?;
    let outcome = migrate_locked(connection, schema, &quoted).await;
    // The lock ends with the connection too, so a failure to give it back is no reason to fail.
    let _ = sqlx::query("SELECT pg_advisory_unlock(hashtextextended('claude-gateway migrations of ' || $1, 0))")
        .bind(schema)
        .execute(&mut *connection)
        .await;
    outcome
}

async fn migrate_locked(connection: &mut PgConnection, schema: &str, quoted: &str) -> Result<(), MigrationError> {
    if !schema_exists(connection, schema).await? {
        connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {quoted}"))).await?;
    }
    connection.execute(AssertSqlSafe(format!("SET search_path TO {quoted}"))).await?;
    let migrator = Migrator {
        migrations: MIGRATIONS.migrations.clone(),
        ignore_missing: true,
        locking: false,
        ..Migrator::DEFAULT
    };
    migrator
        .run_direct(None, connection, false)
        .await
        .map_err(|source| MigrationError::Run { schema: schema.to_owned(), source })
}

/// For a role without DDL rights: somebody else migrates, this says whether they have.
pub async fn verify(connection: &mut PgConnection, schema: &str) -> Result<(), MigrationError> {
    let quoted = quoted(schema)?;
    let table: Option<String> = sqlx::query_scalar("SELECT to_regclass($1)::text")
        .bind(format!("{quoted}._sqlx_migrations"))
        .fetch_one(&mut *connection)
        .await?;
    let found = match table {
        None => 0,
        Some(_) => {
            let newest = format!("SELECT coalesce(max(version), 0) FROM {quoted}._sqlx_migrations WHERE success");
            sqlx::query_scalar(AssertSqlSafe(newest)).fetch_one(&mut *connection).await?
        }
    };
    match found >= needed() {
        true => Ok(()),
        false => Err(MigrationError::Behind { schema: schema.to_owned(), found, needed: needed() }),
    }
}

/// Connects, migrates, and is gone: for tools.
pub async fn migrate_at(url: &str, schema: &str) -> Result<(), MigrationError> {
    let mut connection = PgConnection::connect(url).await?;
    migrate(&mut connection, schema).await?;
    Ok(connection.close().await?)
}

async fn schema_exists(connection: &mut PgConnection, schema: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(connection)
        .await
}

/// The configuration has checked the name; it goes into SQL text, so it is checked here too.
fn quoted(schema: &str) -> Result<String, MigrationError> {
    let plain = schema.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match plain && !schema.is_empty() && schema.len() <= 63 {
        true => Ok(format!("\"{schema}\"")),
        false => Err(MigrationError::BadSchemaName(schema.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_end_the_quotes_is_no_schema() {
        for wrong in ["", "a\"b", "a b", "a;b", "ä", &"a".repeat(64)] {
            assert!(matches!(quoted(wrong), Err(MigrationError::BadSchemaName(_))), "{wrong}");
        }
        assert_eq!(quoted("claude_gateway").unwrap(), "\"claude_gateway\"");
    }

    #[test]
    fn versions_follow_each_other_without_a_gap() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=needed()).collect::<Vec<_>>());
    }
}
