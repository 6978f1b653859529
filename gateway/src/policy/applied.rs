//! Whom each policy has applied to today, for whoever asks how many people a policy has. Told to the store in batches, each
//! person once a day.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use chrono::NaiveDate;

use super::{Effective, PolicyKey};
use crate::{clock::Clock, identity::Subject};

/// People in all, over all policies. Beyond it they are forgotten, and told once more when they come again.
const REMEMBERED: usize = 200_000;

pub struct Applied {
    clock: Arc<dyn Clock>,
    today: RwLock<Today>,
}

#[derive(Default)]
struct Today {
    day: NaiveDate,
    known: HashMap<PolicyKey, HashSet<Subject>>,
    remembered: usize,
    untold: Vec<(PolicyKey, Subject)>,
}

/// People who were not told of before.
#[derive(Debug, PartialEq, Eq)]
pub struct Applications {
    pub day: NaiveDate,
    pub people: Vec<(PolicyKey, Subject)>,
}

impl Applied {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, today: RwLock::default() }
    }

    pub fn note(&self, effective: &Effective, subject: &Subject) {
        let Some(policy) = effective.applied() else { return };
        let day = self.clock.now().date_naive();
        if !self.today.read().unwrap_or_else(PoisonError::into_inner).knows(day, policy, subject) {
            self.today.write().unwrap_or_else(PoisonError::into_inner).add(day, policy, subject);
        }
    }

    /// Whoever is new since the last time. `None`: nobody.
    pub fn take(&self) -> Option<Applications> {
        let mut today = self.today.write().unwrap_or_else(PoisonError::into_inner);
        let people = std::mem::take(&mut today.untold);
        (!people.is_empty()).then_some(Applications { day: today.day, people })
    }

    /// They could not be told. Yesterday's are not told any more.
    pub fn put_back(&self, applications: Applications) {
        let Applications { day, people } = applications;
        let mut today = self.today.write().unwrap_or_else(PoisonError::into_inner);
        if today.day == day {
            today.untold.extend(people);
        }
    }
}

impl Today {
    fn knows(&self, day: NaiveDate, policy: &PolicyKey, subject: &Subject) -> bool {
        self.day == day && self.known.get(policy).is_some_and(|people| people.contains(subject))
    }

    fn add(&mut self, day: NaiveDate, policy: &PolicyKey, subject: &Subject) {
        if self.day != day || self.remembered >= REMEMBERED {
            *self = Self { day, ..Self::default() };
        }
        if self.known.entry(policy.clone()).or_default().insert(subject.clone()) {
            self.remembered += 1;
            self.untold.push((policy.clone(), subject.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    struct Hands(Mutex<DateTime<Utc>>);

    impl Clock for Hands {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }

    fn under(policy: &str) -> Effective {
        Effective { matched: Some(PolicyKey(policy.into())), ..Effective::default() }
    }

    fn somebody(name: &str) -> Subject {
        Subject(name.to_owned())
    }

    fn told(applied: &Applied) -> usize {
        applied.take().map_or(0, |applications| applications.people.len())
    }

    #[test]
    fn each_person_is_told_once_a_day() {
        let hands = Arc::new(Hands(Mutex::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())));
        let applied = Applied::new(hands.clone());
        for _ in 0..3 {
            applied.note(&under("eng"), &somebody("alice"));
            applied.note(&under("eng"), &somebody("bob"));
            applied.note(&under("base"), &somebody("alice"));
            applied.note(&Effective::default(), &somebody("carol"));
        }
        assert_eq!((told(&applied), told(&applied)), (3, 0));
        applied.note(&under("eng"), &somebody("alice"));
        assert_eq!(told(&applied), 0);
        *hands.0.lock().unwrap() += TimeDelta::days(1);
        applied.note(&under("eng"), &somebody("alice"));
        assert_eq!(told(&applied), 1);
    }

    #[test]
    fn what_could_not_be_told_is_told_later_and_not_twice() {
        let clock = Arc::new(Hands(Mutex::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())));
        let applied = Applied::new(clock);
        applied.note(&under("eng"), &somebody("alice"));
        let taken = applied.take().unwrap();
        applied.put_back(taken);
        applied.note(&under("eng"), &somebody("alice"));
        assert_eq!(told(&applied), 1);
    }
}
