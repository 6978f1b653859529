//! `GET /v1/models`: what a person may ask for. `HEAD /api/hello` warms a connection. What is no endpoint is said only to
//! people who are signed in.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde::Serialize;

use super::{desk::Shared, models::Listed, refusal::Refusal};
use crate::{
    door::RequestId,
    policy::{Effective, Offered, Offering},
};

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<&'a Listed>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/api/hello", any(|| async { StatusCode::OK }))
        .fallback(nowhere)
        .with_state(shared)
}

impl Offering for Shared {
    fn offered(&self, effective: &Effective) -> Vec<Offered> {
        self.models.offered(effective)
    }
}

/// One page holds them all, so `limit` and the cursors of the Models API have nothing to do.
async fn models(
    State(shared): State<Arc<Shared>>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    match shared.verifier.admit_sender(&headers) {
        Ok(admitted) => {
            let effective = shared.effective(admitted.person());
            let data = shared.models.listed(&effective);
            Json(Page { data, has_more: false, first_id: None, last_id: None }).into_response()
        }
        Err(refusal) => refused(&shared, &refusal.into(), &request_id),
    }
}

async fn nowhere(
    State(shared): State<Arc<Shared>>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    let refusal = shared.verifier.admit_sender(&headers).map_or_else(Refusal::from, |_| Refusal::NotFound);
    refused(&shared, &refusal, &request_id)
}

fn refused(shared: &Shared, refusal: &Refusal, request_id: &RequestId) -> Response {
    shared.metrics.refuse(refusal.reason());
    refusal.response(request_id.as_str()).map(axum::body::Body::from)
}
