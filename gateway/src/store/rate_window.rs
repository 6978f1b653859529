//! Table `rate_window`: how much somebody has done in the current window, counted for all pods together.

use std::time::Duration;

use super::{Store, StoreError};

/// A window after an act was counted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub count: i64,
    pub remaining: Duration,
}

impl Store {
    /// Counts `amount` for `key` (less than nothing gives back), in the open window or in a new one.
    pub async fn count_in_window(
        &self,
        scope: &str,
        key: &str,
        amount: i64,
        window: Duration,
    ) -> Result<Window, StoreError> {
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    INSERT INTO rate_window AS w (scope, key, ends_at, count)
                    VALUES ($1, $2, now() + make_interval(secs => $4), $3)
                    ON CONFLICT (scope, key) DO UPDATE SET
                        opened_at = CASE WHEN w.ends_at <= now() THEN excluded.opened_at ELSE w.opened_at END,
                        ends_at = CASE WHEN w.ends_at <= now() THEN excluded.ends_at ELSE w.ends_at END,
                        count = CASE WHEN w.ends_at <= now() THEN excluded.count ELSE w.count + excluded.count END
                    RETURNING count, extract(epoch FROM ends_at - now())::float8 AS "remaining!"
                    "#,
                    scope,
                    key,
                    amount,
                    window.as_secs_f64(),
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        Ok(Window { count: row.count, remaining: Duration::try_from_secs_f64(row.remaining).unwrap_or_default() })
    }

    pub async fn delete_rate_windows_that_ended(&self) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!("DELETE FROM rate_window WHERE ends_at < now()");
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}
