//! A connection to whichever of some addresses answers first (RFC 8305, without its sorting: the resolver sorts).

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::guard::CheckedAddress;

/// How long the next address waits for the one before it.
const STAGGER: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn any_of(addresses: &[CheckedAddress]) -> io::Result<TcpStream> {
    race(addresses.iter().map(|address| address.socket())).await
}

/// The proxy's own address is the operator's word, and unguarded.
pub(crate) async fn proxy(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    race(addresses.into_iter()).await
}

async fn race(addresses: impl ExactSizeIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses;
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address to try");
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(attempt(address))),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(error) => failure = io::Error::other(error),
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(PATIENCE, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection attempt"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
