//! `GET /v1/models`: what a person may ask for. `HEAD /api/hello` warms a connection.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde::Serialize;

use super::{desk::Shared, models::Listed, refusal::Refusal};
use crate::{door::RequestId, session::bearer};

#[derive(Serialize)]
struct Page<'a> {
    data: &'a [Listed],
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new().route("/v1/models", get(models)).route("/api/hello", any(|| async { StatusCode::OK })).with_state(shared)
}

/// One page holds them all, so `limit` and the cursors of the Models API have nothing to do.
async fn models(
    State(shared): State<Arc<Shared>>,
    axum::Extension(request_id): axum::Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let unverified = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let admitted = bearer(unverified).and_then(|bearer| shared.verifier.admit(bearer));
    match admitted {
        Ok(_) => {
            let page = Page { data: shared.models.listed(), has_more: false, first_id: None, last_id: None };
            Json(page).into_response()
        }
        Err(refusal) => Refusal::from(refusal).response(&request_id.0).map(axum::body::Body::from),
    }
}
