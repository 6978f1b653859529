//! The way in from outside: Debian's nginx at the head, with TLS, as an ingress controller configures it.
//!
//! It does what the Ingress objects say, and publishes what runs at the head beside the cluster, as companies have their
//! identity provider elsewhere. Names end in `.test`.

mod ingress;
mod site;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use self::{
    ingress::Ingresses,
    site::{REVISION, Site, configuration},
};
use super::{daemon::Daemon, namespaces::HEAD, whole::Cluster};
use crate::cast::{certificate::Authority, client::Client};

const PATIENCE: Duration = Duration::from_secs(30);

/// Of one cluster, which outlives it.
pub struct Front<'a> {
    cluster: &'a Cluster,
    nginx: Daemon,
    authority: Authority,
    home: PathBuf,
    published: Mutex<Vec<Site>>,
}

impl<'a> Front<'a> {
    /// At the standard ports of the head, where the caller must be (see [`Cluster::visit`]).
    pub async fn start(cluster: &'a Cluster) -> Result<Self> {
        let home = cluster.home().join("front");
        fs::create_dir_all(&home)?;
        fs::write(home.join("nginx.conf"), configuration(&home, &[], ""))?;
        let file = home.join("nginx.conf").display().to_string();
        let arguments = ["-e", "stderr", "-p", &home.display().to_string(), "-c", &file].map(str::to_owned);
        let nginx = Daemon::start(cluster.recipe("/usr/sbin/nginx", arguments.into(), &home))?;
        let front = Self { cluster, nginx, authority: Authority::new()?, home, published: Mutex::default() };
        front.follow().await?;
        Ok(front)
    }

    /// What clients must trust.
    pub fn authority_pem(&self) -> &str {
        self.authority.pem()
    }

    /// For a client at the head: `https://<name>`, whoever answers there.
    pub fn client(&self, name: &str) -> Result<Client> {
        Client::at(&format!("https://{name}"), SocketAddr::from((HEAD, 443)))?.trusting(self.authority_pem())
    }

    /// Serves a plain HTTP server of the head's as `https://<name>`.
    pub async fn publish(&self, name: &str, server: SocketAddr) -> Result<()> {
        let site = Site::of_server(name, server);
        self.published.lock().unwrap_or_else(PoisonError::into_inner).push(site);
        self.follow().await
    }

    /// Does what the Ingress objects say now, and returns when it is done and they say so.
    pub async fn follow(&self) -> Result<()> {
        let mut sites = self.published.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ingresses = Ingresses::read(self.cluster.plane().kubectl()).await?;
        sites.extend(ingresses.sites());
        for site in &sites {
            self.certify(site)?;
        }
        let plain = configuration(&self.home, &sites, "");
        let revision =
            format!("{:016x}", plain.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)));
        let wanted = configuration(&self.home, &sites, &revision);
        if fs::read_to_string(self.home.join("nginx.conf"))? != wanted {
            fs::write(self.home.join("nginx.conf"), wanted)?;
            self.nginx.signal(rustix::process::Signal::HUP)?;
        }
        self.until(&revision).await?;
        ingresses.admit(self.cluster.plane().kubectl()).await
    }

    /// A certificate, where the site brings none.
    fn certify(&self, site: &Site) -> Result<()> {
        let (certificate, key) = site.tls_files(&self.home);
        let (certificate_pem, key_pem) = match &site.tls {
            Some(given) => given.clone(),
            None if certificate.exists() => return Ok(()),
            None => {
                let leaf = self.authority.leaf(&[&site.name])?;
                (leaf.certificate_pem, leaf.key_pem)
            }
        };
        fs::write(certificate, certificate_pem)?;
        Ok(fs::write(key, key_pem)?)
    }

    /// nginx answers by its old configuration until new workers run.
    async fn until(&self, revision: &str) -> Result<()> {
        let client = Client::new(&format!("http://{REVISION}"))?;
        let since = Instant::now();
        loop {
            self.nginx.ensure_running()?;
            if let Ok(answer) = client.get("/revision").send().await
                && answer.text().await.is_ok_and(|text| text == revision)
            {
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "nginx does not follow:\n{}", self.nginx.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        self.nginx.log()
    }
}
