//! Table `pod`: who is alive, and what it knows.

use super::{Store, StoreError};

/// This process, among the others of its gateway.
#[derive(Debug, Clone)]
pub struct Pod {
    /// New at each start.
    pub incarnation: String,
    pub name: String,
    pub version: &'static str,
}

impl Store {
    /// Says that this pod lives; returns the newest revocation's number. This call decides whether the store is away.
    pub async fn beat(&self, pod: &Pod, session_keys: &[String]) -> Result<i64, StoreError> {
        let beaten = self
            .call_of_tick(async |connection| {
                sqlx::query_scalar!(
                    r#"
                    INSERT INTO pod (incarnation, name, version, session_keys)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT (incarnation) DO UPDATE SET seen_at = now(), session_keys = excluded.session_keys
                    RETURNING (SELECT sequence FROM revocation_head) AS "head!"
                    "#,
                    pod.incarnation,
                    pod.name,
                    pod.version,
                    session_keys,
                )
                .fetch_one(connection)
                .await
            })
            .await;
        let news = self.health.saw(!matches!(&beaten, Err(error) if error.is_unavailable()));
        match (&beaten, news) {
            (Err(error), true) => tracing::error!(%error, "the store is away: sign-ins wait, everything else goes on"),
            (Ok(_), true) => tracing::info!("the store is back"),
            _ => {}
        }
        beaten
    }

    /// A pod that has flushed stays longer: its journal may still be replayed, and the row says from where.
    pub async fn delete_pods_unseen_for_a_day(&self) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!(
                "DELETE FROM pod
                 WHERE seen_at < now() - interval '1 day' AND (last_seq = 0 OR seen_at < now() - interval '35 days')",
            );
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}
