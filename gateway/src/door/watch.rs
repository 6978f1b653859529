//! Watches one client connection from outside: when a head is late, when nobody comes back, when the client stops reading.
//!
//! hyper's own header timeout also ends idle connections, ten seconds after their last reply; a load balancer keeps
//! connections for minutes and would see requests fail. So the phases are told apart here.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{activity::Activity, chatter::Chatter};
use crate::{inference::link::Link, small_write};

/// How long each phase may last.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the first byte of a head to its last.
    pub head: Duration,
    /// From the connection's start to its first byte.
    pub first: Duration,
    /// Between requests; longer than common load balancers keep a connection.
    pub idle: Duration,
    /// A client that takes nothing: its socket, or one stream's window.
    pub stalled: Duration,
    /// Silence in the middle of a request's body.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            first: Duration::from_secs(60),
            idle: Duration::from_secs(650),
            stalled: Duration::from_secs(120),
            body: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    New(Instant),
    Head(Instant),
    Busy,
    Idle(Instant),
}

/// What a reply said when it was asked for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Frame,
    Nothing,
}

/// Shared by the connection's stream, its service and its replies.
#[derive(Debug)]
pub struct Watch {
    phase: Cell<Phase>,
    busy: Cell<usize>,
    stalled: Cell<Option<Instant>>,
    said: Cell<Option<Said>>,
    flooded: Cell<bool>,
    /// HTTP/2 only.
    chatter: Option<RefCell<Chatter>>,
    link: Rc<Link>,
    activity: Arc<Activity>,
}

impl Watch {
    pub fn new(activity: Arc<Activity>, link: Link, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            activity,
            phase: Cell::new(Phase::New(now)),
            busy: Cell::new(0),
            stalled: Cell::new(None),
            said: Cell::new(None),
            flooded: Cell::new(false),
            chatter: (!link.is_one_reply_at_a_time()).then(|| RefCell::new(Chatter::new(now))),
            link: Rc::new(link),
        })
    }

    pub fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// A whole head has arrived; until the guard is dropped a reply is due.
    pub fn begin(self: &Rc<Self>) -> Busy {
        self.activity.begin();
        self.busy.set(self.busy.get() + 1);
        self.phase.set(Phase::Busy);
        Busy(self.clone())
    }

    /// Whether the connection has used up its patience.
    pub fn overdue(&self, now: Instant, patience: &Patience) -> bool {
        let waited = |since: Instant, most: Duration| now.duration_since(since) >= most;
        let phase = match self.phase.get() {
            Phase::New(since) => waited(since, patience.first),
            Phase::Head(since) => waited(since, patience.head),
            Phase::Idle(since) => waited(since, patience.idle),
            Phase::Busy => false,
        };
        phase || self.is_stalled(now, patience)
    }

    /// Why a connection that is over was cut off by a guard, in a word for a metric; `None`: it ended, or was idle.
    pub fn cut_by(&self, now: Instant, patience: &Patience) -> Option<&'static str> {
        match self.flooded.get() {
            true => Some("flood"),
            false => self.is_stalled(now, patience).then_some("stalled"),
        }
    }

    fn is_stalled(&self, now: Instant, patience: &Patience) -> bool {
        self.stalled.get().is_some_and(|since| now.duration_since(since) >= patience.stalled)
    }

    /// What the reply that was asked since the last [`Self::take_said`] said last.
    pub fn take_said(&self) -> Option<Said> {
        self.said.take()
    }

    /// The bytes of HTTP/2 may be a ping's answer or a window; its heads are bounded by hyper.
    fn heard(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(chatter) = &self.chatter {
            let mut chatter = chatter.borrow_mut();
            chatter.hear(bytes);
            return if chatter.is_flood(Instant::now()) {
                self.flooded.set(true);
                Err(io::ErrorKind::ConnectionAborted.into())
            } else {
                Ok(())
            };
        }
        if matches!(self.phase.get(), Phase::New(_) | Phase::Idle(_)) {
            self.phase.set(Phase::Head(Instant::now()));
        }
        Ok(())
    }

    /// True when a reply may be waiting for the socket to take bytes.
    fn took(&self, taken: bool) -> bool {
        self.stalls(!taken);
        self.link.written(taken)
    }

    fn stalls(&self, stalled: bool) {
        self.stalled.set(stalled.then(|| self.stalled.get().unwrap_or_else(Instant::now)));
    }
}

/// A reply is due on this connection.
pub struct Busy(Rc<Watch>);

impl Busy {
    /// The reply was asked for a frame; with how many bytes it answered.
    pub fn said(&self, frame: Option<usize>) {
        self.0.said.set(Some(if frame.is_some() { Said::Frame } else { Said::Nothing }));
        if let (Some(bytes), Some(chatter)) = (frame, &self.0.chatter) {
            chatter.borrow_mut().replied(bytes);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.activity.end();
        let left = self.0.busy.get() - 1;
        self.0.busy.set(left);
        if left == 0 {
            self.0.phase.set(Phase::Idle(Instant::now()));
        }
    }
}

/// A stream that tells its watch what it sees.
pub struct Watched<S> {
    stream: S,
    watch: Rc<Watch>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, watch: Rc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match buffer.filled().get(before..) {
            Some(bytes) if read.is_ready() && !bytes.is_empty() => Poll::Ready(self.watch.heard(bytes)),
            _ => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, written.is_ready());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // TLS takes bytes that its socket has not taken.
        self.watch.stalls(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let written = match small_write::as_one(slices, |bytes| Pin::new(&mut *stream).poll_write(cx, bytes)) {
            Some(written) => written,
            None => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        self.wrote(cx, written.is_ready());
        written
    }
}

impl<S> Watched<S> {
    /// A reply that waited for the socket is asked again by waking the connection: hyper has looked at it already in this
    /// turn, before the socket took what was buffered.
    fn wrote(&self, cx: &Context<'_>, taken: bool) {
        if self.watch.took(taken) {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        first: Duration::from_secs(60),
        idle: Duration::from_secs(650),
        stalled: Duration::from_secs(120),
        body: Duration::from_secs(30),
    };

    #[test]
    fn each_phase_has_its_own_patience() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let watch = Watch::new(Arc::default(), Link::new(true), start);
        assert!(!watch.overdue(after(59), &PATIENCE) && watch.overdue(after(61), &PATIENCE), "silent from the start");
        watch.heard(b"G").unwrap();
        assert!(!watch.overdue(after(9), &PATIENCE) && watch.overdue(after(12), &PATIENCE), "a head that trickles");
        let busy = watch.begin();
        assert!(!watch.overdue(after(10_000), &PATIENCE), "a reply may take as long as it takes");
        drop(busy);
        assert!(!watch.overdue(after(600), &PATIENCE) && watch.overdue(after(652), &PATIENCE), "idle");
        let _busy = watch.begin();
        watch.took(false);
        assert!(watch.overdue(after(122), &PATIENCE), "a client that does not read");
        assert_eq!(watch.cut_by(after(122), &PATIENCE), Some("stalled"));
        assert!(watch.took(true), "the reply must be asked again");
        assert!(!watch.overdue(after(10_000), &PATIENCE));
        assert_eq!(watch.cut_by(after(10_000), &PATIENCE), None);
    }
}
