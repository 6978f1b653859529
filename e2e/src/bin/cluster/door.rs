//! The way from this machine's loopback to the front: bytes, as they come.

use std::{net::TcpListener, time::Duration};

use anyhow::Result;
use e2e::cluster::{Front, HEAD};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener as Listener, TcpStream},
    time::interval,
};

/// The same on both sides, for it is in the gateway's and the identity provider's URLs.
pub(crate) const PORT: u16 = 443;

/// Lets in whoever comes, and has the front follow the Ingress objects. Never ends.
pub(crate) async fn keep(door: TcpListener, front: &Front<'_>) -> Result<()> {
    door.set_nonblocking(true)?;
    let door = Listener::from_std(door)?;
    let mut look = interval(Duration::from_secs(2));
    loop {
        tokio::select! {
            come = door.accept() => {
                let (mut outside, _) = come?;
                tokio::spawn(async move {
                    let mut inside = TcpStream::connect((HEAD, PORT)).await?;
                    copy_bidirectional(&mut outside, &mut inside).await
                });
            }
            // An API server that restarts is asked again.
            _ = look.tick() => { let _ = front.follow().await; }
        }
    }
}
