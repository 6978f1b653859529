//! A request on its way to the upstream: its head and its body, as far as the socket has not taken them.
//!
//! Invariant: only what was written and flushed whole counts as sent. Whoever asks whether the upstream has the request, to charge
//! for it or to use the connection again, may be told no where it has, and never yes where it has not.

use std::{
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

/// How many pieces one write takes: the head, and a body with a span replaced.
const PIECES: usize = 4;

pub(super) struct Outgoing {
    /// What the socket has not taken yet.
    parts: VecDeque<Bytes>,
    is_flushed: bool,
    /// Becomes true with the last byte.
    is_sent: Option<Arc<AtomicBool>>,
}

impl Outgoing {
    pub(super) fn of(request: Request<Spliced>) -> Self {
        let (head, body) = request.into_parts();
        let length = body.length();
        let (mut parts, is_sent) = body.into_parts();
        parts.push_front(head::written(&head, length).into());
        Self { parts, is_flushed: false, is_sent }
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
