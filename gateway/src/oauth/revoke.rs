//! `POST /oauth/revoke` (RFC 7009): sign-out. Either token ends the session, and any token is answered alike.

use std::sync::Arc;

use axum::{Extension, body::Bytes, extract::State, http::HeaderMap};
use serde_json::json;

use super::{
    error::{OauthError, unstored},
    form::{Form, is_form},
};
use crate::{
    door::{ClientAddress, RequestId},
    session::Sessions,
    telemetry::Audit,
};

pub(super) async fn revoke(
    State(sessions): State<Arc<Sessions>>,
    State(audit): State<Audit>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<HeaderMap, OauthError> {
    if !is_form(&headers) {
        return Err(OauthError::InvalidRequest("send application/x-www-form-urlencoded".to_owned()));
    }
    let form = Form::read(&body);
    let Some(token) = form.one("token")? else {
        return Err(OauthError::InvalidRequest("token is missing".to_owned()));
    };
    // The hint is not needed: the two kinds do not look alike.
    let Some((session, person)) = sessions.session_of(token) else { return Ok(unstored()) };
    sessions.end(&session).await?;
    let fields = json!({"reason": "sign_out", "sub": person.sub, "session": session, "address": address});
    audit.event("session.revoke", &request_id, fields);
    Ok(unstored())
}
