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
    /// Try it, once: the next one to ask hears `Closed` until this try has ended.
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

/// One upstream's health, model by model. Asking costs one atomic load while nothing is wrong.
#[derive(Debug, Default)]
pub struct Health {
    troubled: AtomicUsize,
    models: Mutex<HashMap<Box<str>, Trouble>>,
}

impl Health {
    pub fn verdict(&self, model: &str, now: Instant) -> Verdict {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return Verdict::Well;
        }
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trouble) = models.get_mut(model) else { return Verdict::Well };
        let Some(until) = trouble.until else { return Verdict::Well };
        if now < until || trouble.probing_until.is_some_and(|end| now < end) {
            return Verdict::Closed;
        }
        trouble.probing_until = Some(now + LONGEST);
        Verdict::Probe
    }

    pub fn answered(&self, model: &str) {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.remove(model);
        self.troubled.store(models.len(), Ordering::Release);
    }

    /// `jitter` is between 0 and 1.
    pub fn failed(&self, model: &str, failure: Failure, now: Instant, jitter: f64) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Trouble { failures: 0, openings: 0, until: None, probing_until: None };
        let trouble = models.entry(model.into()).or_insert(fresh);
        trouble.failures += 1;
        let was_open = trouble.until.is_some();
        trouble.probing_until = None;
        match failure {
            Failure::Throttled(wait) => trouble.until = Some(now + wait.min(LONGEST_COOLDOWN)),
            Failure::Other if was_open || trouble.failures >= FAILURES_TO_OPEN => {
                trouble.until = Some(now + pause(trouble.openings, jitter));
                trouble.openings += 1;
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
        health.answered(MODEL);
        health.failed(MODEL, Failure::Other, now, 1.0);
        assert_eq!(health.verdict(MODEL, now), Verdict::Well, "an answer starts the count anew");
    }

    #[test]
    fn repeated_failures_close_it_for_one_model_and_one_probe_opens_it() {
        let (health, now) = (Health::default(), Instant::now());
        broken(&health, now);
        assert_eq!(health.verdict(MODEL, now), Verdict::Closed);
        assert_eq!(health.verdict("another", now), Verdict::Well);
        let later = now + SHORTEST;
        assert_eq!(health.verdict(MODEL, later), Verdict::Probe);
        assert_eq!(health.verdict(MODEL, later), Verdict::Closed, "one probe at a time");
        health.answered(MODEL);
        assert_eq!(health.verdict(MODEL, later), Verdict::Well);
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
            assert_eq!(health.verdict(MODEL, now), Verdict::Probe);
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
        assert_eq!(health.verdict(MODEL, now + SHORTEST), Verdict::Probe);
        assert_eq!(health.verdict(MODEL, now + SHORTEST + LONGEST), Verdict::Probe);
    }
}
