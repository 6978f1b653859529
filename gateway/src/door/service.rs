//! The choice at the door: who may be here, and which room answers.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use gateway_config::AccessControl;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::{runtime::Handle, sync::Semaphore};
use tower::ServiceExt;

use super::{
    activity::Activity,
    client_address,
    reply::{Content, Reply},
    request::{Arrival, ClientAddress, RequestId},
    watch::Watch,
};
use crate::{
    inference::{
        Desk, Refusal,
        body::{self, Bounds},
    },
    telemetry::{
        Audit, Metrics,
        metrics::{Answered, Endpoint},
    },
};

/// No form of ours is larger.
const FORM: Bounds = Bounds { most: 128 * 1024, idle: Duration::from_secs(10) };
/// Routes that may be under way at once; each is bounded in time by its room.
pub const ROUTES: usize = 1024;

/// Everything a connection needs to answer; one for the process.
pub struct Door {
    pub access: AccessControl,
    pub trusted_proxies: Vec<IpNet>,
    pub max_url_length: usize,
    /// Every route but inference.
    pub routes: Router,
    /// Where those routes run, beside the store's and the provider's connections.
    pub control: Handle,
    pub places: Arc<Semaphore>,
    pub draining: Arc<AtomicBool>,
    pub activity: Arc<Activity>,
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
}

impl Door {
    pub async fn answer(
        &self,
        desk: &Desk,
        (peer, request_id): (IpAddr, RequestId),
        watch: &Rc<Watch>,
        request: Box<Request<Incoming>>,
    ) -> Response<Reply> {
        let busy = watch.begin();
        let client = ClientAddress(client_address::of(peer, request.headers(), &self.trusted_proxies));
        let arrival = Arrival { request_id, client };
        let (http1, head_only) = (request.version() < http::Version::HTTP_2, request.method() == Method::HEAD);
        if !is_probe(request.uri().path()) {
            self.activity.arrive();
        }
        let mut response = match self.refusal(&arrival, &request) {
            Some(refusal) => refusal.response(request_id.as_str()).map(|body| Content::Whole(Some(body))),
            None => self.room(desk, arrival, watch, request).await,
        };
        if head_only {
            response = response.map(|_| Content::Whole(None));
        }
        if self.draining.load(Ordering::Relaxed) && http1 {
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
        let exempt = is_probe(uri.path());
        let (allow, deny) = (&self.access.allow_cidrs, &self.access.deny_cidrs);
        let address = arrival.client.0;
        let denied = client_address::contains(deny, address)
            || !allow.is_empty() && !exempt && !client_address::contains(allow, address);
        denied.then(|| {
            self.metrics.refuse("address_denied");
            let fields = serde_json::json!({"client": address.to_string(), "path": uri.path()});
            self.audit.event_of_stranger("access.denied", arrival.request_id.as_str(), fields);
            Refusal::AddressDenied
        })
    }

    async fn room(
        &self,
        desk: &Desk,
        arrival: Arrival,
        watch: &Rc<Watch>,
        request: Box<Request<Incoming>>,
    ) -> Response<Content> {
        let endpoint = match request.uri().path() {
            "/v1/messages" => Endpoint::Messages,
            "/v1/messages/count_tokens" => Endpoint::CountTokens,
            // On the heap, so that what waits for a model is no larger for it.
            _ => return Box::pin(self.route(arrival, request)).await,
        };
        if request.method() != Method::POST {
            let refused = Refusal::MethodNotAllowed.response(arrival.request_id.as_str());
            return refused.map(|body| Content::Whole(Some(body)));
        }
        desk.serve(endpoint, arrival, watch.link(), request).await
    }

    /// Runs on the control runtime: a slow page never holds up a stream. The body is read here first, so that nobody there
    /// waits for a client; and a route that has begun ends even if its client leaves, because a refresh must.
    async fn route(&self, arrival: Arrival, request: Box<Request<Incoming>>) -> Response<Content> {
        let Arrival { request_id, client } = arrival;
        let (head, mut incoming) = request.into_parts();
        let refused = |refusal: Refusal| refusal.response(request_id.as_str()).map(|body| Content::Whole(Some(body)));
        let body = match body::read(&mut incoming, FORM).await {
            Ok(body) => body,
            Err(refusal) => return refused(refusal),
        };
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) if is_probe(head.uri.path()) => None,
            Err(_) => return refused(Refusal::Busy),
        };
        let mut request = Request::from_parts(head, axum::body::Body::from(body));
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(request_id);
        let routed = self.routes.clone().oneshot(request);
        let answered = self.control.spawn(async move {
            let _place = place;
            routed.await
        });
        let answered = answered.await;
        let response = match answered {
            Ok(Ok(response)) => response.map(Content::Route),
            Ok(Err(infallible)) => match infallible {},
            Err(_) => {
                tracing::error!(request_id = request_id.as_str(), "a route ended in a panic");
                let mut response = Response::new(Content::Whole(Some(Bytes::from_static(b"internal error"))));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        let status = response.status().as_u16();
        self.metrics.answered.get_or_create(&Answered { endpoint: Endpoint::Other, status }).inc();
        response
    }
}

/// Asked by machines, for ever, from everywhere.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}
