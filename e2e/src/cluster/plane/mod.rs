//! A control plane without nodes: etcd, the API server and the controller manager, ready in seconds.
//!
//! Everything that the API promises is true here (schemas, rules, admission, RBAC, watches, garbage collection, tokens); pods
//! are made and stay pending.

mod accounts;
mod files;
mod store;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::AtomicU32,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::{sync::OnceCell, time::sleep};

use self::{files::Files, store::Store};
use super::{
    audit::{AuditLog, Call, Mark},
    daemon::{Daemon, Recipe},
    gate::Gate,
    ground::Ground,
    kubeconfig::Kubeconfig,
    kubectl::Kubectl,
    programs::Programs,
};
use crate::cast::{client::Client, leash::Leash, ports::free_address};

/// A machine that compiles besides is slow.
const PATIENCE: Duration = Duration::from_secs(90);
/// The addresses of Services.
pub(super) const SERVICES: &str = "10.98.0.0/16";
/// That of the API server among them.
pub(super) const API_SERVICE: &str = "10.98.0.1";

/// Declared in the order in which they must go.
pub struct Plane {
    controllers: Daemon,
    api_server: Daemon,
    store: Store,
    admin: Kubectl,
    audit: AuditLog,
    files: Files,
    site: Site,
    namespaces: AtomicU32,
    _home: Option<(Leash, TempDir)>,
}

/// What a store held at some moment.
pub struct Backup(PathBuf);

/// Where a plane stands.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) ground: Ground,
    /// Where our own clients are, who run on this machine.
    pub(super) visitors: Ground,
    pub(super) programs: Programs,
    /// The API server's.
    pub(super) address: SocketAddr,
    /// etcd's two.
    pub(super) store: [SocketAddr; 2],
    /// More of the API server's options.
    pub(super) options: Vec<String>,
    /// How many nodes there will be.
    pub(super) nodes: usize,
}

impl Plane {
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// With more of the API server's options, as `--max-requests-inflight=10`.
    pub async fn start_with(options: &[&str]) -> Result<Self> {
        let site = Site {
            ground: Ground::Machine,
            visitors: Ground::Machine,
            programs: Programs::for_plane().await?,
            address: free_address()?,
            store: [free_address()?, free_address()?],
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            nodes: 0,
        };
        let home = tempfile::Builder::new().prefix("cluster-plane-").tempdir()?;
        // Those who write there may take a moment to die.
        let leash = Leash::new(r#"until rm -rf -- "$1"; do sleep 0.1; done"#, [home.path()])?;
        let path = home.path().to_owned();
        Self::start_at(site, &path, Some((leash, home))).await
    }

    /// One plane for all tests of a process; each takes a [`namespace`](Self::namespace) of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Plane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    pub(super) async fn start_at(site: Site, home: &Path, kept: Option<(Leash, TempDir)>) -> Result<Self> {
        let files = Files::write(home, &site)?;
        let audit = AuditLog::new(home)?;
        let store = Store::start(&site, home)?;
        let mut options = files.api_server_options(&site);
        options.extend(audit.options());
        let api_server = Daemon::start(site.recipe("kube-apiserver", options, home))?;
        until_ready(&files, &site, &api_server).await?;
        let options = files.controller_options();
        let controllers = Daemon::start(site.recipe("kube-controller-manager", options, home))?;
        let admin = site.kubectl(files.kubeconfig_by("admin", &site.url(), "admin")?);
        let namespaces = AtomicU32::new(0);
        let plane = Self { controllers, api_server, store, admin, audit, files, site, namespaces, _home: kept };
        plane.until_accounts_in("default").await?;
        Ok(plane)
    }

    /// `https://<address>`.
    pub fn url(&self) -> String {
        self.site.url()
    }

    /// What a client must trust.
    pub fn authority_pem(&self) -> &str {
        &self.files.authority_pem
    }

    /// That of a cluster administrator, whom nothing is forbidden.
    pub fn admin(&self) -> &Kubeconfig {
        &self.admin.kubeconfig
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.admin
    }

