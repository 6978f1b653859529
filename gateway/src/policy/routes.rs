//! The routes by which clients learn what policy makes of them, in one table; and what they share.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use gateway_config::PublicUrl;

use super::{LivePolicies, Offering, bootstrap, managed_settings};
use crate::{
    door::RequestId,
    envelope,
    session::{Admitted, BearerRefusal, Verifier, bearer},
    telemetry::{Audit, Metrics},
};

pub struct PolicyParts {
    pub verifier: Arc<Verifier>,
    pub policies: Arc<LivePolicies>,
    pub models: Arc<dyn Offering>,
    pub public_url: PublicUrl,
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
}

pub fn routes(parts: PolicyParts) -> Router {
    Router::new()
        .route("/managed/settings", get(managed_settings::get))
        .route("/user/bootstrap", get(bootstrap::get))
        .with_state(Arc::new(parts))
}

impl PolicyParts {
    pub(super) fn admit(&self, headers: &HeaderMap, request_id: &RequestId) -> Result<Arc<Admitted>, Box<Response>> {
        let unverified = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let admitted = bearer(unverified).and_then(|unverified| self.verifier.admit(unverified));
        admitted.map_err(|refusal| Box::new(self.turn_away(refusal, request_id)))
    }

    fn turn_away(&self, refusal: BearerRefusal, request_id: &RequestId) -> Response {
        self.metrics.refuse(refusal.word());
        let mut response = refused(StatusCode::UNAUTHORIZED, envelope::bearer_message(refusal), request_id);
        if refusal.is_final() {
            response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

pub(super) fn refused(status: StatusCode, message: &str, request_id: &RequestId) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, json, envelope::body(status, message, &request_id.0)).into_response()
}
