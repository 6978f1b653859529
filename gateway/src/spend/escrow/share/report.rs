//! What a share says to the store, and what it takes from the answer.
//!
//! Invariant: one report is under way at a time. What it tells of the past leaves the share when it is made and is told once;
//! what it says of the present is said anew each time it is sent.

use std::time::{Duration, Instant};

use super::{Heard, Sent, Share, Trip};
use crate::spend::{
    Amount, LimitKey, Pace,
    escrow::{Answer, Report},
};

impl Share {
    /// What the next flush says of this share; `None` where a report is under way or there is nothing to say.
    pub fn report(&mut self, key: &LimitKey, now: Instant, pace: &Pace) -> Option<Report> {
        if self.sent.is_some() || !(self.has_news() || self.is_due(now, pace)) {
            return None;
        }
        let is_unused = now.saturating_duration_since(self.used_at) >= pace.unused;
        match is_unused && self.held == 0 && self.waiting.is_empty() {
            true => self.close(key),
            false => Some(self.renew(key)),
        }
    }

    /// The report under way once more, because it was not answered: of the past the same, of the present what is now. What was
    /// spent since then is in no delta yet, so it counts as held.
    pub fn again(&self, sent: &Report) -> Report {
        let (wanted, needed) = self.demand();
        let held = self.held + self.spent;
        let closed = sent.closed && held == 0 && self.waiting.is_empty();
        Report { limit: self.limit, held, wanted, needed, closed, ..sent.clone() }
    }

    /// The last report of a pod that ends, or of a share that is not needed. Nothing may be held; `None` where a report is
    /// under way, or the share is empty anyway.
    pub fn close(&mut self, key: &LimitKey) -> Option<Report> {
        if self.sent.is_some() || self.is_empty() {
            return None;
        }
        let given_back = (self.granted - self.spent).max(0);
        let report = self.send(key, given_back, (0, 0));
        Some(Report { closed: true, ..report })
    }

    /// The store rang for this limit: somebody elsewhere waits for share, or what this pod waits for may be there.
    pub fn ring(&mut self) {
        if let Some(heard) = &mut self.heard {
            heard.wanted_elsewhere = true;
        }
        self.has_new_want = !self.waiting.is_empty();
    }

    /// The store's answer to the report under way.
    pub fn learn(&mut self, answer: &Answer, trip: impl Into<Trip>, pace: &Pace) {
        let Trip { sent_at, answered_at } = trip.into();
        self.sent = None;
        self.granted = answer.granted;
        self.heard = Some(Heard {
            sent_at,
            answered_at,
            usable_until: sent_at + pace.usable,
            limit: answer.limit,
            used: answer.used,
            granted_to_all: answer.granted_to_all,
            idle_elsewhere: answer.idle_elsewhere,
            wanted_elsewhere: answer.wanted_elsewhere,
            resets_at: answer.resets_in.map(|seconds| answered_at + Duration::from_secs(seconds)),
            idle_here: self.room().max(0),
        });
    }

    /// The store has answered the flush, and not this report: what it said is taken for heard, so that it is not said again.
    /// True where there was a report.
    pub fn was_passed_over(&mut self) -> bool {
        let Some(Sent { spent, given_back }) = self.sent.take() else { return false };
        self.granted -= spent + given_back;
        true
    }

    fn renew(&mut self, key: &LimitKey) -> Report {
        let given_back = self.to_give_back();
        let (wanted, needed) = self.demand();
        // What is given back has to come again for whoever waits.
        let again = |amount: Amount| if amount > 0 { amount + given_back } else { 0 };
        self.send(key, given_back, (again(wanted), again(needed)))
    }

    fn send(&mut self, key: &LimitKey, given_back: Amount, (wanted, needed): (Amount, Amount)) -> Report {
        let spent = std::mem::take(&mut self.spent);
        self.sent = Some(Sent { spent, given_back });
        self.has_new_want = false;
        Report {
            key: key.clone(),
            limit: self.limit,
            spent,
            held: self.held,
            given_back,
            wanted,
            needed,
            closed: false,
        }
    }

    /// All that is idle where somebody else waits; otherwise what is granted past the limit, to everybody together.
    fn to_give_back(&self) -> Amount {
        match self.heard {
            Some(heard) if heard.wanted_elsewhere => self.idle(),
            Some(heard) => (heard.used + heard.granted_to_all - self.limit).clamp(0, self.idle()),
            None => 0,
        }
    }

    fn has_news(&self) -> bool {
        self.has_shrunk() || self.spent != 0 || self.has_new_want || self.demand().1 > 0 || self.to_give_back() > 0
    }

    /// Time to renew, or to close.
    fn is_due(&self, now: Instant, pace: &Pace) -> bool {
        let is_old = self.heard.is_none_or(|heard| now.saturating_duration_since(heard.sent_at) >= pace.renew);
        is_old && !self.is_empty()
    }
}
