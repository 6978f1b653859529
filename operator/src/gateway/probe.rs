//! Asks Postgres and the identity provider, and pods by way of their rows. Makes the schema and the pods' role, because pods
//! can do neither.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{digest, rand::SecureRandom};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    condition::{Finding, Reason},
    issuer::Issuers,
    login::StandingLogin,
    validate::{PodRole, ValidatedGateway},
};
use crate::{
    engine::fence::Fence,
    store::{GatewayName, GatewayStore, LivePod, PodLogin, StoreError, Stores},
};

/// Rights and logins are looked at this often; an access that changes is looked at at once.
const LOOK: Duration = Duration::from_secs(300);

/// What was found.
#[derive(Debug, Clone)]
pub struct Probed {
    pub database: Finding,
    pub identity_provider: Finding,
    /// What pods use at the database, where the operator makes that.
    pub login: Option<StandingLogin>,
    /// `None`: they could not be asked for.
    pub pods: Option<Vec<LivePod>>,
    /// The newest revision of the policies.
    pub revision: Option<i64>,
}

impl Probed {
    /// Every pod enforces the newest policies.
    pub fn policies(&self) -> Finding {
        let (Some(pods), Some(revision)) = (&self.pods, self.revision) else {
            return Finding::unknown(Reason::NotProbed, "The database cannot be asked which policies pods enforce.");
        };
        let behind = pods.iter().filter(|pod| pod.policy_revision < revision).count();
        match (pods.len(), behind) {
            (0, _) => Finding::unknown(Reason::NoPods, "No pod runs that could enforce a policy."),
            (_, 0) => Finding::good(Reason::PoliciesSynced, "Every pod enforces the newest policies."),
            (all, behind) => {
                let message =
                    format!("{behind} of {all} pods enforce older policies. If this stays, look at their logs.");
                Finding::bad(Reason::PoliciesBehind, message)
            }
        }
    }

    /// Pods try credentials; the operator never sees the providers.
    pub fn upstreams(&self) -> Finding {
        let Some(pods) = &self.pods else {
            return Finding::unknown(Reason::NotProbed, "The database cannot be asked how pods fare with upstreams.");
        };
        let states = || pods.iter().flat_map(|pod| &pod.upstreams);
        let refused: std::collections::BTreeSet<_> =
            states().filter(|state| state.credential == "refused").map(|state| state.name.as_str()).collect();
        if !refused.is_empty() {
            let names = refused.into_iter().collect::<Vec<_>>().join(", ");
            let message =
                format!("Refused their credential: {names}. Put one that is valid into the Secret it comes from.");
            return Finding::bad(Reason::UpstreamCredentialRefused, message);
        }
        match (pods.is_empty(), states().any(|state| state.credential == "ok")) {
            (true, _) => Finding::unknown(Reason::NoPods, "No pod runs that could try an upstream."),
            (false, true) => Finding::good(Reason::UpstreamsReady, "No upstream refuses its credential."),
            (false, false) => Finding::unknown(Reason::UpstreamsUntried, "No request has tried an upstream yet."),
        }
    }
}

/// What is asked, and what is remembered of it.
pub struct Prober {
    pub stores: Arc<Stores>,
    pub issuers: Issuers,
    pub random: Arc<dyn SecureRandom + Send + Sync>,
    fence: Fence,
    looked: Mutex<HashMap<GatewayName, Looked>>,
}

/// A look at rights and logins that found them as they should be.
struct Looked {
    store: Arc<GatewayStore>,
    at: Instant,
    login: Mark,
}

/// A login by its name and its password: each of the two names gets another password now and then.
type Mark = [u8; 32];

fn mark(name: &str, password: &str) -> Mark {
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in [name, "\0", password] {
        digest.update(part.as_bytes());
    }
    digest.finish().as_ref().try_into().unwrap_or_default()
}

fn mark_of(login: &PodLogin) -> Mark {
    mark(&login.username, login.password.expose_secret())
}

struct Database {
    login: Option<StandingLogin>,
    pods: Vec<LivePod>,
    revision: i64,
}

impl Prober {
    pub fn new(
        stores: Arc<Stores>,
        issuers: Issuers,
        random: Arc<dyn SecureRandom + Send + Sync>,
        fence: Fence,
    ) -> Self {
        Self { stores, issuers, random, fence, looked: Mutex::default() }
    }

