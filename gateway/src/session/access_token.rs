//! Access tokens: JWTs that every pod verifies by itself.
//!
//! Invariant: an [`Admitted`] exists only for a bearer that this gateway signed, for its own public URL and audience, that is
//! not past its time and not known to be revoked. No store is asked.
//!
//! The header of a token is compared, never parsed: each key makes one header, byte for byte, so there is no algorithm, key
//! reference or critical extension for a token to choose.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use gateway_config::PublicUrl;
use http::{HeaderMap, header::AUTHORIZATION};
use serde::{Deserialize, Serialize};

use super::{KeyRing, Revocations, SessionId, keys::Keys, verified::VerifiedTokens};
use crate::{
    clock::Clock,
    identity::{Person, Subject},
};

/// What every gateway of this protocol writes; `iss` tells them apart.
const AUDIENCE: &str = "claude-gateway";
/// Longer than any token of ours: a person in several hundred groups still fits.
const MAX_LENGTH: usize = 32 * 1024;
const SIGNATURE_LENGTH: usize = 32;

/// A person whose bearer holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    session: SessionId,
    person: Person,
    started_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Admitted {
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The session's start.
    pub fn started_at(&self) -> DateTime<Utc> {
        self.started_at
    }

    /// The token's end.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }
}

/// Why nobody was admitted. The client is told only whether it helps to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerRefusal {
    #[error("no bearer")]
    Missing,
    #[error("the bearer is not a token of this form")]
    Malformed,
    #[error("the bearer names no key of this gateway")]
    UnknownKey,
    #[error("the bearer's signature is wrong")]
    BadSignature,
    #[error("the bearer was issued for another audience")]
    WrongAudience,
    #[error("the bearer was issued by another gateway")]
    WrongIssuer,
    #[error("the bearer has expired")]
    Expired,
    #[error("the bearer's session was revoked")]
    Revoked,
}

impl BearerRefusal {
    /// The same bearer can never pass again: `x-should-retry: false`.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::Revoked)
    }

    /// One word for audit lines and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::WrongAudience => "wrong_audience",
            Self::WrongIssuer => "wrong_issuer",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// The token of an `Authorization` header's value.
pub fn bearer(unverified_authorization: Option<&[u8]>) -> Result<&str, BearerRefusal> {
    let value = unverified_authorization.ok_or(BearerRefusal::Missing)?;
    let value = simdutf8::basic::from_utf8(value).map_err(|_| BearerRefusal::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(BearerRefusal::Malformed)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token).ok_or(BearerRefusal::Malformed)
}

/// Duplicate or missing members are refused by the derived reader; unknown ones are for later versions.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    iat: i64,
    exp: i64,
    sid: SessionId,
    /// The session's start in microseconds, because cut-offs are compared with it.
    sst: i64,
}

/// Signs a token. The caller has decided that this person may have it until then.
pub(crate) fn mint(
    keys: &KeyRing,
    issuer: &PublicUrl,
    now: DateTime<Utc>,
    Admitted { session, person, started_at, expires_at }: Admitted,
) -> Result<String, serde_json::Error> {
    let Person { sub, email, name, groups } = person;
    let claims = Claims {
        iss: issuer.as_str().to_owned(),
        aud: AUDIENCE.to_owned(),
        sub,
        email,
        name,
        groups,
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
        sid: session,
        sst: started_at.timestamp_micros(),
    };
    let payload = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?);
    let keys = keys.current();
    let key = keys.first();
    let mut token = format!("{}.{payload}", key.header);
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key.signing, token.as_bytes()));
    token.push('.');
    token.push_str(&signature);
    Ok(token)
}

impl Admitted {
    /// Whom a new token is for; not yet a proof of anything, hence only for [`mint`].
    pub(crate) fn to_be(
        session: SessionId,
        person: Person,
        started_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self { session, person, started_at, expires_at }
    }
}

/// Admits bearers.
pub struct Verifier {
    keys: Arc<KeyRing>,
    revocations: Arc<Revocations>,
    issuer: PublicUrl,
    clock: Arc<dyn Clock>,
    verified: VerifiedTokens,
}

