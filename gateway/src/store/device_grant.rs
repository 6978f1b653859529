//! Table `device_grant`: one sign-in of one device. The migration draws its states.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Store, StoreError, session::NewSession};
use crate::session::keys::CodeHash;

/// SHA-256 of a code, state or binding.
pub type Hash = [u8; 32];

pub struct NewGrant<'a> {
    pub device_code_hash: &'a Hash,
    pub user_code_hash: &'a CodeHash,
    pub lifetime: Duration,
    pub requested_from: &'a str,
    pub requested_by: &'a str,
    pub requested_network: &'a str,
}

/// What a poll found, before it took anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    pub state: GrantState,
    pub expired: bool,
    pub too_fast: bool,
    /// Sealed; there when approved.
    pub sign_in: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    Pending,
    Departed,
    Redeeming,
    Approved,
    Denied,
    Consumed,
}

/// Who asked, for the page that the person checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub from: String,
    pub by: String,
    pub at: DateTime<Utc>,
}

/// Whose code is entered from where.
pub struct Entry<'a> {
    /// One for each session key.
    pub user_code_hashes: &'a [CodeHash],
    /// Only a code that was requested from this network counts; `None`: any.
    pub only_from: Option<&'a str>,
    /// How often one code may be entered.
    pub at_most: i32,
}

/// A callback that found its grant and took it.
pub struct Redeeming {
    pub device_code_hash: Hash,
    /// Sealed.
    pub departure: Vec<u8>,
    /// The database's clock before anybody was asked: the session's start.
    pub now: DateTime<Utc>,
}

