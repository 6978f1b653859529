//! What is limited, in which unit, and over which time.

use serde::{Deserialize, Serialize};

use crate::identity::Subject;

/// A whole number of a meter's unit. Negative only as a correction.
pub type Amount = i64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    TokensPerMinute,
    TokensPerDay,
    TokensPerMonth,
    RequestsPerMinute,
    ConcurrentRequests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Tokens,
    Requests,
    /// Held while a request runs, and never used up.
    Places,
}

/// Over which time a meter counts, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A bucket that holds one minute's amount and refills continuously.
    Minute,
    Day,
    Month,
    /// Nothing is used up.
    Always,
}

/// One limit of one person, the same on every pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    pub subject: Subject,
    pub meter: Meter,
}

impl Meter {
    pub const ALL: [Self; 5] = [
        Self::TokensPerMinute,
        Self::TokensPerDay,
        Self::TokensPerMonth,
        Self::RequestsPerMinute,
        Self::ConcurrentRequests,
    ];

    pub fn unit(self) -> Unit {
        match self {
            Self::TokensPerMinute | Self::TokensPerDay | Self::TokensPerMonth => Unit::Tokens,
            Self::RequestsPerMinute => Unit::Requests,
            Self::ConcurrentRequests => Unit::Places,
        }
    }

    pub fn period(self) -> Period {
        match self {
            Self::TokensPerMinute | Self::RequestsPerMinute => Period::Minute,
            Self::TokensPerDay => Period::Day,
            Self::TokensPerMonth => Period::Month,
            Self::ConcurrentRequests => Period::Always,
        }
    }

    /// The word in the store and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::TokensPerMonth => "tokens_per_month",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::ConcurrentRequests => "concurrent_requests",
        }
    }

    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meter| meter.word() == word)
    }
}

impl Period {
    /// The word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Month => "month",
            Self::Always => "always",
        }
    }
}
