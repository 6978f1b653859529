//! What the store's last answer says of a request that found no room: whether it would pass, and if not, when.
//!
//! Invariant: what was idle when the answer was given counts as free, for it comes to whoever needs it.

use std::time::{Duration, Instant};

use super::{
    Amount, Meter, OverLimit,
    escrow::Heard,
    meter::{Period, Unit},
};

const MINUTE_MS: i128 = 60_000;

pub(super) struct Outlook<'a> {
    pub(super) meter: Meter,
    pub(super) limit: Amount,
    pub(super) heard: &'a Heard,
}

impl Outlook<'_> {
    /// Whether the answer, carried forward to `now`, leaves room for so much.
    pub(super) fn covers(&self, amount: Amount, now: Instant) -> bool {
        match amount > self.limit {
            // It passes only where nothing was used.
            true => self.free(now) >= self.limit,
            false => self.free(now) >= amount,
        }
    }

    /// As [`covers`](Self::covers), by what was used alone: what was held then came back, or was used, and nobody can ask.
    pub(super) fn covers_by_use(&self, amount: Amount, now: Instant) -> bool {
        let unused = self.limit.saturating_sub(self.used(now));
        unused > 0 && unused >= amount.min(self.limit)
    }

    /// When it would, if nobody asked for anything else. A bucket refills what was used; when held requests end, nobody knows.
    pub(super) fn covers_in(&self, amount: Amount, now: Instant) -> Duration {
        match (self.meter.unit(), self.meter.period()) {
            (Unit::Places, _) | (_, Period::Always) => Duration::ZERO,
            (_, Period::Minute) => {
                let missing = amount.min(self.limit).saturating_sub(self.free(now));
                self.refilled_in(missing.clamp(0, self.used(now)))
            }
            (_, Period::Day | Period::Month) => {
                self.heard.resets_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
            }
        }
    }

    /// For `retry-after`: whole seconds, never 0.
    fn retry_after(&self, amount: Amount, now: Instant) -> u64 {
        let wait = self.covers_in(amount, now);
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }

    /// What is said to a request of so much.
    pub(super) fn refusal(&self, amount: Amount, now: Instant) -> OverLimit {
        let Self { meter, limit, heard: _ } = *self;
        match amount > limit {
            true => OverLimit::Larger { meter, limit, needed: amount },
            false => OverLimit::Reached { meter, limit, retry_after: self.retry_after(amount, now) },
        }
    }

    fn free(&self, now: Instant) -> Amount {
        let held = self.heard.committed().saturating_sub(self.heard.used);
        self.limit.saturating_sub(self.used(now)).saturating_sub(held)
    }

    /// A bucket has refilled since, and a period may have ended.
    fn used(&self, now: Instant) -> Amount {
        let used = self.heard.used;
        match self.meter.period() {
            Period::Minute => {
                let age = now.saturating_duration_since(self.heard.answered_at);
                let refilled =
                    i128::from(self.limit) * i128::try_from(age.as_millis()).unwrap_or(i128::MAX >> 64) / MINUTE_MS;
                used.saturating_sub(Amount::try_from(refilled).unwrap_or(Amount::MAX)).max(0)
            }
            Period::Day | Period::Month if self.heard.resets_at.is_some_and(|at| at <= now) => 0,
            Period::Day | Period::Month | Period::Always => used,
        }
    }

    fn refilled_in(&self, amount: Amount) -> Duration {
        let ms = (i128::from(amount) * MINUTE_MS + i128::from(self.limit.max(1)) - 1) / i128::from(self.limit.max(1));
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::Subject,
        spend::{
            LimitKey, Pace,
            escrow::{Answer, Share, Trip},
        },
    };

    const LIMIT: Amount = 600;

    /// Of 600, so much is used, so much held, and so much granted to others and idle there.
    fn heard(meter: Meter, used: Amount, held: Amount, idle: Amount, trip: impl Into<Trip>) -> Heard {
        let trip = trip.into();
        let key = LimitKey { subject: Subject("alice".to_owned()), meter };
        let resets_in = matches!(meter.period(), Period::Day | Period::Month).then_some(100);
        let mut share = Share::new(LIMIT, trip.sent_at);
        let granted_to_all = held + idle;
        let (idle_elsewhere, wanted_elsewhere) = (idle, false);
        let answer =
            Answer { key, granted: 0, limit: LIMIT, used, granted_to_all, idle_elsewhere, wanted_elsewhere, resets_in };
        share.learn(&answer, trip, &Pace::default());
        *share.heard().unwrap()
    }

    #[test]
    fn what_is_idle_anywhere_is_free() {
        let now = Instant::now();
        let heard = heard(Meter::TokensPerDay, 300, 100, 200, now);
        let outlook = Outlook { meter: Meter::TokensPerDay, limit: LIMIT, heard: &heard };
        assert!(outlook.covers(200, now) && !outlook.covers(201, now));
    }

    #[test]
    fn a_bucket_covers_a_request_when_the_refill_has_brought_what_is_missing() {
        let now = Instant::now();
        let heard = heard(Meter::TokensPerMinute, 550, 50, 0, now);
        let outlook = Outlook { meter: Meter::TokensPerMinute, limit: LIMIT, heard: &heard };
        assert_eq!(outlook.retry_after(95, now), 10, "10 a second");
        let later = now + Duration::from_secs(9);
        assert!(!outlook.covers(95, later) && outlook.covers(90, later));
        assert_eq!(outlook.retry_after(95, later), 1);
        assert!(outlook.covers(95, now + Duration::from_millis(9_500)));
        assert_eq!(outlook.retry_after(600, now), 55, "what is held does not refill");
    }

    /// The store may have looked at the moment before its answer came, and whoever comes back then must not come too early.
    #[test]
    fn an_answer_that_was_long_on_its_way_promises_nothing_sooner() {
        let sent_at = Instant::now();
        let answered_at = sent_at + Duration::from_millis(1_900);
        let trip = Trip { sent_at, answered_at };
        for (meter, wait) in [(Meter::TokensPerMinute, 10), (Meter::TokensPerDay, 100)] {
            let heard = heard(meter, 600, 0, 0, trip);
            let outlook = Outlook { meter, limit: LIMIT, heard: &heard };
            assert_eq!(outlook.retry_after(100, answered_at), wait, "{meter:?}");
            assert!(!outlook.covers(100, sent_at + Duration::from_secs(wait)), "{meter:?}");
            assert!(outlook.covers(100, answered_at + Duration::from_secs(wait)), "{meter:?}");
            assert_eq!(heard.usable_until, sent_at + Pace::default().usable, "a lease is counted from the sending");
        }
    }

    #[test]
    fn a_period_that_is_over_covers_everything_again() {
        let now = Instant::now();
        let heard = heard(Meter::TokensPerDay, 600, 0, 0, now);
        let outlook = Outlook { meter: Meter::TokensPerDay, limit: LIMIT, heard: &heard };
        assert!(!outlook.covers(1, now + Duration::from_secs(99)));
        assert_eq!(outlook.retry_after(1, now + Duration::from_secs(40)), 60);
        assert!(outlook.covers(600, now + Duration::from_secs(100)));
    }

    #[test]
    fn what_is_larger_than_the_limit_passes_only_where_nothing_was_used() {
        let now = Instant::now();
        for (used, passes) in [(0, true), (1, false)] {
            let heard = heard(Meter::TokensPerDay, used, 0, 0, now);
            let outlook = Outlook { meter: Meter::TokensPerDay, limit: LIMIT, heard: &heard };
            assert_eq!(outlook.covers(601, now), passes);
            assert_eq!(
                outlook.refusal(601, now),
                OverLimit::Larger { meter: Meter::TokensPerDay, limit: LIMIT, needed: 601 }
            );
        }
    }

    #[test]
    fn what_was_held_does_not_count_as_used() {
        let now = Instant::now();
        let heard = heard(Meter::TokensPerDay, 500, 100, 0, now);
        let outlook = Outlook { meter: Meter::TokensPerDay, limit: LIMIT, heard: &heard };
        assert!(!outlook.covers(100, now) && outlook.covers_by_use(100, now));
        assert!(!outlook.covers_by_use(101, now) && !outlook.covers_by_use(601, now));
        assert!(outlook.covers_by_use(600, now + Duration::from_secs(100)), "the period is over");
    }

    #[test]
    fn a_place_is_free_as_soon_as_somebody_leaves() {
        let now = Instant::now();
        let heard = heard(Meter::ConcurrentRequests, 0, 600, 0, now);
        let outlook = Outlook { meter: Meter::ConcurrentRequests, limit: LIMIT, heard: &heard };
        assert!(!outlook.covers(1, now));
        assert_eq!(outlook.retry_after(1, now), 1);
    }
}
