//! Policies in a gateway's store, written as their writer does: rows and revision in one transaction.

use anyhow::Result;
use serde_json::Value;
use sqlx::{PgPool, Row};

use super::postgres::pool;

pub struct PolicyRows {
    pool: PgPool,
}

impl PolicyRows {
    pub async fn open(database_url: &str) -> Result<Self> {
        Ok(Self { pool: pool(database_url).await? })
    }

    /// The whole set, in the order in which it is tried; its revision.
    pub async fn replace(&self, policies: &[(&str, Value)]) -> Result<i64> {
        self.write(policies, "SELECT 1").await
    }

    /// As [`replace`](Self::replace), and nobody is notified.
    pub async fn replace_silently(&self, policies: &[(&str, Value)]) -> Result<i64> {
        self.write(policies, "SET LOCAL session_replication_role = replica").await
    }

    async fn write(&self, policies: &[(&str, Value)], first: &'static str) -> Result<i64> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(first).execute(&mut *transaction).await?;
        let raised = "UPDATE claude_gateway.policy_set SET revision = revision + 1 RETURNING revision";
        let revision: i64 = sqlx::query_scalar(raised).fetch_one(&mut *transaction).await?;
        sqlx::query("DELETE FROM claude_gateway.policy").execute(&mut *transaction).await?;
        for ((key, document), position) in policies.iter().zip(0_i32..) {
            let row = "INSERT INTO claude_gateway.policy (key, position, document, changed_in) VALUES ($1, $2, $3, $4)";
            let row = sqlx::query(row).bind(key).bind(position).bind(document).bind(revision);
            row.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(revision)
    }

    /// The revisions that live pods say they serve.
    pub async fn served(&self) -> Result<Vec<i64>> {
        let live = "SELECT policy_revision FROM claude_gateway.pod WHERE seen_at > now() - interval '10 seconds'";
        Ok(sqlx::query_scalar(live).fetch_all(&self.pool).await?)
    }

    /// What live pods say of their upstreams.
    pub async fn upstreams(&self) -> Result<Vec<Value>> {
        let live = "SELECT upstreams FROM claude_gateway.pod WHERE seen_at > now() - interval '10 seconds'";
        Ok(sqlx::query_scalar(live).fetch_all(&self.pool).await?)
    }

    /// Whom a policy applied to, of all days.
    pub async fn people_of(&self, policy: &str) -> Result<Vec<String>> {
        let people = "SELECT subject FROM claude_gateway.policy_person WHERE policy = $1 ORDER BY subject";
        let rows = sqlx::query(people).bind(policy).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
