//! What the ledger counts, and by what.

use std::cell::RefCell;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};

use super::Counts;
use crate::{clock::Stamp, identity::Subject};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UsageKey {
    pub subject: Subject,
    /// The canonical id: a closed set.
    pub model: String,
    pub upstream: String,
    /// The full hour, UTC, in which the reply began.
    #[serde(serialize_with = "in_seconds")]
    pub hour: DateTime<Utc>,
}

/// As `chrono` writes it by itself, at a small part of the cost: every reply's first line in the journal has one.
fn in_seconds<S: Serializer>(hour: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    thread_local! {
        static HOUR: RefCell<Stamp> = const { RefCell::new(Stamp::new()) };
    }
    HOUR.with_borrow_mut(|stamp| serializer.serialize_str(stamp.in_seconds(*hour)))
}

impl UsageKey {
    /// For a reply that began at that moment.
    pub fn at(began: DateTime<Utc>, subject: Subject, model: String, upstream: String) -> Self {
        let into_the_hour = TimeDelta::seconds(began.timestamp().rem_euclid(3_600));
        Self { subject, model, upstream, hour: began.trunc_subsecs(0) - into_the_hour }
    }
}

/// What was counted since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDelta {
    pub key: UsageKey,
    pub counts: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_counts_in_the_hour_in_which_it_began() {
        let key = |began: &str| {
            let began = began.parse().unwrap();
            UsageKey::at(began, Subject("a".to_owned()), "m".to_owned(), "u".to_owned()).hour.to_rfc3339()
        };
        assert_eq!(key("2026-03-01T10:59:59.999Z"), "2026-03-01T10:00:00+00:00");
        assert_eq!(key("2026-03-01T11:00:00Z"), "2026-03-01T11:00:00+00:00");
        assert_eq!(key("1969-12-31T23:30:00Z"), "1969-12-31T23:00:00+00:00");
    }
}
