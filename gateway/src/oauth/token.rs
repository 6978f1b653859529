//! `POST /oauth/token`: a device polls for its tokens, a client refreshes them.

use std::sync::Arc;

use axum::{
    Extension, Json,
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
};
use crate::{
    door::{ClientAddress, RequestId},
    session::{RefreshError, Refusal, Sessions, Tokens},
    telemetry::Audit,
};

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_TOKEN: &str = "refresh_token";

/// Whose request is answered, for the audit.
struct Asker {
    audit: Audit,
    request_id: String,
    address: std::net::IpAddr,
}

pub(super) async fn token(
    State(grants): State<Arc<DeviceGrants>>,
    State(sessions): State<Arc<Sessions>>,
    State(audit): State<Audit>,
    (Extension(ClientAddress(address)), Extension(RequestId(request_id))): (
        Extension<ClientAddress>,
        Extension<RequestId>,
    ),
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, OauthError> {
    if !is_form(&headers) {
        return Err(OauthError::InvalidRequest("send application/x-www-form-urlencoded".to_owned()));
    }
    let form = Form::read(&body);
    let asker = Asker { audit, request_id, address };
    match form.one("grant_type")? {
        Some(DEVICE_CODE) => poll(&grants, &sessions, &form, &asker).await,
        Some(REFRESH_TOKEN) => refresh(&sessions, &form, &asker).await,
        _ => Err(OauthError::UnsupportedGrantType),
    }
    .map(granted)
}

async fn poll(
    grants: &DeviceGrants,
    sessions: &Sessions,
    form: &Form<'_>,
    asker: &Asker,
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
    asker.issued("session.mint", &tokens);
    Ok(tokens)
}

async fn refresh(sessions: &Sessions, form: &Form<'_>, asker: &Asker) -> Result<Tokens, OauthError> {
    let Some(refresh_token) = form.one(REFRESH_TOKEN)? else {
        return Err(OauthError::InvalidRequest("refresh_token is missing".to_owned()));
    };
    match sessions.refresh(refresh_token).await {
        Ok(tokens) => {
            asker.issued("session.refresh", &tokens);
            Ok(tokens)
        }
        Err(RefreshError::Refused(refusal)) => {
            asker.refused(sessions, refresh_token, refusal);
            Err(OauthError::InvalidGrant)
        }
        Err(RefreshError::Unavailable(_)) => Err(OauthError::TemporarilyUnavailable),
    }
}

impl Asker {
    fn issued(&self, name: &'static str, tokens: &Tokens) {
        let Tokens { session, person, expires_in, .. } = tokens;
        let fields = json!({
            "sub": person.sub, "email": person.email, "session": session, "address": self.address,
            "expires_in": expires_in.as_secs(),
        });
        self.audit.event(name, &self.request_id, fields);
    }

    fn refused(&self, sessions: &Sessions, refresh_token: &str, refusal: Refusal) {
        let whose = sessions.session_of(refresh_token);
        let (session, sub) = whose.map(|(session, person)| (session, person.sub)).unzip();
        let fields = json!({"reason": refusal.word(), "sub": sub, "session": session, "address": self.address});
        let ends = matches!(refusal, Refusal::Copied | Refusal::PersonGone | Refusal::NotAdmitted);
        self.audit.event(if ends { "session.revoke" } else { "auth.denied" }, &self.request_id, fields);
    }
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