impl Verifier {
    pub fn new(
        keys: Arc<KeyRing>,
        revocations: Arc<Revocations>,
        issuer: PublicUrl,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self { keys, revocations, issuer, clock, verified: VerifiedTokens::shared_by(1) })
    }

    /// The same, with a memory of its own, for one of so many threads: who asks often shares no count and no lock with another.
    pub fn twin(&self, threads: usize) -> Self {
        Self {
            keys: self.keys.clone(),
            revocations: self.revocations.clone(),
            issuer: self.issuer.clone(),
            clock: self.clock.clone(),
            verified: VerifiedTokens::shared_by(threads),
        }
    }

    /// Whoever sent a request with these headers.
    pub fn admit_sender(&self, unverified: &HeaderMap) -> Result<Arc<Admitted>, BearerRefusal> {
        self.admit(bearer(unverified.get(AUTHORIZATION).map(|value| value.as_bytes()))?)
    }

    pub fn admit(&self, unverified_bearer: &str) -> Result<Arc<Admitted>, BearerRefusal> {
        let authentic = self.authentic(unverified_bearer)?;
        if authentic.expires_at <= self.clock.now() {
            return Err(BearerRefusal::Expired);
        }
        if self.revocations.covers(&authentic.session, &authentic.person.sub, authentic.started_at) {
            return Err(BearerRefusal::Revoked);
        }
        Ok(authentic)
    }

    /// Whose token this is, though it may be past its time: sign-out with an old token still ends the session.
    pub(super) fn authentic(&self, unverified_bearer: &str) -> Result<Arc<Admitted>, BearerRefusal> {
        let keys = self.keys.current();
        // What is too long is no token, whatever its hash.
        if unverified_bearer.len() > MAX_LENGTH {
            return Err(BearerRefusal::Malformed);
        }
        if let Some(admitted) = self.verified.find(unverified_bearer, keys.epoch) {
            return Ok(admitted);
        }
        let admitted = Arc::new(self.verify(&keys, &Parts::of(unverified_bearer)?)?);
        self.verified.keep(unverified_bearer, keys.epoch, admitted.clone());
        Ok(admitted)
    }

    fn verify(&self, keys: &Keys, unverified: &Parts<'_>) -> Result<Admitted, BearerRefusal> {
        let key = keys.ring.iter().find(|key| key.header == unverified.header).ok_or(BearerRefusal::UnknownKey)?;
        hmac::verify(&key.signing, unverified.signed.as_bytes(), &unverified.signature)
            .map_err(|_| BearerRefusal::BadSignature)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(unverified.payload).map_err(|_| BearerRefusal::Malformed)?;
        let Claims { iss, aud, sub, email, name, groups, iat: _, exp, sid, sst } =
            serde_json::from_slice(&claims).map_err(|_| BearerRefusal::Malformed)?;
        if aud != AUDIENCE {
            return Err(BearerRefusal::WrongAudience);
        }
        if iss != self.issuer.as_str() {
            return Err(BearerRefusal::WrongIssuer);
        }
        Ok(Admitted {
            session: sid,
            person: Person { sub, email, name, groups },
            started_at: DateTime::from_timestamp_micros(sst).ok_or(BearerRefusal::Malformed)?,
            expires_at: DateTime::from_timestamp(exp, 0).ok_or(BearerRefusal::Malformed)?,
        })
    }
}

/// A token cut at its two dots, nothing verified but the shape.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    /// The header, the first dot and the payload.
    signed: &'a str,
    signature: [u8; SIGNATURE_LENGTH],
}

impl<'a> Parts<'a> {
    fn of(unverified: &'a str) -> Result<Self, BearerRefusal> {
        let (signed, signature) = unverified.rsplit_once('.').ok_or(BearerRefusal::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(BearerRefusal::Malformed)?;
        if payload.contains('.') {
            return Err(BearerRefusal::Malformed);
        }
        let mut bytes = [0; SIGNATURE_LENGTH];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes) {
            Ok(SIGNATURE_LENGTH) => Ok(Self { header, payload, signed, signature: bytes }),
            _ => Err(BearerRefusal::Malformed),
        }
    }
}

#[cfg(test)]
#[path = "access_token_tests.rs"]
mod tests;
