//! Every route of administrators, in one table.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::Response,
    routing::{delete, get, post},
};

use super::{AdminKeys, error::Said, explain, sessions};
use crate::{
    door::RequestId,
    envelope,
    inference::Shared,
    session::{Sessions, Verifier},
    store::Store,
    telemetry::Audit,
};

pub struct AdminParts {
    pub keys: Arc<AdminKeys>,
    pub sessions: Arc<Sessions>,
    pub shared: Arc<Shared>,
    pub store: Arc<Store>,
    pub audit: Audit,
}

#[derive(Clone)]
pub(super) struct AdminState {
    pub(super) keys: Arc<AdminKeys>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    pub(super) audit: Audit,
}

/// The door gives each request a `ClientAddress` and a `RequestId` as extensions.
pub fn routes(parts: AdminParts) -> Router {
    let AdminParts { keys, sessions, shared, store, audit } = parts;
    let state = AdminState { keys, verifier: sessions.verifier(), sessions, shared, store, audit };
    Router::new()
        .route("/v1/organizations/sessions", get(sessions::list).delete(sessions::end_person))
        .route("/v1/organizations/sessions/revoke_all", post(sessions::end_everyone))
        .route("/v1/organizations/sessions/{id}", delete(sessions::end_one))
        .route("/v1/organizations/policy/explain", get(explain::explain))
        .layer(from_fn(finish))
        .with_state(state)
}

/// Nothing here may be kept by a cache; and an error gets its body, with the id that its headers carry.
async fn finish(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().copied();
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(said) = response.extensions_mut().remove::<Said>() {
        let id = request_id.as_ref().map_or("", RequestId::as_str);
        let body = envelope::body(response.status(), &said.message, id);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    response
}
