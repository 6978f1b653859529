//! What the connection to the client and its replies tell each other.
//!
//! Invariant: a reply of HTTP/1.1 takes nothing from its upstream while the client's socket is full.

use std::cell::Cell;

/// More is not given to a connection before it has written: what it holds for a client that does not read is this, and one
/// write's worth.
const QUEUED: usize = 7 * 1024;

/// Shared by one connection and its replies.
#[derive(Debug)]
pub struct Link {
    /// HTTP/1.1: the one reply is held back by the socket. The streams of HTTP/2 are tasks of their own, which a socket that
    /// takes again does not wake; their windows hold them back.
    holds_back: bool,
    /// The client's socket takes no more for now.
    pub full: Cell<bool>,
    /// Bytes given to the connection since it last wrote. Without a bound on them hyper takes sixteen buffers from a fast
    /// upstream before it writes the first.
    pub queued: Cell<usize>,
    /// The drain's deadline has come: end what is open.
    pub cut: Cell<bool>,
}

impl Link {
    pub fn new(holds_back: bool) -> Self {
        Self { holds_back, full: Cell::default(), queued: Cell::default(), cut: Cell::default() }
    }

    pub fn is_one_reply_at_a_time(&self) -> bool {
        self.holds_back
    }

    pub fn takes(&self) -> bool {
        !self.holds_back || !self.full.get() && self.queued.get() < QUEUED
    }

    pub fn queue(&self, bytes: usize) {
        self.queued.set(self.queued.get() + bytes);
    }

    /// The socket was offered bytes. True when a reply may wait to hear that it took them.
    pub fn written(&self, taken: bool) -> bool {
        let was_bounded = self.queued.replace(0) >= QUEUED;
        let was_full = self.full.replace(!taken);
        taken && (was_full || was_bounded)
    }
}
