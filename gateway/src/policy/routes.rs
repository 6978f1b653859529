//! The routes by which clients learn what policy makes of them, in one table; and what they share.

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use gateway_config::PublicUrl;

use super::{Applied, Effective, LivePolicies, Offering, bootstrap, managed_settings};
use crate::{
    door::RequestId,
    envelope,
    session::{Admitted, BearerRefusal, Verifier},
    telemetry::{Audit, Metrics},
};

pub struct PolicyParts {
    pub verifier: Arc<Verifier>,
    pub policies: Arc<LivePolicies>,
    /// Where somebody asks whom policies have applied to.
    pub applied: Option<Arc<Applied>>,
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

/// Whose client asks, and what holds for them.
pub(super) struct Governed {
    pub(super) admitted: Arc<Admitted>,
    pub(super) effective: Arc<Effective>,
}

impl FromRequestParts<Arc<PolicyParts>> for Governed {
    type Rejection = Response;

    async fn from_request_parts(request: &mut Parts, parts: &Arc<PolicyParts>) -> Result<Self, Response> {
        let admitted = parts.verifier.admit_sender(&request.headers).map_err(|refusal| {
            let request_id = request.extensions.get().copied().unwrap_or_default();
            parts.turn_away(refusal, &request_id)
        })?;
        let effective = parts.policies.effective(admitted.person());
        if let Some(applied) = &parts.applied {
            applied.note(&effective, &admitted.person().sub);
        }
        Ok(Self { admitted, effective })
    }
}

impl PolicyParts {
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
    (status, json, envelope::body(status, message, request_id.as_str())).into_response()
}
