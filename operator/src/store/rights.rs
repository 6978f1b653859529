//! What pods may do: read policies, read and write the rest, and nothing else.
//!
//! Rights are compared before they are changed: a reconcile that finds them as they should be writes nothing.

use sqlx::PgConnection;

use super::{
    GatewayStore, StoreError, access,
    role::{quoted, run},
};

impl GatewayStore {
    /// Gives a role that somebody else made what pods need, and takes from it what would let it rewrite policy.
    pub async fn grant_to(&self, role: &str) -> Result<(), StoreError> {
        self.call_within(access::WRITE, async |connection| {
            let mut transaction = sqlx::Connection::begin(connection).await?;
            lock_roles(self.schema(), &mut transaction).await?;
            grant(self.schema(), role, &mut transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// The statements that [`grant_to`](Self::grant_to) would run now, for somebody who would rather run them. Empty: the role
    /// has what it needs.
    pub async fn missing_grants(&self, role: &str) -> Result<Vec<String>, StoreError> {
        self.call(async |connection| missing(self.schema(), role, connection).await).await
    }

    /// What a role may do that no pod needs, in words for a status. Most of it comes from what the database lets everybody do,
    /// which its owner can take back.
    pub async fn excess_rights(&self, role: &str) -> Result<Vec<String>, StoreError> {
        self.call(async |connection| excess(self.schema(), role, connection).await).await
    }
}

/// Held until the transaction ends.
pub(super) async fn lock_roles(schema: &str, connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('claude-gateway roles of ' || $1, 0))", schema)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn grant(schema: &str, role: &str, connection: &mut PgConnection) -> Result<(), StoreError> {
    match missing(schema, role, connection).await? {
        statements if statements.is_empty() => Ok(()),
        // In one message: there is one for each table.
        statements => run(connection, statements.join(";\n")).await,
    }
}

async fn missing(schema: &str, role: &str, connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let mut statements = Vec::new();
    let (place, grantee) = (quoted(schema), quoted(role));
    let has_usage = sqlx::query_scalar!(
        r#"SELECT has_schema_privilege($1::text::name, $2::text, 'USAGE') AS "has!""#,
        role,
        schema
    )
    .fetch_one(&mut *connection)
    .await?;
    if !has_usage {
        statements.push(format!("GRANT USAGE ON SCHEMA {place} TO {grantee}"));
    }
    // Every privilege that is not as it should be. Who owns a table has them all, and taking them would lock the operator out.
    let tables = sqlx::query!(
        r#"
        SELECT c.relname::text AS "name!", c.relkind = 'S' AS "is_sequence!", p.privilege AS "privilege!",
            p.privilege = 'SELECT' OR c.relname NOT IN ('policy_set', 'policy', '_sqlx_migrations') AS "is_due!"
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL unnest(CASE c.relkind
            WHEN 'S' THEN ARRAY['USAGE']
            ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
        END) AS p (privilege)
        WHERE n.nspname = $2::text AND c.relkind IN ('r', 'p', 'S')
            AND (p.privilege = 'SELECT' OR c.relkind = 'S' OR c.relname NOT IN ('policy_set', 'policy', '_sqlx_migrations'))
            <> CASE c.relkind
                WHEN 'S' THEN has_sequence_privilege($1::text::name, c.oid, p.privilege)
                ELSE has_table_privilege($1::text::name, c.oid, p.privilege)
            END
            AND NOT pg_has_role($1::text::name, c.relowner, 'USAGE')
        ORDER BY c.relname, p.privilege
        "#,
        role,
        schema,
    )
    .fetch_all(connection)
    .await?;
    for alike in tables.chunk_by(|one, next| one.name == next.name && one.is_due == next.is_due) {
        let kind = if alike[0].is_sequence { "SEQUENCE" } else { "TABLE" };
        let privileges = alike.iter().map(|table| table.privilege.as_str()).collect::<Vec<_>>().join(", ");
        let name = quoted(&alike[0].name);
        statements.push(match alike[0].is_due {
            true => format!("GRANT {privileges} ON {kind} {place}.{name} TO {grantee}"),
            false => format!("REVOKE {privileges} ON {kind} {place}.{name} FROM {grantee}"),
        });
    }
    Ok(statements)
}

async fn excess(schema: &str, role: &str, connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let said = sqlx::query_scalar!(
        r#"
        SELECT words AS "words!" FROM (
            SELECT 1 AS place, 'is a superuser' AS words FROM pg_roles WHERE rolname = $1::text AND rolsuper
            UNION ALL
            SELECT 2, 'may make roles' FROM pg_roles WHERE rolname = $1::text AND rolcreaterole
            UNION ALL
            SELECT 3, 'may create in the schema ' || nspname FROM pg_namespace
            WHERE nspname !~ '^pg_' AND has_schema_privilege($1::text::name, oid, 'CREATE')
            UNION ALL
            SELECT 4, 'may write the table ' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE nspname = $2::text AND relname IN ('policy_set', 'policy')
                AND has_table_privilege($1::text::name, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
            UNION ALL
            SELECT 5, 'sees the schema ' || nspname FROM pg_namespace n
            WHERE nspname <> $2::text AND has_schema_privilege($1::text::name, oid, 'USAGE')
                AND EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = 'policy_set')
            UNION ALL
            SELECT 6, 'may create schemas in the database'
            WHERE has_database_privilege($1::text::name, current_database(), 'CREATE')
            UNION ALL
            SELECT 7, 'may make temporary tables'
            WHERE has_database_privilege($1::text::name, current_database(), 'TEMPORARY')
        ) excess ORDER BY place, words
        "#,
        role,
        schema,
    )
    .fetch_all(connection)
    .await?;
    Ok(said)
}
