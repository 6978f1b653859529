//! Whether the store answers, as the tick last saw it: for `/readyz`, for metrics, and so that nobody waits for a store that
//! is away.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

#[derive(Debug)]
pub struct StoreHealth {
    reach: RwLock<Reach>,
}

#[derive(Debug, Clone, Copy)]
struct Reach {
    reachable: bool,
    since: Instant,
    heard: Instant,
}

impl Default for StoreHealth {
    fn default() -> Self {
        let now = Instant::now();
        Self { reach: RwLock::new(Reach { reachable: true, since: now, heard: now }) }
    }
}

impl StoreHealth {
    pub fn is_reachable(&self) -> bool {
        self.read().reachable
    }

    /// How long it has been away; `None` while it answers.
    pub fn away_for(&self) -> Option<Duration> {
        let reach = self.read();
        (!reach.reachable).then(|| reach.since.elapsed())
    }

    /// How long it has answered; `None` while it is away.
    pub fn here_for(&self) -> Option<Duration> {
        let reach = self.read();
        reach.reachable.then(|| reach.since.elapsed())
    }

    /// How old the newest answer is that the tick got: what is newer in the store is not known here.
    pub fn heard_ago(&self) -> Duration {
        self.read().heard.elapsed()
    }

    /// What the tick saw; true where that is news.
    pub(super) fn saw(&self, reachable: bool) -> bool {
        let mut reach = self.reach.write().unwrap_or_else(PoisonError::into_inner);
        let (news, now) = (reach.reachable != reachable, Instant::now());
        let heard = if reachable { now } else { reach.heard };
        *reach = Reach { reachable, since: if news { now } else { reach.since }, heard };
        news
    }

    fn read(&self) -> Reach {
        *self.reach.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_news() {
        let health = StoreHealth::default();
        assert!(!health.saw(true));
        assert!(health.saw(false));
        assert!(!health.saw(false));
        assert!(health.away_for().is_some() && health.here_for().is_none());
        assert!(health.saw(true));
        assert!(health.away_for().is_none() && health.is_reachable());
    }

    #[test]
    fn only_an_answer_makes_what_was_heard_young() {
        let health = StoreHealth::default();
        std::thread::sleep(Duration::from_millis(20));
        health.saw(false);
        assert!(health.heard_ago() >= Duration::from_millis(20));
        health.saw(true);
        let young = health.heard_ago();
        assert!(young < Duration::from_secs(5));
        health.saw(false);
        assert!(health.heard_ago() >= young);
    }
}
