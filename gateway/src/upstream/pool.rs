//! Idle connections to upstreams, one pool an upstream and thread: no locks, no work stealing.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use super::http1::Connection;

/// Shorter than common servers' keep-alive of 60 s, so that a connection is rarely closed under a request.
const IDLE: Duration = Duration::from_secs(50);
const MOST: usize = 1024;

/// One upstream's idle connections on this thread.
#[derive(Clone, Default)]
pub struct Pool {
    idle: Rc<RefCell<VecDeque<(Connection, Instant)>>>,
}

impl Pool {
    /// The most recently used connection that is still open.
    pub fn take(&self, now: Instant) -> Option<Connection> {
        loop {
            let (connection, since) = self.idle.borrow_mut().pop_back()?;
            if now.duration_since(since) < IDLE && connection.is_open() {
                return Some(connection);
            }
        }
    }

    pub fn put(&self, connection: Connection, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        while idle.front().is_some_and(|(_, since)| now.duration_since(*since) >= IDLE) || idle.len() >= MOST {
            idle.pop_front();
        }
        idle.push_back((connection, now));
    }
}

/// The pools of one thread, by the upstream's place.
pub struct Pools(Vec<Pool>);

impl Pools {
    pub fn new(upstreams: usize) -> Self {
        Self((0..upstreams).map(|_| Pool::default()).collect())
    }

    pub fn of(&self, upstream: usize) -> &Pool {
        &self.0[upstream]
    }
}
