//! How long things last between a pod and the store: one set for all, so that tests can shrink them together.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A share is the pod's until then, by the database's clock, counted from the commit of the flush that renewed it.
    pub lease: Duration,
    /// The pod uses it until then, by its own clock, counted from the sending. Shorter than the lease by what clocks may differ.
    pub usable: Duration,
    /// A share in use is renewed when this much time has passed since the last answer.
    pub renew: Duration,
    /// A share that nobody used for so long is closed.
    pub unused: Duration,
    /// A want that is not repeated is forgotten.
    pub want: Duration,
    /// A request waits so long for share at the edge.
    pub patience: Duration,
    /// First requests that arrive within this time share one flush.
    pub gather: Duration,
    /// Between flushes.
    pub flush: Duration,
    /// Between flushes while a limit in use is within a tenth of its end.
    pub flush_near_edge: Duration,
    /// Between flushes while more than [`crowd`](Self::crowd) pods live.
    pub flush_in_crowd: Duration,
    pub crowd: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            usable: Duration::from_secs(7),
            renew: Duration::from_secs(2),
            unused: Duration::from_secs(10),
            want: Duration::from_secs(1),
            patience: Duration::from_millis(600),
            gather: Duration::from_millis(5),
            flush: Duration::from_secs(1),
            flush_near_edge: Duration::from_millis(250),
            flush_in_crowd: Duration::from_secs(2),
            crowd: 8,
        }
    }
}
