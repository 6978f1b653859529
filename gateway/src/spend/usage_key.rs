//! What the ledger counts, and by what.

use std::ops::{Add, Sub};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::identity::Subject;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UsageKey {
    pub subject: Subject,
    /// The canonical id: a closed set.
    pub model: String,
    pub upstream: String,
    /// The full hour, UTC, in which the reply began.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub hour: DateTime<Utc>,
}

impl UsageKey {
    /// For a reply that began at that moment.
    pub fn at(began: DateTime<Utc>, subject: Subject, model: String, upstream: String) -> Self {
        let into_the_hour = TimeDelta::seconds(began.timestamp().rem_euclid(3_600));
        Self { subject, model, upstream, hour: began.trunc_subsecs(0) - into_the_hour }
    }
}

/// Counters of one key; each is priced apart, so none is folded into another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    /// Cache writes kept for five minutes, and those that say nothing of it.
    pub cache_write_5m_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub web_search_requests: i64,
}

/// The counters in one order, for whoever does the same with each.
impl From<Counts> for [i64; 7] {
    fn from(counts: Counts) -> Self {
        let Counts {
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        } = counts;
        [
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        ]
    }
}

impl From<[i64; 7]> for Counts {
    fn from(counters: [i64; 7]) -> Self {
        let [
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        ] = counters;
        Self {
            requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            web_search_requests,
        }
    }
}

impl Counts {
    fn with(self, other: Self, join: impl Fn(i64, i64) -> i64) -> Self {
        let (mut joined, others): ([i64; 7], [i64; 7]) = (self.into(), other.into());
        joined.iter_mut().zip(others).for_each(|(counter, other)| *counter = join(*counter, other));
        joined.into()
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, i64::saturating_add)
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, i64::saturating_sub)
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
