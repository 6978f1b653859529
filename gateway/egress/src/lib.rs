//! The only door out for URLs that people configure: resolve, check every address, connect to a checked one, never redirect.
//!
//! Invariant: a socket from [`Egress::connect`] leads to an address that passed the guard, or to the proxy that the operator
//! made the boundary. One answer is taken for each connection, so what was checked is what is connected to. This crate
//! knows nobody.

mod client;
mod dial;
mod guard;
mod no_proxy;
mod proxy;
mod resolver;
mod settings;
pub mod tls;

use std::{net::IpAddr, sync::Arc};

use tokio::net::TcpStream;
use url::{Host, Url};

pub use client::{Client, ClientError, Limits};
pub use guard::{CheckedAddress, Guard};
pub use resolver::{Answer, Resolver, SystemResolver};
pub use settings::{EgressSettings, Route};
pub use tls::{TlsError, client_tls, server_name};

use crate::{no_proxy::NoProxy, proxy::ForwardProxy};

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("{host} resolves to {address}, which the egress guard refuses ({reason})")]
    Forbidden { host: String, address: IpAddr, reason: &'static str },
    #[error("{host} could not be resolved: {source}")]
    Resolve { host: String, source: std::io::Error },
    #[error("no connection to {host}: {source}")]
    Connect { host: String, source: std::io::Error },
    #[error("the proxy did not open a tunnel to {host}: {reason}")]
    Proxy { host: String, reason: String },
    #[error("{url} cannot be reached: {reason}")]
    BadUrl { url: String, reason: &'static str },
}

/// The guard and the way out.
#[derive(Debug)]
pub struct Egress {
    settings: EgressSettings,
    guard: Guard,
    no_proxy: NoProxy,
    boundary: bool,
    resolver: Arc<dyn Resolver>,
}

impl Egress {
    pub fn new(settings: EgressSettings) -> Arc<Self> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// The same with names answered by somebody else.
    pub fn with_resolver(settings: EgressSettings, resolver: Arc<dyn Resolver>) -> Arc<Self> {
        let boundary = settings.proxy_is_boundary && settings.boundary_obstacle().is_none();
        let guard = Guard { allow_loopback: settings.allow_loopback };
        let no_proxy = NoProxy::parse(&settings.no_proxy);
        Arc::new(Self { settings, guard, no_proxy, boundary, resolver })
    }

    /// Whether names go to the proxy unresolved. Off unless every condition holds: see [`EgressSettings::boundary_obstacle`].
    pub fn proxy_is_boundary(&self) -> bool {
        self.boundary
    }

    /// A TCP stream towards `url`'s host and port (a tunnel where a proxy applies), TLS not yet begun.
    pub async fn connect(&self, url: &Url, route: Route) -> Result<TcpStream, EgressError> {
        let destination = Destination::of(url)?;
        let proxy = match route {
            Route::Direct => None,
            Route::ByEnvironment => self.proxy_for(url, &destination),
        };
        match proxy {
            Some(proxy) if self.boundary => self.through_boundary(proxy, &destination).await,
            Some(proxy) => self.through_proxy(proxy, &destination).await,
            None => {
                let addresses = self.checked(&destination).await?;
                dial::any_of(&addresses).await.map_err(|source| destination.unconnected(source))
            }
        }
    }

    fn proxy_for(&self, url: &Url, destination: &Destination<'_>) -> Option<&Url> {
        let (own, other) = match url.scheme() {
            "https" => (&self.settings.https_proxy, &self.settings.http_proxy),
            _ => (&self.settings.http_proxy, &self.settings.https_proxy),
        };
        // A boundary is the only way out, whichever variable names it.
        let proxy = own.as_ref().or_else(|| other.as_ref().filter(|_| self.boundary))?;
        (!self.no_proxy.covers(&destination.host, destination.port)).then_some(proxy)
    }

    /// The proxy connects to the address that was checked here, whatever it would resolve the name to.
    async fn through_proxy(&self, proxy: &Url, destination: &Destination<'_>) -> Result<TcpStream, EgressError> {
        let addresses = self.checked(destination).await?;
        // A loopback address handed to the proxy would be the proxy's own.
        if addresses.iter().all(|address| address.socket().ip().is_loopback()) {
            return dial::any_of(&addresses).await.map_err(|source| destination.unconnected(source));
        }
        let proxy = ForwardProxy::parse(proxy).map_err(|reason| destination.no_tunnel(reason.to_owned()))?;
        let mut refusal = String::new();
        for address in &addresses {
            match proxy.tunnel(&*self.resolver, &address.socket().to_string()).await {
                Ok(stream) => return Ok(stream),
                Err(reason) => refusal = reason,
            }
        }
        Err(destination.no_tunnel(refusal))
    }

    /// The proxy resolves and judges names; addresses and names of this machine are still ours to judge.
    async fn through_boundary(&self, proxy: &Url, destination: &Destination<'_>) -> Result<TcpStream, EgressError> {
        let authority = match destination.host {
            Host::Domain(name) if names_this_machine(name) => {
                return Err(EgressError::BadUrl {
                    url: destination.origin.clone(),
                    reason: "a name of this machine cannot be handed to the proxy",
                });
            }
            Host::Domain(name) => format!("{name}:{}", destination.port),
            Host::Ipv4(_) | Host::Ipv6(_) => match self.checked(destination).await?.first() {
                Some(address) => address.socket().to_string(),
                None => return Err(destination.unresolved(no_address())),
            },
        };
        let proxy = ForwardProxy::parse(proxy).map_err(|reason| destination.no_tunnel(reason.to_owned()))?;
        proxy.tunnel(&*self.resolver, &authority).await.map_err(|reason| destination.no_tunnel(reason))
    }

    /// Every address of the host, each of them checked; one that is forbidden refuses the whole name.
    async fn checked(&self, destination: &Destination<'_>) -> Result<Vec<CheckedAddress>, EgressError> {
        let unverified = match destination.host {
            Host::Ipv4(address) => vec![(address, destination.port).into()],
            Host::Ipv6(address) => vec![(address, destination.port).into()],
            Host::Domain(name) => resolver::within_limits(&*self.resolver, name, destination.port)
                .await
                .map_err(|source| destination.unresolved(source))?,
        };
        if unverified.is_empty() {
            return Err(destination.unresolved(no_address()));
        }
        let checked: Result<_, _> = unverified.into_iter().map(|address| self.guard.check(address)).collect();
        checked.map_err(|(address, reason)| EgressError::Forbidden {
            host: destination.host.to_string(),
            address,
            reason,
        })
    }
}

fn no_address() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address")
}

fn names_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name == "localhost.localdomain"
}

/// Where a URL leads, without what may be secret in it.
struct Destination<'a> {
    host: Host<&'a str>,
    port: u16,
    origin: String,
}

impl<'a> Destination<'a> {
    fn of(url: &'a Url) -> Result<Self, EgressError> {
        let origin = url.origin().ascii_serialization();
        let bad = |reason| EgressError::BadUrl { url: origin.clone(), reason };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("only http and https lead out"));
        }
        let host = url.host().ok_or_else(|| bad("it names no host"))?;
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or_else(|| bad("it names no port"))?;
        Ok(Self { host, port, origin })
    }

    fn unresolved(&self, source: std::io::Error) -> EgressError {
        EgressError::Resolve { host: self.host.to_string(), source }
    }

    fn unconnected(&self, source: std::io::Error) -> EgressError {
        EgressError::Connect { host: self.host.to_string(), source }
    }

    fn no_tunnel(&self, reason: String) -> EgressError {
        EgressError::Proxy { host: self.host.to_string(), reason }
    }
}
