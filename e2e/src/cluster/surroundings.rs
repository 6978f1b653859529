//! What a company has beside its cluster: an identity provider, a model provider, a database and a way in, all at the head.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::{front::Front, namespaces::HEAD, whole::Cluster};
use crate::{
    cast::{
        browser::Browser,
        node::CertifiedProvider,
        postgres::Postgres,
        provider::{Persona, Provider},
        signin::{Device, Tokens},
    },
    chart,
};

/// Pods ask the cluster's name server, and a browser at the head does, too. It cannot be a name below `localhost`, which browsers
/// know without being told: a gateway sends nothing there.
pub const IDENTITY_NAME: &str = "identity.test";
pub const ISSUER: &str = "https://identity.test";
const MODEL_NAME: &str = "model.test";

/// The operator's release and where it is, as the guides have it.
pub const RELEASE: &str = "claude-gateway-operator";
pub const SYSTEM: &str = "claude-gateway-system";

/// Of one cluster, which outlives it.
pub struct Surroundings<'a> {
    pub cluster: &'a Cluster,
    pub front: Front<'a>,
    pub people: CertifiedProvider,
    pub model: Provider,
    pub store: Postgres,
}

impl<'a> Surroundings<'a> {
    /// The caller must be at the head (see [`Cluster::visit`]). The gateways' host names are those that the identity provider may
    /// send people back to.
    pub async fn start(cluster: &'a Cluster, persona: Persona, hosts: &[&str]) -> Result<Self> {
        let front = Front::start(cluster).await?;
        let callbacks: Vec<_> = hosts.iter().map(|host| format!("https://{host}/oauth/callback")).collect();
        let callbacks: Vec<_> = callbacks.iter().map(String::as_str).collect();
        let people = CertifiedProvider::published_as(ISSUER, &callbacks).await?;
        front.publish(IDENTITY_NAME, people.server()).await?;
        let model = Provider::builder().persona(persona).tls_for(MODEL_NAME).at((HEAD, 0).into()).start()?;
        let store = Postgres::at(HEAD).await?;
        Ok(Self { cluster, front, people, model, store })
    }

    /// A new database, for pods; the URL's role may do anything in it.
    pub async fn database(&self) -> Result<String> {
        Ok(format!("{}?sslmode=require", self.store.database().await?.replace("127.0.0.1", &HEAD.to_string())))
    }

    /// The model provider as pods know it, and who vouches for it.
    pub fn model_url(&self) -> Result<(String, &str)> {
        let authority = self.model.ca_pem().context("the model provider's authority")?;
        Ok((format!("https://{MODEL_NAME}:{}", self.model.address().port()), authority))
    }

    /// The operator, by the chart in this folder. Returns when it is ready.
    pub async fn install(&self, chart: &Path) -> Result<()> {
        let chart = chart.display().to_string();
        let release = ["install", RELEASE, &chart, "--namespace", SYSTEM, "--create-namespace"];
        self.cluster.helm(&[&release[..], &["--wait", "--timeout", "3m"]].concat()).await?;
        Ok(())
    }

    /// A person signs in to the gateway of this host through the front, by a browser without a window.
    pub async fn sign_in(&self, host: &str, person: &str) -> Result<Tokens> {
        self.sign_in_at(host, (HEAD, 443).into(), person).await
    }

    /// As [`sign_in`](Self::sign_in), where the gateway itself is at this address.
    pub async fn sign_in_at(&self, host: &str, address: SocketAddr, person: &str) -> Result<Tokens> {
        let browser = Browser::trusting(Some(self.front.authority_pem())).finding(&format!("https://{host}"), address);
        let mut browser = browser.finding(ISSUER, (HEAD, 443).into());
        let client = self.front.client(host)?.connecting_to(address);
        let device = Device::ask(&client).await?;
        let page = device.approve(&mut browser, person).await?;
        device.collect(&client).await.with_context(|| format!("after this page: {}", page.text))
    }
}

/// Both of ours, as `make image` leaves them.
pub fn images() -> Result<Vec<PathBuf>> {
    let images =
        ["claude-gateway", "claude-gateway-operator"].map(|name| chart::root().join(format!("dist/images/{name}.tar")));
    for image in &images {
        ensure!(image.exists(), "no {}: run `make image` first", image.display());
    }
    Ok(images.into())
}
