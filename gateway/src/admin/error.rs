//! What an administrator is told when it is no: the Messages API's envelope, whose `request_id` the door knows.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::store::StoreError;

/// How soon a store that is away should be tried again, in seconds.
const SOON: u64 = 5;

#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    /// No credential, a wrong one, or a plain user's: not told apart.
    #[error("missing or invalid admin credentials")]
    Unauthenticated,
    #[error("this key may read, not change; use one of admin.write_keys")]
    ReadOnly,
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    NotFound(&'static str),
    #[error("the store is unavailable; nothing was changed for certain: try again")]
    Unavailable,
    #[error("the gateway failed")]
    Failed,
}

impl AdminError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::ReadOnly => StatusCode::FORBIDDEN,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Turned into a body by [`super::routes`], which knows the request's id.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) message: String,
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Self::Unavailable = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(SOON));
        }
        response.extensions_mut().insert(Said { message: self.to_string() });
        response
    }
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Refused(_) => {
                tracing::error!(?error, "the store refused a statement");
                Self::Failed
            }
        }
    }
}
