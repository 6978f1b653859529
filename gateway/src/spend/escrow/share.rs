//! The pod's side: what of a limit this pod may use without asking.
//!
//! ```text
//!   granted (by the last answer)
//!   ├─ in the report under way: spent, given back
//!   ├─ spent, and in no report yet
//!   ├─ held by requests under way
//!   └─ room: the next hold comes from here
//! ```
//!
//! Invariant: what this pod takes for granted is never more than what the row has granted to it. So it moves what it reports
//! out of its room when the report is made, not when it is answered; a report is made again only after the last one was
//! answered; and a report that was not answered is sent [again](Share::again) under the same sequence, with the same deltas.
//! What it says of the present it says anew: a hold that has ended meanwhile would be granted again, past the limit.

mod report;

use std::time::{Duration, Instant};

use super::Amount;

const REMEMBERED: Duration = Duration::from_secs(1);
/// A limit rises only when nobody has said the lower one for so long: sessions of one person that began with different groups
/// take turns, and each turn would move the row's limit for all pods.
const STEADY: Duration = Duration::from_millis(500);
/// A bucket is full again after this.
const MINUTE: Duration = Duration::from_secs(60);

/// One limit's share. It knows neither its key nor the clock: both are parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    pub(super) limit: Amount,
    /// When somebody said so last.
    pub(super) limit_at: Instant,
    pub(super) granted: Amount,
    pub(super) spent: Amount,
    pub(super) held: Amount,
    pub(super) sent: Option<Sent>,
    /// What each waiting request needs, the least first.
    pub(super) waiting: Vec<Amount>,
    /// Somebody began to wait after the last report.
    pub(super) has_new_want: bool,
    pub(super) heard: Option<Heard>,
    pub(super) used_at: Instant,
}

/// In a report that is not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) spent: Amount,
    pub(super) given_back: Amount,
}

/// How the limit stood for everybody at the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heard {
    /// The report that was answered was sent then.
    pub sent_at: Instant,
    /// The answer was given at this moment or before: what is told to come after a time comes no sooner than counted from here.
    pub answered_at: Instant,
    pub usable_until: Instant,
    pub limit: Amount,
    pub used: Amount,
    pub granted_to_all: Amount,
    pub idle_elsewhere: Amount,
    pub wanted_elsewhere: bool,
    /// `None` for buckets and places.
    pub resets_at: Option<Instant>,
    /// Of this pod's share, what was idle.
    pub(super) idle_here: Amount,
}

/// How long a report was on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    pub sent_at: Instant,
    pub answered_at: Instant,
}

/// It took no time.
impl From<Instant> for Trip {
    fn from(at: Instant) -> Self {
        Self { sent_at: at, answered_at: at }
    }
}

impl Heard {
    /// Used, or held by requests under way anywhere: what nobody else can have.
    pub fn committed(&self) -> Amount {
        self.used + self.granted_to_all - self.idle_elsewhere - self.idle_here
    }
}

/// Why a hold did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Short {
    /// No answer of the store is recent enough to go by.
    Lease,
    /// The share does not cover it; a flush may bring more.
    Room,
}

impl Share {
    pub fn new(limit: Amount, now: Instant) -> Self {
        Self {
            limit,
            limit_at: now,
            granted: 0,
            spent: 0,
            held: 0,
            sent: None,
            waiting: Vec::new(),
            has_new_want: false,
            heard: None,
            used_at: now,
        }
    }

    /// The policy's limit may change while there is a share: a lower one holds at once, and the next report says so. True where
    /// that should not be put off.
    pub fn set_limit(&mut self, limit: Amount, now: Instant) -> bool {
        let before = self.limit;
        if limit <= before || now.saturating_duration_since(self.limit_at) >= STEADY {
            (self.limit, self.limit_at) = (limit, now);
        }
        self.limit < before && self.has_shrunk()
    }

    /// What may be held now. Less than nothing where more was spent than was held.
    pub fn room(&self) -> Amount {
        let Sent { spent, given_back } = self.in_report();
        self.granted - spent - given_back - self.spent - self.held
    }

    pub fn held(&self) -> Amount {
        self.held
    }

    /// How the limit stood for everybody when the store last answered, however long ago.
    pub fn heard(&self) -> Option<&Heard> {
        self.heard.as_ref()
    }

    /// Holds `amount` (more than 0) for a request, or says why not.
    pub fn try_hold(&mut self, amount: Amount, now: Instant) -> Result<(), Short> {
        debug_assert!(amount > 0, "a request that uses nothing needs no hold");
        if !self.is_usable(now) {
            return Err(Short::Lease);
        }
        if amount > self.room_within_limit() && !self.passes_whole(amount) {
            return Err(Short::Room);
        }
        self.hold_regardless(amount, now);
        Ok(())
    }

