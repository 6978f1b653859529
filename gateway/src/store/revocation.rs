//! Table `revocation`: what was revoked, in the order in which it became visible.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::{
    identity::Subject,
    session::{
        SessionId,
        revocations::{Revocation, Revoked},
    },
};

const PAGE: i64 = 10_000;
const BATCH: i64 = 2_000;

impl Store {
    /// Ends a session: its row goes, its revocation comes, the pods hear of it. `None` where it was revoked before.
    pub async fn end_session(&self, session: &SessionId) -> Result<Option<Revocation>, StoreError> {
        let id = session.to_string();
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    WITH gone AS (
                        DELETE FROM session WHERE id = $1
                    ), head AS (
                        UPDATE revocation_head SET sequence = sequence + 1
                        WHERE NOT EXISTS (SELECT FROM revocation WHERE session = $1)
                        RETURNING sequence
                    ), written AS (
                        INSERT INTO revocation (sequence, session) SELECT sequence, $1 FROM head
                        ON CONFLICT (session) DO NOTHING
                        RETURNING sequence, cut_off
                    )
                    SELECT sequence AS "sequence!", cut_off AS "cut_off!", pg_notify($2, '')::text FROM written
                    "#,
                    id,
                    self.channel,
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        Ok(row.map(|row| Revocation {
            sequence: row.sequence,
            revoked: Revoked::Session(*session),
            cut_off: row.cut_off,
        }))
    }

    /// Ends every session of a person that has started by now; with their number.
    pub async fn end_sessions_of(&self, subject: &Subject) -> Result<(Revocation, u64), StoreError> {
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    WITH gone AS (
                        DELETE FROM session WHERE subject = $1 RETURNING 1
                    ), head AS (
                        UPDATE revocation_head SET sequence = sequence + 1 RETURNING sequence
                    ), written AS (
                        INSERT INTO revocation (sequence, subject) SELECT sequence, $1 FROM head
                        ON CONFLICT (subject) WHERE subject IS NOT NULL
                        DO UPDATE SET sequence = excluded.sequence, cut_off = excluded.cut_off
                        RETURNING sequence, cut_off
                    )
                    SELECT sequence AS "sequence!", cut_off AS "cut_off!", (SELECT count(*) FROM gone) AS "ended!",
                        pg_notify($2, '')::text
                    FROM written
                    "#,
                    subject.0,
                    self.channel,
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let revoked = Revoked::Subject(subject.clone());
        Ok((Revocation { sequence: row.sequence, revoked, cut_off: row.cut_off }, row.ended.unsigned_abs()))
    }

    /// Ends every session that has started by now; with their number. Their rows are left to the sweep: this must pass at
    /// once, however many there are.
    pub async fn end_all_sessions(&self) -> Result<(Revocation, u64), StoreError> {
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    WITH head AS (
                        UPDATE revocation_head SET sequence = sequence + 1 RETURNING sequence
                    ), written AS (
                        INSERT INTO revocation (sequence) SELECT sequence FROM head
                        ON CONFLICT ((true)) WHERE session IS NULL AND subject IS NULL
                        DO UPDATE SET sequence = excluded.sequence, cut_off = excluded.cut_off
                        RETURNING sequence, cut_off
                    )
                    SELECT sequence AS "sequence!", cut_off AS "cut_off!",
                        (
                            SELECT count(*) FROM session
                            WHERE started_at > coalesce(
                                (SELECT cut_off FROM revocation WHERE session IS NULL AND subject IS NULL), '-infinity'
                            )
                        ) AS "ended!",
                        pg_notify($1, '')::text
                    FROM written
                    "#,
                    self.channel,
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let revocation = Revocation { sequence: row.sequence, revoked: Revoked::Everyone, cut_off: row.cut_off };
        Ok((revocation, row.ended.unsigned_abs()))
    }

    /// Deletes rows of sessions that ended with everybody's; a batch at a time, so that no row is held long.
    pub async fn delete_sessions_that_ended_with_all(&self) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let batch = self
                .call(async |connection| {
                    let batch = sqlx::query!(
                        "DELETE FROM session WHERE id IN (
                            SELECT session.id FROM session
                            JOIN revocation everyone ON everyone.session IS NULL AND everyone.subject IS NULL
                            WHERE started_at <= cut_off LIMIT $1 FOR UPDATE OF session SKIP LOCKED
                        )",
                        BATCH,
                    );
                    Ok(batch.execute(connection).await?.rows_affected())
                })
                .await?;
            deleted += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(deleted);
            }
        }
    }

    /// All after `sequence`, oldest first, a page of them; a short page is the last.
    pub async fn revocations_after(&self, sequence: i64) -> Result<Page, StoreError> {
        let rows = self
            .call_of_tick(async |connection| {
                sqlx::query_as!(
                    Row,
                    "SELECT sequence, session, subject, cut_off FROM revocation
                     WHERE sequence > $1 ORDER BY sequence LIMIT $2",
                    sequence,
                    PAGE,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(Page {
            is_last: i64::try_from(rows.len()).is_ok_and(|rows| rows < PAGE),
            rows: rows.into_iter().filter_map(Row::read).collect(),
        })
    }

    /// Drops what can cover no session any more.
    pub async fn delete_revocations_before(&self, age: Duration) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let age = age.as_secs_f64();
            let deleted = sqlx::query!("DELETE FROM revocation WHERE cut_off < now() - make_interval(secs => $1)", age);
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}

pub struct Page {
    pub rows: Vec<Revocation>,
    pub is_last: bool,
}

struct Row {
    sequence: i64,
    session: Option<String>,
    subject: Option<String>,
    cut_off: DateTime<Utc>,
}

impl Row {
    /// A session id that is none names no session, so there is nothing to revoke.
    fn read(self) -> Option<Revocation> {
        let Self { sequence, session, subject, cut_off } = self;
        let revoked = match (session, subject) {
            (Some(session), _) => Revoked::Session(session.parse().ok()?),
            (None, Some(subject)) => Revoked::Subject(Subject(subject)),
            (None, None) => Revoked::Everyone,
        };
        Some(Revocation { sequence, revoked, cut_off })
    }
}
