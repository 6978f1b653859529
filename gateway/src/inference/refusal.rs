//! What the Messages API says when it says no: one enum, one function that turns it into a reply.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::scan::ScanError;
use crate::{
    envelope,
    policy::NotAvailable,
    session::BearerRefusal,
    spend::{Advice, OverLimit},
    upstream::CredentialError,
};

/// Clients leave out of account what asks them to wait longer, and try again soon; so they are told not to.
const LONGEST_RETRY: u64 = 60;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{}", envelope::bearer_message(*.0))]
    Bearer(#[from] BearerRefusal),
    #[error(transparent)]
    BadBody(ScanError),
    #[error("model is required")]
    ModelMissing,
    #[error("model must be a string")]
    ModelNotString,
    #[error("the models that {0:?} names cannot be read")]
    OtherModelsUnreadable(&'static str),
    #[error("model {0:?} is not in the operator's model list; GET /v1/models lists what is")]
    UnknownModel(String),
    #[error("model {model:?} {}; GET /v1/models lists what you may use", not_available(*.why))]
    ModelNotAvailable { model: String, why: NotAvailable },
    #[error(
        "model {other:?} cannot be asked for beside {model:?}: no upstream serves both under the names that were sent"
    )]
    NotTogether { model: String, other: String },
    #[error(
        "your role's retention rule asks for upstreams that keep nothing, and no such upstream serves model {0:?}; ask the \
         operator of this gateway"
    )]
    NoZeroRetention(String),
    #[error(transparent)]
    OverLimit(OverLimit),
    #[error("request body is larger than {most} bytes")]
    TooLarge { most: u64 },
    #[error("the request body did not arrive in time")]
    BodyTooSlow,
    #[error("the request body broke off")]
    BodyBroken,
    #[error("there is no such endpoint here; GET /protocol lists those that are")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed,
    #[error("the request's URL is too long")]
    UrlTooLong,
    #[error("this address may not use this gateway")]
    AddressDenied,
    /// Every upstream that serves the model failed; the best of their answers.
    #[error("{}", .0.message())]
    Upstreams(AllFailed),
    #[error("the gateway is busy: every upstream has as many requests as it may have")]
    AllFull,
    #[error("the gateway is busy; try again shortly")]
    Busy,
    #[error("the gateway failed to build the upstream request")]
    Credential(#[from] CredentialError),
}

/// What is left when all upstreams failed (`upstreams.md`, "Failover").
#[derive(Debug, Clone)]
pub enum AllFailed {
    Status { status: StatusCode, retry_after: Option<u64> },
    Nothing { configured: usize },
}

impl AllFailed {
    /// Generic words: a provider's own can name accounts, roles and projects.
    fn message(&self) -> String {
        match self {
            Self::Nothing { configured } => format!("all upstreams failed ({configured} attempted)"),
            Self::Status { status, .. } => match *status {
                StatusCode::TOO_MANY_REQUESTS => {
                    "upstream rate limit exceeded; try again shortly, or ask the operator of this gateway"
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "the upstream refused this gateway's credential; ask the operator of this gateway"
                }
                StatusCode::NOT_FOUND => "the upstream does not serve this model; ask the operator of this gateway",
                _ => "the upstream does not support this request; ask the operator of this gateway",
            }
            .to_owned(),
        }
    }
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bearer(_) => StatusCode::UNAUTHORIZED,
            Self::BadBody(_) | Self::ModelMissing | Self::ModelNotString | Self::OtherModelsUnreadable(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::UnknownModel(_) | Self::ModelNotAvailable { .. } | Self::NotTogether { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::NoZeroRetention(_) => StatusCode::FORBIDDEN,
            Self::OverLimit(over) => match over.advice() {
                Advice::Change => StatusCode::BAD_REQUEST,
                Advice::Wait(_) | Advice::Stop => StatusCode::TOO_MANY_REQUESTS,
            },
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UrlTooLong => StatusCode::URI_TOO_LONG,
            Self::AddressDenied => StatusCode::FORBIDDEN,
            Self::Upstreams(AllFailed::Status { status, .. }) => *status,
            Self::Upstreams(AllFailed::Nothing { .. }) => StatusCode::BAD_GATEWAY,
            Self::AllFull => overloaded(),
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Credential(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// A closed set of words, for metrics and the audit.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Bearer(refusal) => refusal.word(),
            Self::BadBody(_) => "bad_body",
            Self::ModelMissing | Self::ModelNotString | Self::OtherModelsUnreadable(_) => "bad_model",
            Self::UnknownModel(_) => "unknown_model",
            Self::ModelNotAvailable { why: NotAvailable::NotListed, .. } => "model_not_available",
            Self::ModelNotAvailable { why: NotAvailable::Denied, .. } => "model_denied",
            Self::NotTogether { .. } => "models_not_together",
            Self::NoZeroRetention(_) => "no_zero_retention",
            Self::OverLimit(over) => over.key(),
            Self::TooLarge { .. } => "body_too_large",
            Self::BodyTooSlow | Self::BodyBroken => "body_incomplete",
            Self::NotFound | Self::MethodNotAllowed => "no_such_endpoint",
            Self::UrlTooLong => "url_too_long",
            Self::AddressDenied => "address_denied",
            Self::Upstreams(_) | Self::Credential(_) => "upstreams_failed",
            Self::AllFull => "upstreams_full",
            Self::Busy => "busy",
        }
    }

    pub fn response(&self, request_id: &str) -> Response<Bytes> {
        let status = self.status();
        let mut response = Response::new(envelope::body(status, &self.to_string(), request_id));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.advise(headers);
        response
    }

    /// Whether and when to come back.
    fn advise(&self, headers: &mut HeaderMap) {
        match self {
            Self::Bearer(refusal) if refusal.is_final() => {
                headers.insert("x-should-retry", HeaderValue::from_static("false"));
            }
            Self::Upstreams(AllFailed::Status { status, retry_after }) => {
                if let Some(retry_after) = retry_after {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
                }
                if *status == StatusCode::NOT_IMPLEMENTED {
                    headers.insert("x-should-retry", HeaderValue::from_static("false"));
                }
            }
            Self::OverLimit(over) => match over.advice() {
                Advice::Change | Advice::Stop => {
                    headers.insert("x-should-retry", HeaderValue::from_static("false"));
                }
                Advice::Wait(seconds) => {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                    if seconds > LONGEST_RETRY {
                        headers.insert("x-should-retry", HeaderValue::from_static("false"));
                    }
                }
            },
            Self::AllFull | Self::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The rest of an oversized, slow or broken body is not waited for.
            Self::TooLarge { .. } | Self::BodyTooSlow | Self::BodyBroken => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
    }
}

/// In the words of the settings that say so, which whoever writes policies will look for.
fn not_available(why: NotAvailable) -> &'static str {
    match why {
        NotAvailable::NotListed => "is not in your role's availableModels",
        NotAvailable::Denied => "is blocked by your role's deniedModels",
    }
}

/// 529 `overloaded_error` of the Messages API, which no registry of statuses knows.
fn overloaded() -> StatusCode {
    StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
