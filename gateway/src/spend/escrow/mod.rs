//! A limit held by many pods as by one: a row in the store, and a share of it on each pod that needs one.
//!
//! Both sides are small state machines without I/O: [`Share`] on the pod, and the [`Row`](row::Row), which the store's
//! `flush` function carries out in SQL. The model explored in the tests is made of the same two.

#[cfg(test)]
mod model;
pub mod row;
mod share;

use super::{Amount, LimitKey, Pace};

pub use share::{Heard, Share, Short, Trip};

/// What a pod says of one of its shares in a flush.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Report {
    pub key: LimitKey,
    /// The limit by the policy that this pod serves.
    pub limit: Amount,
    /// Settled since the last report.
    pub spent: Amount,
    /// Requests under way, by their estimates, after this report.
    pub held: Amount,
    /// Idle share given back.
    pub given_back: Amount,
    /// How much share, beyond what is idle after this report, would let all waiting requests pass; 0: nobody waits.
    pub wanted: Amount,
    /// How much would let the least of them pass; 0: nobody waits.
    pub needed: Amount,
    /// The pod drops this share: nothing is held, everything is given back.
    pub closed: bool,
}

/// What the store answers for one share. Everything is absolute, so an answer that is given twice says the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Answer {
    pub key: LimitKey,
    /// This pod's share: what it holds, and what it may still hold.
    pub granted: Amount,
    pub limit: Amount,
    /// Charged by everybody, in this period or since the bucket was full.
    pub used: Amount,
    /// All unexpired shares together, this pod's too.
    pub granted_to_all: Amount,
    /// Of the others' shares, what was idle when they last reported.
    pub idle_elsewhere: Amount,
    /// Another pod has a request waiting for share: give back what is idle.
    pub wanted_elsewhere: bool,
    /// Seconds until the period ends; `None` for buckets, which refill, and for places.
    pub resets_in: Option<u64>,
}
