//! `POST /oauth/token`: a device polls for its tokens, a client refreshes them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    error::{OauthError, unstored},
    form::{Form, is_form},
    grant::PollAnswer,
    grants::DeviceGrants,
    visitor::Visitor,
};
use crate::{
    identity::Person,
    session::{RefreshError, Refusal, SessionId, Sessions, Tokens},
};

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_TOKEN: &str = "refresh_token";

pub(super) async fn token(
    State(grants): State<Arc<DeviceGrants>>,
    State(sessions): State<Arc<Sessions>>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OauthError> {
    if !is_form(&headers) {
        return Err(OauthError::InvalidRequest("send application/x-www-form-urlencoded".to_owned()));
    }
    let form = Form::read(&body);
    match form.one("grant_type")? {
        Some(DEVICE_CODE) => poll(&grants, &sessions, &form, &visitor).await,
        Some(REFRESH_TOKEN) => refresh(&sessions, &form, &visitor).await,
        _ => Err(OauthError::UnsupportedGrantType),
    }
    .map(granted)
}

async fn poll(
    grants: &DeviceGrants,
    sessions: &Sessions,
    form: &Form<'_>,
    visitor: &Visitor,
) -> Result<Tokens, OauthError> {
    let Some(device_code) = form.one("device_code")? else {
        return Err(OauthError::InvalidRequest("device_code is missing".to_owned()));
    };
    let (answer, hash) = grants.poll(device_code).await?;
    let sealed = match answer {
        PollAnswer::Approved(sealed) => sealed,
        PollAnswer::Pending => return Err(OauthError::AuthorizationPending),
        PollAnswer::SlowDown => return Err(OauthError::SlowDown),
        PollAnswer::Denied => return Err(OauthError::AccessDenied),
        PollAnswer::Expired => return Err(OauthError::ExpiredToken),
    };
    let tokens = sessions.hand_over(&sealed, &grants.context(&hash)).map_err(|error| {
        tracing::warn!(%error, "an approved sign-in ended at its last step");
        OauthError::AccessDenied
    })?;
    issued("session.mint", &tokens, visitor);
    Ok(tokens)
}

async fn refresh(sessions: &Sessions, form: &Form<'_>, visitor: &Visitor) -> Result<Tokens, OauthError> {
    let Some(refresh_token) = form.one(REFRESH_TOKEN)? else {
        return Err(OauthError::InvalidRequest("refresh_token is missing".to_owned()));
    };
    match sessions.refresh(refresh_token).await {
        Ok(tokens) => {
            issued("session.refresh", &tokens, visitor);
            Ok(tokens)
        }
        Err(RefreshError::Refused(refusal)) => {
            refused(refusal, sessions.session_of(refresh_token), visitor);
            Err(OauthError::InvalidGrant)
        }
        Err(RefreshError::Unavailable(_)) => Err(OauthError::TemporarilyUnavailable),
    }
}

fn issued(event: &'static str, tokens: &Tokens, visitor: &Visitor) {
    let Tokens { session, person, expires_in, .. } = tokens;
    let expires_in = expires_in.as_secs();
    visitor
        .tell(event, json!({"sub": person.sub, "email": person.email, "session": session, "expires_in": expires_in}));
}

fn refused(refusal: Refusal, whose: Option<(SessionId, Person)>, visitor: &Visitor) {
    let Some((session, Person { sub, .. })) = whose else {
        return visitor
            .tell_of_stranger("auth.denied", json!({"reason": refusal.word(), "sub": null, "session": null}));
    };
    let ended = matches!(refusal, Refusal::Copied | Refusal::PersonGone | Refusal::NotAdmitted);
    let event = if ended { "session.revoke" } else { "auth.denied" };
    visitor.tell(event, json!({"reason": refusal.word(), "sub": sub, "session": session}));
}

fn granted(tokens: Tokens) -> Response {
    let Tokens { access, expires_in, refresh, session: _, person } = tokens;
    let mut body = json!({
        "access_token": access.expose_secret(),
        "token_type": "Bearer",
        "expires_in": expires_in.as_secs(),
    });
    if let Some(refresh) = refresh {
        body[REFRESH_TOKEN] = refresh.expose_secret().into();
    }
    if let Some(email) = person.email {
        body["email"] = email.into();
    }
    (unstored(), Json(body)).into_response()
}
