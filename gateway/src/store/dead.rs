//! The last flush of a process that is dead, sent by another.

use std::time::Duration;

use sqlx::Connection;

use super::{
    Store, StoreError,
    flush::{Flush, carry_out},
};
use crate::{
    identity::Subject,
    spend::{Amount, LimitKey, Meter, Pace},
};

/// Nobody waits for it, and what a process counted during an outage may be much.
const LONG: Duration = Duration::from_secs(30);

impl Store {
    /// The limits, and how high they are, of which that incarnation has a share, and all others of these people: what it used
    /// while the store was away was held without a share.
    pub async fn limits_of_the_dead(
        &self,
        incarnation: &str,
        subjects: &[String],
    ) -> Result<Vec<(LimitKey, Amount)>, StoreError> {
        self.call(async |connection| {
            let rows = sqlx::query!(
                r#"
                SELECT subject, meter, "limit"
                FROM limit_state s
                WHERE subject = ANY($2)
                    OR EXISTS (
                        SELECT FROM share
                        WHERE share.subject = s.subject AND share.meter = s.meter AND share.incarnation = $1
                    )
                "#,
                incarnation,
                subjects,
            )
            .fetch_all(connection)
            .await?;
            let limits = rows.into_iter().filter_map(|row| {
                let key = LimitKey { subject: Subject(row.subject), meter: Meter::named(&row.meter)? };
                Some((key, row.limit))
            });
            Ok(limits.collect())
        })
        .await
    }

    /// Applies it, if `last` is still the number of the last flush of that incarnation; false where it is not: a statement
    /// that the process had sent before it died arrived meanwhile, or somebody else was faster.
    pub async fn flush_for_the_dead(&self, last: Option<i64>, flush: &Flush, pace: &Pace) -> Result<bool, StoreError> {
        let incarnation = &flush.incarnation;
        self.call_within(LONG, &self.pool, async |connection| {
            let mut transaction = connection.begin().await?;
            sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, true)", LONG.as_millis().to_string())
                .fetch_one(&mut *transaction)
                .await?;
            // The lock that `flush` takes: none of that incarnation's flushes can come between the look and the flush.
            sqlx::query!(
                "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' flush of ' || $1, 0))",
                incarnation,
            )
            .execute(&mut *transaction)
            .await?;
            let found = sqlx::query_scalar!("SELECT last_seq FROM pod WHERE incarnation = $1", incarnation)
                .fetch_optional(&mut *transaction)
                .await?;
            if found != last {
                return Ok(false);
            }
            carry_out(&mut transaction, flush, pace, None).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}
