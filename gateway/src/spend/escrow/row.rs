//! The store's side: one limit of one person, and who has which part of it.
//!
//! ```text
//!   limit
//!   ├─ used: charged in this period, or since the bucket was full
//!   ├─ granted: all shares together
//!   └─ the rest: the next grant comes from here
//! ```
//!
//! The store carries this out in SQL (the function `flush`); the tests hold the two against each other.
//!
//! Invariant: `granted` is the sum over the shares, and no grant makes `used` + `granted` pass the limit. Only what happened
//! anyway can: an estimate that was too low, a pod that comes back and has held more than it had said, a limit that shrank.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{Amount, Answer, LimitKey, Pace, Report};
use crate::spend::Period;

const MICROSECONDS_A_MINUTE: i128 = 60_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    pub key: LimitKey,
    pub limit: Amount,
    pub used: Amount,
    /// All shares together.
    pub granted: Amount,
    /// Buckets: refilled up to here. Else the start of the period.
    pub since: DateTime<Utc>,
    /// By the incarnation of the pod.
    pub leases: BTreeMap<String, Lease>,
}

/// A pod's share, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    pub granted: Amount,
    /// Of it, held by requests under way at the last report.
    pub held: Amount,
    pub until: DateTime<Utc>,
    /// What a request waits for, if that may come; 0: none waits.
    pub needed: Amount,
    pub wanted_until: DateTime<Utc>,
    /// The lease has ended, and only this is left of it.
    pub charge: Option<Charge>,
}

/// What a pod held when its lease ended: used, until the pod or its journal says what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Charge {
    pub amount: Amount,
    pub at: DateTime<Utc>,
}

/// Who reports, and when.
#[derive(Debug, Clone, Copy)]
pub struct Hearing<'a> {
    pub incarnation: &'a str,
    /// The sequence that was applied last has come again: its answer was lost.
    pub is_again: bool,
    /// Pods seen in the last ten seconds; at least 1.
    pub live_pods: Amount,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub answer: Answer,
    /// The other pods should flush at once: somebody waits for what they have, or can have what it waits for.
    pub rings: bool,
}

impl Row {
    pub fn new(key: LimitKey, limit: Amount, at: DateTime<Utc>) -> Self {
        let since = key.meter.period().start(at).unwrap_or(at);
        Self { key, limit, used: 0, granted: 0, since, leases: BTreeMap::new() }
    }

    /// Carries out one report.
    pub fn apply(&mut self, report: &Report, hearing: &Hearing<'_>, pace: &Pace) -> Applied {
        let Hearing { incarnation, is_again, live_pods, at } = *hearing;
        let left_before = self.left();
        self.limit = report.limit;
        self.roll(at);
        self.end_leases(at, Some(incarnation));
        let mut own = self.leases.remove(incarnation).unwrap_or(Lease::none(at));
        self.settle(&mut own, report, hearing);
        let had_wanted = own.wants(at);
        let is_granted = match is_again || report.closed {
            true => false,
            false => self.grant(&mut own, report, live_pods, at),
        };
        own.held = report.held;
        own.until = at + pace.lease;
        own.wanted_until = at + pace.want;
        if !is_again {
            own.needed = if is_granted || !self.may_come(&own, report) { 0 } else { report.needed };
        }
        let rings = own.wants(at) && !had_wanted && self.granted > own.granted || self.others_can_have(left_before, at);
        let answer = self.answer(&own, at);
        if !report.closed {
            self.leases.insert(incarnation.to_owned(), own);
        }
        Applied { answer, rings }
    }

    /// Starts the period that `at` is in, or refills the bucket up to `at`.
    pub fn roll(&mut self, at: DateTime<Utc>) {
        if at <= self.since {
            return;
        }
        match self.key.meter.period() {
            Period::Minute => {
                let refilled = self.refilled_between(self.since, at);
                match self.limit > 0 && refilled < self.used {
                    true => {
                        self.used -= refilled;
                        // The part of one amount that is refilled already counts next time.
                        let microseconds = (i128::from(refilled) * MICROSECONDS_A_MINUTE + i128::from(self.limit) - 1)
                            / i128::from(self.limit);
                        self.since += TimeDelta::microseconds(microseconds.try_into().unwrap_or(i64::MAX));
                    }
                    false if self.limit > 0 => (self.used, self.since) = (0, at),
                    false => {}
                }
            }
            period => {
                if let Some(start) = period.start(at)
                    && start > self.since
                {
                    (self.used, self.since) = (0, start);
                }
            }
        }
    }

    /// Ends the leases that are over, but not that of `but`: it is back. What was idle of them returns, what was held is
    /// charged; a place that a dead pod held is free, for its request died too. A charge goes when it no longer counts.
    pub fn end_leases(&mut self, at: DateTime<Utc>, but: Option<&str>) {
        let is_charged = self.key.meter.period() != Period::Always;
        let mut leases = std::mem::take(&mut self.leases);
        leases.retain(|incarnation, lease| {
            if but == Some(incarnation) {
                return true;
            }
            if let Some(charge) = lease.charge {
                return self.left_of(charge, at) > 0;
            }
            if lease.until > at {
                return true;
            }
            let amount = if is_charged { lease.held } else { 0 };
            self.granted -= lease.granted;
            self.used += amount;
            *lease = Lease { charge: Some(Charge { amount, at }), until: lease.until, ..Lease::none(at) };
            amount != 0
        });
        self.leases = leases;
    }

