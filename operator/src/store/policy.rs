//! Tables `policy_set` and `policy`: the set of a gateway's policies, replaced as a whole.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use sqlx::{Connection, PgConnection, types::Json};

use super::{GatewayStore, StoreError, access};

/// One policy as pods read it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRow {
    pub key: String,
    /// Lower is tried first; among equals the key decides.
    pub position: i32,
    pub document: Arc<Value>,
}

/// Which set stands: its revision, and which writing of that. A database that was restored and written again has another set
/// under a number that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub revision: i64,
    pub write: String,
}

/// A set that was written, or stood already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub head: Head,
    pub changed: bool,
    /// By key, the revision that brought each policy as it is.
    pub changed_in: HashMap<String, i64>,
}

/// A row that stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Stood {
    pub position: i32,
    pub changed_in: i64,
    /// `None`: no reader takes it.
    pub document: Option<Value>,
}

impl GatewayStore {
    /// Makes these the policies of the gateway, in one transaction that pods see whole. Rows that are as they should be stay
    /// as they are, and where all are nothing is written at all. Writing notifies pods, by the table's trigger.
    pub async fn replace_policies(&self, rows: &[PolicyRow]) -> Result<Written, StoreError> {
        let keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
        let positions: Vec<_> = rows.iter().map(|row| row.position).collect();
        let documents: Vec<_> = rows.iter().map(|row| Json(row.document.as_ref())).collect();
        self.call_within(access::WRITE, async |connection| {
            let mut transaction = connection.begin().await?;
            sqlx::query!(
                "SELECT pg_advisory_xact_lock(hashtextextended('claude-gateway policies of ' || $1, 0))",
                self.schema(),
            )
            .execute(&mut *transaction)
            .await?;
            let next = head(&mut transaction).await?.revision + 1;
            let changed = sqlx::query_scalar!(
                r#"
                WITH wanted AS MATERIALIZED (
                    SELECT key, position, document
                    FROM unnest($1::text[], $2::int4[], $3::jsonb[]) AS wanted (key, position, document)
                ), removed AS (
                    DELETE FROM policy p WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.key = p.key) RETURNING 1
                ), put AS (
                    INSERT INTO policy (key, position, document, changed_in)
                    SELECT w.key, w.position, w.document, $4::bigint
                    FROM wanted w LEFT JOIN policy p ON p.key = w.key
                    WHERE p.key IS NULL OR p.position <> w.position OR p.document <> w.document
                    ON CONFLICT (key) DO UPDATE
                    SET position = excluded.position, document = excluded.document, changed_in = excluded.changed_in
                    RETURNING 1
                )
                SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM put) AS "changed!"
                "#,
                &keys,
                &positions,
                &documents[..] as _,
                next,
            )
            .fetch_one(&mut *transaction)
            .await?
                > 0;
            if changed {
                let raised = sqlx::query!("UPDATE policy_set SET revision = $1", next);
                if raised.execute(&mut *transaction).await?.rows_affected() != 1 {
                    return Err(StoreError::NotMigrated);
                }
            }
            let written = Written {
                head: head(&mut transaction).await?,
                changed,
                changed_in: revisions(&mut transaction).await?,
            };
            transaction.commit().await?;
            Ok(written)
        })
        .await
    }

    /// Which set stands now.
    pub async fn policy_head(&self) -> Result<Head, StoreError> {
        self.call(async |connection| head(connection).await).await
    }

    /// What stands under these keys.
    pub async fn stored_policies(&self, keys: &[String]) -> Result<HashMap<String, Stood>, StoreError> {
        let rows = self
            .call(async |connection| {
                let rows = sqlx::query!(
                    r#"SELECT key, position, changed_in, document::text AS "document!" FROM policy WHERE key = ANY($1)"#,
                    keys,
                );
                Ok(rows.fetch_all(connection).await?)
            })
            .await?;
        let stood = rows.into_iter().map(|row| {
            let document = serde_json::from_str(&row.document).ok();
            (row.key, Stood { position: row.position, changed_in: row.changed_in, document })
        });
        Ok(stood.collect())
    }
}

async fn head(connection: &mut PgConnection) -> Result<Head, StoreError> {
    let head = sqlx::query_as!(Head, r#"SELECT revision, write_id::text AS "write!" FROM policy_set"#);
    head.fetch_optional(connection).await?.ok_or(StoreError::NotMigrated)
}

async fn revisions(connection: &mut PgConnection) -> Result<HashMap<String, i64>, StoreError> {
    let rows = sqlx::query!("SELECT key, changed_in FROM policy").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.key, row.changed_in)).collect())
}
