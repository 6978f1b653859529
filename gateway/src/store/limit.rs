//! Tables `limit_state` and `share`: how limits stand. Written by `flush` alone; here they are read, and deleted when over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use super::{AT_ONCE, Store, StoreError};
use crate::{
    identity::Subject,
    spend::{
        Amount, LimitKey, Meter,
        escrow::row::{Charge, Lease, Row},
    },
};

/// A share, or what was charged when it ended, of an incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareOf {
    pub key: LimitKey,
    pub limit: Amount,
    pub granted: Amount,
    pub held: Amount,
    pub charged: Amount,
}

impl Store {
    /// The limits of a person that anybody has used, as they stand now: in this period, and without shares whose time is over.
    pub async fn limit_states(&self, subject: &Subject) -> Result<Vec<Row>, StoreError> {
        let (mut rows, now) = self.limit_rows(subject).await?;
        for row in &mut rows {
            row.roll(now);
            row.end_leases(now, None);
        }
        Ok(rows)
    }

    /// As they are written, and the time by the database's clock.
    pub async fn limit_rows(&self, subject: &Subject) -> Result<(Vec<Row>, DateTime<Utc>), StoreError> {
        let rows = self
            .call(async |connection| {
                sqlx::query_as!(
                    LimitRow,
                    r#"
                    SELECT meter, "limit", used, granted, since, clock_timestamp() AS "now!",
                        coalesce(
                            (
                                SELECT jsonb_object_agg(incarnation, to_jsonb(share))
                                FROM share
                                WHERE share.subject = s.subject AND share.meter = s.meter
                            ),
                            '{}'
                        ) AS "leases!: Json<BTreeMap<String, LeaseRow>>"
                    FROM limit_state s
                    WHERE subject = $1
                    ORDER BY meter
                    "#,
                    subject.0,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let now = rows.first().map_or(DateTime::UNIX_EPOCH, |row| row.now);
        Ok((rows.into_iter().filter_map(|row| row.read(subject)).collect(), now))
    }

    /// What an incarnation has of any limit, for whoever replays its journal and closes it.
    pub async fn shares_of(&self, incarnation: &str) -> Result<Vec<ShareOf>, StoreError> {
        let rows = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    SELECT share.subject, share.meter, s."limit", share.granted, share.held, share.charged
                    FROM share
                    JOIN limit_state s USING (subject, meter)
                    WHERE incarnation = $1
                    "#,
                    incarnation,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let shares = rows.into_iter().filter_map(|row| {
            Some(ShareOf {
                key: LimitKey { subject: Subject(row.subject), meter: Meter::named(&row.meter)? },
                limit: row.limit,
                granted: row.granted,
                held: row.held,
                charged: row.charged,
            })
        });
        Ok(shares.collect())
    }

    /// Deletes limits that nobody has touched for an hour and that say nothing any more: a period that is over, a bucket that
    /// is full, places; so many at once. Rows that a flush has locked are left to the next sweep, so the two never wait for each other.
    pub async fn delete_limits_that_are_over(&self) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!(
                r#"
                WITH over AS (
                    SELECT subject, meter
                    FROM limit_state
                    WHERE touched_at < now() - interval '1 hour'
                        AND CASE period
                            WHEN 'always' THEN true
                            WHEN 'minute' THEN "limit" = 0
                                OR used <= "limit" * (extract(epoch FROM now() - since) / 60)
                            ELSE since < date_trunc(period, now(), 'UTC')
                        END
                    LIMIT $1
                    FOR UPDATE SKIP LOCKED
                )
                DELETE FROM limit_state s
                USING over
                WHERE s.subject = over.subject AND s.meter = over.meter
                "#,
                AT_ONCE,
            );
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}

struct LimitRow {
    meter: String,
    limit: i64,
    used: i64,
    granted: i64,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    leases: Json<BTreeMap<String, LeaseRow>>,
}

#[derive(Deserialize)]
struct LeaseRow {
    granted: i64,
    held: i64,
    lease_until: DateTime<Utc>,
    needed: i64,
    wanted_until: DateTime<Utc>,
    charged: i64,
    charged_at: Option<DateTime<Utc>>,
}

impl LimitRow {
    /// A meter that this binary does not know is a newer one's.
    fn read(self, subject: &Subject) -> Option<Row> {
        let Self { meter, limit, used, granted, since, now: _, leases: Json(leases) } = self;
        let key = LimitKey { subject: subject.clone(), meter: Meter::named(&meter)? };
        let leases = leases.into_iter().map(|(incarnation, lease)| (incarnation, lease.read())).collect();
        Some(Row { key, limit, used, granted, since, leases })
    }
}

impl LeaseRow {
    fn read(self) -> Lease {
        let Self { granted, held, lease_until, needed, wanted_until, charged, charged_at } = self;
        let charge = charged_at.map(|at| Charge { amount: charged, at });
        Lease { granted, held, until: lease_until, needed, wanted_until, charge }
    }
}
