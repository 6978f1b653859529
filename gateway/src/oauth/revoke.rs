//! `POST /oauth/revoke` (RFC 7009): sign-out. Either token ends the session, and any token is answered alike.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::HeaderMap};
use serde_json::json;

use super::{
    error::{OauthError, unstored},
    form::{Form, is_form},
    visitor::Visitor,
};
use crate::session::Sessions;

pub(super) async fn revoke(
    State(sessions): State<Arc<Sessions>>,
    visitor: Visitor,
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
    visitor.tell("session.revoke", json!({"reason": "sign_out", "sub": person.sub, "session": session}));
    Ok(unstored())
}
