//! `GET /.well-known/oauth-authorization-server` (RFC 8414): where everything is.

use axum::{Json, extract::State};
use gateway_config::PublicUrl;
use serde_json::{Value, json};

use super::token::DEVICE_CODE;

pub(super) async fn metadata(State(public_url): State<PublicUrl>) -> Json<Value> {
    Json(json!({
        "issuer": public_url.as_str(),
        "device_authorization_endpoint": public_url.join("/oauth/device_authorization"),
        "token_endpoint": public_url.join("/oauth/token"),
        "revocation_endpoint": public_url.join("/oauth/revoke"),
        "grant_types_supported": [DEVICE_CODE, "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid", "profile", "email"],
        "gateway_protocol_version": 1,
    }))
}
