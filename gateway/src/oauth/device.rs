//! `POST /oauth/device_authorization` (RFC 8628, 3.1): a device asks for a code. Whatever it sends along is ignored.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use gateway_config::PublicUrl;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    agent,
    error::{OauthError, unstored},
    grants::{DeviceGrants, Started},
    parts::LoginNotice,
    visitor::Visitor,
};

pub(super) async fn authorize(
    State(grants): State<Arc<DeviceGrants>>,
    State(public_url): State<PublicUrl>,
    State(LoginNotice(notice)): State<LoginNotice>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, OauthError> {
    let by = agent::described(&headers);
    let started = grants.start(visitor.address, &by).await;
    let outcome = if started.is_ok() { "started" } else { "refused" };
    visitor.tell("device.authorize", json!({"client": by, "outcome": outcome}));
    let Started { device_code, user_code, expires_in, interval } = started?;
    let page = public_url.join("/device");
    let mut body = json!({
        "device_code": device_code.expose_secret(),
        "user_code": user_code.to_string(),
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": expires_in.as_secs(),
        "interval": interval.as_secs(),
    });
    if let Some(notice) = notice {
        body["login_notice"] = notice.into();
    }
    Ok((unstored(), Json(body)).into_response())
}
