//! Who takes part: where each listens, what it wants to be told, and which process pays.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use e2e::cast::{
    certificate::client_config,
    gateway::{Config, Gateway},
    openid::{Behaviour, OpenIdProvider},
    postgres::Postgres,
    process::Process,
    provider::{API_KEY, Provider},
    signin::sign_in,
};
use rustls::ClientConfig;
use tokio::time::{Duration, sleep};

use crate::nginx::Nginx;

#[derive(Clone)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The header line that lets a request in.
    pub(crate) credential: String,
    /// `None` for the direct connection.
    pub(crate) process: Option<Process>,
}

/// Everybody who takes part, and what they need to live.
pub(crate) struct Company {
    pub(crate) ours: Gateway,
    contestants: Vec<Contestant>,
    idle: Vec<(&'static str, u64)>,
    _reference: Option<Gateway>,
    _nginx: Nginx,
    _people: OpenIdProvider,
    _store: Postgres,
}

impl Company {
    pub(crate) async fn gather(provider: &Provider, reference: bool, only_ours: bool) -> Result<Self> {
        let store = Postgres::start().await?;
        let people = OpenIdProvider::start(Behaviour::default()).await;
        let (ours, bearer) = signed_in(Gateway::config()?.release(), provider, &people, &store).await?;
        let nginx = Nginx::start(provider).await?;
        let key = format!("x-api-key: {API_KEY}");
        let mut contestants = vec![
            contestant("direct", provider.address(), provider.ca_pem(), key.clone(), None)?,
            contestant("nginx", local(nginx.port()), nginx.ca_pem(), key.clone(), Some(nginx.pid()))?,
        ];
        if only_ours {
            contestants.clear();
        }
        contestants.push(contestant("ours", local(ours.port()), ours.ca_pem(), bearer, Some(ours.pid()?))?);
        let reference = match reference {
            false => None,
            true => {
                let config = Gateway::config()?.reference().environment("BUN_CONFIG_MAX_HTTP_REQUESTS", "65535");
                let (gateway, bearer) = signed_in(config, provider, &people, &store).await?;
                let pid = Some(gateway.pid()?);
                contestants.push(contestant("reference", local(gateway.port()), gateway.ca_pem(), bearer, pid)?);
                Some(gateway)
            }
        };
        sleep(Duration::from_secs(2)).await;
        let idle = contestants.iter().filter_map(|one| Some((one.name, one.process?.resident().ok()?))).collect();
        Ok(Self { ours, contestants, idle, _reference: reference, _nginx: nginx, _people: people, _store: store })
    }

    pub(crate) fn everybody(&self) -> Vec<Contestant> {
        self.contestants.clone()
    }

    /// Resident KiB before any load.
    pub(crate) fn idle_of(&self, name: &str) -> Option<u64> {
        self.idle.iter().find(|(named, _)| *named == name).map(|(_, kib)| *kib)
    }
}

/// A gateway in front of the provider, and the header line of somebody who signed in to it.
async fn signed_in(
    config: Config,
    provider: &Provider,
    people: &OpenIdProvider,
    store: &Postgres,
) -> Result<(Gateway, String)> {
    let config = if provider.ca_pem().is_some() { config.tls()? } else { config };
    let config = config.identity(people).store(&store.database().await?).upstream("cast", provider);
    let gateway = config.log_to_file().start().await?;
    let tokens = sign_in(&gateway, "alice").await?;
    Ok((gateway, format!("authorization: Bearer {}", tokens.access_token)))
}

fn contestant(
    name: &'static str,
    address: SocketAddr,
    ca_pem: Option<&str>,
    credential: String,
    pid: Option<i32>,
) -> Result<Contestant> {
    let tls = ca_pem.map(client_config).transpose()?;
    Ok(Contestant { name, address, tls, credential, process: pid.map(Process) })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
