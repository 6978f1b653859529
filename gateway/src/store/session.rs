//! Table `session`: where each session's refresh stands.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::{identity::Subject, session::SessionId};

/// SHA-256 of a refresh token.
pub type TokenHash = [u8; 32];
/// Names one claim, so that a claim that ran out does not write over the next one's work.
pub type Claim = [u8; 16];

/// A session from its first moment.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: SessionId,
    pub subject: Subject,
    pub email: Option<String>,
    pub started_at: DateTime<Utc>,
    /// `None` where there is no refresh token.
    pub token_hash: Option<TokenHash>,
}

/// A row as a refresh finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub generation: i64,
    pub token_hash: Option<TokenHash>,
    pub previous_hash: Option<TokenHash>,
    /// The token of this generation, sealed; gone some time after the grace.
    pub successor: Option<Vec<u8>>,
    /// The generation is younger than the grace.
    pub in_grace: bool,
    /// This very call has claimed it.
    pub claimed_by_us: bool,
}

/// One step of a session: from the token that was presented to the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    pub session: SessionId,
    /// Of the new token.
    pub generation: i64,
    pub previous_hash: TokenHash,
    pub token_hash: TokenHash,
    pub successor: Vec<u8>,
}

impl Store {
    /// Claims the session for one refresh, if the presented token is its current one (or newer: an advance that was made
    /// while the store was away) and nobody else holds it. `None`: there is no such session.
    pub async fn claim_session(
        &self,
        session: &SessionId,
        presented: (i64, &TokenHash),
        claim: &Claim,
        (held_for, grace): (Duration, Duration),
    ) -> Result<Option<Standing>, StoreError> {
        let (generation, hash) = presented;
        let id = session.to_string();
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    WITH claimed AS (
                        UPDATE session SET claim = $4, claimed_until = now() + make_interval(secs => $5)
                        WHERE id = $1 AND (token_hash = $2 OR generation < $3)
                            AND (claimed_until IS NULL OR claimed_until <= now())
                        RETURNING id
                    )
                    SELECT generation, token_hash, previous_hash, successor,
                        advanced_at > now() - make_interval(secs => $6) AS "in_grace!",
                        EXISTS (SELECT FROM claimed) AS "claimed_by_us!"
                    FROM session WHERE id = $1
                    "#,
                    id,
                    &hash[..],
                    generation,
                    &claim[..],
                    held_for.as_secs_f64(),
                    grace.as_secs_f64(),
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        Ok(row.map(|row| Standing {
            generation: row.generation,
            token_hash: hash_of(row.token_hash),
            previous_hash: hash_of(row.previous_hash),
            successor: row.successor,
            in_grace: row.in_grace,
            claimed_by_us: row.claimed_by_us,
        }))
    }

    /// False where the claim is no longer ours, or the session is gone. `email` is the person's at this moment.
    pub async fn advance_session(
        &self,
        advance: &Advance,
        claim: &Claim,
        email: Option<&str>,
    ) -> Result<bool, StoreError> {
        let Advance { session, generation, previous_hash, token_hash, successor } = advance;
        let id = session.to_string();
        self.call(async |connection| {
            let advanced = sqlx::query!(
                r#"
                UPDATE session SET generation = $3, previous_hash = $4, token_hash = $5, successor = $6,
                    email = coalesce($7, email), advanced_at = now(), claim = NULL, claimed_until = NULL
                WHERE id = $1 AND claim = $2
                "#,
                id,
                &claim[..],
                generation,
                &previous_hash[..],
                &token_hash[..],
                successor,
                email,
            );
            Ok(advanced.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// Gives a claim back unused; whether it was still ours does not matter.
    pub async fn release_session(&self, session: &SessionId, claim: &Claim) -> Result<(), StoreError> {
        let id = session.to_string();
        self.call(async |connection| {
            sqlx::query!(
                "UPDATE session SET claim = NULL, claimed_until = NULL WHERE id = $1 AND claim = $2",
                id,
                &claim[..],
            )
            .execute(connection)
            .await
        })
        .await?;
        Ok(())
    }

    /// Where a session stands, for an advance that was made while the store was away.
    pub async fn standing_of(&self, session: &SessionId) -> Result<Option<Standing>, StoreError> {
        let id = session.to_string();
        let row = self
            .call(async |connection| {
                sqlx::query!("SELECT generation, token_hash, previous_hash FROM session WHERE id = $1", id)
                    .fetch_optional(connection)
                    .await
            })
            .await?;
        Ok(row.map(|row| Standing {
            generation: row.generation,
            token_hash: hash_of(row.token_hash),
            previous_hash: hash_of(row.previous_hash),
            successor: None,
            in_grace: false,
            claimed_by_us: false,
        }))
    }

    /// Writes an advance that was made at `made_at` while the store was away; false where the session is no longer at
    /// `seen_generation`. A claim of somebody else's ends with it: what it was made for is past.
    pub async fn catch_up_session(
        &self,
        advance: &Advance,
        made_at: DateTime<Utc>,
        seen_generation: i64,
    ) -> Result<bool, StoreError> {
        let Advance { session, generation, previous_hash, token_hash, successor } = advance;
        let id = session.to_string();
        self.call(async |connection| {
            let advanced = sqlx::query!(
                r#"
                UPDATE session SET generation = $3, previous_hash = $4, token_hash = $5, successor = $6,
                    advanced_at = least($7, now()), claim = NULL, claimed_until = NULL
                WHERE id = $1 AND generation = $2
                "#,
                id,
                seen_generation,
                generation,
                &previous_hash[..],
                &token_hash[..],
                successor,
                made_at,
            );
            Ok(advanced.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    pub async fn forget_successors_after(&self, grace: Duration) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let forgotten = sqlx::query!(
                "UPDATE session SET successor = NULL
                 WHERE successor IS NOT NULL AND advanced_at < now() - make_interval(secs => $1)",
                grace.as_secs_f64(),
            );
            Ok(forgotten.execute(connection).await?.rows_affected())
        })
        .await
    }

    pub async fn delete_sessions_older_than(&self, age: Duration) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let age = age.as_secs_f64();
            let deleted = sqlx::query!("DELETE FROM session WHERE started_at < now() - make_interval(secs => $1)", age);
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}

/// The table's check holds the length.
fn hash_of(column: Option<Vec<u8>>) -> Option<TokenHash> {
    column?.try_into().ok()
}
