//! Which of the replicas writes: the one whose name stands in the lease.
//!
//! `kube-lease-manager` takes and renews the lease; what passes on the wire is witnessed here, because only a confirmed
//! renewal, counted from when it was sent, may keep the fence open. A leader that is not confirmed in time is over: its
//! process ends, and nobody has to guess what it still believes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Client, client::Body};
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use tokio::{sync::watch, task::JoinHandle};
use tower::{BoxError, Layer, Service};

use super::{fence::Fence, progress::Heard};

/// A lease that is not renewed for this long may be taken by another.
const LEASE: Duration = Duration::from_secs(15);
/// Before its end the holder renews, each second until it is confirmed.
const RENEWAL: Duration = Duration::from_secs(5);
/// From a renewal's sending until writing ends unless the next is confirmed: well within the lease, whose time another
/// machine's clock measures.
pub const TENURE: Duration = Duration::from_secs(13);
/// How often a leader looks whether it still is one.
const LOOK: Duration = Duration::from_millis(250);
/// Releasing takes a call or two.
const RELEASE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum LeadershipError {
    #[error("the lease was lost to another replica")]
    Lost,
    #[error("the lease was not confirmed within {} s", TENURE.as_secs())]
    Unconfirmed,
    #[error("the lease cannot be reached")]
    Lease(#[from] LeaseManagerError),
    #[error("the election ended by itself")]
    Ended,
}

/// Who stands for election, and for which lease.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub identity: String,
    pub namespace: String,
    pub lease: String,
}

/// The election as one replica sees it.
pub struct Leadership {
    fence: Fence,
    holding: watch::Receiver<bool>,
    election: JoinHandle<Result<kube_lease_manager::LeaseManager, LeaseManagerError>>,
}

impl Leadership {
    /// `client` must carry a [`Witness`] of the same fence.
    pub async fn stand(client: Client, candidate: &Candidate, fence: Fence) -> Result<Self, LeadershipError> {
        let terms = LeaseParams::new(&candidate.identity, LEASE.as_secs(), RENEWAL.as_secs());
        let manager = LeaseManagerBuilder::new(client, &candidate.lease)
            .with_namespace(&candidate.namespace)
            .with_parameters(terms.with_field_manager(format!("claude-gateway-operator-{}", candidate.identity)))
            .build()
            .await?;
        let (holding, election) = manager.watch().await;
        Ok(Self { fence, holding, election })
    }

    /// Until this replica leads.
    pub async fn won(&mut self) -> Result<(), LeadershipError> {
        loop {
            let holds = *self.holding.borrow_and_update();
            if holds && self.fence.passable(Instant::now()) {
                return Ok(());
            }
            // The flag comes once; a renewal that the fence takes comes after it.
            if let Ok(Err(_)) = tokio::time::timeout(LOOK, self.holding.changed()).await {
                return Err(LeadershipError::Ended);
            }
        }
    }

    /// Until it does not any more. The fence is closed before this returns.
    pub async fn lost(&mut self) -> LeadershipError {
        loop {
            if !*self.holding.borrow_and_update() {
                self.fence.close();
                return LeadershipError::Lost;
            }
            if !self.fence.passable(Instant::now()) {
                self.fence.close();
                return LeadershipError::Unconfirmed;
            }
            if let Ok(Err(_)) = tokio::time::timeout(LOOK, self.holding.changed()).await {
                self.fence.close();
                return LeadershipError::Ended;
            }
        }
    }

    /// Gives the lease back, so that another replica need not wait for its end.
    pub async fn release(self) {
        let Self { fence, holding, election } = self;
        fence.close();
        drop(holding);
        match tokio::time::timeout(RELEASE, election).await {
            Ok(Ok(Ok(_))) => tracing::info!("the lease is released"),
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease could not be released and will run out"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the lease was not released in time and will run out"),
        }
    }
}

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
            if holder(&body).is_some_and(|holder| holder == identity) {
                fence.renewed(sent);
            }
            Ok(Response::from_parts(head, Full::new(body).map_err(|never| match never {}).boxed_unsync()))
        })
    }
}

/// Whose name the lease holds now: a renewal that came too late is written into somebody else's lease.
fn holder(body: &[u8]) -> Option<String> {
    let lease: Lease = serde_json::from_slice(body).ok()?;
    lease.spec?.holder_identity
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn answered(fence: &Fence, method: Method, status: u16, holder: &str) {
        let lease = format!(
            r#"{{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{}},"spec":{{"holderIdentity":"{holder}"}}}}"#
        );
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

    #[tokio::test]
    async fn c12_a_leader_that_is_not_confirmed_in_time_is_over() {
        let fence = Fence::closed(Duration::from_millis(300));
        let (holds, holding) = watch::channel(true);
        let election = tokio::spawn(std::future::pending());
        let mut leadership = Leadership { fence: fence.clone(), holding, election };
        fence.renewed(Instant::now());
        leadership.won().await.unwrap();
        assert!(matches!(leadership.lost().await, LeadershipError::Unconfirmed));
        assert!(!fence.passable(Instant::now()));
        fence.renewed(Instant::now());
        holds.send(false).unwrap();
        assert!(matches!(leadership.lost().await, LeadershipError::Lost));
        assert!(!fence.passable(Instant::now()), "closed although the renewal is young");
    }
}
