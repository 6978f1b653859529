//! A request on its way to the upstream.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::Request;

use super::{head, wire::Wire};
use crate::upstream::Spliced;

/// A request no longer than this is written as one piece.
const SMALL: usize = 4096;
/// How many pieces one write takes.
const PIECES: usize = 4;

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
pub(super) struct Outgoing {
    /// What the socket has not taken yet.
    parts: VecDeque<Bytes>,
    is_flushed: bool,
    /// Becomes true with the last byte.
    is_sent: Option<Arc<AtomicBool>>,
}

impl Outgoing {
    /// Writes what the socket takes at once.
    pub(super) fn begin(request: Request<Spliced>, wire: &mut Wire, cx: &mut Context<'_>) -> (Self, io::Result<()>) {
        let (head, body) = request.into_parts();
        let length = body.length();
        let (parts, is_sent) = body.into_parts();
        let mut outgoing = Self { parts, is_flushed: false, is_sent };
        let written = TEXT.with_borrow_mut(|text| {
            text.clear();
            head::write(&head, length, text);
            let mut taken = Poll::Pending;
            if text.len() + length <= SMALL {
                outgoing.parts.drain(..).for_each(|part| text.extend_from_slice(&part));
                taken = wire.poll_write(cx, &[IoSlice::new(text)]);
            }
            let (taken, written) = match taken {
                Poll::Ready(Ok(taken)) => (taken, Ok(())),
                Poll::Ready(Err(error)) => (0, Err(error)),
                Poll::Pending => (0, Ok(())),
            };
            if taken < text.len() {
                outgoing.parts.push_front(Bytes::copy_from_slice(&text[taken..]));
            }
            written
        });
        (outgoing, written)
    }

    /// Ready when the socket has taken everything.
    pub(super) fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.parts.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            for (piece, part) in pieces.iter_mut().zip(&self.parts) {
                *piece = IoSlice::new(part);
            }
            let count = self.parts.len().min(PIECES);
            let taken = ready!(wire.poll_write(cx, &pieces[..count]))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(taken);
        }
        if !self.is_flushed {
            ready!(wire.poll_flush(cx))?;
            self.is_flushed = true;
            if let Some(is_sent) = &self.is_sent {
                is_sent.store(true, Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_flushed
    }

    fn advance(&mut self, mut taken: usize) {
        while let Some(part) = self.parts.front_mut().filter(|_| taken > 0) {
            let here = taken.min(part.len());
            part.advance(here);
            taken -= here;
            if part.is_empty() {
                self.parts.pop_front();
            }
        }
    }
}
