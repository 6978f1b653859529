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
                sqlx::query_as!(
                    UsageRow,
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
        Ok(rows.into_iter().map(UsageRow::read).collect())
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

struct UsageRow {
    subject: String,
    model: String,
    upstream: String,
    hour: DateTime<Utc>,
    requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    cache_write_5m_tokens: i64,
    cache_write_1h_tokens: i64,
    web_search_requests: i64,
}

impl UsageRow {
    fn read(self) -> UsageDelta {
        let Self {
            subject,
            model,
            upstream,
            hour,
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        } = self;
        UsageDelta {
            key: UsageKey { subject: Subject(subject), model, upstream, hour },
            counts: Counts {
                requests,
                input_tokens,
                output_tokens,
                cache_read_tokens,
                cache_write_5m_tokens,
                cache_write_1h_tokens,
                web_search_requests,
            },
        }
    }
}