impl Store {
    /// False where the user code is taken: make another.
    pub async fn add_grant(&self, grant: &NewGrant<'_>) -> Result<bool, StoreError> {
        let NewGrant { device_code_hash, user_code_hash, lifetime, requested_from, requested_by, requested_network } =
            grant;
        self.call(async |connection| {
            let added = sqlx::query!(
                r#"
                INSERT INTO device_grant
                    (device_code_hash, user_code_hash, expires_at, requested_from, requested_by, requested_network)
                VALUES ($1, $2, now() + make_interval(secs => $3), $4, $5, $6)
                ON CONFLICT (user_code_hash) DO NOTHING
                "#,
                &device_code_hash[..],
                &user_code_hash[..],
                lifetime.as_secs_f64(),
                requested_from,
                requested_by,
                requested_network,
            );
            Ok(added.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// The device asks. An approved grant is consumed by the one poll that sees it approved: the row is locked first, so a
    /// second poll at the same moment sees it consumed.
    pub async fn poll_grant(&self, device_code_hash: &Hash, interval: Duration) -> Result<Option<Polled>, StoreError> {
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    WITH seen AS (
                        SELECT device_code_hash, state, sign_in, expires_at <= now() AS expired,
                            coalesce(last_polled_at > now() - make_interval(secs => $2), false) AS too_fast
                        FROM device_grant WHERE device_code_hash = $1 FOR UPDATE
                    ), polled AS (
                        UPDATE device_grant AS g SET
                            last_polled_at = now(),
                            state = CASE seen.state WHEN 'approved' THEN 'consumed' ELSE g.state END,
                            sign_in = CASE seen.state WHEN 'approved' THEN NULL ELSE g.sign_in END
                        FROM seen
                        WHERE g.device_code_hash = seen.device_code_hash AND NOT seen.expired AND NOT seen.too_fast
                    )
                    SELECT state, sign_in, expired AS "expired!", too_fast AS "too_fast!" FROM seen
                    "#,
                    &device_code_hash[..],
                    interval.as_secs_f64(),
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        Ok(row.map(|row| Polled {
            state: GrantState::read(&row.state),
            expired: row.expired,
            too_fast: row.too_fast,
            sign_in: row.sign_in,
        }))
    }

    /// A browser has entered the code: it alone may continue from here.
    pub async fn enter_code(&self, entry: &Entry<'_>, binding_hash: &Hash) -> Result<Option<Request>, StoreError> {
        let Entry { user_code_hashes, only_from, at_most } = entry;
        let hashes: Vec<Vec<u8>> = user_code_hashes.iter().map(|hash| hash.to_vec()).collect();
        self.call(async |connection| {
            sqlx::query_as!(
                Request,
                r#"
                UPDATE device_grant SET
                    state = 'pending', state_hash = NULL, departure = NULL,
                    binding_hash = $2, entries = entries + 1
                WHERE user_code_hash = ANY($1) AND state IN ('pending', 'departed', 'redeeming')
                    AND expires_at > now() AND entries < $3 AND requested_network = coalesce($4, requested_network)
                RETURNING requested_from AS "from", requested_by AS "by", created_at AS "at"
                "#,
                &hashes,
                &binding_hash[..],
                at_most,
                *only_from,
            )
            .fetch_optional(connection)
            .await
        })
        .await
    }

    /// The person does not know this device. False where there is nothing to deny.
    pub async fn deny_code(&self, entry: &Entry<'_>) -> Result<bool, StoreError> {
        let Entry { user_code_hashes, only_from, at_most } = entry;
        let hashes: Vec<Vec<u8>> = user_code_hashes.iter().map(|hash| hash.to_vec()).collect();
        self.call(async |connection| {
            let denied = sqlx::query!(
                r#"
                UPDATE device_grant SET state = 'denied', departure = NULL, entries = entries + 1
                WHERE user_code_hash = ANY($1) AND state IN ('pending', 'departed', 'redeeming')
                    AND expires_at > now() AND entries <= $2 AND requested_network = coalesce($3, requested_network)
                "#,
                &hashes,
                at_most,
                *only_from,
            );
            Ok(denied.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// The browser that entered the code leaves for the identity provider. False where that browser has nothing to continue
    /// with this code.
    pub async fn depart(
        &self,
        binding_hash: &Hash,
        user_code_hashes: &[CodeHash],
        state_hash: &Hash,
        departure: &[u8],
    ) -> Result<bool, StoreError> {
        let hashes: Vec<Vec<u8>> = user_code_hashes.iter().map(|hash| hash.to_vec()).collect();
        self.call(async |connection| {
            let departed = sqlx::query!(
                r#"
                UPDATE device_grant SET state = 'departed', state_hash = $2, departure = $3
                WHERE binding_hash = $1 AND user_code_hash = ANY($4) AND state IN ('pending', 'departed')
                    AND expires_at > now()
                "#,
                &binding_hash[..],
                &state_hash[..],
                departure,
                &hashes,
            );
            Ok(departed.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// The browser is back: the same browser, for the first time.
    pub async fn redeem(&self, state_hash: &Hash, binding_hash: &Hash) -> Result<Option<Redeeming>, StoreError> {
        let row = self
            .call(async |connection| {
                sqlx::query!(
                    r#"
                    UPDATE device_grant SET state = 'redeeming'
                    WHERE state_hash = $1 AND binding_hash = $2 AND state = 'departed' AND expires_at > now()
                    RETURNING device_code_hash, departure AS "departure!", now() AS "now!"
                    "#,
                    &state_hash[..],
                    &binding_hash[..],
                )
                .fetch_optional(connection)
                .await
            })
            .await?;
        Ok(row.and_then(|row| {
            let device_code_hash = row.device_code_hash.try_into().ok()?;
            Some(Redeeming { device_code_hash, departure: row.departure, now: row.now })
        }))
    }

    /// The person was admitted: the session begins and its tokens wait, sealed, for the device. False where the grant ended
    /// meanwhile; then nothing begins.
    pub async fn approve(
        &self,
        device_code_hash: &Hash,
        state_hash: &Hash,
        sign_in: &[u8],
        session: &NewSession,
    ) -> Result<bool, StoreError> {
        let NewSession { id, subject, email, started_at, token_hash } = session;
        let id = id.to_string();
        self.call(async |connection| {
            let begun = sqlx::query!(
                r#"
                WITH approved AS (
                    UPDATE device_grant SET state = 'approved', sign_in = $3, departure = NULL
                    WHERE device_code_hash = $1 AND state_hash = $2 AND state = 'redeeming' AND expires_at > now()
                    RETURNING requested_by
                )
                INSERT INTO session (id, subject, started_at, generation, token_hash, advanced_at, email, begun_with)
                SELECT $4, $5, $6, 1, $7, now(), $8, requested_by FROM approved
                "#,
                &device_code_hash[..],
                &state_hash[..],
                sign_in,
                id,
                subject.0,
                started_at,
                token_hash.as_ref().map(|hash| &hash[..]),
                email.as_deref(),
            );
            Ok(begun.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// The provider's answer ended this attempt: for good where the person may not come in, else the code works again.
    pub async fn end_attempt(&self, state_hash: &Hash, end: AttemptEnd) -> Result<bool, StoreError> {
        let state = match end {
            AttemptEnd::Denied => "denied",
            AttemptEnd::MayTryAgain => "pending",
        };
        self.call(async |connection| {
            let ended = sqlx::query!(
                r#"
                UPDATE device_grant SET state = $2, state_hash = NULL, departure = NULL
                WHERE state_hash = $1 AND state = 'redeeming'
                "#,
                &state_hash[..],
                state,
            );
            Ok(ended.execute(connection).await?.rows_affected() == 1)
        })
        .await
    }

    /// How many codes a guess could hit.
    pub async fn live_codes(&self) -> Result<i64, StoreError> {
        self.call(async |connection| {
            sqlx::query_scalar!(
                r#"
                SELECT count(*) AS "live!" FROM device_grant
                WHERE expires_at > now() AND state IN ('pending', 'departed', 'redeeming')
                "#
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Kept a while after its end, so that a late poll hears `expired_token` for the right reason.
    pub async fn delete_grants_ended_an_hour_ago(&self) -> Result<u64, StoreError> {
        self.call(async |connection| {
            let deleted = sqlx::query!("DELETE FROM device_grant WHERE expires_at < now() - interval '1 hour'");
            Ok(deleted.execute(connection).await?.rows_affected())
        })
        .await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    Denied,
    MayTryAgain,
}

impl GrantState {
    /// A state that a later version may have added is, to this one, over.
    fn read(column: &str) -> Self {
        match column {
            "pending" => Self::Pending,
            "departed" => Self::Departed,
            "redeeming" => Self::Redeeming,
            "approved" => Self::Approved,
            "denied" => Self::Denied,
            _ => Self::Consumed,
        }
    }
}
