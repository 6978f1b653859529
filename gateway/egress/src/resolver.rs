//! Names to addresses: the machine's resolver, or a test's.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, time::Duration};

/// The system's resolver may retry for half a minute; nobody here waits so long.
const PATIENCE: Duration = Duration::from_secs(5);

pub type Answer<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Answers a name with all its addresses. Asked once for each connection, so an answer that changes changes nothing.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a>;
}

#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

pub(crate) async fn within_limits(resolver: &dyn Resolver, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match tokio::time::timeout(PATIENCE, resolver.resolve(host, port)).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the resolver did not answer")),
    }
}
