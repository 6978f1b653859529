//! Whose request this is: where from, under which name it is logged, and the audit that hears of it.

use std::net::IpAddr;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{StatusCode, request::Parts},
};
use serde_json::Value;

use crate::{
    door::{ClientAddress, RequestId},
    telemetry::Audit,
};

pub(super) struct Visitor {
    pub(super) address: IpAddr,
    pub(super) request_id: String,
    audit: Audit,
}

impl Visitor {
    /// `fields` is an object; the visitor's address stands beside it.
    pub(super) fn tell(&self, event: &'static str, mut fields: Value) {
        fields["address"] = self.address.to_string().into();
        self.audit.event(event, &self.request_id, fields);
    }

    /// For what anybody can cause, as often as they like.
    pub(super) fn tell_of_stranger(&self, event: &'static str, mut fields: Value) {
        fields["address"] = self.address.to_string().into();
        self.audit.event_of_stranger(event, &self.request_id, fields);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor
where
    Audit: FromRef<S>,
{
    type Rejection = StatusCode;

    /// Nobody comes in but through the door.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let address = parts.extensions.get::<ClientAddress>().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?.0;
        let request_id = parts.extensions.get::<RequestId>().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?.to_string();
        Ok(Self { address, request_id, audit: Audit::from_ref(state) })
    }
}
