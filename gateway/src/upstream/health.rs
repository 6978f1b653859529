//! Whether an upstream is well, remembered per model: one state machine, no clock of its own.
//!
//! ```text
//! well --failure × 5--> open(until) --time--> probing --answer--> well
//!   |                      ^                     |
//!   +--429 retry-after-----+------- failure -----+   (each opening twice as long, 1 s to 60 s, jittered)
//! ```
//! A closed verdict is advice: when every upstream is closed, they are tried in order all the same.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const FAILURES_TO_OPEN: u32 = 5;
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A provider may say "come back tomorrow"; we look again sooner.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(300);

/// Why a try failed, as far as health cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 429 with a `retry-after`.
    Throttled(Duration),
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Well,
    /// Try it, once: when somebody has claimed it, the next one hears `Closed` until that try has ended.
    Probe,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Trouble {
    failures: u32,
    openings: u32,
    until: Option<Instant>,
    /// A probe that never reports back (its client left) frees the place after this moment.
    probing_until: Option<Instant>,
}

impl Trouble {
    fn is_shut(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn verdict(&self, now: Instant) -> Verdict {
        match self.until {
            None => Verdict::Well,
            Some(_) if self.is_shut(now) || self.probing_until.is_some_and(|end| now < end) => Verdict::Closed,
            Some(_) => Verdict::Probe,
        }
    }
}

/// One upstream's health, model by model. Asking costs one atomic load while nothing is wrong.
#[derive(Debug, Default)]
pub struct Health {
    troubled: AtomicUsize,
    models: Mutex<HashMap<Box<str>, Trouble>>,
}

impl Health {
    /// Asking changes nothing; who goes on to try a `Probe` claims it first.
    pub fn verdict(&self, model: &str, now: Instant) -> Verdict {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return Verdict::Well;
        }
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(model).map_or(Verdict::Well, |trouble| trouble.verdict(now))
    }

    /// For which models nobody is sent here now, in their order.
    pub fn closed_models(&self, now: Instant) -> Vec<String> {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = models.iter().filter(|(_, trouble)| trouble.verdict(now) == Verdict::Closed);
        let mut closed: Vec<_> = closed.map(|(model, _)| model.to_string()).collect();
        closed.sort_unstable();
        closed
    }

    /// The place of the one probe. False: somebody else is probing.
    pub fn claim(&self, model: &str, now: Instant) -> bool {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return true;
        }
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        match models.get_mut(model) {
            Some(trouble) if trouble.verdict(now) == Verdict::Probe => {
                trouble.probing_until = Some(now + LONGEST);
                true
            }
            Some(trouble) => trouble.verdict(now) == Verdict::Well,
            None => true,
        }
    }

    /// An answer to what was asked before it opened says nothing new.
    pub fn answered(&self, model: &str, now: Instant) {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if models.get(model).is_some_and(|trouble| !trouble.is_shut(now)) {
            models.remove(model);
            self.troubled.store(models.len(), Ordering::Release);
        }
    }

    /// `jitter` is between 0 and 1.
    pub fn failed(&self, model: &str, failure: Failure, now: Instant, jitter: f64) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Trouble { failures: 0, openings: 0, until: None, probing_until: None };
        let trouble = models.entry(model.into()).or_insert(fresh);
        trouble.failures += 1;
        match failure {
            Failure::Throttled(wait) => {
                let until = now + wait.min(LONGEST_COOLDOWN);
                trouble.until = Some(trouble.until.map_or(until, |before| before.max(until)));
                trouble.probing_until = None;
            }
            // Asked before it opened: the pause is not made longer by it.
            Failure::Other if trouble.is_shut(now) => {}
            Failure::Other if trouble.until.is_some() || trouble.failures >= FAILURES_TO_OPEN => {
                trouble.until = Some(now + pause(trouble.openings, jitter));
                trouble.openings += 1;
                trouble.probing_until = None;
            }
            Failure::Other => {}
        }
        self.troubled.store(models.len(), Ordering::Release);
    }
}

