//! The function `flush`: what a pod used and what it says of its shares, in one transaction that counts once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, postgres::types::PgInterval};

use super::{Store, StoreError};
use crate::{
    identity::Subject,
    spend::{
        Amount, Counts, LimitKey, Meter, Pace, UsageDelta, UsageKey,
        escrow::{Answer, Report},
    },
};

/// One flush of one pod. Where its answer was lost it is sent again: the same counts, and of each share what is held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flush {
    /// The process that used it, which is not always the one that sends it: a journal is replayed by another.
    pub incarnation: String,
    /// From 1; each flush has the number after the last one that was answered.
    pub sequence: i64,
    pub usage: Vec<UsageDelta>,
    /// Each key once.
    pub reports: Vec<Report>,
}

impl Store {
    /// Applies a flush, or, where it was applied before, only renews its shares. Answers every report; none where a later
    /// flush of this incarnation was applied already.
    pub async fn flush(&self, flush: &Flush, pace: &Pace) -> Result<Vec<Answer>, StoreError> {
        self.flush_at(flush, pace, None).await
    }

    /// `at`: the time, where it is not the database's; tests turn the hands.
    pub async fn flush_at(
        &self,
        flush: &Flush,
        pace: &Pace,
        at: Option<DateTime<Utc>>,
    ) -> Result<Vec<Answer>, StoreError> {
        self.call(async |connection| carry_out(connection, flush, pace, at).await).await
    }

    /// The last flush of an incarnation that was applied: the boundary in its journal. 0 where it flushed nothing; `None`
    /// where nobody knows it, or not any more.
    pub async fn last_sequence_of(&self, incarnation: &str) -> Result<Option<i64>, StoreError> {
        self.call(async |connection| {
            sqlx::query_scalar!("SELECT last_seq FROM pod WHERE incarnation = $1", incarnation)
                .fetch_optional(connection)
                .await
        })
        .await
    }
}

pub(super) async fn carry_out(
    connection: &mut PgConnection,
    flush: &Flush,
    pace: &Pace,
    at: Option<DateTime<Utc>>,
) -> Result<Vec<Answer>, sqlx::Error> {
    let usages = written(flush.usage.iter().map(UsageLine::of))?;
    let reports = written(flush.reports.iter().map(ReportLine::of))?;
    let rows = sqlx::query_as!(
        AnswerRow,
        r#"
        SELECT subject AS "subject!", meter AS "meter!", granted AS "granted!", "limit" AS "limit!", used AS "used!",
            granted_to_all AS "granted_to_all!", idle_elsewhere AS "idle_elsewhere!",
            wanted_elsewhere AS "wanted_elsewhere!", resets_in
        FROM flush($1, $2, $3::text::jsonb, $4::text::jsonb, $5, $6, $7)
        "#,
        flush.incarnation,
        flush.sequence,
        usages,
        reports,
        interval(pace.lease),
        interval(pace.want),
        at,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(AnswerRow::read).collect())
}

fn written<T: Serialize>(lines: impl Iterator<Item = T>) -> Result<String, sqlx::Error> {
    serde_json::to_string(&lines.collect::<Vec<_>>()).map_err(|error| sqlx::Error::Encode(error.into()))
}

pub(super) fn interval(time: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: time.as_micros().try_into().unwrap_or(i64::MAX) }
}

/// As the function reads it.
#[derive(Serialize)]
struct UsageLine<'a> {
    #[serde(flatten)]
    key: &'a UsageKey,
    #[serde(flatten)]
    counts: &'a Counts,
}

impl<'a> UsageLine<'a> {
    fn of(UsageDelta { key, counts }: &'a UsageDelta) -> Self {
        Self { key, counts }
    }
}

/// As the function reads it.
#[derive(Serialize)]
struct ReportLine<'a> {
    subject: &'a Subject,
    meter: &'static str,
    period: &'static str,
    limit: Amount,
    spent: Amount,
    held: Amount,
    given_back: Amount,
    wanted: Amount,
    needed: Amount,
    closed: bool,
}

impl<'a> ReportLine<'a> {
    fn of(report: &'a Report) -> Self {
        let Report { key: LimitKey { subject, meter }, limit, spent, held, given_back, wanted, needed, closed } =
            report;
        Self {
            subject,
            meter: meter.word(),
            period: meter.period().word(),
            limit: *limit,
            spent: *spent,
            held: *held,
            given_back: *given_back,
            wanted: *wanted,
            needed: *needed,
            closed: *closed,
        }
    }
}

struct AnswerRow {
    subject: String,
    meter: String,
    granted: i64,
    limit: i64,
    used: i64,
    granted_to_all: i64,
    idle_elsewhere: i64,
    wanted_elsewhere: bool,
    resets_in: Option<i64>,
}

impl AnswerRow {
    /// An answer is to a report of this binary, so it knows the meter.
    fn read(self) -> Option<Answer> {
        let Self { subject, meter, granted, limit, used, granted_to_all, idle_elsewhere, wanted_elsewhere, resets_in } =
            self;
        Some(Answer {
            key: LimitKey { subject: Subject(subject), meter: Meter::named(&meter)? },
            granted,
            limit,
            used,
            granted_to_all,
            idle_elsewhere,
            wanted_elsewhere,
            resets_in: resets_in.and_then(|seconds| seconds.try_into().ok()),
        })
    }
}
