//! What passes on the wire to the lease: only a renewal that the API server confirmed as ours opens the fence, and what counts
//! is when it was sent.
//!
//! Invariant: nothing is changed on its way, and no read opens anything. An answer that names another is none, whatever its
//! status.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use tower::{BoxError, Layer, Service};

use super::{fence::Fence, progress::Heard};

/// Sees renewals pass, and opens the fence for those that the API server confirmed as ours.
#[derive(Debug, Clone)]
pub struct Witness {
    fence: Fence,
    identity: String,
}

impl Witness {
    pub fn new(fence: Fence, identity: &str) -> Self {
        Self { fence, identity: identity.to_owned() }
    }
}

impl<S> Layer<S> for Witness {
    type Service = Witnessed<S>;

    fn layer(&self, inner: S) -> Witnessed<S> {
        Witnessed { inner, witness: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub struct Witnessed<S> {
    inner: S,
    witness: Witness,
}

impl<S, B> Service<Request<Body>> for Witnessed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Heard>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Heard>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let renews = *request.method() == Method::PATCH;
        let sent = Instant::now();
        let Witness { fence, identity } = self.witness.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?;
            if !renews || !answer.status().is_success() {
                return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
            }
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            // A renewal that came too late is written into somebody else's lease.
            if serde_json::from_slice(&body).is_ok_and(|lease| holder(&lease) == Some(&*identity)) {
                fence.renewed(sent);
            }
            Ok(Response::from_parts(head, Full::new(body).map_err(|never| match never {}).boxed_unsync()))
        })
    }
}

/// Whose name the lease holds.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

#[cfg(test)]
pub(super) mod tests {
    use tower::{ServiceExt, service_fn};

    use super::{super::leadership::TENURE, *};

    pub(in crate::engine) fn lease_of(holder: &str) -> String {
        format!(
            r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{}},"spec":{{"holderIdentity":"{holder}"}}}}"#
        )
    }

    async fn answered(fence: &Fence, method: Method, status: u16, holder: &str) {
        let lease = lease_of(holder);
        let server = service_fn(move |_: Request<Body>| {
            let body = Full::new(bytes::Bytes::from(lease.clone()));
            async move { Ok::<_, BoxError>(Response::builder().status(status).body(body).unwrap()) }
        });
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        let answer = Witness::new(fence.clone(), "me").layer(server).oneshot(request).await.unwrap();
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty(), "the answer is passed on");
    }

    #[tokio::test]
    async fn c11_only_a_confirmed_renewal_of_a_lease_that_is_ours_opens_the_fence() {
        let fence = Fence::closed(TENURE);
        answered(&fence, Method::GET, 200, "me").await;
        answered(&fence, Method::PATCH, 409, "me").await;
        answered(&fence, Method::PATCH, 200, "another").await;
        assert!(!fence.passable(Instant::now()));
        answered(&fence, Method::PATCH, 200, "me").await;
        assert!(fence.passable(Instant::now()));
    }
}
