//! Which of the replicas writes: the one whose name stands in the lease.
//!
//! `kube-lease-manager` takes and renews the lease; what passes on the wire is seen by a `witness`, because only a confirmed
//! renewal, counted from when it was sent, may keep the fence open. A leader that is not confirmed in time is over: its
//! process ends, and nobody has to guess what it still believes.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use tokio::{sync::watch, task::JoinHandle};

use super::{fence::Fence, witness::holder};

/// A lease that is not renewed for this long may be taken by another.
const LEASE: Duration = Duration::from_secs(15);
/// The holder renews when this much of it is left, and each second then until that is confirmed.
const RENEWAL: Duration = Duration::from_secs(12);
/// From a renewal's sending until writing ends unless the next is confirmed: well within the lease, whose time another
/// machine's clock measures.
pub const TENURE: Duration = Duration::from_secs(13);
/// How often a leader looks whether it still is one.
const LOOK: Duration = Duration::from_millis(250);
/// Releasing takes a call or two.
const RELEASE: Duration = Duration::from_secs(2);
/// How long a lease that cannot be reached is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How often a replica that stands by looks whether the lease was given back, and how long it waits for the answer.
const GLANCE: Duration = Duration::from_secs(1);
/// How long a replica that takes a free lease is left alone: some calls, and the second that `kube-lease-manager` may wait.
const TAKING: Duration = Duration::from_secs(3);
/// Who finds that the lease has run out empties it without looking again, and may do so just after another has taken it: a
/// lease that is still ours after this stays ours.
const SETTLE: Duration = Duration::from_millis(1200);

