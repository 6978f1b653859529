//! One HTTP/1.1 connection to an upstream, driven by whoever uses it.
//!
//! Nobody spawns it: while a request is sent the sender polls it, while a reply is read the reply's body polls it
//! ([`Connection::drive`]). A spawned connection would hand over one chunk at a time through a channel, two task switches
//! each; driven in place, all chunks that are ready come together.

use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::unconstrained, time::timeout};
use tokio_rustls::client::TlsStream;

use super::{
    driver::{Awaited, Driver},
    splice::Spliced,
};
use crate::small_write;

/// Bounds what one reply can hold here while its reader is slow (twice this, in hyper's buffers), and a response's head.
const BUFFER: usize = 12 * 1024;
/// How long a connection may take to be idle after its reply.
const SETTLE: Duration = Duration::from_secs(5);

pub struct Connection {
    sender: SendRequest<Spliced>,
    /// On the heap: a connection is handed on many times.
    driver: Box<Driver>,
    used: bool,
}

/// A response head, and the connection that its body still comes through (`None` when the upstream closed it already).
pub struct Received {
    pub response: Response<Incoming>,
    pub connection: Option<Connection>,
}

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A kept connection turned out to be closed; the request may be sent again on a new one.
    #[error("the kept connection was closed by the upstream")]
    Stale,
    #[error(transparent)]
    Failed(#[from] hyper::Error),
    #[error("the upstream closed the connection without an answer")]
    Closed,
}

impl Received {
    /// Reads a short reply to its end, and the connection if it can be used again. Nothing, where the reply is longer than
    /// `most` or breaks.
    pub async fn collect(self, most: usize) -> (Bytes, Option<Connection>) {
        let mut connection = self.connection;
        let mut body = pin!(Limited::new(self.response.into_body(), most).collect());
        let collected = poll_fn(|cx| {
            if let Poll::Ready(collected) = body.as_mut().poll(cx) {
                return Poll::Ready(collected.ok());
            }
            if connection.as_mut().is_some_and(|connection| connection.drive(cx).is_ready()) {
                connection = None;
            }
            let collected = body.as_mut().poll(cx).map(Result::ok);
            // What the body took has made room for more.
            if collected.is_pending() && connection.as_ref().is_some_and(|connection| connection.driver.is_due()) {
                cx.waker().wake_by_ref();
            }
            collected
        });
        match collected.await {
            Some(body) => (body.to_bytes(), connection.filter(Connection::is_open)),
            None => (Bytes::new(), None),
        }
    }
}

impl SendError {
    /// What a server's keep-alive timeout looks like from here: the end of the connection before any answer.
    fn may_be_the_connections_age(&self) -> bool {
        match self {
            Self::Stale | Self::Closed => true,
            Self::Failed(error) => {
                let reset = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
                error.is_canceled()
                    || error.is_closed()
                    || error.is_incomplete_message()
                    || reset.is_some_and(|cause| {
                        matches!(cause.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
                    })
            }
        }
    }
}

impl Connection {
    pub async fn over(wire: Wire) -> hyper::Result<Self> {
        let (wire, reader) = Awaited::new(wire);
        let (sender, driver) = http1::Builder::new().max_buf_size(BUFFER).handshake(wire).await?;
        Ok(Self { sender, driver: Box::new(Driver::of(driver, reader)), used: false })
    }

    pub fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    /// Lets the connection read and write what it can. Ready when it has ended.
    pub fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.driver.drive(cx)
    }

    /// Sends and waits for the response head.
    pub async fn send(mut self, request: Request<Spliced>) -> Result<Received, SendError> {
        let reused = std::mem::replace(&mut self.used, true);
        // tokio's budget would have the head wait though it is there, and nobody hears that a budget is new.
        let mut head = pin!(unconstrained(self.sender.send_request(request)));
        let (mut closed, mut nobody) = (false, Context::from_waker(Waker::noop()));
        let response = poll_fn(|cx| {
            // Only the driver has news for the head, which is asked right after it.
            if let Poll::Ready(response) = head.as_mut().poll(&mut nobody) {
                return Poll::Ready(response.map_err(SendError::from));
            }
            closed = closed || self.driver.drive(cx).is_ready();
            match head.as_mut().poll(&mut nobody) {
                // The driver has ended but is still here, so nobody else will tell the waiting head.
                Poll::Pending if closed => Poll::Ready(Err(SendError::Closed)),
                head => head.map_err(SendError::from),
            }
        })
        .await;
        match response {
            Ok(response) => Ok(Received { response, connection: (!closed).then_some(self) }),
            Err(error) if reused && error.may_be_the_connections_age() => Err(SendError::Stale),
            Err(error) => Err(error),
        }
    }

    /// Waits until the last reply is read to its end, so that the connection can be used again.
    pub async fn idle(mut self) -> Option<Self> {
        // An upstream that answers early may never read the rest of the request.
        let idle = poll_fn(|cx| match self.driver.drive(cx) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending => self.sender.poll_ready(cx).map(|ready| ready.is_ok()),
        });
        timeout(SETTLE, idle).await.unwrap_or(false).then_some(self)
    }
}

/// Plain for a provider on the same host or behind a mesh, TLS for all others.
pub enum Wire {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Read for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if let Some(written) = small_write::as_one(slices, |bytes| Pin::new(&mut *wire).poll_write(cx, bytes)) {
            return written;
        }
        match wire {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Self::Tls(io) => Pin::new(io.as_mut()).poll_write_vectored(cx, slices),
        }
    }
}
