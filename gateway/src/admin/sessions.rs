//! Sessions, seen and ended. What ends here is refused on every replica within a second, tokens already issued too.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{AdminError, Administrator, Writer, query::Query, routes::AdminState};
use crate::{
    door::RequestId,
    session::SessionId,
    store::seen_session::{Before, SeenSession},
};

const PAGE: u32 = 20;
const LONGEST_USER: usize = 1024;

/// `GET /v1/organizations/sessions?user=&limit=&page=`: the newest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Administrator,
    query: Query,
) -> Result<Json<Value>, AdminError> {
    let query = query.only(&["user", "limit", "page"])?;
    let limit = query.limit(PAGE)?;
    let before = query.one("page")?.map(place).transpose()?;
    let mut seen = state.store.sessions_seen(query.one("user")?, before, i64::from(limit) + 1).await?;
    let more = seen.len() > limit as usize;
    seen.truncate(limit as usize);
    let next_page = seen.last().filter(|_| more).map(page_after);
    let longest = state.sessions.longest();
    let data: Vec<_> = seen.iter().map(|session| shown(session, session.started_at + longest)).collect();
    Ok(Json(json!({"data": data, "next_page": next_page})))
}

/// `DELETE /v1/organizations/sessions/{id}`
pub(super) async fn end_one(
    State(state): State<AdminState>,
    Writer(writer): Writer,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Value>, AdminError> {
    query.only(&[])?;
    const NO_SUCH: AdminError = AdminError::NotFound("there is no such session");
    let session: SessionId = id.parse().map_err(|_| NO_SUCH)?;
    let Some(subject) = state.store.subject_of(&session).await? else { return Err(NO_SUCH) };
    state.sessions.end(&session).await?;
    let fields = json!({"reason": "admin", "actor": writer.actor, "sub": subject, "session": session});
    state.audit.event("session.revoke", request_id.as_str(), fields);
    Ok(Json(json!({"type": "session_revoked", "id": session})))
}

/// `DELETE /v1/organizations/sessions?user=`: by subject or e-mail address. Whoever is not signed in has nothing to end,
/// which is no error: an offboarding script may run twice. The answer names the subjects that were meant.
pub(super) async fn end_person(
    State(state): State<AdminState>,
    Writer(writer): Writer,
    Extension(request_id): Extension<RequestId>,
    query: Query,
) -> Result<Json<Value>, AdminError> {
    let query = query.only(&["user"])?;
    let user = query.one("user")?.filter(|user| user.len() <= LONGEST_USER);
    let Some(user) = user else {
        let what =
            "name whose sessions end, once: ?user=<subject or e-mail address>; POST …/sessions/revoke_all ends all";
        return Err(AdminError::BadRequest(what.to_owned()));
    };
    let subjects = state.store.subjects_called(user).await?;
    let mut ended = 0;
    for subject in &subjects {
        ended += state.sessions.end_person(subject).await?;
        let fields = json!({"reason": "admin", "actor": writer.actor, "sub": subject});
        state.audit.event("session.revoke", request_id.as_str(), fields);
    }
    Ok(Json(json!({"type": "sessions_revoked", "user": user, "subjects": subjects, "ended": ended})))
}

/// `POST /v1/organizations/sessions/revoke_all`. Whoever says more than that may mean less.
pub(super) async fn end_everyone(
    State(state): State<AdminState>,
    Writer(writer): Writer,
    Extension(request_id): Extension<RequestId>,
    query: Query,
    body: Bytes,
) -> Result<Json<Value>, AdminError> {
    query.only(&[])?;
    if !matches!(body.trim_ascii(), b"" | b"{}") {
        return Err(AdminError::BadRequest("this call ends all sessions and takes no body".to_owned()));
    }
    let ended = state.sessions.end_everyone().await?;
    let fields = json!({"reason": "admin", "actor": writer.actor, "everyone": true});
    state.audit.event("session.revoke", request_id.as_str(), fields);
    Ok(Json(json!({"type": "all_sessions_revoked", "ended": ended})))
}

fn shown(session: &SeenSession, expires_at: DateTime<Utc>) -> Value {
    let SeenSession { id, subject, email, begun_with, started_at, advanced_at } = session;
    let time = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "type": "session",
        "id": id,
        "actor": {"type": "user_actor", "user_id": subject, "email_address": email},
        "client": begun_with,
        "started_at": time(started_at),
        "refreshed_at": time(advanced_at),
        "expires_at": time(&expires_at),
    })
}

fn page_after(last: &SeenSession) -> String {
    let micros = last.started_at.timestamp_micros().to_be_bytes();
    BASE64_URL_SAFE_NO_PAD.encode([&micros[..], last.id.as_bytes()].concat())
}

fn place(page: &str) -> Result<Before, AdminError> {
    let read = || {
        let bytes: [u8; 24] = BASE64_URL_SAFE_NO_PAD.decode(page).ok()?.try_into().ok()?;
        let (micros, id) = bytes.split_first_chunk::<8>()?;
        let started_at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
        Some(Before { started_at, id: SessionId::from_bytes(id.try_into().ok()?) })
    };
    read().ok_or_else(|| AdminError::BadRequest("page is not a next_page of an earlier answer".to_owned()))
}