    /// Schema, roles and rights are another's to change when the lease is.
    fn may_write(&self) -> Result<(), StoreError> {
        self.fence.pass(Instant::now()).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// `held` is what the pods' Secret holds.
    pub async fn probe(
        &self,
        gateway: &ValidatedGateway,
        held: Option<StandingLogin>,
        (now, today): (Instant, Timestamp),
    ) -> Probed {
        let (database, identity_provider) =
            tokio::join!(self.database(gateway, held.as_ref(), (now, today)), self.issuers.probe(gateway, now));
        match database {
            Ok(Database { login, pods, revision }) => Probed {
                database: Finding::good(Reason::DatabaseReady, "The database answers and its schema is up to date."),
                identity_provider,
                login,
                pods: Some(pods),
                revision: Some(revision),
            },
            Err(error) => Probed {
                database: of_store(&error),
                identity_provider,
                // Pods hold it already, so what they are told stays what it is.
                login: held,
                pods: None,
                revision: None,
            },
        }
    }

    async fn database(
        &self,
        gateway: &ValidatedGateway,
        held: Option<&StandingLogin>,
        (now, today): (Instant, Timestamp),
    ) -> Result<Database, StoreError> {
        let identity = &gateway.identity;
        let name = GatewayName { namespace: identity.namespace.clone(), name: identity.name.clone() };
        let store = self.stores.open(&name, gateway.access.clone())?;
        if !store.is_migrated().await? {
            self.may_write()?;
            store.migrate().await?;
            self.looked.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            self.stores.tell(&name);
        }
        let (pods, revision) = (store.live_pods().await?, store.policy_head().await?.revision);
        // Last, so that what is made here is not lost to a failure.
        let login = match &gateway.pod_role {
            PodRole::Made => Some(self.login(&name, &store, held, (now, today)).await?),
            PodRole::Given { username, .. } => {
                let given = mark(username, "");
                if !self.is_fresh(&name, &store, given, now) {
                    self.may_write()?;
                    store.grant_to(username).await?;
                    self.note(name, &store, given, now);
                }
                None
            }
        };
        Ok(Database { login, pods, revision })
    }

    async fn login(
        &self,
        name: &GatewayName,
        store: &Arc<GatewayStore>,
        held: Option<&StandingLogin>,
        (now, today): (Instant, Timestamp),
    ) -> Result<StandingLogin, StoreError> {
        if let Some(held) = held.filter(|held| self.is_fresh(name, store, mark_of(&held.login), now)) {
            return Ok(held.clone());
        }
        self.may_write()?;
        let login = store.ensure_pod_login(held.map(|held| &held.login), &*self.random).await?;
        let is_held = |held: &&StandingLogin| mark_of(&held.login) == mark_of(&login);
        let since = held.filter(is_held).map_or(today, |held| held.since);
        self.note(name.clone(), store, mark_of(&login), now);
        let standing = StandingLogin { login, since };
        match standing.is_aged(today) {
            true => Ok(self.another_login(name, store, standing, (now, today)).await),
            false => Ok(standing),
        }
    }

    /// The one that stands has stood for long enough. It goes on working until pods hold the next one, also where there can be
    /// none: nothing is wrong with a gateway for that.
    async fn another_login(
        &self,
        name: &GatewayName,
        store: &Arc<GatewayStore>,
        standing: StandingLogin,
        (now, today): (Instant, Timestamp),
    ) -> StandingLogin {
        match store.rotate_pod_login(&standing.login, &*self.random).await {
            Ok(login) => {
                tracing::info!(
                    namespace = name.namespace,
                    name = name.name,
                    login = login.username,
                    "pods get another login"
                );
                self.note(name.clone(), store, mark_of(&login), now);
                StandingLogin { login, since: today }
            }
            Err(error) => {
                let (namespace, name, remedy) = (&name.namespace, &name.name, error.remedy());
                tracing::warn!(namespace, name, %error, remedy, "pods keep the login that they have had for a month");
                standing
            }
        }
    }

    fn is_fresh(&self, name: &GatewayName, store: &Arc<GatewayStore>, login: Mark, now: Instant) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.get(name).is_some_and(|looked| {
            Arc::ptr_eq(&looked.store, store)
                && looked.login == login
                && now.saturating_duration_since(looked.at) < LOOK
        })
    }

    fn note(&self, name: GatewayName, store: &Arc<GatewayStore>, login: Mark, now: Instant) {
        let looked = Looked { store: store.clone(), at: now, login };
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).insert(name, looked);
    }

    /// The gateway is gone.
    pub fn forget(&self, name: &GatewayName, uid: &str) {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.issuers.forget(uid);
        self.stores.close(name);
    }
}

fn of_store(error: &StoreError) -> Finding {
    let reason = match error {
        StoreError::BadUrl => Reason::DatabaseUrlInvalid,
        StoreError::Unavailable(_) => Reason::DatabaseUnavailable,
        StoreError::LoginRefused(_) => Reason::DatabaseLoginRefused,
        StoreError::Forbidden(_) => Reason::DatabaseRightMissing,
        StoreError::NotMigrated => Reason::DatabaseNotMigrated,
        StoreError::Migration(_) => Reason::MigrationFailed,
        StoreError::ForeignRole(_) => Reason::DatabaseRoleConflict,
        // The first keeps no gateway from being ready: its pods keep the login that they have.
        StoreError::LoginInUse { .. } | StoreError::NoRandomness | StoreError::Refused(_) => Reason::OperatorFault,
    };
    Finding::bad(reason, format!("In short: {error}. What helps: {}.", error.remedy()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use e2e::cast::postgres::Postgres;

    use super::{super::fixtures, *};
    use crate::{run::way_out, store::DatabaseAccess};

    #[tokio::test]
    async fn c12_neither_tables_nor_roles_are_made_by_who_does_not_lead() {
        let url = Postgres::shared().await.unwrap().database().await.unwrap();
        let access = DatabaseAccess {
            url: url.into(),
            username: None,
            password: None,
            schema: "fenced".to_owned(),
            ca_pem: None,
        };
        let gateway = ValidatedGateway { access, ..fixtures::validated(fixtures::minimal()).unwrap() };
        let fence = Fence::closed(Duration::from_secs(60));
        let when = (Instant::now(), Timestamp::UNIX_EPOCH);
        // One that remembers nothing of the gateway.
        let prober = || {
            let issuers = Issuers::new(gateway_egress::Egress::new(way_out()));
            Prober::new(Arc::default(), issuers, Arc::new(SystemRandom::new()), fence.clone())
        };
        let refused = async || {
            let outcome = prober().database(&gateway, None, when).await.map(|_| ());
            matches!(outcome, Err(StoreError::Unavailable(why)) if why.contains("does not hold the lease"))
        };
        let store = GatewayStore::connect(gateway.access.clone()).unwrap();

        assert!(refused().await);
        assert!(!store.is_migrated().await.unwrap(), "who does not lead made tables");
        store.migrate().await.unwrap();
        assert!(refused().await, "who does not lead made a role");
        fence.renewed(Instant::now());
        assert!(prober().database(&gateway, None, when).await.unwrap().login.is_some());
    }
}
