//! Table `device_grant`: one sign-in of one device. The migration draws its states. What the device does is here, what the
//! browser does in [`browser`].

mod browser;

use std::time::Duration;

pub use self::browser::{AttemptEnd, Entry, Redeeming, Request};
use super::{Store, StoreError};
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
