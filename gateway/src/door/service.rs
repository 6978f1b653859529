//! The choice at the door: who may be here, and which room answers.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::rand::SecureRandom;
use axum::Router;
use bytes::Bytes;
use gateway_config::AccessControl;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::{
    activity::Activity,
    client_address,
    reply::{Content, Reply},
    request::{Arrival, ClientAddress, RequestId},
    watch::Watch,
};
use crate::{
    inference::{Desk, Refusal},
    telemetry::{
        Audit, Metrics,
        metrics::{Answered, Endpoint},
    },
};

/// Everything a connection needs to answer; one for the process.
pub struct Door {
    pub access: AccessControl,
    pub trusted_proxies: Vec<IpNet>,
    pub max_url_length: usize,
    pub random: Arc<dyn SecureRandom + Send + Sync>,
    /// Every route but inference.
    pub routes: Router,
    /// Where those routes run, beside the store's and the provider's connections.
    pub control: Handle,
    pub draining: Arc<AtomicBool>,
    pub activity: Arc<Activity>,
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
}

impl Door {
    pub async fn answer(
        &self,
        desk: &Desk,
        peer: IpAddr,
        watch: &Rc<Watch>,
        request: Request<Incoming>,
    ) -> Response<Reply> {
        let busy = watch.begin();
        let request_id = RequestId::random(&*self.random);
        let client = ClientAddress(client_address::of(peer, request.headers(), &self.trusted_proxies));
        let arrival = Arrival { request_id: request_id.clone(), client };
        let mut response = match self.refusal(&arrival, &request) {
            Some(refusal) => refusal.response(&request_id.0).map(|body| Content::Whole(Some(body))),
            None => self.room(desk, arrival, watch, request).await,
        };
        if self.draining.load(Ordering::Relaxed) && response.version() < http::Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Reply::to(response, &request_id, busy)
    }

    fn refusal(&self, arrival: &Arrival, request: &Request<Incoming>) -> Option<Refusal> {
        let uri = request.uri();
        let length = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
        if length > self.max_url_length {
            return Some(Refusal::UrlTooLong);
        }
        let exempt = matches!(uri.path(), "/healthz" | "/readyz");
        let (allow, deny) = (&self.access.allow_cidrs, &self.access.deny_cidrs);
        let address = arrival.client.0;
        let denied = client_address::contains(deny, address)
            || !allow.is_empty() && !exempt && !client_address::contains(allow, address);
        denied.then(|| {
            self.metrics.refuse("address_denied");
            let fields = serde_json::json!({"client": address.to_string(), "path": uri.path()});
            self.audit.event("access.denied", &arrival.request_id.0, fields);
            Refusal::AddressDenied
        })
    }

    async fn room(
        &self,
        desk: &Desk,
        arrival: Arrival,
        watch: &Rc<Watch>,
        request: Request<Incoming>,
    ) -> Response<Content> {
        let endpoint = match request.uri().path() {
            "/v1/messages" => Endpoint::Messages,
            "/v1/messages/count_tokens" => Endpoint::CountTokens,
            _ => return self.route(arrival, request).await,
        };
        if request.method() != Method::POST {
            let refused = Refusal::MethodNotAllowed.response(&arrival.request_id.0);
            return refused.map(|body| Content::Whole(Some(body)));
        }
        desk.serve(endpoint, arrival, watch.link(), request).await
    }

    /// Runs on the control runtime: a slow page never holds up a stream.
    async fn route(&self, arrival: Arrival, mut request: Request<Incoming>) -> Response<Content> {
        let Arrival { request_id, client } = arrival;
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(request_id.clone());
        let head_only = request.method() == Method::HEAD;
        let request = request.map(axum::body::Body::new);
        let answered = self.control.spawn(self.routes.clone().oneshot(request)).await;
        let response = match answered {
            Ok(Ok(response)) => response.map(Content::Route),
            Ok(Err(infallible)) => match infallible {},
            Err(_) => {
                tracing::error!(request_id = request_id.0, "a route ended in a panic");
                let mut response = Response::new(Content::Whole(Some(Bytes::from_static(b"internal error"))));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        let status = response.status().as_u16();
        self.metrics.answered.get_or_create(&Answered { endpoint: Endpoint::Other, status }).inc();
        if head_only { response.map(|_| Content::Whole(None)) } else { response }
    }
}
