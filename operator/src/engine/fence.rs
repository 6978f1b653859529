//! The fence between this replica and the API server: a write passes only while the lease is surely still held.
//!
//! Invariant: every write of a controller is asked for here first, and what decides is the monotonic clock since the last
//! renewal was *sent*: a process that was frozen, or cut off, stops writing before another replica may begin.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Method, Request};
use kube::client::Body;
use tower::{BoxError, Layer, Service};

#[derive(Debug, thiserror::Error)]
#[error("this replica does not hold the lease, so nothing was written")]
pub struct NotLeading;

/// Until when this replica may write.
#[derive(Debug, Clone)]
pub struct Fence {
    state: Arc<Mutex<State>>,
    /// From the moment a renewal is sent.
    holds_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No election: this is the only replica.
    Open,
    Closed,
    Renewed(Instant),
    /// Whatever may still be confirmed.
    Over,
}

impl Fence {
    pub fn open() -> Self {
        Self { state: Arc::new(Mutex::new(State::Open)), holds_for: Duration::MAX }
    }

    pub fn closed(holds_for: Duration) -> Self {
        Self { state: Arc::new(Mutex::new(State::Closed)), holds_for }
    }

    /// The API server confirmed a renewal that was sent at this moment.
    pub fn renewed(&self, sent: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != State::Over {
            *state = State::Renewed(sent);
        }
    }

    /// For good.
    pub fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Over;
    }

    pub fn pass(&self, now: Instant) -> Result<(), NotLeading> {
        match self.passable(now) {
            true => Ok(()),
            false => Err(NotLeading),
        }
    }

    pub fn passable(&self, now: Instant) -> bool {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Open => true,
            State::Closed | State::Over => false,
            State::Renewed(sent) => now.saturating_duration_since(sent) < self.holds_for,
        }
    }
}

impl<S> Layer<S> for Fence {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, fence: self.clone() }
    }
}

/// Lets reads pass, and writes while the fence says so.
#[derive(Debug, Clone)]
pub struct Fenced<S> {
    inner: S,
    fence: Fence,
}

impl<S> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads && let Err(error) = self.fence.pass(Instant::now()) {
            return Box::pin(std::future::ready(Err(error.into())));
        }
        let answer = self.inner.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn passes(fence: &Fence, method: Method) -> bool {
        let server = service_fn(async |_: Request<Body>| Ok::<_, BoxError>(()));
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        fence.layer(server).oneshot(request).await.is_ok()
    }

    #[tokio::test]
    async fn c11_a_replica_that_does_not_lead_reads_and_writes_nothing() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let fence = Fence::closed(Duration::from_secs(60));
            assert!(passes(&fence, Method::GET).await);
            assert!(!passes(&fence, method.clone()).await, "{method}");
            fence.renewed(Instant::now());
            assert!(passes(&fence, method.clone()).await);
            fence.close();
            assert!(passes(&fence, Method::GET).await);
            assert!(!passes(&fence, method.clone()).await, "{method}");
            fence.renewed(Instant::now());
            assert!(!passes(&fence, method).await, "confirmed when all is over");
        }
    }

    #[test]
    fn c11_the_fence_closes_by_itself_when_no_renewal_is_confirmed() {
        let fence = Fence::closed(Duration::from_secs(12));
        let sent = Instant::now();
        fence.renewed(sent);
        assert!(fence.passable(sent + Duration::from_millis(11_999)));
        assert!(!fence.passable(sent + Duration::from_secs(12)));
        assert!(Fence::open().passable(sent + Duration::from_secs(86_400)));
    }
}