fn pause(openings: u32, jitter: f64) -> Duration {
    let whole = SHORTEST.saturating_mul(1 << openings.min(16)).min(LONGEST);
    whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "claude-opus-4-8";

    fn broken(health: &Health, now: Instant) {
        for _ in 0..FAILURES_TO_OPEN {
            health.failed(MODEL, Failure::Other, now, 1.0);
        }
    }

    #[test]
    fn a_few_failures_close_nothing() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 1..FAILURES_TO_OPEN {
            health.failed(MODEL, Failure::Other, now, 1.0);
            assert_eq!(health.verdict(MODEL, now), Verdict::Well);
        }
        health.answered(MODEL, now);
        health.failed(MODEL, Failure::Other, now, 1.0);
        assert_eq!(health.verdict(MODEL, now), Verdict::Well, "an answer starts the count anew");
    }

    #[test]
    fn repeated_failures_close_it_for_one_model_and_one_probe_opens_it() {
        let (health, now) = (Health::default(), Instant::now());
        broken(&health, now);
        assert_eq!(health.verdict(MODEL, now), Verdict::Closed);
        assert_eq!(health.verdict("another", now), Verdict::Well);
        assert_eq!(health.closed_models(now), [MODEL]);
        let later = now + SHORTEST;
        assert_eq!(health.verdict(MODEL, later), Verdict::Probe);
        assert_eq!(health.verdict(MODEL, later), Verdict::Probe, "asking is not trying");
        assert!(health.claim(MODEL, later) && !health.claim(MODEL, later), "one probe at a time");
        assert_eq!(health.verdict(MODEL, later), Verdict::Closed);
        health.answered(MODEL, later);
        assert_eq!(health.verdict(MODEL, later), Verdict::Well);
        assert!(health.closed_models(later).is_empty());
    }

    #[test]
    fn each_failed_probe_waits_twice_as_long_up_to_a_minute() {
        let (health, mut now) = (Health::default(), Instant::now());
        broken(&health, now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(
                health.verdict(MODEL, now + Duration::from_secs(seconds) - Duration::from_millis(1)),
                Verdict::Closed
            );
            now += Duration::from_secs(seconds);
            assert!(health.claim(MODEL, now));
            health.failed(MODEL, Failure::Other, now, 1.0);
        }
    }

    #[test]
    fn a_retry_after_is_a_cooldown_at_once() {
        let (health, now) = (Health::default(), Instant::now());
        health.failed(MODEL, Failure::Throttled(Duration::from_secs(7)), now, 0.0);
        assert_eq!(health.verdict(MODEL, now + Duration::from_secs(6)), Verdict::Closed);
        assert_eq!(health.verdict(MODEL, now + Duration::from_secs(7)), Verdict::Probe);
    }

    #[test]
    fn a_probe_that_never_reports_does_not_close_it_for_ever() {
        let (health, now) = (Health::default(), Instant::now());
        broken(&health, now);
        assert!(health.claim(MODEL, now + SHORTEST));
        assert_eq!(health.verdict(MODEL, now + SHORTEST + LONGEST), Verdict::Probe);
    }

    #[test]
    fn what_was_asked_before_it_opened_changes_nothing() {
        let (health, now) = (Health::default(), Instant::now());
        broken(&health, now);
        for _ in 0..95 {
            health.failed(MODEL, Failure::Other, now, 1.0);
        }
        assert_eq!(health.verdict(MODEL, now + SHORTEST), Verdict::Probe, "not a minute for a hundred at once");
        health.answered(MODEL, now);
        assert_eq!(health.verdict(MODEL, now), Verdict::Closed, "a late answer does not lift a cooldown");
        health.failed(MODEL, Failure::Throttled(Duration::from_secs(60)), now, 1.0);
        health.failed(MODEL, Failure::Throttled(Duration::from_secs(1)), now, 1.0);
        assert_eq!(
            health.verdict(MODEL, now + Duration::from_secs(59)),
            Verdict::Closed,
            "the longest cooldown stands"
        );
    }
}
