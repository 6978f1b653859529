//! How long an object that failed waits for its next try: 1 s, doubled with each failure up to five minutes, with jitter.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::rand::SecureRandom;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// The failures in a row of each object.
#[derive(Debug)]
pub struct Backoff<Key>(Mutex<HashMap<Key, u32>>);

impl<Key> Default for Backoff<Key> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Key: Hash + Eq> Backoff<Key> {
    /// Counts one more failure; the wait is between half of the step and the whole of it, so that objects which failed
    /// together do not come back together.
    pub fn failed(&self, key: Key, random: &dyn SecureRandom) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_default();
        let step = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        let mut chance = [u8::MAX];
        // Without randomness the longest wait is the safe one.
        let _ = random.fill(&mut chance);
        step / 2 + step.mul_f64(f64::from(chance[0]) / 255.0 / 2.0)
    }

    pub fn succeeded(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    #[test]
    fn c6_waits_double_from_a_second_to_five_minutes_and_begin_anew_after_a_success() {
        let (backoff, random) = (Backoff::default(), SystemRandom::new());
        for step in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let wait = backoff.failed("a", &random).as_secs_f64();
            assert!((f64::from(step) / 2.0..=f64::from(step)).contains(&wait), "{wait} for {step}");
        }
        assert!(backoff.failed("b", &random) <= Duration::from_secs(1), "each object for itself");
        backoff.succeeded(&"a");
        assert!(backoff.failed("a", &random) <= Duration::from_secs(1));
    }
}
