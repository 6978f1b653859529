//! The browser's side of a sign-in: its code is entered, it leaves for the identity provider, and it comes back once.

use chrono::{DateTime, Utc};

use super::Hash;
use crate::{
    session::keys::CodeHash,
    store::{Store, StoreError, session::NewSession},
};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    Denied,
    MayTryAgain,
}

impl Store {
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
}