    /// Holds without asking whether there is room: for requests that pass because the store cannot be asked.
    pub fn hold_regardless(&mut self, amount: Amount, now: Instant) {
        self.held += amount;
        self.used_at = now;
    }

    /// Ends `held` of what is held, of which `spent` was used up: more than was held where the estimate was too low, nothing
    /// for places. A long reply settles in parts.
    pub fn settle(&mut self, held: Amount, spent: Amount, now: Instant) {
        self.held -= held;
        self.spent += spent;
        self.used_at = now;
    }

    /// A request begins to wait for `amount`; each [`want`](Self::want) ends with one [`unwant`](Self::unwant) of the same
    /// amount, before the hold is tried again or the request is refused.
    pub fn want(&mut self, amount: Amount, now: Instant) {
        let place = self.waiting.partition_point(|&waiting| waiting <= amount);
        self.waiting.insert(place, amount);
        self.has_new_want = true;
        self.used_at = now;
    }

    pub fn unwant(&mut self, amount: Amount) {
        if let Ok(place) = self.waiting.binary_search(&amount) {
            self.waiting.remove(place);
        }
    }

    /// Nothing is granted, held, owed or wanted: it can be dropped.
    pub fn is_empty(&self) -> bool {
        let nothing = (self.granted, self.spent, self.held) == (0, 0, 0);
        nothing && self.sent.is_none() && self.waiting.is_empty()
    }

    pub fn is_usable(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now < heard.usable_until)
    }

    /// Somebody waits here or elsewhere, and the next flush can help: it should not be put off.
    pub fn is_urgent(&self) -> bool {
        self.sent.is_none()
            && ((self.has_new_want && self.demand().1 > 0) || (self.is_wanted_elsewhere() && self.idle() > 0))
    }

    /// Nine tenths of the limit were used or held at the last answer.
    pub fn is_near_edge(&self) -> bool {
        !self.is_empty() && self.was_near_edge()
    }

    /// Nothing is left of it but what was heard: for a moment, so that the next request need not ask, and until the period ends
    /// where the limit was nearly used up, for the time when the store cannot be asked.
    pub fn is_memory(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| {
            let period_ends = heard.resets_at.unwrap_or(heard.sent_at + MINUTE);
            now < if self.was_near_edge() { period_ends } else { heard.sent_at + REMEMBERED }
        })
    }

    fn was_near_edge(&self) -> bool {
        self.heard.is_some_and(|heard| heard.committed() >= heard.limit - heard.limit / 10)
    }

    /// Room that no waiting request is about to take: it would be given back and asked for again without end.
    fn idle(&self) -> Amount {
        self.without_those_that_fit().0
    }

    /// How much more share would let all waiting requests pass, and how much the least of them.
    fn demand(&self) -> (Amount, Amount) {
        let (left, waiting) = self.without_those_that_fit();
        match waiting {
            [] => (0, 0),
            [least, ..] => (waiting.iter().sum::<Amount>() - left, least - left),
        }
    }

    /// The room that waiting requests leave when those that fit have taken theirs, and the requests that do not fit. What was
    /// spent past the share is no debt: the report charges it.
    fn without_those_that_fit(&self) -> (Amount, &[Amount]) {
        let mut left = self.room().max(0);
        let mut waiting = self.waiting.as_slice();
        if let [least, others @ ..] = waiting
            && self.passes_whole(*least)
        {
            return (0, others);
        }
        while let [least, others @ ..] = waiting
            && *least <= left
        {
            left -= least;
            waiting = others;
        }
        (left, waiting)
    }

    /// Until the store has heard of a lower limit, no more than what would be left of it if nobody else had a share.
    fn room_within_limit(&self) -> Amount {
        match self.heard {
            Some(heard) if self.has_shrunk() => {
                self.room().min(self.limit - heard.used - self.in_report().spent - self.spent - self.held)
            }
            _ => self.room(),
        }
    }

    fn has_shrunk(&self) -> bool {
        self.heard.is_some_and(|heard| self.limit < heard.limit)
    }

    /// A hold larger than the whole limit passes where nobody has used or holds anything, and the whole limit is ours.
    fn passes_whole(&self, amount: Amount) -> bool {
        let is_ours = |heard: Heard| heard.used == 0 && heard.granted_to_all == self.granted;
        let has_all = self.limit > 0 && self.granted == self.limit && self.room() == self.limit;
        amount > self.limit && has_all && self.heard.is_some_and(is_ours)
    }

    fn is_wanted_elsewhere(&self) -> bool {
        self.heard.is_some_and(|heard| heard.wanted_elsewhere)
    }

    fn in_report(&self) -> Sent {
        self.sent.unwrap_or(Sent { spent: 0, given_back: 0 })
    }
}

#[cfg(test)]
mod tests;
