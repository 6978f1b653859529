//! What reads and writes an upstream connection, polled in place, and how rarely it wakes anybody.
//!
//! It waits for the socket, and for whoever sends a request and reads a reply: the same task, which polls it after each of the
//! two. Woken for these too, the task would run once more for nothing, at each reply and at each delta. So hyper's driver is
//! polled with a waker that only takes note, and the socket with the task's own.
//!
//! Invariant: whoever gives the driver something to do drives it before waiting for the upstream; else nobody wakes them, and the
//! reply stands still.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use hyper::{
    client::conn::http1,
    rt::{Read, ReadBufCursor, Write},
};

use super::{connection::Wire, splice::Spliced};

pub(super) struct Driver {
    driver: Pin<Box<http1::Connection<Awaited, Spliced>>>,
    note: Arc<Note>,
    taking_note: Waker,
    reader: Reader,
}

/// Who waits for the socket: the task that drove last.
type Reader = Rc<RefCell<Waker>>;

/// Whether there is something to do since it was last driven.
#[derive(Default)]
struct Note(AtomicBool);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Driver {
    pub(super) fn of(driver: http1::Connection<Awaited, Spliced>, reader: Reader) -> Self {
        let note = Arc::<Note>::default();
        Self { driver: Box::pin(driver), taking_note: note.clone().into(), note, reader }
    }

    /// Ready when the connection has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.reader.borrow().will_wake(cx.waker()) {
            self.reader.replace(cx.waker().clone());
        }
        self.note.0.store(false, Ordering::Relaxed);
        let driven = self.driver.as_mut().poll(&mut Context::from_waker(&self.taking_note)).map(|_| ());
        // After so many rounds hyper lets others have their turn.
        if driven.is_pending() && self.is_due() {
            cx.waker().wake_by_ref();
        }
        driven
    }

    /// It was given something to do since it was driven.
    pub(super) fn is_due(&self) -> bool {
        self.note.0.load(Ordering::Relaxed)
    }
}

/// A socket that wakes its reader, whoever asks.
pub(super) struct Awaited {
    wire: Wire,
    reader: Reader,
}

impl Awaited {
    pub(super) fn new(wire: Wire) -> (Self, Reader) {
        let reader = Reader::new(RefCell::new(Waker::noop().clone()));
        (Self { wire, reader: reader.clone() }, reader)
    }

    fn poll<R>(self: Pin<&mut Self>, ask: impl FnOnce(Pin<&mut Wire>, &mut Context<'_>) -> R) -> R {
        let Self { wire, reader } = self.get_mut();
        ask(Pin::new(wire), &mut Context::from_waker(&reader.borrow()))
    }
}

impl Read for Awaited {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.poll(|wire, cx| wire.poll_read(cx, buffer))
    }
}

impl Write for Awaited {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|wire, cx| wire.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|wire, cx| wire.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|wire, cx| wire.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(|wire, cx| wire.poll_write_vectored(cx, slices))
    }
}