#[derive(Debug, thiserror::Error)]
pub enum LeadershipError {
    #[error("the lease was lost to another replica")]
    Lost,
    #[error("the lease was not confirmed within {} s", TENURE.as_secs())]
    Unconfirmed,
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

impl Candidate {
    /// Makes the lease if there is none, and holds nothing yet.
    async fn manager(&self, client: &Client) -> Result<LeaseManager, LeaseManagerError> {
        let terms = LeaseParams::new(&self.identity, LEASE.as_secs(), RENEWAL.as_secs());
        LeaseManagerBuilder::new(client.clone(), &self.lease)
            .with_namespace(&self.namespace)
            .with_parameters(terms.with_field_manager(format!("claude-gateway-operator-{}", self.identity)))
            .build()
            .await
    }
}

/// The election as one replica sees it.
pub struct Leadership {
    client: Client,
    candidate: Candidate,
    fence: Fence,
    election: Election,
    /// Since when there is no lease at all.
    gone: Option<Instant>,
}

impl Leadership {
    /// Once the lease answers: what keeps it away now, as rights that are not known yet, may be over soon, and a process
    /// that ends over it begins no sooner. `client` must carry a [`Witness`](super::witness::Witness) of the same fence.
    pub async fn stand(client: Client, candidate: Candidate, fence: Fence) -> Self {
        let manager = loop {
            match candidate.manager(&client).await {
                Ok(manager) => break manager,
                Err(error) => {
                    tracing::warn!(lease = candidate.lease, %error, "the lease cannot be reached and is asked for again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        tracing::info!(identity = candidate.identity, lease = candidate.lease, "standing by for the lease");
        Self { client, candidate, fence, election: Election::begin(manager), gone: None }
    }

    /// Until this replica leads.
    pub async fn won(&mut self) -> Result<(), LeadershipError> {
        let (mut glance, mut since) = (Instant::now() + GLANCE, None);
        loop {
            let now = Instant::now();
            if !self.election.holds() || !self.fence.passable(now) {
                since = None;
            } else if now.duration_since(*since.get_or_insert(now)) >= SETTLE && self.is_ours().await {
                return Ok(());
            }
            if now >= glance {
                glance = now + GLANCE;
                if self.is_free().await && self.stand_again().await.is_ok() {
                    glance = Instant::now() + TAKING;
                }
            }
            // The flag comes once; a renewal that the fence takes comes after it.
            self.election.news().await?;
        }
    }

    /// Until it does not any more. The fence is closed before this returns.
    pub async fn lost(&mut self) -> LeadershipError {
        let error = loop {
            if !self.election.holds() {
                break LeadershipError::Lost;
            }
            if !self.fence.passable(Instant::now()) {
                break LeadershipError::Unconfirmed;
            }
            if let Err(ended) = self.election.news().await {
                break ended;
            }
        };
        self.fence.close();
        // It is another's, or soon may be.
        self.election.task.abort();
        error
    }

    /// Gives the lease back, so that another replica need not wait for its end.
    pub async fn release(self) {
        let is_confirmed = self.fence.passable(Instant::now());
        self.fence.close();
        let Election { holding, task } = self.election;
        if !is_confirmed {
            // What is given back late might be another's.
            task.abort();
            return;
        }
        drop(holding);
        match tokio::time::timeout(RELEASE, task).await {
            Ok(Ok(Ok(()))) => tracing::info!("the lease is released"),
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease could not be released and will run out"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the lease was not released in time and will run out"),
        }
    }

    /// Given back, or deleted for so long that whoever held it has ended.
    async fn is_free(&mut self) -> bool {
        match self.lease().await {
            Some(Some(lease)) => {
                self.gone = None;
                holder(&lease).is_none()
            }
            Some(None) => self.gone.get_or_insert_with(Instant::now).elapsed() > LEASE,
            // One that cannot be read is waited for by the election.
            None => false,
        }
    }

    async fn is_ours(&self) -> bool {
        self.lease().await.flatten().is_some_and(|lease| holder(&lease) == Some(&self.candidate.identity))
    }

    /// `None`: it cannot be read now. `Some(None)`: there is none.
    async fn lease(&self) -> Option<Option<Lease>> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.candidate.namespace);
        tokio::time::timeout(GLANCE, leases.get_opt(&self.candidate.lease)).await.ok()?.ok()
    }

    /// `kube-lease-manager` sleeps until the lease would have run out, as it saw it last; another one looks at it at once.
    async fn stand_again(&mut self) -> Result<(), LeaseManagerError> {
        let manager = self.candidate.manager(&self.client).await?;
        // What it has taken in the meantime is held by this replica still: the name is the same.
        self.election.task.abort();
        self.election = Election::begin(manager);
        self.gone = None;
        Ok(())
    }
}

/// What `kube-lease-manager` does by itself, and whether this replica's name stands in the lease.
struct Election {
    holding: watch::Receiver<bool>,
    /// Ends when nobody listens, after what was held is given back.
    task: JoinHandle<Result<(), LeaseManagerError>>,
}

impl Election {
    /// As the manager's own `watch`, but that it tries again at the same pace for as long as the process lives, and can be
    /// ended in between.
    fn begin(manager: LeaseManager) -> Self {
        let (told, holding) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                let changed = tokio::select! {
                    biased;
                    () = told.closed() => break,
                    changed = manager.changed() => changed,
                };
                match changed {
                    Ok(holds) => {
                        told.send_replace(holds);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the lease does not answer and is asked for again");
                        tokio::select! {
                            () = told.closed() => break,
                            () = tokio::time::sleep(RETRY) => {}
                        }
                    }
                }
            }
            // Who holds nothing would take it from whoever has it now, where it had run out.
            let holds = *told.borrow();
            if holds { manager.release().await } else { Ok(()) }
        });
        Self { holding, task }
    }

    fn holds(&mut self) -> bool {
        *self.holding.borrow_and_update()
    }

    /// Until there is some, or it is time to look.
    async fn news(&mut self) -> Result<(), LeadershipError> {
        match tokio::time::timeout(LOOK, self.holding.changed()).await {
            Ok(Err(_)) => Err(LeadershipError::Ended),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use http_body_util::Full;
    use kube::client::Body;
    use tower::{BoxError, service_fn};

    use super::{super::witness::tests::lease_of, *};

    /// With an API server whose lease says whose it is.
    fn standing(fence: Fence, whose: Arc<Mutex<&'static str>>) -> (Leadership, watch::Sender<bool>) {
        let server = service_fn(move |_: Request<Body>| {
            let lease = Full::new(bytes::Bytes::from(lease_of(*whose.lock().unwrap())));
            async move { Ok::<_, BoxError>(Response::new(lease)) }
        });
        let (holds, holding) = watch::channel(true);
        let election = Election { holding, task: tokio::spawn(std::future::pending()) };
        let [identity, namespace, lease] = ["me", "here", "lease"].map(str::to_owned);
        let candidate = Candidate { identity, namespace, lease };
        (Leadership { client: Client::new(server, "here"), candidate, fence, election, gone: None }, holds)
    }

    #[tokio::test]
    async fn c12_a_leader_that_is_not_confirmed_in_time_is_over() {
        let fence = Fence::closed(SETTLE + Duration::from_secs(1));
        let (mut leadership, holds) = standing(fence.clone(), Arc::new(Mutex::new("me")));
        fence.renewed(Instant::now());
        leadership.won().await.unwrap();
        assert!(matches!(leadership.lost().await, LeadershipError::Unconfirmed));
        fence.renewed(Instant::now());
        assert!(!fence.passable(Instant::now()), "a renewal that comes when all is over opens nothing");
        leadership.fence = Fence::closed(TENURE);
        leadership.fence.renewed(Instant::now());
        holds.send(false).unwrap();
        assert!(matches!(leadership.lost().await, LeadershipError::Lost));
        assert!(!leadership.fence.passable(Instant::now()), "closed although the renewal is young");
    }

    #[tokio::test]
    async fn c11_a_lease_that_another_has_just_emptied_or_taken_is_not_won() {
        let (fence, whose) = (Fence::closed(TENURE), Arc::new(Mutex::new("another")));
        let (mut leadership, _holds) = standing(fence.clone(), whose.clone());
        fence.renewed(Instant::now());
        assert!(tokio::time::timeout(SETTLE * 2, leadership.won()).await.is_err(), "the lease is another's");
        *whose.lock().unwrap() = "me";
        leadership.won().await.unwrap();
    }
}
