//! The Messages API's error envelope ("Errors", Claude API documentation): what every route with a bearer says when it says
//! no. `request_id` is ours.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::session::BearerRefusal;

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: &'a str,
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

/// The JSON error body, also the data of an `event: error`.
pub fn body(status: StatusCode, message: &str, request_id: &str) -> Bytes {
    let error = Detail { kind: error_type(status), message };
    serde_json::to_vec(&Envelope { kind: "error", request_id, error }).unwrap_or_default().into()
}

pub fn error_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        501 => "not_supported",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Which check failed is for the audit; a client learns whether to sign in again.
pub fn bearer_message(refusal: BearerRefusal) -> &'static str {
    match refusal {
        BearerRefusal::Missing => "missing bearer token",
        BearerRefusal::Expired => "the access token has expired; sign in again with /login",
        BearerRefusal::Revoked => "the session has ended; sign in again with /login",
        _ => "invalid bearer token",
    }
}
