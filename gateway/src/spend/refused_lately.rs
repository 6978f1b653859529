//! Who was refused a moment ago: a client that asks again and again is told the same without asking the store.
//!
//! Invariant: an entry speaks only for requests that need as much of the same limit or more, and only for a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Amount, LimitKey, OverLimit, needs::Need};
use crate::identity::Subject;

/// So a limit that is reached is asked for four times a second at most.
const REMEMBERED: Duration = Duration::from_millis(250);
/// When there are so many, those that are over are swept.
const CROWD: usize = 4096;

#[derive(Default)]
pub(super) struct RefusedLately {
    refused: Mutex<HashMap<LimitKey, Refused>>,
}

struct Refused {
    limit: Amount,
    amount: Amount,
    until: Instant,
    why: OverLimit,
}

impl RefusedLately {
    pub(super) fn remember(&self, subject: &Subject, need: Need, why: OverLimit, now: Instant) {
        let Need { meter, limit, amount } = need;
        let mut refused = self.lock();
        if refused.len() >= CROWD {
            refused.retain(|_, refused| now < refused.until);
        }
        let key = LimitKey { subject: subject.clone(), meter };
        refused.insert(key, Refused { limit, amount, until: now + REMEMBERED, why });
    }

    pub(super) fn recall(&self, subject: &Subject, need: Need, now: Instant) -> Option<OverLimit> {
        let refused = self.lock();
        let Refused { limit, amount, until, why } =
            refused.get(&LimitKey { subject: subject.clone(), meter: need.meter })?;
        (need.limit == *limit && need.amount >= *amount && now < *until).then_some(*why)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LimitKey, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spend::Meter;

    #[test]
    fn a_refusal_speaks_for_as_much_of_the_same_limit_and_for_a_moment() {
        let (lately, alice, now) = (RefusedLately::default(), Subject("alice".to_owned()), Instant::now());
        let need = |meter, limit, amount| Need { meter, limit, amount };
        let why = OverLimit::Reached { meter: Meter::TokensPerDay, limit: 100, retry_after: 7 };
        lately.remember(&alice, need(Meter::TokensPerDay, 100, 10), why, now);
        let recall = |meter, limit, amount, at| lately.recall(&alice, need(meter, limit, amount), at);
        assert_eq!(recall(Meter::TokensPerDay, 100, 10, now), Some(why));
        assert_eq!(recall(Meter::TokensPerDay, 100, 11, now), Some(why));
        assert_eq!(recall(Meter::TokensPerDay, 100, 9, now), None, "less may pass");
        assert_eq!(recall(Meter::TokensPerDay, 200, 10, now), None, "the policy has changed");
        assert_eq!(recall(Meter::TokensPerMonth, 100, 10, now), None);
        assert_eq!(recall(Meter::TokensPerDay, 100, 10, now + REMEMBERED), None);
        assert_eq!(lately.recall(&Subject("bob".to_owned()), need(Meter::TokensPerDay, 100, 10), now), None);
    }

    #[test]
    fn a_crowd_is_swept() {
        let (lately, now) = (RefusedLately::default(), Instant::now());
        let need = Need { meter: Meter::TokensPerDay, limit: 1, amount: 1 };
        let why = OverLimit::Reached { meter: Meter::TokensPerDay, limit: 1, retry_after: 1 };
        (0..CROWD).for_each(|n| lately.remember(&Subject(n.to_string()), need, why, now));
        lately.remember(&Subject("last".to_owned()), need, why, now + REMEMBERED);
        assert_eq!(lately.lock().len(), 1);
    }
}
