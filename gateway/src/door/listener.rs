//! The sockets: one a thread on the same port, so that the kernel spreads connections and no thread hands work to another.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs},
    rc::Rc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, task::spawn_local, time::sleep};

use super::connection::{Threads, serve};

const BACKLOG: i32 = 4096;

/// Binds `count` sockets to one address. With port 0 all get the port that the first one got.
pub fn bind(host: &str, port: u16, count: usize) -> io::Result<Vec<StdListener>> {
    let unresolved = || io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    let mut address = (host, port).to_socket_addrs()?.next().ok_or_else(unresolved)?;
    if port != 0 {
        // SO_REUSEPORT would let a second gateway share the port in silence.
        drop(StdListener::bind(address)?);
    }
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = listener(address)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn listener(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts for ever. Out of file descriptors, it waits for connections to end instead of spinning.
pub async fn accept(threads: Rc<Threads>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                let threads = threads.clone();
                spawn_local(async move {
                    let _open = threads.door.activity.open();
                    let metrics = threads.door.metrics.clone();
                    metrics.connections.inc();
                    serve(threads, tcp, peer.ip()).await;
                    metrics.connections.dec();
                });
            }
            Err(error) if is_the_connections_own(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted for now");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_the_connections_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
