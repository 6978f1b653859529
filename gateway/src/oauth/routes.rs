//! Every sign-in route of the gateway, in one table.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};

use super::{OauthParts, callback, device, discovery, parts::OauthState, revoke, token, verify};

/// Forms are small; a refresh token in one is the largest thing.
const MAX_FORM: usize = 128 * 1024;

/// The door gives each request a `ClientAddress` and a `RequestId` as extensions.
pub fn routes(parts: OauthParts) -> Router {
    Router::new()
        .route("/", get(verify::landing))
        .route("/.well-known/oauth-authorization-server", get(discovery::metadata))
        .route("/oauth/device_authorization", post(device::authorize))
        .route("/device", get(verify::show).post(verify::enter))
        .route("/device/deny", post(verify::deny))
        .route("/oauth/callback", get(callback::arrive))
        .route("/oauth/token", post(token::token))
        .route("/oauth/revoke", post(revoke::revoke))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(OauthState::new(parts))
}
