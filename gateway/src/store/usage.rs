//! Table `usage_hour`: what people used. Written by `flush` alone.

use chrono::{DateTime, Utc};

use super::{AT_ONCE, Store, StoreError};
use crate::{
    identity::Subject,
    spend::{Counts, UsageDelta, UsageKey},
};

impl Store {
    /// The hours from `from` to before `until`, of one person or of everybody.
    pub async fn usage_between(
        &self,
        subject: Option<&Subject>,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<UsageDelta>, StoreError> {
        let subject = subject.map(|subject| subject.0.as_str());
        let rows = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    SELECT subject, model, upstream, hour, requests, input_tokens, output_tokens, cache_read_tokens,
                        cache_write_5m_tokens, cache_write_1h_tokens, web_search_requests
                    FROM usage_hour
                    WHERE ($1::text IS NULL OR subject = $1) AND hour >= $2 AND hour < $3
                    ORDER BY subject, hour, model, upstream
                    "#,
                    subject,
                    from,
                    until,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let delta = rows.into_iter().map(|row| UsageDelta {
            key: UsageKey { subject: Subject(row.subject), model: row.model, upstream: row.upstream, hour: row.hour },
            counts: Counts {
                requests: row.requests,
                input_tokens: row.input_tokens,
                output_tokens: row.output_tokens,
                cache_read_tokens: row.cache_read_tokens,
                cache_write_5m_tokens: row.cache_write_5m_tokens,
                cache_write_1h_tokens: row.cache_write_1h_tokens,
                web_search_requests: row.web_search_requests,
            },
        });
        Ok(delta.collect())
    }

    /// So many at once.
    pub async fn delete_usage_before(&self, hour: DateTime<Utc>) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!(
                "DELETE FROM usage_hour WHERE ctid = ANY(ARRAY(SELECT ctid FROM usage_hour WHERE hour < $1 LIMIT $2))",
                hour,
                AT_ONCE,
            );
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}
