//! How much of each misfortune an exploration has, and which part of the protocol is left out to see that it is missed.

use std::time::Duration;

use super::{Amount, Pace, world::STEP};
use crate::{
    identity::Subject,
    spend::{LimitKey, Meter},
};

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) meter: Meter,
    pub(super) limit: Amount,
    pub(super) pods: usize,
    /// What requests are estimated at.
    pub(super) estimates: Vec<Amount>,
    pub(super) requests: u8,
    pub(super) wrong_estimates: u8,
    /// Flushes or their answers.
    pub(super) lost: u8,
    pub(super) crashes: u8,
    pub(super) cuts: u8,
    pub(super) ticks: u8,
    pub(super) midnights: u8,
    pub(super) fault: Option<Fault>,
    pub(super) pace: Pace,
}

/// What somebody might have built instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// What a dead pod held is not charged.
    HoldsOfTheDeadReturn,
    /// A grant is decided by what was granted when the row was read, and another pod's grant came between.
    GrantsByAnOldSum,
    /// A pod uses its share for as long as the lease.
    UsesTheWholeLeaseAndMore,
    /// A flush that comes again is applied again.
    CountsTwice,
    /// A flush that comes again says what was held when it was made.
    RepeatsThePresent,
    /// A journal's replay leaves the charge where it is.
    KeepsTheCharge,
    /// Idle share stays where it is.
    GivesNothingBack,
    /// A part of what is needed is granted.
    GrantsParts,
}

impl Settings {
    pub(super) fn of(meter: Meter) -> Self {
        Self {
            meter,
            limit: 4,
            pods: 3,
            estimates: vec![1, 2],
            requests: u8::MAX,
            wrong_estimates: 0,
            lost: 0,
            crashes: 0,
            cuts: 0,
            ticks: 0,
            midnights: 0,
            fault: None,
            pace: Pace {
                lease: STEP * 2,
                usable: STEP,
                want: STEP,
                renew: Duration::ZERO,
                unused: Duration::MAX,
                ..Pace::default()
            },
        }
    }

    pub(super) fn with(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        if fault == Fault::UsesTheWholeLeaseAndMore {
            self.pace.usable = STEP * 3;
        }
        self
    }

    pub(super) fn key(&self) -> LimitKey {
        LimitKey { subject: Subject(String::new()), meter: self.meter }
    }

    pub(super) fn is_of_places(&self) -> bool {
        self.meter == Meter::ConcurrentRequests
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}
