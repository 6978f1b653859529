//! `/device`, for the person: enter the code, check what asks, continue or deny. A form from elsewhere changes nothing, and
//! no page says whether a code exists before the try was counted.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{
        HeaderMap, StatusCode,
        header::{LOCATION, SET_COOKIE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    form::Form,
    grants::{DeviceGrants, Entered, GrantError},
    notice::Notice,
    origin::is_same_origin,
    pages::Pages,
    user_code,
    visitor::Visitor,
};
use crate::store::StoreError;

pub(super) async fn landing(State(pages): State<Arc<Pages>>) -> Response {
    pages.landing()
}

/// Shows the form. A code in the address is only written into it, and only if it could be one.
pub(super) async fn show(State(pages): State<Arc<Pages>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let form = Form::read(query.as_bytes());
    let code = form.one("user_code").ok().flatten().and_then(user_code::parse);
    let code = code.map(|code| code.to_string()).unwrap_or_default();
    pages.enter(StatusCode::OK, &code, None)
}

/// The form was sent: first with the code, which shows what asks; then with the person's word that it is theirs, which sends
/// this browser to the identity provider.
pub(super) async fn enter(
    State(grants): State<Arc<DeviceGrants>>,
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_same_origin(&headers, &pages.own_origin) {
        return visitor.cross_site("device.verify", &pages);
    }
    let form = Form::read(&body);
    match (form.one("confirm"), form.one("user_code")) {
        (Ok(Some(_)), Ok(code)) => depart(&grants, &pages, &visitor, &headers, code.unwrap_or_default()).await,
        (Ok(None), Ok(code)) => check(&grants, &pages, &visitor, code.unwrap_or_default()).await,
        _ => pages.notice(Notice::bad_request(), &visitor.request_id),
    }
}

async fn check(grants: &DeviceGrants, pages: &Pages, visitor: &Visitor, unverified_code: &str) -> Response {
    match grants.enter(unverified_code, visitor.address).await {
        Ok(Entered { code, request, binding }) => {
            visitor.did("device.verify", "entered");
            let here = visitor.address.to_canonical().to_string();
            let mut response = pages.check(&code.to_string(), &request, here);
            if let Some(cookie) = pages.cookie.set(&binding) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => visitor.refuse("device.verify", pages, unverified_code, &error),
    }
}

/// The word counts for the code that its page showed, also where this browser has opened another page since.
async fn depart(
    grants: &DeviceGrants,
    pages: &Pages,
    visitor: &Visitor,
    headers: &HeaderMap,
    unverified_code: &str,
) -> Response {
    let departed = match pages.cookie.read(headers) {
        Some(binding) => grants.depart(&binding, unverified_code).await,
        None => Err(GrantError::NothingToContinue),
    };
    match departed {
        Ok(to) => {
            visitor.did("device.verify", "confirmed");
            (StatusCode::SEE_OTHER, [(LOCATION, to.as_str())], super::error::unstored()).into_response()
        }
        Err(error) => visitor.refuse("device.verify", pages, "", &error),
    }
}

pub(super) async fn deny(
    State(grants): State<Arc<DeviceGrants>>,
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_same_origin(&headers, &pages.own_origin) {
        return visitor.cross_site("device.deny", &pages);
    }
    let form = Form::read(&body);
    let Ok(code) = form.one("user_code") else {
        return pages.notice(Notice::bad_request(), &visitor.request_id);
    };
    let code = code.unwrap_or_default();
    match grants.deny(code, visitor.address).await {
        Ok(()) => {
            visitor.did("device.deny", "denied");
            pages.notice(Notice::denied(), &visitor.request_id)
        }
        Err(error) => visitor.refuse("device.deny", &pages, code, &error),
    }
}

impl Visitor {
    fn did(&self, event: &'static str, outcome: &'static str) {
        self.tell(event, json!({"outcome": outcome}));
    }

    fn cross_site(&self, event: &'static str, pages: &Pages) -> Response {
        self.did(event, "cross_site");
        pages.notice(Notice::cross_site(), &self.request_id)
    }

    /// A wrong code keeps the form, so that the person can mend it.
    fn refuse(&self, event: &'static str, pages: &Pages, typed: &str, error: &GrantError) -> Response {
        self.did(event, outcome(error));
        match error {
            GrantError::NoSuchCode { elsewhere } => {
                let typed: String = typed.chars().take(32).collect();
                let trouble = if *elsewhere { WRONG_OR_ELSEWHERE } else { WRONG };
                pages.enter(StatusCode::BAD_REQUEST, &typed, Some(trouble))
            }
            GrantError::Store(StoreError::Refused(_)) => {
                tracing::error!(?error, request_id = self.request_id, "a page failed");
                pages.notice(Notice::of(error), &self.request_id)
            }
            _ => pages.notice(Notice::of(error), &self.request_id),
        }
    }
}

const WRONG: &str = "This code does not work. It is mistyped, has run out, or was used already. Compare it with the one on \
                     your device, or start a new sign-in there.";
const WRONG_OR_ELSEWHERE: &str = "This code does not work here. It is mistyped, has run out, or was used already. Because of \
                                  too many wrong codes, a code counts for up to an hour only from the network of its own \
                                  device: open this page there.";

pub(super) fn outcome(error: &GrantError) -> &'static str {
    match error {
        GrantError::TooMany { .. } => "rate_limited",
        GrantError::NoSuchCode { .. } => "no_such_code",
        GrantError::NothingToContinue => "nothing_to_continue",
        GrantError::SignIn(_) => "sign_in_failed",
        GrantError::Store(_) => "store_unavailable",
        GrantError::NoRandomness(_) => "failed",
    }
}
