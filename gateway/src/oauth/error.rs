//! What a client is told when it gets nothing: one function makes every OAuth error (RFC 6749, 5.2; RFC 8628, 3.5).

use std::time::Duration;

use axum::{
    Json,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{form::Repeated, grants::GrantError};
use crate::store::StoreError;

/// How soon a client should try a store or provider that is away again.
const SOON: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OauthError {
    InvalidRequest(String),
    UnsupportedGrantType,
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    InvalidGrant,
    TooManyRequests {
        retry_after: Duration,
    },
    TemporarilyUnavailable,
    /// Our own fault; logged where it was found.
    ServerError,
}

impl OauthError {
    fn face(&self) -> (StatusCode, &'static str, String) {
        let said = |text: &str| text.to_owned();
        match self {
            Self::InvalidRequest(what) => (StatusCode::BAD_REQUEST, "invalid_request", what.clone()),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                said("this endpoint serves device_code and refresh_token"),
            ),
            Self::AuthorizationPending => {
                (StatusCode::BAD_REQUEST, "authorization_pending", said("the sign-in is not finished"))
            }
            Self::SlowDown => (StatusCode::TOO_MANY_REQUESTS, "slow_down", said("poll no faster than the interval")),
            Self::AccessDenied => (StatusCode::BAD_REQUEST, "access_denied", said("the sign-in was refused")),
            Self::ExpiredToken => {
                (StatusCode::BAD_REQUEST, "expired_token", said("the device code is over: start a new sign-in"))
            }
            Self::InvalidGrant => {
                (StatusCode::UNAUTHORIZED, "invalid_grant", said("the refresh token is over: sign in again"))
            }
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "slow_down", said("too many sign-ins from this network"))
            }
            Self::TemporarilyUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", said("try again in a moment"))
            }
            Self::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", said("the gateway failed")),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after } => Some(*retry_after),
            Self::TemporarilyUnavailable => Some(SOON),
            _ => None,
        }
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let (status, error, description) = self.face();
        let mut headers = unstored();
        if let Some(retry_after) = self.retry_after() {
            headers.insert(RETRY_AFTER, whole_seconds(retry_after));
        }
        (status, headers, Json(json!({"error": error, "error_description": description}))).into_response()
    }
}

/// Nothing that is said here may be kept by a cache (RFC 6749, 5.1).
pub(super) fn unstored() -> HeaderMap {
    HeaderMap::from_iter([
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (PRAGMA, HeaderValue::from_static("no-cache")),
    ])
}

/// Never too early: rounded up, one at least.
pub(super) fn whole_seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(duration.as_millis().div_ceil(1000).clamp(1, 86_400) as u64)
}

impl From<Repeated> for OauthError {
    fn from(Repeated(name): Repeated) -> Self {
        Self::InvalidRequest(format!("{name} was sent more than once"))
    }
}

impl From<StoreError> for OauthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::TemporarilyUnavailable,
            StoreError::Refused(_) => {
                tracing::error!(?error, "the store refused a statement");
                Self::ServerError
            }
        }
    }
}

impl From<GrantError> for OauthError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::TooMany { retry_after } => Self::TooManyRequests { retry_after },
            GrantError::Store(error) => error.into(),
            GrantError::NoSuchCode { .. } | GrantError::NothingToContinue => Self::ExpiredToken,
            GrantError::SignIn(_) | GrantError::NoRandomness(_) => {
                tracing::error!(%error, "a sign-in could not begin");
                Self::ServerError
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_to_wait_are_whole_and_never_none() {
        let of = |millis| whole_seconds(Duration::from_millis(millis)).to_str().unwrap().to_owned();
        assert_eq!([of(0), of(1), of(1000), of(1001)], ["1", "1", "1", "2"]);
    }
}
