//! One client connection, from its first byte to its last.

use std::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::Request;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    request::RequestIds,
    service::Door,
    stream::Streams,
    watch::{Patience, Watch, Watched},
};
use crate::inference::{Desk, link::Link};

const HANDSHAKE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(1);
const STREAMS: u32 = 250;
const WINDOW: u32 = 1024 * 1024;
/// What one stream may have ready while its client does not read.
const SEND_BUFFER: usize = 32 * 1024;
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// What the connections of one thread share.
pub struct Threads {
    pub door: Arc<Door>,
    pub desk: Desk,
    pub request_ids: RequestIds,
    pub tls: Option<Arc<ServerConfig>>,
    pub patience: Patience,
    pub max_head: usize,
    pub phase: Cell<Closing>,
}

/// How far the process is in going away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closing {
    Open,
    /// Replies say that they are the last of their connection, and HTTP/2 takes no new streams.
    Draining,
    /// Whoever sends has noticed: idle connections end too. Not before, because HTTP/1.1 has no way to refuse the request that
    /// is under way while its connection is being closed: a load balancer could only fail it.
    Quiet,
    /// What is open is told so and ends.
    Cut,
    /// Nobody is here any more; the threads end.
    Gone,
}

pub async fn serve(threads: Rc<Threads>, tcp: TcpStream, peer: IpAddr) {
    let _ = tcp.set_nodelay(true);
    match &threads.tls {
        Some(config) => {
            // On the heap for its moment: a connection's task is as large as the largest thing that it ever waits for.
            let accepted = Box::pin(timeout(HANDSHAKE, TlsAcceptor::from(config.clone()).accept(tcp))).await;
            let Ok(Ok(tls)) = accepted else { return };
            let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
            speak(threads, tls, peer, http2).await;
        }
        None => {
            let Some(http2) = prior_knowledge(&tcp, threads.patience.first).await else { return };
            speak(threads, tcp, peer, http2).await;
        }
    }
}

/// Whether a plain connection begins with HTTP/2's preface (RFC 9113 section 3.3); `None` when nothing came.
async fn prior_knowledge(tcp: &TcpStream, patience: Duration) -> Option<bool> {
    let mut first = [0; H2_PREFACE.len()];
    let peeked = timeout(patience, tcp.peek(&mut first)).await.ok()?.ok()?;
    // A client that sends its preface byte by byte is not worth waiting for: no browser and no proxy does.
    (peeked > 0).then(|| first == H2_PREFACE)
}

async fn speak<S>(threads: Rc<Threads>, stream: S, peer: IpAddr, http2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let watch = Watch::new(threads.door.activity.clone(), Link::new(!http2), Instant::now());
    let stream = TokioIo::new(Watched::new(stream, watch.clone()));
    let service = {
        let (threads, watch) = (threads.clone(), watch.clone());
        service_fn(move |request: Request<Incoming>| {
            let (threads, watch) = (threads.clone(), watch.clone());
            // On the heap: what waits for a reply is copied when it begins, by hyper and by each room.
            let request = Box::new(request);
            async move {
                let arrival = (peer, threads.request_ids.next());
                let reply = threads.door.answer(&threads.desk, arrival, &watch, request).await;
                Ok::<_, Infallible>(reply)
            }
        })
    };
    if http2 {
        let streams =
            Streams { watch: watch.clone(), patience: threads.patience.stalled, metrics: threads.door.metrics.clone() };
        let connection = http2::Builder::new(streams)
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(threads.max_head).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW * 2)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(Duration::from_secs(30))
            .serve_connection(stream, service);
        watched(
            &threads,
            &watch,
            Box::pin(connection),
            (Closing::Draining, |connection| connection.graceful_shutdown()),
        )
        .await;
    } else {
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(threads.max_head.max(16 * 1024))
            .max_header_size(threads.max_head)
            .serve_connection(stream, service);
        watched(&threads, &watch, Box::pin(connection), (Closing::Quiet, |connection| connection.graceful_shutdown()))
            .await;
    }
}

/// Drives a connection until it ends, its patience does, or the drain does. From the phase named on it is shut: harmless while
/// a reply is due, for HTTP/1.1 then only loses keep-alive and HTTP/2 refuses only new streams.
async fn watched<C>(
    threads: &Threads,
    watch: &Rc<Watch>,
    mut connection: Pin<Box<C>>,
    (from, shut): (Closing, impl Fn(Pin<&mut C>)),
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut told = false;
    loop {
        let ended = Turn { connection: connection.as_mut(), pulse: pin!(sleep(LOOK)) }.await;
        let now = Instant::now();
        if ended || watch.overdue(now, &threads.patience) {
            if let Some(reason) = watch.cut_by(now, &threads.patience) {
                threads.door.metrics.cut(reason);
            }
            return;
        }
        let phase = threads.phase.get();
        if phase >= Closing::Cut {
            watch.link().cut.set(true);
        }
        if phase >= from && !told {
            told = true;
            shut(connection.as_mut());
        }
    }
}

/// Polls the connection, and ends the turn when the pulse comes.
struct Turn<'c, 's, C> {
    connection: Pin<&'c mut C>,
    pulse: Pin<&'s mut tokio::time::Sleep>,
}

impl<C: Future> Future for Turn<'_, '_, C> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if self.connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        self.pulse.as_mut().poll(cx).map(|()| false)
    }
}
