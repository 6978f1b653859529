//! `GET /oauth/callback`: the browser is back from the identity provider.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, header::SET_COOKIE},
    response::Response,
};
use serde_json::json;

use super::{
    form::{Form, Repeated},
    grants::{DeviceGrants, GrantError, ProviderError, Return},
    notice::Notice,
    pages::Pages,
    verify::outcome,
    visitor::Visitor,
};
use crate::{
    identity::{Person, SignInError},
    session::SessionId,
    store::StoreError,
};

pub(super) async fn arrive(
    State(grants): State<Arc<DeviceGrants>>,
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let form = Form::read(query.as_bytes());
    let Ok(Some(unverified)) = returned(&form) else {
        visitor.tell("device.callback", json!({"outcome": "malformed"}));
        return pages.notice(Notice::bad_request(), &visitor.request_id);
    };
    let arrived = match pages.cookie.read(&headers) {
        Some(binding) => grants.come_back(unverified, &binding).await,
        None => Err(GrantError::NothingToContinue),
    };
    visitor.tell("device.callback", told(&arrived));
    let Err(error) = &arrived else {
        let email = arrived.as_ref().ok().and_then(|(_, person)| person.email.as_deref());
        return finished(&pages, Notice::signed_in(email), &visitor.request_id);
    };
    log(error, &visitor.request_id);
    match error {
        // Another browser's return, or a second one: what this browser holds stays as it is.
        GrantError::NothingToContinue => pages.notice(Notice::of(error), &visitor.request_id),
        _ => finished(&pages, Notice::of(error), &visitor.request_id),
    }
}

/// `None` without a state, or with neither a code nor an error. The provider's description of an error is never shown.
fn returned<'a>(form: &'a Form<'_>) -> Result<Option<Return<'a>>, Repeated> {
    let answer = match (form.one("error")?, form.one("code")?) {
        (Some("access_denied"), _) => Err(ProviderError::AccessDenied),
        (Some(_), _) => Err(ProviderError::Other),
        (None, Some(code)) => Ok(code),
        (None, None) => return Ok(None),
    };
    let issuer = form.one("iss")?;
    Ok(form.one("state")?.map(|state| Return { state, answer, issuer }))
}

/// The cookie has done its work.
fn finished(pages: &Pages, notice: Notice, request_id: &str) -> Response {
    let mut response = pages.notice(notice, request_id);
    if let Some(cookie) = pages.cookie.clear() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn told(arrived: &Result<(SessionId, Person), GrantError>) -> serde_json::Value {
    match arrived {
        Ok((session, person)) => json!({
            "outcome": "approved", "session": session, "sub": person.sub, "email": person.email,
        }),
        Err(GrantError::SignIn(SignInError::NotAdmitted { reason })) => {
            json!({"outcome": "not_admitted", "reason": reason})
        }
        Err(error) => json!({"outcome": outcome(error)}),
    }
}

fn log(error: &GrantError, request_id: &str) {
    match error {
        GrantError::SignIn(SignInError::NotAdmitted { .. }) | GrantError::NothingToContinue => {}
        GrantError::SignIn(SignInError::Refused { code }) if code == "access_denied" => {}
        GrantError::Store(StoreError::Unavailable(_)) => {}
        error => tracing::error!(?error, request_id, "a sign-in failed at its callback"),
    }
}
