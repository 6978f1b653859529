//! The bytes to and from an upstream, and whether it has fallen silent.
//!
//! Each thread has one place to read into. What is read is understood before anything else is read on that thread, so whoever
//! takes it must not read another wire meanwhile.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::small_write;

/// Bounds what one reply can hold here while its client is slow.
const READ: usize = 16 * 1024;

thread_local! {
    /// So that a reply that waits holds nothing.
    static PLACE: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// Plain for a provider on the same host or behind a mesh, TLS for all others.
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// What `take` makes of the bytes that are there: none at the end.
    pub(super) fn poll_read<T>(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
        PLACE.with_borrow_mut(|place| {
            let mut read = ReadBuf::new(place);
            ready!(match self {
                Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut read),
                Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, &mut read),
            })?;
            Poll::Ready(Ok(take(read.filled())))
        })
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(written) = small_write::as_one(pieces, |bytes| self.poll_pieces(cx, &[IoSlice::new(bytes)])) {
            return written;
        }
        self.poll_pieces(cx, pieces)
    }

    fn poll_pieces(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, pieces),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    /// The other side has said nothing that was not read: neither its end nor anything unasked for.
    pub(super) fn is_silent(&self) -> bool {
        let (tcp, is_read) = match self {
            Self::Plain(tcp) => (tcp, true),
            // Its end, or more, may have come in one piece with the last reply.
            Self::Tls(tls) => (tls.get_ref().0, tls.get_ref().1.wants_read()),
        };
        is_read && matches!(tcp.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
