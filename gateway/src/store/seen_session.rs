//! Table `session`, as an administrator sees it.

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::{identity::Subject, session::SessionId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSession {
    pub id: SessionId,
    pub subject: Subject,
    /// As it was when the session began.
    pub email: Option<String>,
    /// The program that asked for it, by its `User-Agent`.
    pub begun_with: Option<String>,
    pub started_at: DateTime<Utc>,
    /// The last refresh; at first the start.
    pub advanced_at: DateTime<Utc>,
}

/// A place in the listing: everything that began earlier comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    pub started_at: DateTime<Utc>,
    pub id: SessionId,
}

impl Store {
    /// The newest first. `user` is a subject or an e-mail address, whose case does not count.
    pub async fn sessions_seen(
        &self,
        user: Option<&str>,
        before: Option<Before>,
        limit: i64,
    ) -> Result<Vec<SeenSession>, StoreError> {
        let (started_before, id) = (before.map(|place| place.started_at), before.map(|place| place.id.to_string()));
        let rows = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    SELECT id, subject, email, begun_with, started_at, advanced_at
                    FROM session
                    WHERE ($1::text IS NULL OR subject = $1 OR lower(email) = lower($1))
                        AND ($2::timestamptz IS NULL OR (started_at, id) < ($2, $3))
                        AND started_at > coalesce(
                            (SELECT cut_off FROM revocation WHERE session IS NULL AND subject IS NULL), '-infinity'
                        )
                    ORDER BY started_at DESC, id DESC
                    LIMIT $4
                    "#,
                    user,
                    started_before,
                    id,
                    limit,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        let seen = rows.into_iter().filter_map(|row| {
            Some(SeenSession {
                id: row.id.parse().ok()?,
                subject: Subject(row.subject),
                email: row.email,
                begun_with: row.begun_with,
                started_at: row.started_at,
                advanced_at: row.advanced_at,
            })
        });
        Ok(seen.collect())
    }

    /// Whose session it is; `None`: there is none.
    pub async fn subject_of(&self, session: &SessionId) -> Result<Option<Subject>, StoreError> {
        let id = session.to_string();
        let subject = self
            .call(async |connection| {
                sqlx::query_scalar!("SELECT subject FROM session WHERE id = $1", id).fetch_optional(connection).await
            })
            .await?;
        Ok(subject.map(Subject))
    }

    /// Whose sessions a subject or an e-mail address means.
    pub async fn subjects_called(&self, user: &str) -> Result<Vec<Subject>, StoreError> {
        let subjects = self
            .call(async |connection| {
                sqlx::query_scalar!(
                    "SELECT DISTINCT subject FROM session WHERE subject = $1 OR lower(email) = lower($1) ORDER BY subject",
                    user,
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(subjects.into_iter().map(Subject).collect())
    }
}