    /// Takes what the report says of the past: no charge by guess any more, what was spent, what is given back. A share is
    /// never less than what is held in it.
    fn settle(&mut self, own: &mut Lease, report: &Report, hearing: &Hearing<'_>) {
        let (spent, given_back) = if hearing.is_again { (0, 0) } else { (report.spent, report.given_back) };
        let undone = own.charge.take().map_or(0, |charge| self.left_of(charge, hearing.at));
        self.used = (self.used - undone + spent).max(0);
        let rest = match report.closed {
            true => 0,
            false => (own.granted - spent - given_back).max(report.held),
        };
        self.granted += rest - own.granted;
        own.granted = rest;
    }

    /// A new period has forgotten the charge, and a bucket has refilled some of it.
    pub(super) fn left_of(&self, charge: Charge, at: DateTime<Utc>) -> Amount {
        match self.key.meter.period() {
            Period::Minute => (charge.amount - self.refilled_between(charge.at, at)).max(0),
            _ if charge.at < self.since => 0,
            _ => charge.amount,
        }
    }

    /// Grants what is needed or nothing, because a part of it would lie idle; beyond that, where nobody else waits, so much
    /// that all pods together have half of what is left. True where nobody of this pod has to wait.
    fn grant(&mut self, own: &mut Lease, report: &Report, live_pods: Amount, at: DateTime<Utc>) -> bool {
        let (left, idle) = (self.left(), own.granted - report.held);
        let amount = match self.is_whole(own, report) {
            true if self.used == 0 && self.granted == own.granted && report.held == 0 => self.limit - own.granted,
            true => return false,
            false if report.needed > left => return report.needed == 0,
            false => {
                let is_wanted = self.others_want(at).next().is_some();
                let wide = if is_wanted { 0 } else { (self.limit - self.used) / (2 * live_pods) - idle };
                report.wanted.max(wide).clamp(0, left)
            }
        };
        own.granted += amount;
        self.granted += amount;
        true
    }

    /// A hold larger than the whole limit: it passes if nothing of it is used or held.
    fn is_whole(&self, own: &Lease, report: &Report) -> bool {
        report.needed > 0 && self.limit > 0 && own.granted - report.held + report.needed > self.limit
    }

    /// Whether what is needed could come from what others have; otherwise nobody has to give back for it.
    fn may_come(&self, own: &Lease, report: &Report) -> bool {
        match self.is_whole(own, report) {
            true => self.used == 0 && report.held == 0,
            false => report.needed <= self.limit - self.used - own.granted,
        }
    }

    /// Somebody else waits for what was not there before this report, and is now.
    fn others_can_have(&self, left_before: Amount, at: DateTime<Utc>) -> bool {
        let left = self.left();
        self.others_want(at).any(|other| left_before < other.needed && other.needed <= left)
    }

    fn answer(&self, own: &Lease, at: DateTime<Utc>) -> Answer {
        Answer {
            key: self.key.clone(),
            granted: own.granted,
            limit: self.limit,
            used: self.used,
            granted_to_all: self.granted,
            idle_elsewhere: self.leases.values().map(|other| (other.granted - other.held).max(0)).sum(),
            wanted_elsewhere: self.others_want(at).next().is_some(),
            resets_in: self.key.meter.period().end(self.since).map(|end| seconds_up(end - at)),
        }
    }

    /// While a report is carried out, its own lease is not among the leases.
    fn others_want(&self, at: DateTime<Utc>) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(move |lease| lease.wants(at))
    }

    /// What may still be granted; less than nothing where more happened than was granted.
    fn left(&self) -> Amount {
        self.limit - self.used - self.granted
    }

    fn refilled_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Amount {
        let microseconds = (to - from).num_microseconds().unwrap_or(i64::MAX).max(0);
        let amount = i128::from(self.limit.max(0)) * i128::from(microseconds) / MICROSECONDS_A_MINUTE;
        amount.try_into().unwrap_or(Amount::MAX)
    }
}

impl Lease {
    fn none(at: DateTime<Utc>) -> Self {
        Self { granted: 0, held: 0, until: at, needed: 0, wanted_until: at, charge: None }
    }

    pub fn wants(&self, at: DateTime<Utc>) -> bool {
        self.needed > 0 && at < self.wanted_until
    }
}

impl Period {
    /// Of the day or month that `at` is in. Places have one that does not end; a bucket has none.
    fn start(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let day = match self {
            Self::Minute => return None,
            Self::Day => at.date_naive(),
            Self::Month => at.date_naive().with_day(1)?,
            Self::Always => NaiveDate::default(),
        };
        Some(day.and_time(NaiveTime::MIN).and_utc())
    }

    fn end(self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
            Self::Minute | Self::Always => None,
        }
    }
}

fn seconds_up(time: TimeDelta) -> u64 {
    let seconds = time.num_seconds() + i64::from(time.subsec_nanos() > 0);
    seconds.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests;