    pub fn kubectl_as(&self, kubeconfig: &Kubeconfig) -> Kubectl {
        self.site.kubectl(kubeconfig.clone())
    }

    /// A gate before the API server.
    pub async fn gate(&self) -> Result<Gate> {
        Gate::start(self.site.address, self.authority_pem()).await
    }

    /// For plain HTTP requests, with the administrator's token.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.url())?.trusting(self.authority_pem())?.with_bearer(self.admin().token()))
    }

    /// The API server, to be frozen, killed and started again; see [`until_served`](Self::until_served).
    pub fn api_server(&self) -> &Daemon {
        &self.api_server
    }

    /// The controller manager. Its garbage collector notices a new kind of owner only at its start and each 30 s.
    pub fn controllers(&self) -> &Daemon {
        &self.controllers
    }

    /// The process of etcd.
    pub fn etcd(&self) -> &Daemon {
        &self.store.daemon
    }

    /// Waits until the API server answers again.
    pub async fn until_served(&self) -> Result<()> {
        until_ready(&self.files, &self.site, &self.api_server).await
    }

    /// A moment, to ask for the [`calls_since`](Self::calls_since).
    pub fn mark(&self) -> Mark {
        self.audit.mark()
    }

    /// Every request that was answered since, whoever sent it.
    pub fn calls_since(&self, mark: Mark) -> Result<Vec<Call>> {
        self.audit.since(mark)
    }

    /// etcd forgets all revisions but the newest: a watch that would go on from an older one is told 410.
    pub async fn compact(&self) -> Result<()> {
        // With what the API server still remembers itself, the old revision would be served all the same.
        self.store.compact().await?;
        self.api_server.kill()?;
        self.api_server.start_again()?;
        self.until_served().await
    }

    /// The store as it is now, for [`restore`](Self::restore); the servers are started anew.
    pub async fn backup(&self) -> Result<Backup> {
        self.stopped(|store| store.copy()).await.map(Backup)
    }

    /// The store is as it was, and everything since then has never been: revisions go back.
    pub async fn restore(&self, backup: &Backup) -> Result<()> {
        self.stopped(|store| store.put_back(&backup.0)).await
    }

    /// Everybody who remembers what is stored is stopped, then the store.
    async fn stopped<T>(&self, meanwhile: impl FnOnce(&Store) -> Result<T>) -> Result<T> {
        let daemons = [&self.controllers, &self.api_server, &self.store.daemon];
        daemons.iter().try_for_each(|daemon| daemon.kill())?;
        let done = meanwhile(&self.store)?;
        self.store.daemon.start_again()?;
        self.api_server.start_again()?;
        self.until_served().await?;
        self.controllers.start_again()?;
        Ok(done)
    }
}

impl Site {
    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(super) fn kubectl(&self, kubeconfig: Kubeconfig) -> Kubectl {
        Kubectl { ground: self.visitors.clone(), programs: self.programs.clone(), kubeconfig }
    }

    pub(super) fn recipe(&self, program: &str, arguments: Vec<String>, home: &Path) -> Recipe {
        Recipe {
            ground: self.ground.clone(),
            programs: self.programs.clone(),
            program: self.programs.path(program).display().to_string(),
            arguments,
            home: home.to_owned(),
            log: program.to_owned(),
        }
    }
}

async fn until_ready(files: &Files, site: &Site, api_server: &Daemon) -> Result<()> {
    let client = Client::new(&site.url())?.trusting(&files.authority_pem)?;
    let since = Instant::now();
    loop {
        api_server.ensure_running()?;
        let answer = tokio::time::timeout(Duration::from_secs(2), client.get("/readyz").send()).await;
        if matches!(answer, Ok(Ok(answer)) if answer.status == 200) {
            return Ok(());
        }
        ensure!(since.elapsed() < PATIENCE, "the API server is not ready:\n{}", api_server.log());
        sleep(Duration::from_millis(20)).await;
    }
}
