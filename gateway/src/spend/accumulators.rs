//! What was counted and is not yet in any flush, by key.
//!
//! Invariant: memory grows with the keys, never with the replies.

use std::{sync::Arc, time::Instant};

use super::{UsageKey, tally::Tally};
use crate::hashing::Map;

#[derive(Debug, Default)]
pub struct Accumulators {
    tallies: Map<Arc<UsageKey>, Tally>,
    /// When the oldest of it was counted.
    since: Option<Instant>,
}

/// Tallies by key, in the order of the keys, in which the store locks its rows.
pub type Tallies = Vec<(Arc<UsageKey>, Tally)>;

impl Accumulators {
    pub fn add(&mut self, key: &Arc<UsageKey>, difference: Tally, now: Instant) {
        if difference.is_zero() {
            return;
        }
        self.since.get_or_insert(now);
        match self.tallies.get_mut(key) {
            Some(tally) => *tally = *tally + difference,
            None => drop(self.tallies.insert(key.clone(), difference)),
        }
    }

    /// Takes about `most` keys out: whoever is begun is taken whole.
    pub fn take(&mut self, most: usize) -> Tallies {
        let mut taken: Tallies = std::mem::take(&mut self.tallies).into_iter().collect();
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let is_next_person = |pair: &[(Arc<UsageKey>, Tally)]| pair[0].0.subject != pair[1].0.subject;
        let whole = match most.checked_sub(1).and_then(|last| taken.get(last..)) {
            Some(from_last) => from_last.windows(2).position(is_next_person).map(|more| most + more),
            None => None,
        };
        self.tallies = taken.split_off(whole.unwrap_or(taken.len())).into_iter().collect();
        self.since = self.since.filter(|_| !self.tallies.is_empty());
        taken
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<UsageKey>, Tally)> {
        self.tallies.iter().map(|(key, tally)| (key, *tally))
    }

    pub fn len(&self) -> usize {
        self.tallies.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    pub fn since(&self) -> Option<Instant> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::identity::Subject;

    fn key(subject: &str) -> Arc<UsageKey> {
        Arc::new(UsageKey {
            subject: Subject(subject.to_owned()),
            model: "claude-opus-4-8".to_owned(),
            upstream: "anthropic".to_owned(),
            hour: DateTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn equal_keys_are_one_and_come_out_sorted() {
        let (mut sums, now) = (Accumulators::default(), Instant::now());
        for (subject, count) in [("b", 1), ("a", 2), ("b", 3), ("c", 0)] {
            sums.add(&key(subject), Tally::from(vec![0, count]), now);
        }
        assert_eq!(sums.since(), Some(now));
        let taken: Vec<_> =
            sums.take(9).into_iter().map(|(key, tally)| (key.subject.0.clone(), tally.counts.input_tokens)).collect();
        assert_eq!(taken, [("a".to_owned(), 2), ("b".to_owned(), 4)]);
        assert!(sums.is_empty() && sums.since().is_none());
    }

    #[test]
    fn what_is_too_much_for_one_take_stays() {
        let (mut sums, now) = (Accumulators::default(), Instant::now());
        ["c", "a", "b"].iter().for_each(|subject| sums.add(&key(subject), Tally::from(vec![1]), now));
        assert_eq!(sums.take(2).len(), 2);
        assert_eq!((sums.len(), sums.since()), (1, Some(now)));
    }

    #[test]
    fn nobody_is_taken_in_part() {
        let (mut sums, now) = (Accumulators::default(), Instant::now());
        let of = |subject: &str, model: usize| {
            Arc::new(UsageKey { model: format!("model {model}"), ..(*key(subject)).clone() })
        };
        for (subject, models) in [("a", 3), ("b", 2), ("c", 1)] {
            (0..models).for_each(|model| sums.add(&of(subject, model), Tally::from(vec![1]), now));
        }
        assert_eq!(sums.take(1).len(), 3);
        assert_eq!(sums.take(2).len(), 2);
        assert_eq!(sums.take(9).len(), 1);
        assert!(sums.take(1).is_empty());
    }
}
