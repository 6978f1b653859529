//! Windows that are known to be over their limit: refused here until they end, so that whoever asks on costs the store nothing.
//!
//! Invariant: only what the store has counted is kept, at most [`MOST`] of it; what finds no room is counted in the store.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct FullWindows {
    ends: Mutex<HashMap<(&'static str, String), Instant>>,
}

impl FullWindows {
    /// How long the window still lasts; `None` where it is not known to be full.
    pub(super) fn remaining(&self, scope: &'static str, network: &str, now: Instant) -> Option<Duration> {
        let remaining = self.ends().get(&(scope, network.to_owned()))?.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    pub(super) fn add(&self, scope: &'static str, network: String, now: Instant, remaining: Duration) {
        let mut ends = self.ends();
        if ends.len() >= MOST {
            ends.retain(|_, end| *end > now);
        }
        if let Some(end) = now.checked_add(remaining)
            && ends.len() < MOST
        {
            ends.insert((scope, network), end);
        }
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<(&'static str, String), Instant>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_full_window_is_full_for_its_scope_and_network_until_it_ends() {
        let (full, now) = (FullWindows::default(), Instant::now());
        full.add("verify", "192.0.2.1".to_owned(), now, MINUTE);
        assert_eq!(full.remaining("verify", "192.0.2.1", now), Some(MINUTE));
        assert_eq!(full.remaining("start", "192.0.2.1", now), None);
        assert_eq!(full.remaining("verify", "192.0.2.2", now), None);
        assert_eq!(full.remaining("verify", "192.0.2.1", now + MINUTE), None);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for_and_what_ended_makes_room() {
        let (full, now) = (FullWindows::default(), Instant::now());
        for n in 0..=MOST {
            full.add("verify", n.to_string(), now, MINUTE);
        }
        assert_eq!(full.ends().len(), MOST);
        assert_eq!(full.remaining("verify", &MOST.to_string(), now), None);
        full.add("verify", "late".to_owned(), now + MINUTE, MINUTE);
        assert_eq!(full.ends().len(), 1);
    }
}
